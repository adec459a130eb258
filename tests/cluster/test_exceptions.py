"""Exceptions, approvals and seals with the operator as people run it: what opens, what closes by itself, what is told.

The admission policies are the chart's under names of this file's own; people are impersonated, as what they hold people to is
shown in the tests of admission.
"""

import asyncio
import dataclasses
import json
import time

import pytest

from lab.api import Api, WaitError
from pipesegment.facts.moments import moment
from tests.cluster.operator import POLICY, USER, VERSION, condition, segment, segment_class, settled, stage, to_cidr
from tests.unit.emergencies import guards as shipped

OWN, VENDOR = "192.0.2.0/24", "198.51.100.7/32"
LABEL = "lab.example.com/exceptions"
#: Names of their own, beside the chart's that other tests may put there.
PREFIX = "lab-exceptions"
POLICY_KIND, BINDING_KIND = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
NEVER = [{"name": "never", "expression": "false"}]
ELSEWHERE = {"matchLabels": {"lab.example.com/nowhere": "yes"}}
#: What is made in the seconds in which the policies came is not believed, and nothing tells when these are over.
NOTICE = 3.1


def guards(prefix=PREFIX):
    """Give the two policies and their bindings."""
    found = shipped(prefix, account=USER)
    for obj in found:
        obj["metadata"] = {"name": obj["metadata"]["name"]}
    return found


def rights(name=PREFIX):
    """Let those who are asked for ask, and approve."""
    api = "rbac.authorization.k8s.io"
    rule = {"apiGroups": ["pipesegment.dev"], "verbs": ["create"]}
    rule["resources"] = ["segmentexceptions", "segmentapprovals"]
    role, group = {"kind": "ClusterRole", "name": name}, {"kind": "Group", "name": "sre"}
    for kind, more in (
        ("ClusterRole", {"rules": [rule]}),
        ("ClusterRoleBinding", {"roleRef": {"apiGroup": api, **role}, "subjects": [{"apiGroup": api, **group}]}),
    ):
        yield {"apiVersion": f"{api}/v1", "kind": kind, "metadata": {"name": name}, **more}


async def put(api, obj):
    """Make an exception or an approval as whoever it names, signed in with a second factor."""
    who = (obj["spec"].get("approvedBy") or obj["spec"]["requestedBy"])["username"]
    taken = {"User": who, "Group": "sre", "Extra-example.com%2famr": "mfa"}
    acting = tuple((f"Impersonate-{key}", value) for key, value in taken.items())
    async with Api(dataclasses.replace(api.access, acting=acting)) as somebody:
        return await somebody.create(obj)


@pytest.fixture(scope="module")
def emergencies(installed):
    """Labels of namespaces whose class lets people approve, with the admission policies in force."""
    rules = {"approverGroups": ["sre"], "sealerGroups": ["security"], "maxDuration": "1h"}
    governing = segment_class("lab-exceptions", LABEL, mesh={"provider": "None"}, breakGlass=rules)
    documents = json.dumps({"apiVersion": "v1", "kind": "List", "items": [governing, *guards(), *rights()]})
    installed.kubectl("apply", "--server-side", "--filename=-", stdin=documents)
    time.sleep(NOTICE)
    yield {LABEL: "yes"}
    installed.kubectl("delete", "--filename=-", stdin=documents)


@pytest.fixture(scope="module")
def operator(module_operators):
    return module_operators(admission_name=PREFIX).start()


def exception(namespace, duration="10m", name="hotfix", **spec):
    given = {
        "segment": "shop",
        "stage": "deploy",
        "effect": "Open",
        "reaches": [to_cidr(VENDOR, 443)],
        "reason": "the mirror is down",
        "ticket": "INC-1",
        "duration": duration,
        "requestedBy": {"username": "ada"},
        **spec,
    }
    return {
        "apiVersion": VERSION,
        "kind": "SegmentException",
        "metadata": {"name": name, "namespace": namespace},
        "spec": given,
    }


def seal(namespace):
    given = exception(namespace, name="incident", effect="Seal")
    for field in ("reaches", "ticket", "duration"):
        del given["spec"][field]
    return given


async def approved(api, asked, by="grace"):
    """Approve an exception as its status says it has to be named."""
    meta = asked["metadata"]
    found = await api.wait(
        VERSION,
        "SegmentException",
        meta["name"],
        meta["namespace"],
        until=lambda o: o.get("status", {}).get("specHash"),
    )
    named = {
        "name": meta["name"],
        "uid": found["metadata"]["uid"],
        "specHash": found["status"]["specHash"],
        "requestedBy": found["spec"]["requestedBy"],
    }
    return await put(
        api,
        {
            "apiVersion": VERSION,
            "kind": "SegmentApproval",
            "metadata": {"name": f"{meta['name']}-{by}", "namespace": meta["namespace"]},
            "spec": {"exception": named, "class": found["status"]["class"], "approvedBy": {"username": by}},
        },
    )


