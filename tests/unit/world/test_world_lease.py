"""The Lease: one leader at a time, and a leader that cannot know that it leads ends."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Rejected, Unreachable
from pipesegment.world.clock import ManualClock, settle, sleep
from pipesegment.world.lease import Lease
from pipesegment.world.memory import MemoryCluster

LEASE = ObjectID("coordination.k8s.io/v1", "Lease", "ops", "pipesegment")
CALLS = frozenset({"get", "create", "replace"})


class Replica:
    """One candidate, with a clock of its own."""

    def __init__(self, cluster, identity, clock=None):
        self.clock = clock or ManualClock()
        self.ended = []
        self.over = threading.Event()
        self.lease = Lease(
            cluster, namespace="ops", name="pipesegment", identity=identity, end=self._end, clock=self.clock
        )
        self.acquiring = None

    def _end(self, reason):
        self.ended.append(reason)
        self.over.set()

    async def run(self):
        self.acquiring = asyncio.create_task(self.lease.acquire())
        await settle()

    async def stop(self):
        if self.acquiring:
            self.acquiring.cancel()
            await asyncio.gather(self.acquiring, return_exceptions=True)
        await self.lease.release()


@pytest.fixture
def cluster():
    found = MemoryCluster()
    found.seed({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ops"}})
    return found


@pytest.fixture
async def replicas(cluster):
    """Replicas with one clock that tests move for all of them."""
    clock = ManualClock()
    found = [Replica(cluster, name, clock) for name in ("a", "b")]
    yield found
    for replica in found:
        await replica.stop()


async def test_the_first_takes_the_lease_and_keeps_it(cluster, replicas):
    a, b = replicas
    await a.run()
    await b.run()
    for _ in range(20):
        await a.clock.advance(5)
        assert (a.lease.is_leader, b.lease.is_leader) == (True, False)
    spec = cluster.peek(LEASE)["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == ("a", 15, 1)
    assert a.lease.epoch == 1
    assert a.ended == b.ended == []


async def test_a_released_lease_is_taken_at_once(cluster, replicas):
    a, b = replicas
    await a.run()
    await b.run()
    await a.lease.release()
    assert not a.lease.is_leader
    await b.clock.advance(2.5)
    assert b.lease.is_leader
    assert (b.lease.epoch, cluster.peek(LEASE)["spec"]["holderIdentity"]) == (2, "b")
    await b.clock.advance(60)
    assert b.lease.is_leader
    assert not a.lease.is_leader


async def test_a_dead_leaders_lease_is_taken_after_its_whole_duration_and_not_before(cluster):
    a, b = Replica(cluster, "a"), Replica(cluster, "b")
    await a.run()
    await b.run()
    await b.clock.advance(10)
    await a.clock.advance(4)  # a renews once more, and stops existing: its clock stands still
    await b.clock.advance(2.4)
    for _ in range(int(12 / 0.25)):
        await b.clock.advance(0.25)
        assert not b.lease.is_leader
    await b.clock.advance(6)
    assert b.lease.is_leader
    await a.clock.advance(2.5)
    assert a.ended == ["another replica holds the Lease"]
    assert not a.lease.is_leader
    await b.stop()


async def test_times_written_by_others_are_not_believed(cluster, replicas):
    """A holder whose wall clock is years behind is no less alive."""
    a, b = replicas
    await a.run()
    cluster.edit(LEASE, lambda obj: obj["spec"].update(renewTime="2001-01-01T00:00:00.000000Z"))
    await b.run()
    await b.clock.advance(3)
    assert (a.lease.is_leader, b.lease.is_leader) == (True, False)


@pytest.mark.parametrize(
    "error", [Unreachable("no"), Rejected(500, "InternalError", "no"), KeyError("bug"), OSError("no")]
)
async def test_a_leader_without_an_answer_ends_when_its_time_is_over(cluster, error):
    replica = Replica(cluster, "a")
    await replica.run()
    await replica.clock.advance(2)
    cluster.fail(error, verbs=CALLS, times=1_000_000)
    await replica.clock.advance(9.5)
    assert replica.lease.is_leader
    assert replica.ended == []
    await replica.clock.advance(1)
    assert not replica.lease.is_leader
    assert replica.over.wait(5)
    assert replica.ended == ["the Lease was not renewed for 10 s"]
    await replica.stop()


async def test_a_leader_that_gets_through_again_in_time_stays(cluster, replicas):
    a, _ = replicas
    await a.run()
    cluster.fail(Unreachable("no"), verbs=CALLS, times=3)
    await a.clock.advance(8.5)
    await a.clock.advance(60)
    assert a.lease.is_leader
    assert a.ended == []


async def test_time_counts_from_when_the_request_was_sent(cluster):
    """The answer may have been long on its way; what the server wrote is as old as the request."""
    replica = Replica(cluster, "a")
    plain = cluster.replace

    async def slow(obj):
        answer = await plain(obj)
        await sleep(replica.clock, 2)
        return answer

    await replica.run()
    cluster.replace = slow
    await replica.clock.advance(4)  # sent after 2 s, answered after 4 s
    cluster.fail(Unreachable("no"), verbs=CALLS, times=1_000_000)
    await replica.clock.advance(7.9)
    assert replica.lease.is_leader
    await replica.clock.advance(0.2)
    assert not replica.lease.is_leader
    await replica.stop()


async def test_two_that_reach_for_it_at_once_do_not_both_get_it(cluster, replicas):
    a, b = replicas
    a.acquiring, b.acquiring = (asyncio.create_task(r.lease.acquire()) for r in (a, b))
    await settle()
    assert sorted([a.lease.is_leader, b.lease.is_leader]) == [False, True]
    cluster.edit(LEASE, lambda obj: obj["spec"].update(holderIdentity=""))
    await a.clock.advance(5)
    assert sorted([a.lease.is_leader, b.lease.is_leader]) == [False, True]


async def test_a_leader_that_is_dethroned_ends_at_once(cluster):
    replica = Replica(cluster, "a")
    await replica.run()
    cluster.edit(LEASE, lambda obj: obj["spec"].update(holderIdentity="somebody"))
    await replica.clock.advance(2.1)
    assert replica.ended == ["another replica holds the Lease"]
    assert not replica.lease.is_leader
    await replica.stop()
    assert cluster.peek(LEASE)["spec"]["holderIdentity"] == "somebody"


async def test_a_lease_that_somebody_emptied_is_taken_back_as_a_new_epoch(cluster, replicas):
    a, _ = replicas
    await a.run()
    cluster.edit(LEASE, lambda obj: obj["spec"].update(holderIdentity=""))
    await a.clock.advance(3)
    assert (a.lease.is_leader, a.lease.epoch) == (True, 2)


async def test_a_lease_that_was_deleted_is_made_again(cluster, replicas):
    a, _ = replicas
    await a.run()
    cluster.remove(LEASE)
    await a.clock.advance(3)
    assert a.lease.is_leader
    assert cluster.peek(LEASE)["spec"]["holderIdentity"] == "a"


async def test_a_lost_answer_to_taking_it_does_not_lock_us_out(cluster, replicas):
    a, _ = replicas
    cluster.fail(Unreachable("lost"), verbs=frozenset({"create"}), after=True)
    await a.run()
    assert not a.lease.is_leader
    await a.clock.advance(3)
    assert a.lease.is_leader


async def test_a_candidate_waits_through_every_failure(cluster, replicas):
    a, _ = replicas
    cluster.fail(Unreachable("no"), verbs=CALLS, times=10)
    await a.run()
    assert a.lease.silence == 0
    await a.clock.advance(10)
    assert (a.lease.is_leader, a.lease.silence) == (False, 10)
    await a.clock.advance(20)
    assert a.lease.is_leader
    assert a.lease.silence < 3


async def test_releasing_what_we_do_not_hold_changes_nothing(cluster, replicas):
    a, b = replicas
    await a.run()
    await b.stop()
    assert cluster.peek(LEASE)["spec"]["holderIdentity"] == "a"


async def test_an_answer_that_takes_too_long_is_none(cluster):
    replica = Replica(cluster, "a")
    replica.lease._patience = 0.01

    async def never(_):
        await asyncio.Event().wait()

    cluster.get = never
    assert await replica.lease._attempt() is False
    assert not replica.lease.is_leader


STALLED = """
import asyncio, time
from pipesegment.world.lease import Lease
from pipesegment.world.memory import MemoryCluster

async def main():
    cluster = MemoryCluster()
    cluster.seed({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ops"}})
    times = dict(duration=1.5, renew=1.0, retry=0.1, patience=0.3)
    lease = Lease(cluster, namespace="ops", name="pipesegment", identity="a", **times)
    await lease.acquire()
    await asyncio.sleep(0.5)
    print("leading", lease.is_leader, flush=True)
    time.sleep(60)  # the event loop hangs

asyncio.run(main())
"""


def test_a_leader_whose_event_loop_hangs_ends_its_process():
    operator = Path(__file__).parents[3] / "operator"
    done = subprocess.run(
        [sys.executable, "-c", STALLED], cwd=operator, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout == "leading True\n"
    assert done.returncode == 1
    assert "the Lease was not renewed for 1 s: ending the process" in done.stderr
