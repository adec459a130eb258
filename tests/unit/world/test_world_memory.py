"""The in-memory twin behaves like an API server where our code depends on it."""

import asyncio

import pytest

from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Rejected, Unreachable
from pipesegment.world import kinds
from pipesegment.world.faults import Crash
from pipesegment.world.memory import MemoryCluster
from pipesegment.world.port import Selection

POLICY = ObjectID("networking.k8s.io/v1", "NetworkPolicy", "shop", "build")
SEGMENT = ObjectID("pipesegment.dev/v1alpha1", "PipelineSegment", "shop", "pay")


def policy(name="build", uid=None, labels=None, annotations=None, owner=None, **spec):
    meta = {"name": name, "namespace": "shop", "labels": labels or {"app.kubernetes.io/managed-by": "pipesegment"}}
    if annotations:
        meta["annotations"] = annotations
    if uid:
        meta["uid"] = uid
    if owner:
        reference = {"apiVersion": "pipesegment.dev/v1alpha1", "kind": "PipelineSegment", "name": "pay", "uid": owner}
        meta["ownerReferences"] = [{**reference, "controller": True}]
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": spec}


def segment(**more):
    meta = {"name": "pay", "namespace": "shop", **more}
    return {"apiVersion": "pipesegment.dev/v1alpha1", "kind": "PipelineSegment", "metadata": meta, "spec": {}}