async def phase(api, namespace, wanted, name="hotfix", within=60.0):
    try:
        return await api.wait(
            VERSION,
            "SegmentException",
            name,
            namespace,
            until=lambda o: o.get("status", {}).get("phase") == wanted,
            within=within,
        )
    except WaitError:
        found = await api.get(VERSION, "SegmentException", name, namespace)
        raise AssertionError(f"{name} is not {wanted} but {json.dumps(found.get('status'), indent=1)}") from None


def blocks(policy):
    return {peer["ipBlock"]["cidr"] for rule in policy["spec"].get("egress", []) for peer in rule["to"]}


async def shop(api, namespaces, labels, **more):
    namespace = await namespaces("ci", labels=labels)
    await api.apply(segment("shop", namespace, stage("deploy", to_cidr(OWN, 443)), stage("build"), **more))
    await settled(api, "shop", namespace)
    return namespace


def bare(policy):
    return {key: policy["metadata"].get(key) for key in ("labels", "annotations", "ownerReferences")} | policy["spec"]


async def test_it_opens_when_approved_and_closes_at_its_end(operator, emergencies, namespaces, api, kubectl):
    """By the running operator alone; the policy is then what it was before, to the last field."""
    namespace = await shop(api, namespaces, emergencies)
    before = await api.get(*POLICY, "shop-deploy", namespace)
    asked = await put(api, exception(namespace, duration="12s"))
    waiting = await phase(api, namespace, "Pending")
    assert waiting["status"]["reason"] == "AwaitingApproval"

    given = await approved(api, asked)
    opened = await phase(api, namespace, "Open")
    assert blocks(await api.get(*POLICY, "shop-deploy", namespace)) == {OWN, VENDOR}
    assert opened["status"]["approvers"] == ["grace"]
    counted = await api.wait(
        VERSION, "SegmentApproval", given["metadata"]["name"], namespace, until=lambda o: condition(o, "Ready")
    )
    assert condition(counted, "Ready")["reason"] == "Counted"
    wide = kubectl("get", "psexc", "-n", namespace, "-o", "wide")
    assert wide.split()[:9] == [
        "NAME",
        "SEGMENT",
        "STAGE",
        "EFFECT",
        "PHASE",
        "STATUS",
        "APPROVALS",
        "NEEDED",
        "EXPIRES",
    ]
    assert "the mirror is down" in wide
    assert "grace" in kubectl("get", "psappr", "-n", namespace)

    closed = await phase(api, namespace, "Expired")
    after = await api.get(*POLICY, "shop-deploy", namespace)
    assert bare(after) == bare(before)
    assert closed["status"]["opensAt"] == opened["status"]["opensAt"]
    ended = time.time() - moment(closed["status"]["expiresAt"]).timestamp()
    assert -1 < ended < 20, "it closes when its time is over, and not long after"

    (opening,) = operator.lines(action="open", uid=asked["metadata"]["uid"])
    (closing,) = operator.lines(action="close", uid=asked["metadata"]["uid"])
    for line in (opening, closing):
        assert (line["requestedBy"], line["approvedBy"], line["ticket"]) == ("ada", ["grace"], "INC-1")
        assert line["opens"] == [f"cidr {VENDOR}"]
    events = await api.wait_list(
        "events.k8s.io/v1",
        "Event",
        namespace,
        until=lambda found: (
            {"ExceptionRequested", "ExceptionOpened", "ExceptionExpired"} <= {e["reason"] for e in found.values()}
        ),
    )
    assert {e["regarding"]["kind"] for e in events if e["reason"].startswith("Exception")} == {"SegmentException"}


async def test_revoking_closes_and_somebody_elses_seal_cuts_at_once(operator, emergencies, namespaces, api):
    """And lifting the seal brings back what the stage declares, no more."""
    namespace = await shop(api, namespaces, emergencies)
    asked = await put(api, exception(namespace))
    await approved(api, asked)
    await phase(api, namespace, "Open")
    await api.delete(VERSION, "SegmentException", "hotfix", namespace)
    await api.wait(*POLICY, "shop-deploy", namespace, until=lambda o: blocks(o) == {OWN})

    await put(api, seal(namespace))
    await api.wait(*POLICY, "shop-deploy", namespace, until=lambda o: blocks(o) == set())
    sealed = await settled(api, "shop", namespace, "Sealed")
    assert sealed["status"]["summary"]["sealed"] == 1
    assert (await phase(api, namespace, "Sealed", "incident"))["status"].get("expiresAt") is None
    # Somebody edits the policy: it is put back.
    await api.patch(*POLICY, "shop-deploy", {"spec": {"egress": [{}]}}, namespace)
    await api.wait(*POLICY, "shop-deploy", namespace, until=lambda o: not o["spec"].get("egress"))

    await api.delete(VERSION, "SegmentException", "incident", namespace)
    await api.wait(*POLICY, "shop-deploy", namespace, until=lambda o: blocks(o) == {OWN})
    await settled(api, "shop", namespace)


