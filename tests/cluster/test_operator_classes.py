"""The platform team's class on a running operator: isolation, guardrails, and classes that come, change, tie and go."""

import pytest

from tests.cluster.operator import (
    POLICY,
    VERSION,
    condition,
    network_policy,
    owned,
    segment,
    segment_class,
    settled,
    stage,
    to_cidr,
    to_stage,
)

DENY = "pipesegment-default-deny"
NO_MESH = {"mesh": {"provider": "None"}}
ISOLATING = {"network": {"isolation": {"mode": "Namespace"}}} | NO_MESH
INTERNET = {"internet": {}, "ports": [{"port": 443}]}


class Classes:
    """Makes classes that select the namespaces with a label that no other test has."""

    def __init__(self, api, label):
        self.api = api
        self.label = label
        self.labels = {label: "yes"}
        self.made = []

    async def __call__(self, name="class", **spec):
        given = segment_class(f"{name}-{self.label.partition('/')[2]}", self.label, **(NO_MESH | spec))
        self.made.append(given["metadata"]["name"])
        return await self.api.apply(given)

    async def delete(self, made):
        await self.api.delete(VERSION, "SegmentClass", made["metadata"]["name"])


@pytest.fixture
async def classes(operator, namespaces, api):
    """Call it with a name and a spec for a class; `labels` are for the namespaces that it selects."""
    found = Classes(api, f"lab.example.com/{(await namespaces('label'))[-8:]}")
    yield found
    for name in found.made:
        await api.delete(VERSION, "SegmentClass", name)


async def reads(api, made, reason):
    """Wait until a class's condition Ready has a reason, and give the class."""
    name = made["metadata"]["name"]
    return await api.wait(
        VERSION, "SegmentClass", name, until=lambda obj: condition(obj, "Ready").get("reason") == reason
    )


def opens_the_internet(policy):
    return any(
        peer.get("ipBlock", {}).get("cidr") == "0.0.0.0/0" for r in policy["spec"].get("egress", []) for peer in r["to"]
    )


async def test_every_namespace_that_is_selected_is_closed(classes, namespaces, api):
    """Those that exist, those that come, those that are labelled later; and they open when the class says so."""
    first = await namespaces("first", labels=classes.labels)
    other = await namespaces("other")
    made = await classes(**ISOLATING)
    deny = await api.wait(*POLICY, DENY, first)
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert owners(deny) == {made["metadata"]["uid"]}

    second = await namespaces("second", labels=classes.labels)
    await api.wait(*POLICY, DENY, second)
    assert await owned(api, other) == {}
    await api.patch("v1", "Namespace", other, {"metadata": {"labels": classes.labels}})
    await api.wait(*POLICY, DENY, other)
    counted = await api.wait(
        VERSION,
        "SegmentClass",
        made["metadata"]["name"],
        until=lambda obj: obj.get("status", {}).get("namespaces") == 3,
    )
    assert condition(counted, "Ready")["reason"] == "Governing"

    await api.delete(*POLICY, DENY, first)
    await api.wait(*POLICY, DENY, first)
    await api.patch(*POLICY, DENY, {"spec": {"egress": [{}]}}, first)
    await api.wait(*POLICY, DENY, first, until=lambda obj: not obj["spec"].get("egress"))

    await api.patch("v1", "Namespace", other, {"metadata": {"labels": {classes.label: None}}})
    await api.wait_gone(*POLICY, DENY, other)
    await classes()
    for namespace in (first, second):
        await api.wait_gone(*POLICY, DENY, namespace)


async def test_isolation_outlives_the_last_segment(classes, namespaces, api):
    """The default deny belongs to the class, not to a segment."""
    namespace = await namespaces("ci", labels=classes.labels)
    await classes(**ISOLATING)
    await api.apply(segment("shop", namespace, stage("build")))
    await settled(api, "shop", namespace)
    deny = await api.wait(*POLICY, DENY, namespace)

    await api.delete(VERSION, "PipelineSegment", "shop", namespace)
    await api.wait_gone(*POLICY, "shop-build", namespace)

    assert (await api.get(*POLICY, DENY, namespace))["metadata"]["uid"] == deny["metadata"]["uid"]


async def test_a_foreign_default_deny_is_the_classs_conflict(classes, namespaces, api):
    """The class says that isolation is not in place, and puts it there when the name is free."""
    namespace = await namespaces("ci", labels=classes.labels)
    foreign = await api.create(network_policy(DENY, namespace, {"app": "theirs"}, policyTypes=["Ingress"]))

    made = await classes(**ISOLATING)

    failed = await reads(api, made, "IsolationFailed")
    assert f"{namespace}/{DENY}" in condition(failed, "Ready")["message"]
    assert await api.get(*POLICY, DENY, namespace) == foreign
    await api.delete(*POLICY, DENY, namespace)
    await api.wait(*POLICY, DENY, namespace, until=lambda obj: obj["metadata"]["uid"] != foreign["metadata"]["uid"])
    await reads(api, made, "Governing")


