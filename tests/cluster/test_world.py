"""The world room on a real API server: the door, informers that outlive its restarts, the Lease, rights."""

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lab import yaml
from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Rejected, Unreachable
from pipesegment.facts.meta import Key
from pipesegment.settings import Settings
from pipesegment.world import kinds
from pipesegment.world.access import Access
from pipesegment.world.api import Api
from pipesegment.world.facts_source import Surroundings
from pipesegment.world.informer import Informer
from pipesegment.world.lease import Lease
from pipesegment.world.owned import OwnedObjects
from pipesegment.world.port import Selection
from tests.unit.world.door import PATIENCE, Door, by_name

ROOT = Path(__file__).parents[2]
OURS = {"app.kubernetes.io/managed-by": "pipesegment", "pipesegment.dev/segment": "pay"}


@pytest.fixture
async def world(control_plane):
    async with Api(Access(str(control_plane.kubeconfig)), Settings(page_size=3)) as found:
        yield found


@pytest.fixture
async def door(world, namespaces, api):
    async def change(target, patch):
        await api.patch(target.api_version, target.kind, target.name, patch, target.namespace)

    return Door(world, await namespaces("door"), change)


@pytest.fixture(scope="module")
def own_kinds(control_plane):
    control_plane.kubectl("apply", "--server-side", f"--filename={ROOT / 'crds'}")
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", f"crd/{kinds.SEGMENT.crd}")


@by_name
async def test_the_door(door, scenario):
    await scenario(door)


async def test_a_kubeconfig_that_says_as_acts_as_that_user(control_plane, tmp_path):
    config = yaml.safe_load(control_plane.kubeconfig.read_text())
    (user,) = config["users"]
    user["user"] |= {
        "as": "jane",
        "as-groups": ["developers", "on-call"],
        "as-user-extra": {"example.com/amr": ["mfa"]},
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    review = {"apiVersion": kinds.SELF_REVIEW.api_version, "kind": kinds.SELF_REVIEW.kind, "metadata": {}}

    async with Api(Access(str(tmp_path / "kubeconfig")), Settings()) as api:
        me = (await api.create(review))["status"]["userInfo"]
        with pytest.raises(Rejected) as caught:
            await api.list(kinds.NODE)

    assert (me["username"], me["extra"]) == ("jane", {"example.com/amr": ["mfa"]})
    assert {"developers", "on-call"} <= set(me["groups"])
    assert caught.value.status == 403


async def test_an_unknown_field_is_refused_and_nothing_is_written(door):
    with pytest.raises(Rejected, match="excpet") as caught:
        await door.cluster.apply(door.policy(egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "excpet": []}}]}]))
    assert caught.value.status in {400, 422, 500}
    assert await door.cluster.get(door.target()) is None


async def test_status_is_written_alone_and_only_where_the_object_is(own_kinds, door):
    meta = {"name": "pay", "namespace": door.namespace}
    head = {"apiVersion": kinds.SEGMENT.api_version, "kind": kinds.SEGMENT.kind}
    with pytest.raises(Rejected) as caught:
        await door.cluster.patch_status({**head, "metadata": meta, "status": {"observedGeneration": 1}})
    assert caught.value.status == 404
    made = await door.cluster.apply({**head, "metadata": meta, "spec": {"stages": [{"name": "build"}]}})
    status = {"observedGeneration": 1, "class": {"name": "default", "uid": "u"}}
    live = await door.cluster.patch_status({**head, "metadata": meta, "status": status})
    assert live["status"] == status
    assert live["spec"] == made["spec"]
    assert live["metadata"]["generation"] == 1
    less = await door.cluster.patch_status({**head, "metadata": meta, "status": {"observedGeneration": 1}})
    assert less["status"] == {"observedGeneration": 1}
    same = await door.cluster.patch_status({**head, "metadata": meta, "status": {"observedGeneration": 1}})
    assert same["metadata"]["resourceVersion"] == less["metadata"]["resourceVersion"]


