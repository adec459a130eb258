"""What holds an operator back: Observe, suspend, and declarations that it refuses."""

import pytest

from tests.cluster.operator import (
    POLICY,
    VERSION,
    condition,
    owned,
    segment,
    settled,
    stage,
    to_cidr,
)

NET = "198.51.100.0/24"


def versions(objects):
    return {key: obj["metadata"]["resourceVersion"] for key, obj in objects.items()}


def ports(objects, name):
    return {port["port"] for rule in objects["NetworkPolicy", name]["spec"].get("egress", []) for port in rule["ports"]}


async def test_observe_makes_accounts_and_nothing_that_blocks(operator, plain, namespaces, api):
    """Status says what would be; Enforce then does it, and Observe takes it back."""
    namespace = await namespaces("ci", labels=plain)
    stages = (stage("build", to_cidr(NET, 443)), stage("test"))
    await api.apply(segment("shop", namespace, *stages, mode="Observe"))
    observing = await settled(api, "shop", namespace, "Observing")
    accounts = {("ServiceAccount", "shop-build"), ("ServiceAccount", "shop-test")}
    assert set(await owned(api, namespace)) == accounts
    assert "would open 1 of 1 edge" in condition(observing, "Ready")["message"]

    await api.apply(segment("shop", namespace, *stages, mode="Enforce"))
    await settled(api, "shop", namespace)
    assert set(await owned(api, namespace)) == accounts | {("NetworkPolicy", n) for n in ("shop-build", "shop-test")}

    await api.apply(segment("shop", namespace, *stages, mode="Observe"))
    await settled(api, "shop", namespace, "Observing")
    assert set(await owned(api, namespace)) == accounts


async def test_in_a_mesh_observe_is_a_dry_run(operator, istio_crds, namespaces, api):
    """The AuthorizationPolicy carries Istio's dry-run mark; nothing that would break a connection exists."""
    namespace = await namespaces("ci")
    await api.apply(segment("shop", namespace, stage("build"), mode="Observe"))

    await settled(api, "shop", namespace, "Observing")

    objects = await owned(api, namespace)
    assert set(objects) == {("ServiceAccount", "shop-build"), ("AuthorizationPolicy", "shop-build")}
    dry = objects["AuthorizationPolicy", "shop-build"]["metadata"]["annotations"]["istio.io/dry-run"]
    assert dry == "true"


@pytest.mark.cluster("audit")
async def test_a_suspended_segment_is_only_ever_narrowed(operator, plain, namespaces, api, record):
    """Nothing is created, repaired or widened; what is taken out of the declaration is taken out of the policy."""
    namespace = await namespaces("ci", labels=plain)
    await api.apply(segment("shop", namespace, stage("build", to_cidr(NET, 443), to_cidr(NET, 8443)), stage("test")))
    await settled(api, "shop", namespace)
    before = await owned(api, namespace)

    # A port more, a port less, and a stage more; and somebody deletes an object.
    suspended = (stage("build", to_cidr(NET, 443), to_cidr(NET, 9443)), stage("test"), stage("new"))
    await api.apply(segment("shop", namespace, *suspended, suspend=True))
    told = await settled(api, "shop", namespace, "Suspended")
    await api.delete(*POLICY, "shop-test", namespace)
    await api.patch(*POLICY, "shop-build", {"spec": {"ingress": [{}]}}, namespace)

    after = await owned(api, namespace)
    assert ports(after, "shop-build") == {443}
    assert ("NetworkPolicy", "shop-new") not in after
    assert ("ServiceAccount", "shop-new") not in after
    assert "shop-new" in condition(told, "NetworkReady")["message"]
    # It says that it saw it and left it.
    await api.wait(
        VERSION,
        "PipelineSegment",
        "shop",
        namespace,
        until=lambda obj: "shop-test" in condition(obj, "NetworkReady")["message"],
    )
    written = {event.name for event in record.calls(namespace=namespace) if event.write and not event.subresource}
    assert "shop-new" not in written
    assert ("NetworkPolicy", "shop-test") not in await owned(api, namespace)

    await api.apply(segment("shop", namespace, *suspended))
    await settled(api, "shop", namespace)
    resumed = await owned(api, namespace)
    assert ports(resumed, "shop-build") == {443, 9443}
    assert not resumed["NetworkPolicy", "shop-build"]["spec"].get("ingress")
    assert resumed["NetworkPolicy", "shop-test"]["spec"] == before["NetworkPolicy", "shop-test"]["spec"]
    assert ("NetworkPolicy", "shop-new") in resumed


async def test_a_segment_that_begins_suspended_does_nothing_and_can_be_deleted(operator, plain, namespaces, api):
    """It makes nothing at all; a suspended segment that has objects takes them along when it goes."""
    namespace = await namespaces("ci", labels=plain)
    await api.apply(segment("idle", namespace, stage("build"), suspend=True))
    await settled(api, "idle", namespace, "Suspended")
    assert await owned(api, namespace) == {}

    await api.apply(segment("shop", namespace, stage("build")))
    await settled(api, "shop", namespace)
    await api.apply(segment("shop", namespace, stage("build"), suspend=True))
    await settled(api, "shop", namespace, "Suspended")
    await api.delete(VERSION, "PipelineSegment", "shop", namespace)
    await api.wait_gone(*POLICY, "shop-build", namespace)


@pytest.mark.cluster("audit")
@pytest.mark.parametrize(
    ("change", "reason", "path"),
    [
        ({"gates": [{"name": "g", "imageDigests": {"required": True}}]}, "NotYetSupported", "spec.stages[0].gates"),
        ({"reaches": [to_cidr("169.254.0.0/16", 80)]}, "Invalid", "spec.stages[0].reaches[0].cidr.block"),
    ],
)
async def test_a_refused_declaration_changes_nothing(operator, plain, namespaces, api, record, change, reason, path):
    """What the API server lets pass and the operator refuses: the author reads why, nothing is widened."""
    namespace = await namespaces("ci", labels=plain)
    await api.apply(segment("shop", namespace, stage("build"), stage("test")))
    await settled(api, "shop", namespace)
    before = await owned(api, namespace)

    await api.apply(segment("shop", namespace, stage("build", **change), stage("renamed")))
    refused = await settled(api, "shop", namespace, reason)

    assert path in condition(refused, "Ready")["message"]
    assert condition(refused, "Stalled")["reason"] == "Invalid"
    assert refused["status"]["observedGeneration"] == 2
    await api.apply(segment("other", namespace, stage("build")))
    await settled(api, "other", namespace)
    kept = {key: obj for key, obj in (await owned(api, namespace)).items() if key[1] in {"shop-build", "shop-test"}}
    if reason == "Invalid":
        # What is understood and only takes away counts all the same: a stage that is gone lets nothing through.
        left = kept["NetworkPolicy", "shop-test"]["spec"]
        assert not left.get("ingress")
        assert not left.get("egress")
        del kept["NetworkPolicy", "shop-test"], before["NetworkPolicy", "shop-test"]
    assert versions(kept) == versions(before)

    await api.apply(segment("shop", namespace, stage("build"), stage("renamed")))
    mended = await settled(api, "shop", namespace)
    assert condition(mended, "Stalled") == {}
    assert ("NetworkPolicy", "shop-renamed") in await owned(api, namespace)