async def test_isolation_goes_from_class_to_class_without_a_gap(classes, namespaces, api):
    """A namespace that another isolating class takes over keeps its very policy: one write, a new owner."""
    namespace = await namespaces("ci", labels=classes.labels)
    low = await classes("low", **ISOLATING)
    before = await api.wait(*POLICY, DENY, namespace)

    high = await classes("high", priority=10, **ISOLATING)
    taken = await api.wait(*POLICY, DENY, namespace, until=lambda obj: owners(obj) == {high["metadata"]["uid"]})
    assert taken["metadata"]["uid"] == before["metadata"]["uid"]

    # The class of the higher priority steps back: the other one takes over in turn.
    await classes("high", priority=-10, **ISOLATING)
    back = await api.wait(*POLICY, DENY, namespace, until=lambda obj: owners(obj) == {low["metadata"]["uid"]})
    assert back["metadata"]["uid"] == before["metadata"]["uid"]
    assert back["spec"] == before["spec"]


def owners(obj, kind="SegmentClass"):
    return {owner["uid"] for owner in obj["metadata"].get("ownerReferences", ()) if owner["kind"] == kind}


@pytest.mark.cluster("controllers")
async def test_isolation_outlives_its_class(classes, namespaces, api):
    """The garbage collector takes the class's reference off and leaves the policy to its namespace, until a class decides."""
    namespace = await namespaces("ci", labels=classes.labels)
    made = await classes(**ISOLATING)
    await api.apply(segment("shop", namespace, stage("build")))
    await settled(api, "shop", namespace)
    before = await api.wait(*POLICY, DENY, namespace)

    await classes.delete(made)
    left = await api.wait(*POLICY, DENY, namespace, until=lambda obj: not owners(obj), within=60)
    lost = await settled(api, "shop", namespace, "Unresolved")

    assert condition(lost, "Stalled")["reason"] == "ClassLost"
    assert len(owners(left, "Namespace")) == 1
    assert (left["metadata"]["uid"], left["spec"]) == (before["metadata"]["uid"], before["spec"])

    heir = await classes("heir", **ISOLATING)
    taken = await api.wait(*POLICY, DENY, namespace, until=lambda obj: owners(obj) == {heir["metadata"]["uid"]})
    assert taken["metadata"]["uid"] == before["metadata"]["uid"]
    await settled(api, "shop", namespace)
    await classes.delete(heir)
    await api.wait(*POLICY, DENY, namespace, until=lambda obj: not owners(obj), within=60)
    await classes("open")
    await api.wait_gone(*POLICY, DENY, namespace)


async def test_a_class_made_anew_says_so_in_a_status_of_its_own(classes, namespaces, api):
    """A class of the same name is another class."""
    namespace = await namespaces("ci", labels=classes.labels)
    first = await classes(**ISOLATING)
    await reads(api, first, "Governing")
    await classes.delete(first)
    await api.wait_gone(VERSION, "SegmentClass", first["metadata"]["name"])

    second = await classes(**ISOLATING)

    await reads(api, second, "Governing")
    await api.wait(*POLICY, DENY, namespace, until=lambda obj: owners(obj) == {second["metadata"]["uid"]})


async def test_a_tie_opens_nothing(classes, namespaces, api):
    """Two classes of one priority: what is closed stays closed, nothing is widened, and everybody is told."""
    namespace = await namespaces("ci", labels=classes.labels)
    first = await classes("first", **ISOLATING)
    await api.apply(segment("shop", namespace, stage("build", to_cidr("198.51.100.0/24", 443)), stage("test")))
    await settled(api, "shop", namespace)
    deny = await api.wait(*POLICY, DENY, namespace)
    before = await owned(api, namespace)

    second = await classes("second", network={"allowInternet": True})
    stalled = await settled(api, "shop", namespace, "Unresolved")
    assert condition(stalled, "Stalled")["reason"] == "AmbiguousClass"
    for made in (first, second):
        await reads(api, made, "AmbiguousClass")
    await api.apply(segment("shop", namespace, stage("build", to_cidr("198.51.100.0/24", 443, 8443)), stage("test")))
    await api.apply(segment("new", namespace, stage("build", to_cidr("198.51.100.0/24", 443))))
    await api.wait(
        VERSION, "PipelineSegment", "shop", namespace, until=lambda o: o["status"]["observedGeneration"] == 2
    )
    await settled(api, "new", namespace, "Unresolved")

    found = await owned(api, namespace)
    assert found["NetworkPolicy", DENY]["metadata"]["uid"] == deny["metadata"]["uid"]
    assert found["NetworkPolicy", "shop-build"]["spec"] == before["NetworkPolicy", "shop-build"]["spec"]
    fresh = found.get(("NetworkPolicy", "new-build"), {"spec": {}})
    assert not fresh["spec"].get("egress")
    assert not fresh["spec"].get("ingress")

    await classes.delete(second)
    await settled(api, "shop", namespace)
    await settled(api, "new", namespace)
    found = await owned(api, namespace)
    assert "8443" in str(found["NetworkPolicy", "shop-build"]["spec"])
    assert found["NetworkPolicy", DENY]["metadata"]["uid"] == deny["metadata"]["uid"]