async def test_a_kind_outside_the_table_is_discovered(door, api):
    target = ObjectID("v1", "ConfigMap", door.namespace, "c")
    assert await door.cluster.get(target) is None
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": door.namespace}}
    await door.cluster.apply({**data, "data": {"a": "b"}})
    assert (await door.cluster.get(target))["data"] == {"a": "b"}
    with pytest.raises(Rejected, match="knows no kind Nonsense"):
        await door.cluster.kind_of("v1", "Nonsense")


async def test_an_event_can_be_seen(door, api, caplog):
    caplog.set_level(logging.WARNING)
    await next(s for s in by_name.args[1] if s.__name__ == "an_event_is_posted")(door)
    assert "an Event was lost" not in caplog.text
    assert (await api.get("events.k8s.io/v1", "Event", "e.1", door.namespace))["note"] == "a test"


@pytest.mark.cluster("controllers")
async def test_an_account_without_rights_is_told_so_and_knows_it(control_plane, door):
    kubeconfig = control_plane.kubeconfig_for(service_account=(door.namespace, "default"))
    async with Api(Access(str(kubeconfig))) as poor:
        with pytest.raises(Rejected) as caught:
            await poor.list(kinds.NETWORK_POLICY)
        assert (caught.value.status, caught.value.reason) == (403, "Forbidden")
        assert await poor.review("patch", kinds.SEGMENT, subresource="status") is False
    assert await door.cluster.review("patch", kinds.SEGMENT, subresource="status") is True


class Told:
    """What an informer told, to be waited for."""

    def __init__(self):
        self.store = {}
        self.changed = asyncio.Event()

    def __call__(self, *_):
        self.changed.set()

    async def until(self, holds):
        async with asyncio.timeout(PATIENCE):
            while not holds():
                await self.changed.wait()
                self.changed.clear()


@asynccontextmanager
async def running(*fleets):
    for fleet in fleets:
        fleet.start()
    try:
        async with asyncio.timeout(PATIENCE):
            for fleet in fleets:
                await fleet.wait_synced()
        yield
    finally:
        for fleet in fleets:
            await fleet.stop()


async def test_an_informer_follows_over_pages_and_changes(door):
    for n in range(7):
        await door.cluster.apply(door.policy(f"p{n}"))
    told = Told()
    selection = Selection(namespace=door.namespace)
    informer = Informer(door.cluster, kinds.NETWORK_POLICY, lambda obj: obj["spec"], told, selection=selection)
    task = asyncio.create_task(informer.run())
    try:
        await told.until(lambda: len(informer.store.get(door.namespace, {})) == 7)
        live = await door.cluster.apply(door.policy("p1", egress=[]))
        await door.cluster.delete(door.target("p2"), uid=(await door.cluster.get(door.target("p2")))["metadata"]["uid"])
        await told.until(lambda: "p2" not in informer.store[door.namespace])
        assert informer.store[door.namespace]["p1"] == live["spec"]
        assert informer.relists == 1
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.cluster("restart")
async def test_an_informer_outlives_a_restart_of_the_api_server_and_older_history_is_410(control_plane, door):
    told = Told()
    selection = Selection(namespace=door.namespace)
    informer = Informer(door.cluster, kinds.NETWORK_POLICY, lambda obj: obj["spec"], told, selection=selection)
    task = asyncio.create_task(informer.run())
    try:
        await door.cluster.apply(door.policy("before"))
        await told.until(lambda: "before" in informer.store.get(door.namespace, {}))
        await asyncio.to_thread(control_plane.restart_apiserver)
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await door.cluster.apply(door.policy("after"))
                    break
                except Unreachable:
                    await asyncio.sleep(0.2)
        await told.until(lambda: "after" in informer.store.get(door.namespace, {}))
        assert set(informer.store[door.namespace]) == {"before", "after"}
        with pytest.raises(Rejected) as caught:
            async with asyncio.timeout(PATIENCE):
                [event async for event in door.cluster.watch(kinds.NETWORK_POLICY, "1", selection)]
        assert caught.value.status == 410
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_drift_of_owned_objects_is_told_and_our_own_writes_are_not(door):
    told, seen = Told(), []

    def drift(key, target):
        seen.append((key, target))
        told()

    owned = OwnedObjects(door.cluster, drift, owned_kinds=[kinds.NETWORK_POLICY])
    key = Key(door.namespace, "pay")
    async with running(owned):
        with owned.writing(door.target()):
            live = await door.cluster.apply(door.policy(labels=OURS))
            owned.wrote(live)
        assert owned.of(key)[door.target()].uid == live["metadata"]["uid"]
        assert seen == [], "our own write is no news, whether its answer or the watch came first"
        await door.change(door.target(), {"spec": {"policyTypes": ["Ingress"]}})
        await told.until(lambda: seen)
        assert seen == [(key, door.target())]
        assert owned.get(door.target()).generation == 2
        await door.cluster.delete(door.target(), uid=live["metadata"]["uid"])
        await told.until(lambda: not owned.of(key))


