"""Names: segments keep out of each other's way, and what somebody else made is never written to."""

import pytest

from tests.cluster.operator import (
    OWNED,
    POLICY,
    VERSION,
    condition,
    network_policy,
    owned,
    segment,
    settled,
    stage,
    to_cidr,
    to_stage,
)

FOREIGN = {
    "NetworkPolicy": network_policy("shop-build", "", {"app": "theirs"}, policyTypes=["Ingress"]),
    "ServiceAccount": {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "shop-build"}},
    "AuthorizationPolicy": {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "shop-build"},
        "spec": {"selector": {"matchLabels": {"app": "theirs"}}},
    },
}


def shop(namespace):
    return segment("shop", namespace, stage("build", to_cidr("198.51.100.0/24", 443)), stage("test"))


def policies(objects):
    return {name: obj for (kind, name), obj in objects.items() if kind == "NetworkPolicy"}


async def test_equal_stage_names_meet_in_no_namespace(operator, plain, namespaces, api):
    """Two segments of one namespace, and the same segment in another: each has its own objects on its own pods."""
    here, there = [await namespaces("ci", labels=plain) for _ in range(2)]
    stages = (stage("build", to_stage("test", 8080)), stage("test"))
    for name, namespace in (("shop", here), ("pay", here), ("shop", there)):
        await api.apply(segment(name, namespace, *stages))
    for name, namespace in (("shop", here), ("pay", here), ("shop", there)):
        await settled(api, name, namespace)

    mine, other = policies(await owned(api, here)), policies(await owned(api, there))
    assert set(mine) == {"shop-build", "shop-test", "pay-build", "pay-test"}
    assert set(other) == {"shop-build", "shop-test"}
    selected = [str(obj["spec"]["podSelector"]) for obj in mine.values()]
    assert len(set(selected)) == 4
    for obj in mine.values():
        segment_name = obj["metadata"]["labels"]["pipesegment.dev/segment"]
        for rule in obj["spec"].get("ingress", []):
            for peer in rule["from"]:
                assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": here}
                assert peer["podSelector"]["matchLabels"]["pipesegment.dev/segment"] == segment_name

    await api.delete(VERSION, "PipelineSegment", "shop", here)
    await api.wait_list(*POLICY, here, labels="pipesegment.dev/segment=shop", until=lambda found: not found)
    assert set(policies(await owned(api, here))) == {"pay-build", "pay-test"}
    assert set(policies(await owned(api, there))) == {"shop-build", "shop-test"}


async def test_two_segments_whose_objects_would_share_a_name(operator, plain, namespaces, api):
    """`a`/`b-c` was there first: `a-b`/`c` is told so, and gets it when the first one gives it up."""
    namespace = await namespaces("ci", labels=plain)
    mine, theirs = [{"name": name, "create": False} for name in ("mine", "theirs")]
    await api.apply(segment("a", namespace, stage("b-c", serviceAccount=mine), stage("other")))
    first = await settled(api, "a", namespace)

    await api.apply(segment("a-b", namespace, stage("c", serviceAccount=theirs)))
    refused = await settled(api, "a-b", namespace, "Conflict")

    assert "a-b-c" in condition(refused, "Stalled")["message"]
    held = (await owned(api, namespace))["NetworkPolicy", "a-b-c"]["metadata"]
    assert [owner["uid"] for owner in held["ownerReferences"]] == [first["metadata"]["uid"]]
    assert held["generation"] == 1

    await api.apply(segment("a", namespace, stage("other")))
    await settled(api, "a-b", namespace, within=15)


@pytest.mark.parametrize("kind", FOREIGN)
async def test_somebody_elses_object_of_our_name_is_left_alone(operator, istio_crds, namespaces, api, kind):
    """Conflict, with everything else in place; solved without anybody's help when that object is gone."""
    namespace = await namespaces("ci")
    given = FOREIGN[kind] | {"metadata": {"name": "shop-build", "namespace": namespace}}
    foreign = await api.create(given)

    await api.apply(shop(namespace))
    refused = await settled(api, "shop", namespace, "Conflict")

    left = await api.get(given["apiVersion"], kind, "shop-build", namespace)
    assert left == foreign
    assert condition(refused, "Stalled")["reason"] == "Conflict"
    assert f"{kind} {namespace}/shop-build" in condition(refused, "Ready")["message"]
    everything = {(k, f"shop-{name}") for _, k in OWNED for name in ("build", "test")}
    assert set(await owned(api, namespace)) == everything - {(kind, "shop-build")}
    assert (kind, "shop-build") not in {(e["kind"], e["name"]) for e in refused["status"]["inventory"]}

    await api.delete(given["apiVersion"], kind, "shop-build", namespace)
    solved = await settled(api, "shop", namespace, within=15)

    assert set(await owned(api, namespace)) == everything
    assert condition(solved, "Stalled") == {}


async def test_a_foreign_object_outlives_the_segment_that_wanted_its_name(operator, plain, namespaces, api):
    """What was never ours is not deleted with the segment."""
    namespace = await namespaces("ci", labels=plain)
    metadata = {"name": "shop-build", "namespace": namespace}
    foreign = await api.create(FOREIGN["NetworkPolicy"] | {"metadata": metadata})
    await api.apply(shop(namespace))
    await settled(api, "shop", namespace, "Conflict")

    await api.delete(VERSION, "PipelineSegment", "shop", namespace)
    await api.wait_list(*POLICY, namespace, labels="pipesegment.dev/segment=shop", until=lambda found: not found)

    assert await api.get(*POLICY, "shop-build", namespace) == foreign