async def test_a_lost_class_widens_nothing(classes, namespaces, api):
    """Without the class that forbade the internet nobody may reach it: the segment waits for a person."""
    namespace = await namespaces("ci", labels=classes.labels)
    made = await classes(network={"allowInternet": False})
    await api.apply(segment("shop", namespace, stage("build", INTERNET, to_cidr("10.99.0.0/16", 443))))
    refused = await settled(api, "shop", namespace, "Invalid")
    assert refused["status"]["class"]["uid"] == made["metadata"]["uid"]

    # At once after the status was written: what it says is known although its watch event may be on the way.
    await classes.delete(made)
    lost = await settled(api, "shop", namespace, "Unresolved")

    assert condition(lost, "Stalled")["reason"] == "ClassLost"
    policy = (await owned(api, namespace))["NetworkPolicy", "shop-build"]
    assert not opens_the_internet(policy)
    assert lost["status"]["class"]["uid"] == made["metadata"]["uid"]

    await classes(network={"allowInternet": True})
    await settled(api, "shop", namespace)
    assert opens_the_internet((await owned(api, namespace))["NetworkPolicy", "shop-build"])


async def test_a_class_that_tightens_closes_what_is_open(classes, namespaces, api):
    """allowInternet goes to false: the internet closes, the rest stays, and the author is told why."""
    namespace = await namespaces("ci", labels=classes.labels)
    await classes(network={"allowInternet": True})
    await api.apply(segment("shop", namespace, stage("build", INTERNET, to_stage("test", 8080)), stage("test")))
    await settled(api, "shop", namespace)
    before = await owned(api, namespace)
    assert opens_the_internet(before["NetworkPolicy", "shop-build"])

    await classes(network={"allowInternet": False})
    refused = await settled(api, "shop", namespace, "Invalid")

    assert condition(refused, "Stalled")["reason"] == "Invalid"
    assert "spec.stages[0].reaches[0].internet" in condition(refused, "Ready")["message"]
    after = await owned(api, namespace)
    assert not opens_the_internet(after["NetworkPolicy", "shop-build"])
    assert "8080" in str(after["NetworkPolicy", "shop-build"]["spec"])
    assert after["NetworkPolicy", "shop-test"]["spec"] == before["NetworkPolicy", "shop-test"]["spec"]


@pytest.mark.parametrize("cap", ["Observe", "Suspend"])
async def test_a_class_caps_every_mode(classes, namespaces, api, cap):
    """Observe makes the accounts alone, Suspend nothing at all; when the cap goes, everything is enforced."""
    namespace = await namespaces("ci", labels=classes.labels)
    await classes(enforcement={"max": cap})
    await api.apply(segment("shop", namespace, stage("build", to_cidr("198.51.100.0/24", 443)), mode="Enforce"))

    await settled(api, "shop", namespace, {"Observe": "Observing", "Suspend": "Suspended"}[cap])

    expected = {("ServiceAccount", "shop-build")} if cap == "Observe" else set()
    assert set(await owned(api, namespace)) == expected
    await classes(enforcement={"max": "Enforce"})
    await settled(api, "shop", namespace)
    assert set(await owned(api, namespace)) == {("ServiceAccount", "shop-build"), ("NetworkPolicy", "shop-build")}


async def test_a_class_that_cannot_be_read_stalls_whom_it_may_govern(classes, namespaces, api):
    """A class with a field of a later version may govern anybody: its own namespaces stay as they are."""
    namespace = await namespaces("ci", labels=classes.labels)
    made = await classes(**ISOLATING)
    await api.apply(segment("shop", namespace, stage("build", to_cidr("198.51.100.0/24", 443))))
    await settled(api, "shop", namespace)
    deny = await api.wait(*POLICY, DENY, namespace)
    before = await owned(api, namespace)

    await classes(**ISOLATING, aws={"ensureEndpoints": True})
    stalled = await settled(api, "shop", namespace, "Unresolved")

    assert condition(stalled, "Stalled")["reason"] == "ClassLost"
    await reads(api, made, "NotYetSupported")
    after = await owned(api, namespace)
    assert {k: o["metadata"]["resourceVersion"] for k, o in after.items()} == {
        k: o["metadata"]["resourceVersion"] for k, o in before.items()
    }
    assert after["NetworkPolicy", DENY]["metadata"]["uid"] == deny["metadata"]["uid"]
    await classes(**ISOLATING)
    await settled(api, "shop", namespace)
