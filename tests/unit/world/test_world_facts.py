"""The surroundings and the owned objects, as followed from a cluster."""

import asyncio
import gc
import tracemalloc

import pytest

from pipesegment.compile.desired import ObjectID
from pipesegment.facts.meta import Key
from pipesegment.facts.parse import network_policy
from pipesegment.facts.selectors import Selector
from pipesegment.reach.stages import stages_of
from pipesegment.world import kinds
from pipesegment.world.clock import ManualClock, settle
from pipesegment.world.facts_source import Surroundings
from pipesegment.world.memory import MemoryCluster
from pipesegment.world.owned import OwnedObjects, project
from tests.unit.world.test_world_memory import policy

POLICY = ObjectID("networking.k8s.io/v1", "NetworkPolicy", "shop", "build")


OURS = {"app.kubernetes.io/managed-by": "pipesegment"}


def thing(kind, name, namespace="shop", *, labels=None, **body):
    meta = {"name": name, **({"namespace": namespace} if kind.namespaced else {}), "labels": labels or {}}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, **body}


def segment(name, **meta):
    obj = thing(kinds.SEGMENT, name, spec={"stages": [{"name": "build"}]})
    obj["metadata"].update(meta)
    return obj


class View:
    def __init__(self):
        self.cluster = MemoryCluster()
        self.clock = ManualClock()
        self.told = []
        self.drift = []
        self.owned = OwnedObjects(self.cluster, lambda key, target: self.drift.append((key, target)), clock=self.clock)
        self.surroundings = Surroundings(
            self.cluster,
            lambda kind, old, new: self.told.append(
                (kind, (new or old).meta.name if hasattr(new or old, "meta") else "")
            ),
            followers=[self.owned],
            clock=self.clock,
        )

    async def start(self):
        for fleet in (self.owned, self.surroundings):
            fleet.start()
            await asyncio.wait_for(fleet.wait_synced(), 5)
        await settle()

    async def stop(self):
        await self.surroundings.stop()
        await self.owned.stop()


@pytest.fixture
async def view():
    found = View()
    yield found
    await found.stop()


