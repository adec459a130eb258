"""The admin server says what is the matter, in words."""

import asyncio

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from pipesegment.errors import Rejected
from pipesegment.world import kinds
from pipesegment.world.admin import Admin, informers_check, lease_check, queue_check
from pipesegment.world.clock import ManualClock, settle
from pipesegment.world.fleet import Fleet
from pipesegment.world.informer import Informer
from pipesegment.world.lease import Lease
from pipesegment.world.memory import MemoryCluster
from pipesegment.world.queue import WorkQueue


@pytest.fixture
async def asked():
    """Serve some checks and ask for them."""
    live, ready, registry = {}, {}, CollectorRegistry()
    admin = Admin("127.0.0.1", 0, live=live, ready=ready, registry=registry)
    port = await admin.start()
    async with aiohttp.ClientSession() as session:

        async def ask(path):
            async with session.get(f"http://127.0.0.1:{port}{path}") as response:
                return response.status, await response.text()

        ask.live, ask.ready, ask.registry = live, ready, registry
        yield ask
    await admin.stop()


async def test_everything_is_fine_until_a_check_has_a_problem(asked):
    assert await asked("/healthz") == (200, "")
    asked.live["queue"] = lambda: ""
    asked.ready["lease"] = lambda: "not read for 99 s"
    asked.ready["informers"] = lambda: ""
    assert await asked("/healthz") == (200, "queue: ok\n")
    assert await asked("/readyz") == (503, "informers: ok\nlease: not read for 99 s\n")


async def test_metrics_are_those_of_the_registry(asked):
    Counter("pipesegment_things", "Things.", registry=asked.registry).inc()
    status, text = await asked("/metrics")
    assert status == 200
    assert "pipesegment_things_total 1.0" in text


async def test_informers_must_be_read_followed_and_heard_of():
    clock, cluster = ManualClock(), MemoryCluster()
    pods = Informer(cluster, kinds.POD, dict, lambda *_: None, clock=clock)
    segments = Informer(cluster, kinds.SEGMENT, dict, lambda *_: None, relist_every=600, clock=clock)
    fleet = Fleet([pods, segments])
    check = informers_check(fleet, silence=120)
    assert check() == "Pod: not read yet; PipelineSegment: not read yet"
    cluster.fail(Rejected(403, "Forbidden", "no"), verbs=frozenset({"list"}), matches=lambda t: t.kind == "Pod")
    fleet.start()
    await settle(50)
    assert check() == "Pod: 403 Forbidden: no"
    await clock.advance(5)
    assert check() == ""
    await clock.advance(130)
    assert check().startswith("Pod: silent for 13")
    cluster.bookmark()
    await settle(50)
    assert check() == ""
    await fleet.stop()


async def test_a_stalled_queue_is_told():
    clock = ManualClock()

    async def hang(_):
        await asyncio.Event().wait()

    queue = WorkQueue(hang, workers=1, clock=clock)
    check = queue_check(queue, limit=60)
    queue.start()
    queue.add("a")
    await clock.advance(1)
    queue.add("b")
    await clock.advance(61)
    assert check() == "nothing begun or done for 61 s with 1 ready"
    await queue.drain(0)


async def test_a_candidate_is_as_ready_as_the_leader_while_it_hears_of_the_lease():
    clock, cluster = ManualClock(), MemoryCluster()
    lease = Lease(cluster, namespace="ops", name="l", identity="a", clock=clock)
    check = lease_check(lease, silence=30)
    assert check() == ""
    await clock.advance(31)
    assert check() == "not read for 31 s"