async def test_the_surroundings_of_a_real_cluster_are_a_snapshot(own_kinds, door, api):
    told = Told()
    surroundings = Surroundings(door.cluster, told)
    async with running(surroundings):
        found = surroundings.snapshot
        assert {"default", "kube-system", door.namespace} <= set(found.namespaces)
        assert found.service("default", "kubernetes").ports[0].port == 443
        assert found.slices_of("default", "kubernetes")[0].addresses
        assert kinds.SEGMENT.crd in found.crds
        await door.cluster.apply(door.policy("theirs"))
        await door.cluster.apply(door.policy("ours", labels=OURS))
        await told.until(lambda: {"theirs", "ours"} <= set(found.policies.get(door.namespace, {})))
        # A label is nobody's proof: without an owner of our kinds it is somebody's policy.
        assert {name: policy.owned for name, policy in found.policies[door.namespace].items()} == {
            "theirs": False,
            "ours": False,
        }
        spec = {"stages": [{"name": "build"}]}
        meta = {"name": "pay", "namespace": door.namespace}
        head = {"apiVersion": kinds.SEGMENT.api_version, "kind": kinds.SEGMENT.kind}
        surroundings.put_segment(await door.cluster.apply({**head, "metadata": meta, "spec": spec}))
        assert [stage.name for stage in found.segment(door.namespace, "pay").spec.stages] == ["build"]


async def test_two_replicas_hand_the_lease_over(door):
    times = {"duration": 3.0, "renew": 2.0, "retry": 0.2, "patience": 1.0, "end": pytest.fail}
    a, b = (Lease(door.cluster, namespace=door.namespace, name="ps", identity=name, **times) for name in ("a", "b"))
    async with asyncio.timeout(PATIENCE):
        await a.acquire()
        waiting = asyncio.create_task(b.acquire())
        await asyncio.wait({waiting}, timeout=1)
        assert (a.is_leader, b.is_leader) == (True, False)
        await a.release()
        await waiting
    assert (a.is_leader, b.is_leader, b.epoch) == (False, True, 2)
    await b.release()
    lease = await door.cluster.get(ObjectID("coordination.k8s.io/v1", "Lease", door.namespace, "ps"))
    assert lease["spec"].get("holderIdentity", "") == ""


@pytest.mark.cluster("audit")
async def test_our_writes_are_the_field_managers_and_reads_are_paged(control_plane, door):
    before = control_plane.audit_position()
    await door.cluster.apply(door.policy())
    await door.cluster.list(kinds.NETWORK_POLICY, Selection(namespace=door.namespace))
    uris = [event.raw["requestURI"] for event in control_plane.audit_events(since=before, namespace=door.namespace)]
    assert any("fieldManager=pipesegment" in uri and "fieldValidation=Strict" in uri for uri in uris), json.dumps(uris)
    assert any("limit=3" in uri for uri in uris)
