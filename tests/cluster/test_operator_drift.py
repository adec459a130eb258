"""What somebody does to our objects behind the operator's back is undone; what is theirs on them is left alone."""

import pytest

from lab.api import JSON_PATCH
from tests.cluster.operator import POLICY, owned, segment, settled, stage, to_cidr

MANAGED_BY = "app.kubernetes.io/managed-by"
OPEN = {"egress": [{}], "ingress": [{}]}


@pytest.fixture
async def shop(operator, plain, namespaces, api):
    """The namespace of a converged segment with the stages `build` and `test`."""
    namespace = await namespaces("ci", labels=plain)
    await api.apply(segment("shop", namespace, stage("build", to_cidr("198.51.100.0/24", 443)), stage("test")))
    await settled(api, "shop", namespace)
    return namespace


async def drift_event(api, namespace, name):
    """Wait for the Event that tells of a repaired object."""
    await api.wait_list(
        "events.k8s.io/v1",
        "Event",
        namespace,
        until=lambda objects: any(
            event["reason"] == "DriftRepaired" and f"/{name}" in event["note"] for event in objects.values()
        ),
    )


async def test_a_deleted_policy_is_back(operator, shop, api):
    """The same rules under a new uid, counted, announced, and in the inventory."""
    before = await api.get(*POLICY, "shop-build", shop)
    counted = operator.metric("drift_total", kind="NetworkPolicy")

    await api.delete(*POLICY, "shop-build", shop)
    uid = before["metadata"]["uid"]
    after = await api.wait(*POLICY, "shop-build", shop, until=lambda obj: obj["metadata"]["uid"] != uid)

    assert after["spec"] == before["spec"]
    await drift_event(api, shop, "shop-build")
    assert operator.metric("drift_total", kind="NetworkPolicy") == counted + 1
    found = await settled(api, "shop", shop)
    assert after["metadata"]["uid"] in {entry["uid"] for entry in found["status"]["inventory"]}


async def test_an_opened_policy_is_closed_again(operator, shop, api):
    """A rule that somebody adds opens something, so it is taken out of the object; the object stays the same one."""
    before = await api.get(*POLICY, "shop-test", shop)
    counted = operator.metric("drift_total", kind="NetworkPolicy")

    await api.patch(*POLICY, "shop-test", {"spec": OPEN}, shop)
    after = await api.wait(
        *POLICY, "shop-test", shop, until=lambda o: o["metadata"]["generation"] > 2 and o["spec"] == before["spec"]
    )

    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    await drift_event(api, shop, "shop-test")
    assert operator.metric("drift_total", kind="NetworkPolicy") == counted + 1


@pytest.mark.parametrize("kind", ["NetworkPolicy", "ServiceAccount"])
async def test_a_label_taken_away_is_put_back(operator, shop, api, kind):
    """Without it the object would look like somebody else's; the recorded uid tells that it is ours."""
    version = {"NetworkPolicy": POLICY[0], "ServiceAccount": "v1"}[kind]
    before = await api.get(version, kind, "shop-build", shop)

    change = [{"op": "remove", "path": f"/metadata/labels/{MANAGED_BY.replace('/', '~1')}"}]
    taken = await api.patch(version, kind, "shop-build", change, shop, content_type=JSON_PATCH)
    assert MANAGED_BY not in taken["metadata"]["labels"]
    after = await api.wait(
        version, kind, "shop-build", shop, until=lambda obj: MANAGED_BY in obj["metadata"].get("labels", {})
    )

    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    await settled(api, "shop", shop)


async def test_an_owner_taken_away_is_put_back(operator, shop, api):
    """Without it the object would outlive its segment."""
    before = await api.get(*POLICY, "shop-build", shop)

    change = [{"op": "remove", "path": "/metadata/ownerReferences"}]
    await api.patch(*POLICY, "shop-build", change, shop, content_type=JSON_PATCH)
    after = await api.wait(*POLICY, "shop-build", shop, until=lambda obj: obj["metadata"].get("ownerReferences"))

    assert after["metadata"]["ownerReferences"] == before["metadata"]["ownerReferences"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_an_object_that_claims_to_be_another_segments_comes_home(operator, shop, api):
    """A label says for whom an object was made; changing it makes nobody delete the object of a living segment."""
    before = await api.get(*POLICY, "shop-build", shop)

    change = {"metadata": {"labels": {"pipesegment.dev/segment": "ghost"}}}
    await api.patch(*POLICY, "shop-build", change, shop)
    after = await api.wait(
        *POLICY,
        "shop-build",
        shop,
        until=lambda obj: obj["metadata"]["labels"]["pipesegment.dev/segment"] == "shop",
    )

    assert after["metadata"]["uid"] == before["metadata"]["uid"]


@pytest.mark.cluster("audit")
async def test_what_others_add_to_our_objects_stays(operator, shop, api, record):
    """A foreign label, annotation or finalizer is looked at once and causes no write."""
    change = {"metadata": {"labels": {"their/label": "x"}, "annotations": {"their/note": "y"}}}
    for version, kind in (POLICY, ("v1", "ServiceAccount")):
        await api.patch(version, kind, "shop-build", change, shop)
    # A later drift of the same segment is repaired after it was looked at.
    await api.delete(*POLICY, "shop-test", shop)
    await api.wait(*POLICY, "shop-test", shop)
    await drift_event(api, shop, "shop-test")

    objects = await owned(api, shop)
    for kind in ("NetworkPolicy", "ServiceAccount"):
        meta = objects[kind, "shop-build"]["metadata"]
        assert (meta["labels"]["their/label"], meta["annotations"]["their/note"]) == ("x", "y")
    assert "shop-build" not in {event.name for event in record.writes([shop])}


@pytest.mark.cluster("audit")
async def test_an_object_without_owner_that_wears_our_labels_is_left_alone(operator, shop, api, record):
    """`pipesegment compile | kubectl apply` makes such objects: they are not the operator's to delete."""
    labels = {MANAGED_BY: "pipesegment", "pipesegment.dev/segment": "rendered", "pipesegment.dev/stage": "build"}
    spec = {"podSelector": {"matchLabels": {"app": "x"}}, "policyTypes": ["Ingress"]}
    metadata = {"name": "rendered-build", "namespace": shop, "labels": labels}
    await api.apply({"apiVersion": POLICY[0], "kind": POLICY[1], "metadata": metadata, "spec": spec})

    await api.delete(*POLICY, "shop-test", shop)
    await api.wait(*POLICY, "shop-test", shop)
    await drift_event(api, shop, "shop-test")

    assert "rendered-build" not in {event.name for event in record.writes([shop])}
    assert (await api.get(*POLICY, "rendered-build", shop))["metadata"]["labels"] == labels