@pytest.fixture
def cluster():
    found = MemoryCluster()
    found.seed({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    return found


async def test_apply_makes_changes_and_leaves_alone(cluster):
    made = await cluster.apply(policy(egress=[{"to": []}]))
    assert made["metadata"]["generation"] == 1
    same = await cluster.apply(policy(egress=[{"to": []}]))
    assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    labelled = await cluster.apply(policy(labels={"a": "b"}, egress=[{"to": []}]))
    assert (labelled["metadata"]["generation"], labelled["metadata"]["labels"]) == (1, {"a": "b"})
    changed = await cluster.apply(policy(labels={"a": "b"}, egress=[]))
    assert (changed["metadata"]["generation"], changed["spec"]) == (2, {"egress": []})
    assert changed["metadata"]["uid"] == made["metadata"]["uid"]
    assert [write.verb for write in cluster.writes] == ["apply"] * 4


async def test_fields_of_others_stay_and_what_we_give_up_goes(cluster):
    await cluster.apply(policy(annotations={"ours": "1"}, policyTypes=["Egress"], egress=[]))
    cluster.edit(POLICY, lambda obj: obj["metadata"]["annotations"].update(theirs="2"))
    live = await cluster.apply(policy(policyTypes=["Egress"]))
    assert live["metadata"]["annotations"] == {"theirs": "2"}
    assert live["spec"] == {"policyTypes": ["Egress"]}


async def test_a_field_that_somebody_changed_is_theirs_until_we_take_it_back(cluster):
    await cluster.apply(policy(egress=[]))
    cluster.edit(POLICY, lambda obj: obj["spec"].update(egress=[{}]))
    with pytest.raises(Rejected) as caught:
        await cluster.apply(policy(egress=[]), force=False)
    assert caught.value.status == 409
    assert cluster.peek(POLICY)["spec"] == {"egress": [{}]}
    assert (await cluster.apply(policy(egress=[])))["spec"] == {"egress": []}
    assert (await cluster.apply(policy(egress=[{"to": []}]), force=False))["spec"] == {"egress": [{"to": []}]}


async def test_lists_that_the_api_merges_by_key_are_merged(cluster):
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a", "namespace": "shop"}}
    await cluster.apply({**account, "imagePullSecrets": [{"name": "ours"}]})
    target = ObjectID.of(account)
    cluster.edit(target, lambda obj: obj["imagePullSecrets"].append({"name": "theirs"}))
    live = await cluster.apply({**account, "imagePullSecrets": [{"name": "new"}]})
    assert sorted(secret["name"] for secret in live["imagePullSecrets"]) == ["new", "theirs"]


async def test_a_dry_run_changes_nothing_and_is_no_write(cluster):
    assert (await cluster.apply(policy(egress=[]), dry_run=True))["spec"] == {"egress": []}
    assert cluster.peek(POLICY) is None
    assert cluster.writes == []


async def test_apply_with_a_uid_never_makes_an_object_nor_touches_a_namesake(cluster):
    with pytest.raises(Rejected) as caught:
        await cluster.apply(policy(uid="gone"))
    assert caught.value.status == 409
    await cluster.apply(policy())
    with pytest.raises(Rejected):
        await cluster.apply(policy(uid="gone"))


async def test_status_is_written_alone_and_only_where_the_object_is(cluster):
    with pytest.raises(Rejected) as caught:
        await cluster.patch_status({**segment(), "status": {"x": 1}})
    assert caught.value.status == 404
    cluster.seed(segment(uid="s"))
    await cluster.apply({**segment(), "status": {"x": 9}})
    live = await cluster.patch_status({**segment(uid="s"), "spec": {"mode": "Observe"}, "status": {"x": 1, "y": 2}})
    assert (live["status"], live["spec"], live["metadata"]["generation"]) == ({"x": 1, "y": 2}, {}, 1)
    assert (await cluster.patch_status({**segment(), "status": {"x": 1}}))["status"] == {"x": 1}


async def test_delete_holds_its_preconditions_and_takes_along_what_was_owned(cluster):
    cluster.seed(segment(uid="s"), policy(owner="s"), policy("other"))
    version = cluster.peek(SEGMENT)["metadata"]["resourceVersion"]
    for wrong in ({"uid": "x"}, {"uid": "s", "resource_version": "1"}):
        with pytest.raises(Rejected) as caught:
            await cluster.delete(SEGMENT, **wrong)
        assert caught.value.status == 409
    assert await cluster.delete(SEGMENT, uid="s", resource_version=version) is True
    assert await cluster.delete(SEGMENT, uid="s") is False
    assert [obj["metadata"]["name"] for obj in cluster.objects("NetworkPolicy")] == ["other"]


async def test_what_has_another_owner_stays_and_loses_the_reference(cluster):
    """The garbage collector deletes what has lost all of its owners."""
    cluster.seed(segment(uid="s"), policy(owner="s"))
    other = {"apiVersion": "v1", "kind": "Namespace", "name": "shop", "uid": "n"}
    cluster.edit(POLICY, lambda obj: obj["metadata"]["ownerReferences"].append(other))
    await cluster.delete(SEGMENT, uid="s")
    assert cluster.peek(POLICY)["metadata"]["ownerReferences"] == [other]


async def test_orphans_stay(cluster):
    cluster.seed(segment(uid="s"), policy(owner="s"))
    await cluster.delete(SEGMENT, uid="s", propagation="Orphan")
    assert cluster.peek(POLICY) is not None


async def test_a_finalizer_keeps_a_deleted_object_until_it_is_taken_off(cluster):
    cluster.seed(segment(uid="s", finalizers=["example.com/f"]))
    await cluster.delete(SEGMENT, uid="s")
    assert "deletionTimestamp" in cluster.peek(SEGMENT)["metadata"]
    cluster.edit(SEGMENT, lambda obj: obj["metadata"].update(finalizers=[]))
    assert cluster.peek(SEGMENT) is None


async def test_a_namespace_that_is_absent_or_going_takes_nothing_in(cluster):
    elsewhere = {**policy(), "metadata": {"name": "build", "namespace": "nowhere"}}
    with pytest.raises(Rejected) as caught:
        await cluster.apply(elsewhere)
    assert caught.value.status == 404
    cluster.seed(segment(finalizers=["example.com/f"]), policy("old"))
    shop = ObjectID("v1", "Namespace", "", "shop")
    cluster.edit(shop, lambda obj: obj["metadata"].update(finalizers=["kubernetes"]))
    cluster.remove(shop)
    with pytest.raises(Rejected) as caught:
        await cluster.apply(policy())
    assert caught.value.status == 403
    cluster.edit(shop, lambda obj: obj["metadata"].update(finalizers=[]))
    assert cluster.objects("NetworkPolicy") == []
    assert "deletionTimestamp" in cluster.peek(SEGMENT)["metadata"]


async def test_create_and_replace_are_optimistic(cluster):
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l", "namespace": "shop"}}
    made = await cluster.create({**lease, "spec": {"holderIdentity": "a"}})
    with pytest.raises(Rejected, match="AlreadyExists"):
        await cluster.create(lease)
    await cluster.replace({**made, "spec": {"holderIdentity": "b"}})
    with pytest.raises(Rejected, match="409 Conflict"):
        await cluster.replace({**made, "spec": {"holderIdentity": "c"}})
    assert cluster.peek(ObjectID.of(lease))["spec"] == {"holderIdentity": "b"}


async def test_nobody_can_change_what_is_stored_by_changing_what_was_given(cluster):
    given = policy(egress=[])
    answer = await cluster.apply(given)
    for obj in (given, answer, cluster.peek(POLICY), await cluster.get(POLICY), cluster.objects("NetworkPolicy")[0]):
        obj["spec"]["egress"].append({})
    assert cluster.peek(POLICY)["spec"] == {"egress": []}


async def test_a_watch_tells_everything_after_its_version_and_leaving_the_selection_is_a_deletion(cluster):
    chosen = Selection(labels="app.kubernetes.io/managed-by=pipesegment", metadata_only=True)
    start = (await cluster.list(kinds.NETWORK_POLICY, chosen)).resource_version
    cluster.seed(policy(egress=[]), {**policy("other"), "metadata": {"name": "other", "namespace": "shop"}})
    events = cluster.watch(kinds.NETWORK_POLICY, start, chosen)
    assert (await anext(events)).type == "OPENED"
    first = await anext(events)
    assert (first.type, first.object["metadata"]["name"], "spec" in first.object) == ("ADDED", "build", False)
    waiting = asyncio.ensure_future(anext(events))
    cluster.edit(POLICY, lambda obj: obj["metadata"].update(labels={}))
    assert (await waiting).type == "DELETED"
    cluster.edit(POLICY, lambda obj: obj["metadata"].update(labels={"app.kubernetes.io/managed-by": "pipesegment"}))
    assert (await anext(events)).type == "ADDED"
    cluster.remove(POLICY)
    assert (await anext(events)).type == "DELETED"
    cluster.bookmark()
    assert (await anext(events)).type == "BOOKMARK"


async def test_a_list_is_paged_and_selected_by_fields(cluster):
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p{n}", "namespace": "shop"}, "status": {"phase": p}}
        for n, p in enumerate(["Running", "Succeeded", "Pending", "Failed"])
    ]
    cluster.seed(*pods)
    chosen = Selection(fields="status.phase!=Succeeded,status.phase!=Failed")
    assert [pod["metadata"]["name"] for pod in (await cluster.list(kinds.POD, chosen)).items] == ["p0", "p2"]
    cluster._page_size = 3
    pages = [page async for page in cluster.pages(kinds.POD)]
    assert [(len(page.items), page.first) for page in pages] == [(3, True), (1, False)]


async def test_watches_break_and_expire(cluster):
    version = (await cluster.list(kinds.POD)).resource_version
    events = cluster.watch(kinds.POD, version)
    assert (await anext(events)).type == "OPENED"
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    cluster.break_streams()
    with pytest.raises(Unreachable):
        await waiting
    cluster.expire()
    with pytest.raises(Rejected) as caught:
        await anext(cluster.watch(kinds.POD, version))
    assert caught.value.status == 410


async def test_an_absent_kind_is_404(cluster):
    cluster.absent.add(("security.istio.io", "AuthorizationPolicy"))
    with pytest.raises(Rejected) as caught:
        await cluster.list(kinds.AUTHORIZATION_POLICY)
    assert caught.value.status == 404


@pytest.mark.parametrize("after", [False, True])
async def test_a_crash_strikes_before_or_after_the_effect_and_stays(cluster, after):
    cluster.crash(2, after=after)
    await cluster.apply(policy("a"))
    for _ in range(2):
        with pytest.raises(Crash):
            await cluster.apply(policy("b"))
    assert (cluster.peek(POLICY._replace(name="b")) is not None) is after
    assert len(cluster.writes) == (3 if after else 1)
    cluster.mend()
    await cluster.apply(policy("b"))


async def test_one_call_fails_and_the_next_does_not(cluster):
    error = Rejected(500, "InternalError", "etcd")
    cluster.fail(error, verbs=frozenset({"apply"}), matches=lambda target: target.name == "b", at=2)
    for name in ("b", "a"):
        await cluster.apply(policy(name))
    with pytest.raises(Rejected, match="etcd"):
        await cluster.apply(policy("b", egress=[]))
    await cluster.apply(policy("b", egress=[]))


async def test_writes_are_recorded_with_what_was_before_and_after(cluster):
    await cluster.apply(policy(egress=[]))
    await cluster.apply(policy(egress=[{"to": []}]))
    await cluster.delete(POLICY, uid=cluster.peek(POLICY)["metadata"]["uid"])
    steps = [(w.verb, w.before and w.before["spec"], w.after and w.after["spec"]) for w in cluster.writes]
    assert steps == [
        ("apply", None, {"egress": []}),
        ("apply", {"egress": []}, {"egress": [{"to": []}]}),
        ("delete", {"egress": [{"to": []}]}, None),
    ]
    assert {w.target for w in cluster.writes} == {POLICY}


async def test_review_denies_what_it_is_told_to(cluster):
    cluster.denied = {("patch", "pipelinesegments/status")}
    assert await cluster.review("patch", kinds.SEGMENT) is True
    assert await cluster.review("patch", kinds.SEGMENT, subresource="status") is False