@pytest.mark.parametrize("more", [{"mode": "Observe"}, {"suspend": True}], ids=str)
async def test_a_seal_cuts_what_is_not_enforced_otherwise(operator, emergencies, namespaces, api, more):
    namespace = await namespaces("ci", labels=emergencies)
    await api.apply(segment("shop", namespace, stage("deploy", to_cidr(OWN, 443)), **more))
    await settled(api, "shop", namespace, "Observing" if "mode" in more else "Suspended")

    await put(api, seal(namespace))

    made = await api.wait(*POLICY, "shop-deploy", namespace)
    assert not made["spec"].get("egress")
    assert not made["spec"].get("ingress")
    assert set(made["spec"]["policyTypes"]) == {"Ingress", "Egress"}


async def test_without_the_admission_policies_nothing_stays_open(operator, emergencies, namespaces, api):
    namespace = await shop(api, namespaces, emergencies)
    await approved(api, await put(api, exception(namespace)))
    await phase(api, namespace, "Open")
    binding = guards()[3]

    await api.delete(binding["apiVersion"], binding["kind"], binding["metadata"]["name"])
    try:
        waiting = await phase(api, namespace, "Pending")
        assert waiting["status"]["reason"] == "Unguarded"
        assert blocks(await api.get(*POLICY, "shop-deploy", namespace)) == {OWN}
    finally:
        await api.create(binding)
        await asyncio.sleep(NOTICE)

    # Meanwhile anybody could have written anybody's name: what is asked for anew opens, and nothing of before.
    await approved(api, await put(api, exception(namespace, name="anew")))
    await phase(api, namespace, "Open", name="anew")
    before = await api.get(VERSION, "SegmentException", "hotfix", namespace)
    assert (before["status"]["phase"], before["status"]["reason"]) == ("Pending", "Unguarded")
    assert "it was asked for before the admission policies denied anything" in condition(before, "Ready")["message"]


@pytest.mark.parametrize(
    ("kind", "number", "change", "why"),
    [
        (POLICY_KIND, 2, {"validations": [{"expression": "true"}]}, "its spec.validations[0].expression is not that"),
        (POLICY_KIND, 0, {"failurePolicy": "Ignore"}, "its spec.failurePolicy is not that"),
        (POLICY_KIND, 2, {"matchConditions": NEVER}, "the chart of this version has no spec.matchConditions"),
        (BINDING_KIND, 3, {"matchResources": {"namespaceSelector": ELSEWHERE}}, "the matchResources of its binding"),
    ],
    ids=("expressions", "failing-open", "a-condition", "an-exempting-binding"),
)
async def test_what_the_policies_of_these_names_say_is_looked_at(
    operator, emergencies, namespaces, api, kind, number, change, why
):
    """What is open closes, and opens again when they say what the chart has them say: as the API server gives them."""
    namespace = await shop(api, namespaces, emergencies)
    await approved(api, await put(api, exception(namespace)))
    await phase(api, namespace, "Open")
    given = guards()[number]

    await api.patch(given["apiVersion"], kind, given["metadata"]["name"], {"spec": change})
    try:
        waiting = await phase(api, namespace, "Pending")
        assert waiting["status"]["reason"] == "Unguarded"
        assert f"{given['metadata']['name']} ({why}" in condition(waiting, "Ready")["message"]
        assert blocks(await api.get(*POLICY, "shop-deploy", namespace)) == {OWN}
    finally:
        await api.patch(
            given["apiVersion"], kind, given["metadata"]["name"], {"spec": dict.fromkeys(change) | given["spec"]}
        )
    await phase(api, namespace, "Open")


async def test_what_ends_while_no_operator_runs_closes_when_one_starts(
    operators, emergencies, namespaces, api, module_operators
):
    """First thing: it counts as overdue until then, and not any more afterwards."""
    for running in module_operators.replicas:
        await asyncio.to_thread(running.stop)
    first = operators(admission_name=PREFIX)
    await asyncio.to_thread(first.start)
    namespace = await shop(api, namespaces, emergencies)
    asked = await put(api, exception(namespace, duration="15s"))
    await approved(api, asked)
    opened = await phase(api, namespace, "Open")
    first.terminate()
    await asyncio.to_thread(first.ended)
    ends = moment(opened["status"]["expiresAt"]).timestamp()
    # Its end is no event that anybody could wait for while nobody runs.
    await asyncio.sleep(max(0.0, ends - time.time()) + 1)
    assert blocks(await api.get(*POLICY, "shop-deploy", namespace)) == {OWN, VENDOR}

    second = operators(admission_name=PREFIX)
    await asyncio.to_thread(second.start)
    await phase(api, namespace, "Expired")
    assert blocks(await api.get(*POLICY, "shop-deploy", namespace)) == {OWN}
    (closing,) = second.lines(action="close", uid=asked["metadata"]["uid"])
    assert (closing["requestedBy"], closing["approvedBy"]) == ("ada", ["grace"])
    assert second.metric("exceptions_overdue") == 0
