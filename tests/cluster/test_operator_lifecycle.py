"""A segment's life on a real API server: made, changed, renamed, deleted; and what anybody else must not notice of it."""

import json

import pytest

from lab.api import MERGE_PATCH
from tests.cluster.operator import (
    OWNED,
    POLICY,
    VERSION,
    condition,
    owned,
    segment,
    settled,
    stage,
    to_cidr,
    to_stage,
)

PARTS = {"Ready", "Exact", "Conforming", "NetworkReady", "IdentityReady", "CloudReady", "MeshReady", "GatesOpen"}


def shop(namespace, **more):
    return segment("shop", namespace, stage("build", to_stage("test", 8080)), stage("test"), **more)


def names(objects, kind):
    return {name for found, name in objects if found == kind}


async def events_of(api, namespace, reason):
    """Wait for an Event of this reason in a namespace, and give its note."""
    found = await api.wait_list(
        "events.k8s.io/v1",
        "Event",
        namespace,
        until=lambda objects: any(e["reason"] == reason for e in objects.values()),
    )
    return [event["note"] for event in found if event["reason"] == reason]


async def test_a_segment_becomes_its_objects_and_its_status_tells_of_them(operator, plain, namespaces, api):
    """Policies and accounts exist, are owned by the segment, listed with their uids, and announced."""
    namespace = await namespaces("ci", labels=plain)
    await api.apply(shop(namespace))

    made = await settled(api, "shop", namespace)

    objects = await owned(api, namespace)
    expected = {(kind, f"shop-{name}") for kind in ("NetworkPolicy", "ServiceAccount") for name in ("build", "test")}
    assert set(objects) == expected
    uid = made["metadata"]["uid"]
    owner = {"apiVersion": VERSION, "kind": "PipelineSegment", "name": "shop", "uid": uid}
    for (_, name), obj in objects.items():
        meta = obj["metadata"]
        assert meta["ownerReferences"] == [owner | {"controller": True, "blockOwnerDeletion": False}]
        assert meta["labels"] == {
            "app.kubernetes.io/managed-by": "pipesegment",
            "pipesegment.dev/segment": "shop",
            "pipesegment.dev/stage": name.removeprefix("shop-"),
        }
    status = made["status"]
    inventory = {(entry["kind"], entry["name"]): entry["uid"] for entry in status["inventory"]}
    assert inventory == {key: obj["metadata"]["uid"] for key, obj in objects.items()}
    assert status["observedGeneration"] == made["metadata"]["generation"] == 1
    assert {c["type"]: c["status"] for c in status["conditions"]} == dict.fromkeys(PARTS, "True")
    assert {c["observedGeneration"] for c in status["conditions"]} == {1}
    assert (status["summary"]["stages"], status["summary"]["open"]) == (2, "1/1")
    assert await events_of(api, namespace, "Applied") == ["4 objects: 4 created"]
    # No engine runs in the lab's control plane.
    doubt = "but nobody is known to enforce that: see Conforming"
    assert await events_of(api, namespace, "Enforced") == [f"1 of 1 edge open, everything else closed; {doubt}"]


async def test_a_change_is_written_into_the_objects_that_exist(operator, plain, namespaces, api):
    """No object is deleted and made anew; the status speaks of the new generation."""
    namespace = await namespaces("ci", labels=plain)
    await api.apply(shop(namespace))
    await settled(api, "shop", namespace)
    before = await owned(api, namespace)

    await api.apply(segment("shop", namespace, stage("build", to_stage("test", 9090)), stage("test")))
    changed = await settled(api, "shop", namespace)

    after = await owned(api, namespace)
    assert {key: obj["metadata"]["uid"] for key, obj in after.items()} == {
        key: obj["metadata"]["uid"] for key, obj in before.items()
    }
    egress = after["NetworkPolicy", "shop-build"]["spec"]["egress"]
    assert [rule["ports"] for rule in egress if {"port": 9090, "protocol": "TCP"} in rule["ports"]]
    assert "8080" not in json.dumps(after["NetworkPolicy", "shop-test"]["spec"])
    assert changed["status"]["observedGeneration"] == 2


async def test_a_renamed_stage_takes_its_objects_along(operator, plain, namespaces, api):
    """What was the old name's is gone, what is the new name's is there."""
    namespace = await namespaces("ci", labels=plain)
    await api.apply(shop(namespace))
    await settled(api, "shop", namespace)

    await api.apply(segment("shop", namespace, stage("compile", to_stage("test", 8080)), stage("test")))
    renamed = await settled(api, "shop", namespace)

    objects = await owned(api, namespace)
    assert names(objects, "NetworkPolicy") == names(objects, "ServiceAccount") == {"shop-compile", "shop-test"}
    assert {entry["name"] for entry in renamed["status"]["inventory"]} == {"shop-compile", "shop-test"}


@pytest.mark.cluster("controllers")
async def test_a_deleted_segment_leaves_nothing(operator, plain, namespaces, api):
    """Its objects go, those of its neighbour stay."""
    namespace = await namespaces("ci", labels=plain)
    await api.apply(shop(namespace))
    await api.apply(segment("pay", namespace, stage("build")))
    await settled(api, "shop", namespace)
    await settled(api, "pay", namespace)

    await api.delete(VERSION, "PipelineSegment", "shop", namespace)

    for version, kind in OWNED[:2]:
        await api.wait_list(
            version, kind, namespace, labels="pipesegment.dev/segment=shop", until=lambda objects: not objects
        )
    assert names(await owned(api, namespace), "NetworkPolicy") == {"pay-build"}