async def test_the_snapshot_shows_every_kind_and_follows(view):
    view.cluster.seed(
        thing(kinds.NAMESPACE, "shop", labels={"team": "x"}),
        thing(kinds.NODE, "n1", status={"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}),
        thing(kinds.POD, "p", spec={"serviceAccountName": "sa"}, status={"phase": "Running"}),
        thing(kinds.SERVICE, "web", spec={"selector": {"app": "web"}, "ports": [{"port": 80}]}),
        thing(kinds.ENDPOINT_SLICE, "web-1", labels={"kubernetes.io/service-name": "web"}, addressType="IPv4"),
        thing(kinds.NETWORK_POLICY, "theirs", spec={"podSelector": {}}),
        thing(kinds.GATEWAY, "gate", spec={"gatewayClassName": "istio-waypoint"}),
        thing(kinds.DAEMON_SET, "agent", spec={"template": {"spec": {"containers": [{"name": "calico-node"}]}}}),
        thing(kinds.CLASS, "default", spec={}),
        thing(kinds.GRANT, "g", spec={"to": {"service": {"name": "web"}}}),
        thing(kinds.EXCEPTION, "hotfix", spec={"segment": "pay"}),
        thing(kinds.APPROVAL, "hotfix-ada", spec={}),
        thing(kinds.ADMISSION_POLICY, "pipesegment-segmentapprovals", spec={"failurePolicy": "Fail"}),
        thing(kinds.ADMISSION_BINDING, "pipesegment-segmentapprovals", spec={"policyName": "p"}),
        thing(kinds.CRD, "authorizationpolicies.security.istio.io"),
        thing(kinds.GATEWAY, "waypoint", spec={"gatewayClassName": "istio-waypoint"}),
        *(thing(kind, "theirs", spec={}) for kind in kinds.FOREIGN),
        thing(kinds.SERVER, "mine", spec={}, labels={"app.kubernetes.io/managed-by": "pipesegment"}),
        segment("pay"),
    )
    assert not view.surroundings.synced
    await view.start()
    found = view.surroundings.snapshot
    assert found.namespaces["shop"].labels["team"] == "x"
    assert found.nodes["n1"].addresses == ("10.0.0.1",)
    assert found.pods["shop"]["p"].service_account == "sa"
    assert found.service("shop", "web").selector == Selector.of({"app": "web"})
    assert [item.meta.name for item in found.slices_of("shop", "web")] == ["web-1"]
    assert set(found.policies["shop"]) == {"theirs"}
    assert found.gateways["shop"]["gate"].class_name == "istio-waypoint"
    assert set(found.classes) == {"default"}
    assert set(found.grants["shop"]) == {"g"}
    assert set(found.exceptions["shop"]) == {"hotfix"}
    assert set(found.approvals["shop"]) == {"hotfix-ada"}
    assert "pipesegment-segmentapprovals" in found.guards.policies
    assert found.guards.bindings["pipesegment-segmentapprovals"].policy == "p"
    assert found.now is not None
    assert found.gateways["shop"]["waypoint"].class_name == "istio-waypoint"
    assert found.segment("shop", "pay").spec is not None
    assert found.crds == {"authorizationpolicies.security.istio.io"}
    assert found.others.daemon_sets is not None
    assert set(found.others.daemon_sets["shop"]) == {"agent"}
    assert set(found.others.foreign["policy.linkerd.io/Server"]["shop"]) == {"theirs"}
    assert set(found.others.foreign["cilium.io/CiliumClusterwideNetworkPolicy"][""]) == {"theirs"}
    own = {kind.kind for kind in view.surroundings._by_kind if kind not in kinds.FOREIGN}
    assert {kind for kind, _ in view.told} == own | set(found.others.foreign)
    view.cluster.seed(thing(kinds.POD, "q"), thing(kinds.CRD, "sidecars.networking.istio.io"))
    await settle(50)
    assert set(found.pods["shop"]) == {"p", "q"}
    assert len(view.surroundings.snapshot.crds) == 2


async def test_ended_pods_are_no_facts_and_of_our_own_policies_nothing_is_kept_but_whom_they_select(view):
    """A policy that only carries our label is somebody's: it is a fact as a whole, or it could widen a stage unseen."""
    view.cluster.seed(
        thing(kinds.POD, "runs", status={"phase": "Running"}),
        thing(kinds.POD, "over", status={"phase": "Succeeded"}),
        policy("ours", owner="u1"),
        thing(kinds.NETWORK_POLICY, "forged", labels=OURS, spec={"ingress": [{}]}),
        thing(kinds.NETWORK_POLICY, "theirs", spec={}),
    )
    await view.start()
    found = view.surroundings.snapshot
    assert set(found.pods["shop"]) == {"runs"}
    policies = found.policies["shop"]
    assert {name: p.owned for name, p in policies.items()} == {"ours": True, "forged": False, "theirs": False}
    assert policies["ours"].spec == {}
    assert policies["forged"].spec == {"ingress": [{}]}
    view.cluster.edit(ObjectID("v1", "Pod", "shop", "runs"), lambda obj: obj["status"].update(phase="Failed"))
    await settle(50)
    assert found.pods == {}


async def test_pods_are_found_by_their_labels_as_they_change(view):
    def selected():
        return {found.meta.name for found in view.surroundings.snapshot.pods_of("shop", Selector.of({"app": "web"}))}

    target = ObjectID("v1", "Pod", "shop", "p")
    view.cluster.seed(thing(kinds.POD, "p", labels={"app": "web"}, status={"phase": "Running"}))
    await view.start()
    assert selected() == {"p"}
    view.cluster.seed(thing(kinds.POD, "q", labels={"app": "web"}, status={"phase": "Pending"}))
    view.cluster.edit(target, lambda obj: obj["metadata"]["labels"].update(app="db"))
    await settle(50)
    assert selected() == {"q"}
    view.cluster.edit(target, lambda obj: obj["metadata"]["labels"].update(app="web"))
    view.cluster.remove(ObjectID("v1", "Pod", "shop", "q"))
    await settle(50)
    assert selected() == {"p"}


async def test_segments_are_listed_once_and_then_brought_by_somebody_elses_watch(view):
    view.cluster.seed(segment("pay"), segment("stale"))
    await view.start()
    assert set(view.surroundings.snapshot.segments["shop"]) == {"pay", "stale"}
    view.told.clear()
    view.surroundings.put_segment(segment("new", resourceVersion="999999"))
    view.surroundings.drop_segment("shop", "pay")
    assert set(view.surroundings.snapshot.segments["shop"]) == {"new", "stale"}
    assert view.told == [("PipelineSegment", "new"), ("PipelineSegment", "pay")]
    assert view.cluster.calls["watch"] == len(view.surroundings.informers) - 1 + len(view.owned.informers)
    view.cluster.remove(ObjectID("pipesegment.dev/v1alpha1", "PipelineSegment", "shop", "stale"))
    await view.clock.advance(601)
    assert "stale" not in view.surroundings.snapshot.segments["shop"]


async def test_a_change_of_status_alone_makes_no_segment_due(view):
    view.cluster.seed(segment("pay"))
    await view.start()
    view.told.clear()
    target = ObjectID("pipesegment.dev/v1alpha1", "PipelineSegment", "shop", "pay")
    changed = view.cluster.edit(target, lambda obj: obj.update(status={"summary": {"stages": 1}}))
    view.surroundings.put_segment(changed)
    assert view.told == []


async def test_what_a_status_records_is_of_the_very_segment_of_the_facts(view):
    """Of a copy the stages of its whole namespace would be indexed anew, each time that one of them is looked at."""
    view.cluster.seed(segment("pay"), segment("shop"))
    await view.start()
    found = view.surroundings.snapshot.segment("shop", "pay")
    before = stages_of(view.surroundings.snapshot, "shop", found)
    given = view.surroundings.record(found, "u-class", unfit=True)
    snapshot = view.surroundings.snapshot
    assert (given.class_uid, given.unfit) == ("u-class", True)
    assert snapshot.segment("shop", "pay") is given
    assert stages_of(snapshot, "shop", given) is before
    assert view.surroundings.record(given, "u-class", unfit=True) is given
    view.surroundings.drop_segment("shop", "pay")
    gone = view.surroundings.record(given, "u-other", unfit=False)
    assert (gone.class_uid, gone.unfit) == ("u-other", False)
    assert view.surroundings.snapshot.segment("shop", "pay") is None


async def test_kinds_whose_definition_appears_are_looked_for_at_once(view):
    istio = {("security.istio.io", "AuthorizationPolicy"), ("security.istio.io", "PeerAuthentication")}
    view.cluster.absent |= {*istio, ("networking.istio.io", "Sidecar")}
    await view.start()
    view.cluster.absent.clear()
    made = thing(kinds.AUTHORIZATION_POLICY, "a", labels={"app.kubernetes.io/managed-by": "pipesegment"})
    view.cluster.seed(made, thing(kinds.CRD, kinds.AUTHORIZATION_POLICY.crd))
    await settle(50)
    assert view.owned.get(ObjectID.of(made)) is not None


def ours(name="build", segment="pay", owner="uid-pay", **more):
    labels = {
        "app.kubernetes.io/managed-by": "pipesegment",
        "pipesegment.dev/segment": segment,
        "pipesegment.dev/stage": "build",
    }
    return policy(name, labels=labels, annotations={"pipesegment.dev/hash": "h1"}, owner=owner, **more)


async def test_owned_objects_are_found_by_segment_wherever_they_are_and_by_class(view):
    abroad = ours("abroad", egress=[])
    abroad["metadata"]["namespace"] = "data"
    abroad["metadata"]["labels"]["pipesegment.dev/origin"] = "shop"
    abroad["metadata"]["annotations"]["pipesegment.dev/segment-uid"] = "uid-pay"
    denial = policy("deny", labels={"app.kubernetes.io/managed-by": "pipesegment", "pipesegment.dev/class": "default"})
    view.cluster.seed(ours(), abroad, denial, policy("foreign", labels={"x": "y"}))
    await view.start()
    mine = view.owned.of(Key("shop", "pay"))
    assert {target.namespace: target.name for target in mine} == {"shop": "build", "data": "abroad"}
    home = mine[POLICY]
    assert (home.hash, home.owner_uid, home.stage, home.generation, home.deleting) == (
        "h1",
        "uid-pay",
        "build",
        1,
        False,
    )
    assert mine[POLICY._replace(namespace="data", name="abroad")].segment_uid == "uid-pay"
    assert [target.name for target in view.owned.of(Key("", "default"))] == ["deny"]
    assert view.owned.segments == {Key("shop", "pay"), Key("", "default")}
    assert view.owned.of(Key("shop", "nobody")) == {}


async def test_drift_is_told_and_our_own_writes_are_not(view):
    view.cluster.seed({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    await view.start()
    live = await view.cluster.apply(ours())
    view.owned.wrote(live)
    await settle(50)
    assert view.drift == []
    assert view.owned.get(POLICY).resource_version == live["metadata"]["resourceVersion"]
    view.cluster.edit(POLICY, lambda obj: obj["spec"].update(egress=[{}]))
    await settle(50)
    assert view.drift == [(Key("shop", "pay"), POLICY)]
    assert view.owned.get(POLICY).generation == 2
    uid = live["metadata"]["uid"]
    await view.cluster.delete(POLICY, uid=uid)
    view.owned.deleted(POLICY)
    await settle(50)
    assert view.drift == [(Key("shop", "pay"), POLICY)]
    assert view.owned.of(Key("shop", "pay")) == {}
    assert view.owned.segments == frozenset()


async def test_an_object_that_loses_our_label_or_changes_hands_is_told_to_everybody_concerned(view):
    view.cluster.seed(ours())
    await view.start()
    view.drift.clear()
    view.cluster.edit(POLICY, lambda obj: obj["metadata"]["labels"].update({"pipesegment.dev/segment": "other"}))
    await settle(50)
    assert sorted(view.drift) == [(Key("shop", "other"), POLICY), (Key("shop", "pay"), POLICY)]
    assert view.owned.of(Key("shop", "pay")) == {}
    view.drift.clear()
    view.cluster.edit(POLICY, lambda obj: obj["metadata"]["labels"].clear())
    await settle(50)
    assert view.drift == [(Key("shop", "other"), POLICY)]
    assert view.owned.get(POLICY) is None


async def test_a_deletion_under_way_is_seen(view):
    made = ours()
    made["metadata"]["finalizers"] = ["example.com/f"]
    view.cluster.seed(made)
    await view.start()
    view.cluster.remove(POLICY)
    await settle(50)
    assert view.owned.get(POLICY).deleting


def test_an_owned_object_costs_less_than_a_kilobyte():
    """Ten stages for each of 300 segments, as the API server would send them."""
    cluster = MemoryCluster()
    owned = OwnedObjects(cluster, lambda *_: None)
    informer = owned.informers[0]

    def sent(n):
        obj = ours(f"segment-{n // 10}-stage-{n % 10}", segment=f"segment-{n // 10}", owner=f"{n // 10:036d}")
        obj["metadata"] |= {"uid": f"{n:036d}", "resourceVersion": str(100_000 + n), "generation": 1}
        obj["metadata"]["annotations"] = {"pipesegment.dev/hash": f"{n:064d}"}
        return obj

    informer.put(sent(0))
    gc.collect()
    tracemalloc.start()
    for n in range(1, 3001):
        informer.put(sent(n))
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(owned.of(Key("shop", "segment-7"))) == 10
    assert used / 3000 < 1024


def test_an_owner_of_our_kinds_is_the_owner():
    obj = ours(owner=None)
    obj["metadata"] |= {"uid": "u", "resourceVersion": "1"}
    grant = {"apiVersion": "pipesegment.dev/v1alpha1", "kind": "SegmentGrant", "uid": "y"}
    obj["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "Pod", "uid": "x", "controller": True}, grant]
    assert project(obj).owner_uid == "y"


NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "name": "shop", "uid": "n"}
CLASS = {"apiVersion": "pipesegment.dev/v1alpha1", "kind": "SegmentClass", "name": "default", "uid": "c"}


@pytest.mark.parametrize(
    ("name", "owners", "expected"),
    [
        ("pipesegment-default-deny", [NAMESPACE, CLASS], "c"),
        ("pipesegment-default-deny", [CLASS, NAMESPACE], "c"),
        ("pipesegment-default-deny", [NAMESPACE], "n"),
        ("pipesegment-default-deny", [], ""),
        ("pay-build", [NAMESPACE], ""),
    ],
)
def test_a_default_deny_whose_class_is_gone_is_left_with_its_namespace(name, owners, expected):
    obj = ours(owner=None)
    obj["metadata"] |= {"name": name, "uid": "u", "resourceVersion": "1", "ownerReferences": owners}
    assert project(obj).owner_uid == expected


@pytest.mark.parametrize(
    ("name", "spec", "owners", "expected"),
    [
        ("pipesegment-default-deny", {"ingress": []}, [NAMESPACE], True),
        ("pipesegment-default-deny", {}, [CLASS], True),
        ("pipesegment-default-deny", {}, [], False),
        # Nobody hides an opening behind our name and label.
        ("pipesegment-default-deny", {"ingress": [{}]}, [NAMESPACE], False),
        ("allow-all", {}, [NAMESPACE], False),
    ],
)
def test_a_default_deny_of_a_class_that_is_gone_is_ours_still(name, spec, owners, expected):
    obj = thing(kinds.NETWORK_POLICY, name, labels=OURS | {"pipesegment.dev/class": "default"}, spec=spec)
    obj["metadata"]["ownerReferences"] = owners
    assert network_policy(obj).owned is expected


async def test_what_the_watch_says_during_our_own_write_is_no_news_unless_somebody_else_was_there(view):
    view.cluster.seed(ours())
    await view.start()
    target = POLICY
    before = len(view.drift)
    with view.owned.writing(target):
        answer = await view.cluster.apply({**ours(), "spec": {"podSelector": {}, "policyTypes": ["Egress"]}})
        await settle(50)
        view.owned.wrote(answer)
    assert len(view.drift) == before
    with view.owned.writing(target):
        answer = await view.cluster.apply({**ours(), "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}})
        view.cluster.edit(target, lambda obj: obj["spec"].update(policyTypes=["Egress"]))
        await settle(50)
        view.owned.wrote(answer)
    assert len(view.drift) == before + 1