@pytest.mark.cluster("controllers")
async def test_whoever_deletes_with_orphan_keeps_the_fences(operator, plain, namespaces, api):
    """`kubectl delete --cascade=orphan` means that what is enforced stays enforced."""
    namespace = await namespaces("ci", labels=plain)
    await api.apply(shop(namespace))
    await settled(api, "shop", namespace)
    before = await owned(api, namespace)

    await api.delete(VERSION, "PipelineSegment", "shop", namespace, propagation="Orphan")
    await api.wait_gone(VERSION, "PipelineSegment", "shop", namespace)
    # Whatever the operator does on a deletion is done before it does the same for a later one.
    await api.apply(segment("later", namespace, stage("build")))
    await settled(api, "later", namespace)
    await api.delete(VERSION, "PipelineSegment", "later", namespace)
    await api.wait_gone(*POLICY, "later-build", namespace)

    after = await owned(api, namespace)
    assert {k: o["metadata"]["uid"] for k, o in after.items() if "later" not in k[1]} == {
        k: o["metadata"]["uid"] for k, o in before.items()
    }


async def test_in_a_mesh_every_stage_gets_its_mesh_objects(operator, istio_crds, namespaces, api):
    """Who may call, with which identity, and what a sidecar knows: three objects more for each stage."""
    namespace = await namespaces("ci")
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "test", "namespace": namespace},
        "spec": {
            "selector": {"pipesegment.dev/segment": "shop", "pipesegment.dev/stage": "test"},
            "ports": [{"port": 8080}],
        },
    }
    await api.create(service)
    await api.apply(shop(namespace))

    made = await settled(api, "shop", namespace)

    objects = await owned(api, namespace)
    assert set(objects) == {(kind, f"shop-{name}") for _, kind in OWNED for name in ("build", "test")}
    rules = objects["AuthorizationPolicy", "shop-test"]["spec"]["rules"]
    principal = f"cluster.local/ns/{namespace}/sa/shop-build"
    assert [source["source"]["principals"] for rule in rules for source in rule["from"]] == [[principal]]
    assert "rules" not in objects["AuthorizationPolicy", "shop-build"]["spec"]
    assert condition(made, "MeshReady")["status"] == "True"


@pytest.mark.cluster("audit")
async def test_a_segment_is_written_by_its_author_alone(operator, plain, namespaces, api, record):
    """Nothing but the status is ever written to it, and its tracking marks travel to no object of ours."""
    namespace = await namespaces("ci", labels=plain)
    given = shop(namespace)
    tracking = f"app:pipesegment.dev/PipelineSegment:{namespace}/shop"
    given["metadata"]["labels"] = {"app.kubernetes.io/instance": "app", "team": "shop"}
    given["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": tracking, "note": "mine"}
    made = await api.apply(given)
    await settled(api, "shop", namespace)
    await api.apply(given | {"spec": {"stages": [stage("build", to_cidr("198.51.100.0/24", 443))]}})
    await api.delete(*POLICY, "shop-build", namespace)
    found = await settled(api, "shop", namespace)
    await api.wait(*POLICY, "shop-build", namespace)

    kept = ("name", "namespace", "uid", "creationTimestamp", "labels", "annotations")
    assert {key: found["metadata"][key] for key in kept} == {key: made["metadata"][key] for key in kept}
    assert set(found["metadata"]) - {"managedFields", "resourceVersion", "generation"} == set(kept)
    assert found["spec"] == {"stages": [stage("build", to_cidr("198.51.100.0/24", 443))]}
    ours = [m for m in found["metadata"]["managedFields"] if m["manager"] == "pipesegment"]
    assert [m["subresource"] for m in ours] == ["status"]
    segments = record.calls(resource="pipelinesegments.pipesegment.dev")
    assert {event.subresource for event in segments if event.write} == {"status"}
    for obj in (await owned(api, namespace)).values():
        marks = obj["metadata"]["labels"] | obj["metadata"]["annotations"]
        assert all(key.startswith(("pipesegment.dev/", "app.kubernetes.io/managed-by")) for key in marks)


@pytest.mark.cluster("audit")
async def test_a_segment_of_many_readers_is_nobodys_news(operator, plain, namespaces, api, record):
    """A label, an annotation, or a status that nobody asked for makes no write."""
    namespace = await namespaces("ci", labels=plain)
    await api.apply(shop(namespace))
    await settled(api, "shop", namespace)
    await events_of(api, namespace, "Applied")
    await events_of(api, namespace, "Enforced")
    before = len(record.writes([namespace]))

    change = {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}}
    await api.patch(VERSION, "PipelineSegment", "shop", change, namespace, content_type=MERGE_PATCH)
    await api.apply(segment("other", namespace, stage("build")))
    await settled(api, "other", namespace)

    written = record.writes([namespace])[before:]
    assert {event.name for event in written if event.resource != "events.events.k8s.io"} <= {"other-build", "other"}
