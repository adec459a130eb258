"""The work queue: one worker a key, nothing lost, bad keys alone with their pauses."""

import asyncio
import itertools
import logging
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipesegment.errors import Rejected
from pipesegment.world.clock import ManualClock, settle
from pipesegment.world.queue import NEVER, Priority, WorkQueue


class Shop:
    """A queue whose work is done when the test says so, or after `takes` seconds."""

    def __init__(self, **options):
        self.clock = ManualClock(0.0)
        self.log = []
        self.running = set()
        self.gates = {}
        self.answers = {}
        self.observed = []
        options = {"workers": 4, "coalesce": 0.02, "rng": random.Random(1), "time_limit": 60.0, **options}
        self.queue = WorkQueue(self._process, clock=self.clock, observe=self._observe, **options)
        self.queue.start()

    def _observe(self, what, value):
        self.observed.append((what, value))

    async def _process(self, key):
        assert key not in self.running, "two workers have one key"
        self.running.add(key)
        self.log.append((round(self.clock.now(), 3), key))
        try:
            if key in self.gates:
                await self.gates[key].wait()
        finally:
            self.running.discard(key)
        answer = self.answers.get(key)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def hold(self, key):
        self.gates[key] = asyncio.Event()
        return self.gates[key]

    def times(self, key):
        return [when for when, found in self.log if found == key]


@pytest.fixture
async def shop():
    found = Shop()
    yield found
    await found.queue.drain(0)


async def test_changes_within_the_moment_are_one_piece_of_work(shop):
    for _ in range(5):
        shop.queue.add("a")
        await shop.clock.advance(0.003)
    await shop.clock.advance(1)
    assert shop.log == [(0.02, "a")]


async def test_the_moment_is_not_prolonged_by_further_changes(shop):
    for _ in range(100):
        shop.queue.add("a")
        await shop.clock.advance(0.01)
    assert shop.times("a")[0] == 0.02
    assert len(shop.log) > 20


async def test_what_is_added_while_active_is_done_once_more(shop):
    gate = shop.hold("a")
    shop.queue.add("a")
    await shop.clock.advance(1)
    for _ in range(3):
        shop.queue.add("a")
    await shop.clock.advance(1)
    assert shop.times("a") == [0.02]
    gate.set()
    await shop.clock.advance(1)
    assert shop.times("a") == [0.02, 2.0]


async def test_a_delay_is_kept_and_the_earliest_of_several_counts(shop):
    shop.queue.add("a", delay=10)
    shop.queue.add("a", delay=5)
    shop.queue.add("a", delay=20)
    await shop.clock.advance(30)
    assert shop.times("a") == [5]


async def test_a_change_brings_forward_what_waits_for_its_resync(shop):
    shop.queue.add("a")
    await shop.clock.advance(1)
    shop.queue.add("a")
    await shop.clock.advance(1)
    assert shop.times("a") == [0.02, 1.02]


async def test_one_stuck_key_does_not_delay_others(shop):
    shop.hold("stuck")
    shop.queue.add("stuck")
    for key in range(50):
        shop.queue.add(key)
    await shop.clock.advance(0.1)
    assert {key for _, key in shop.log} == {"stuck", *range(50)}


async def test_a_stuck_key_is_given_up_after_the_time_limit():
    # The limit is the real clock's: what hangs may hang in something that knows no other.
    shop = Shop(time_limit=0.01)
    given_up = asyncio.Event()
    shop.queue._observe = lambda what, _: given_up.set() if what == "failed" else None
    shop.hold("stuck")
    shop.queue.add("stuck")
    await shop.clock.advance(0.1)
    async with asyncio.timeout(5):
        await given_up.wait()
    await settle()
    assert (shop.queue.failing, shop.running) == (1, set())
    await shop.queue.drain(0)


async def test_failures_come_back_after_growing_jittered_pauses_up_to_the_longest():
    shop = Shop(backoff=(1.0, 300.0))
    shop.answers["bad"] = Rejected(500, "InternalError", "no")
    shop.queue.add("bad")
    await shop.clock.advance(3600)
    pauses = [b - a for a, b in zip(shop.times("bad"), shop.times("bad")[1:], strict=False)]
    assert all(pause <= min(300, 2.0 ** (n + 1)) + 0.02 for n, pause in enumerate(pauses))
    assert 60 < max(pauses) <= 300.02
    assert len(set(pauses)) == len(pauses)
    assert shop.queue.failing == 1
    await shop.queue.drain(0)


async def test_success_forgets_the_failures(shop):
    shop.answers["a"] = RuntimeError("no")
    shop.queue.add("a")
    await shop.clock.advance(600)
    assert len(shop.times("a")) > 5
    shop.answers["a"] = None
    await shop.clock.advance(600)
    assert shop.queue.failing == 0
    shop.answers["a"] = RuntimeError("no")
    shop.log.clear()
    shop.queue.add("a")
    await shop.clock.advance(3.1)
    assert len(shop.log) >= 2


async def test_what_the_server_asks_for_is_waited_for(shop):
    shop.answers["a"] = Rejected(429, "TooManyRequests", "slow", retry_after=40)
    shop.queue.add("a")
    await shop.clock.advance(39)
    assert len(shop.log) == 1
    await shop.clock.advance(2)
    assert len(shop.log) == 2


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_trying_again_does_not_mend_waits_the_longest_pause_at_once(status):
    """A call that is Invalid is Invalid in a second, too."""
    shop = Shop(backoff=(1.0, 300.0))
    shop.answers["a"] = Rejected(status, "Invalid", "spec is invalid")
    shop.queue.add("a")
    await shop.clock.advance(1000)
    pauses = [later - earlier for earlier, later in itertools.pairwise(shop.times("a"))]
    assert len(pauses) >= 3
    assert all(240 <= pause <= 300 for pause in pauses)
    assert len(set(pauses)) > 1  # those that failed together do not come back together
    assert shop.queue.failing == 1
    await shop.queue.drain(0)


@pytest.mark.parametrize("status", [401, 403, 404, 409, 429, 500, 503])
async def test_what_the_world_may_mend_is_tried_soon(status):
    """An API server that starts knows neither roles nor kinds."""
    shop = Shop(backoff=(1.0, 300.0))
    shop.answers["a"] = Rejected(status, "Why", "no")
    shop.queue.add("a")
    await shop.clock.advance(10)
    assert len(shop.times("a")) >= 3
    await shop.queue.drain(0)


async def test_a_change_is_tried_at_once_even_while_a_permanent_failure_waits(shop):
    shop.answers["a"] = Rejected(422, "Invalid", "spec is invalid")
    shop.queue.add("a")
    await shop.clock.advance(100)
    assert shop.times("a") == [0.02]
    shop.queue.add("a")
    await shop.clock.advance(1)
    assert shop.times("a") == [0.02, 100.02]


async def test_a_change_is_tried_at_once_even_while_a_failure_waits(shop):
    shop.answers["a"] = Rejected(429, "TooManyRequests", "slow", retry_after=40)
    shop.queue.add("a")
    await shop.clock.advance(1)
    shop.queue.add("a")
    await shop.clock.advance(1)
    assert len(shop.log) == 2


async def test_changes_start_the_pauses_anew(shop):
    """A burst of news about something that is not ready yet must not put off the attempt that would succeed."""
    shop.answers["a"] = Rejected(404, "NotFound", "not served yet")
    for _ in range(30):
        shop.queue.add("a")
        await shop.clock.advance(0.1)
    last = max(shop.times("a"))
    assert len(shop.times("a")) >= 30
    await shop.clock.advance(3)
    assert max(shop.times("a")) > last
    # Nothing is new any more: they grow as ever.
    await shop.clock.advance(3600)
    pauses = [b - a for a, b in zip(shop.times("a"), shop.times("a")[1:], strict=False)]
    assert max(pauses) > 60


async def test_what_merely_comes_round_does_not_start_them_anew(shop):
    shop.answers["a"] = Rejected(404, "NotFound", "not served yet")
    shop.queue.add("a")
    await shop.clock.advance(600)
    tried = len(shop.times("a"))
    shop.queue.add("a", priority=Priority.RESYNC)
    await shop.clock.advance(20)
    assert len(shop.times("a")) <= tried + 2


async def test_every_key_comes_back_within_its_own_part_of_the_resync_period():
    shop = Shop(resync=(1800.0, 3600.0))
    for key in range(200):
        shop.queue.add(key)
    await shop.clock.advance(1)
    shop.log.clear()
    await shop.clock.advance(3600)
    again = [shop.times(key)[0] for key in range(200)]
    assert all(1800 <= when <= 3601 for when in again)
    quarters = [sum(1800 + 450 * n <= when < 2250 + 450 * n for when in again) for n in range(4)]
    assert min(quarters) > 25
    await shop.queue.drain(0)


async def test_an_answer_in_seconds_is_kept_and_never_means_never(shop):
    shop.answers.update({"soon": 7.0, "gone": NEVER})
    shop.queue.add("soon")
    shop.queue.add("gone")
    await shop.clock.advance(15)
    assert shop.times("soon") == [0.02, 7.02, 14.02]
    await shop.clock.advance(7200)
    assert shop.times("gone") == [0.02]
    shop.queue.add("gone")
    await shop.clock.advance(1)
    assert len(shop.times("gone")) == 2


async def test_changes_go_before_resyncs():
    shop = Shop(workers=1)
    gate = shop.hold("first")
    shop.queue.add("first")
    await shop.clock.advance(1)
    for key in ("old-1", "old-2", "both"):
        shop.queue.add(key, priority=Priority.RESYNC)
    await shop.clock.advance(1)
    shop.queue.add("new")
    shop.queue.add("both")
    await shop.clock.advance(1)
    gate.set()
    await settle()
    assert [key for _, key in shop.log] == ["first", "both", "new", "old-1", "old-2"]
    await shop.queue.drain(0)


async def test_draining_lets_the_active_ones_finish_and_takes_nothing_in():
    shop = Shop()
    gate = shop.hold("a")
    shop.queue.add("a")
    shop.queue.add("later", delay=100)
    await shop.clock.advance(1)
    draining = asyncio.ensure_future(shop.queue.drain(20))
    await shop.clock.advance(1)
    shop.queue.add("b")
    assert not draining.done()
    gate.set()
    assert await draining is True
    await shop.clock.advance(200)
    assert shop.log == [(0.02, "a")]


async def test_draining_gives_up_after_its_patience():
    shop = Shop()
    shop.hold("a")
    shop.queue.add("a")
    await shop.clock.advance(1)
    draining = asyncio.ensure_future(shop.queue.drain(20))
    await shop.clock.advance(21)
    assert await draining is False
    assert shop.running == set()


async def test_a_stall_is_seen_and_idleness_is_none():
    shop = Shop(workers=1)
    await shop.clock.advance(1000)
    assert shop.queue.stalled_for() == 0
    gate = shop.hold("stuck")
    shop.queue.add("stuck")
    await shop.clock.advance(10)
    assert shop.queue.stalled_for() == 0
    shop.queue.add("next")
    await shop.clock.advance(30)
    assert (shop.queue.depth, round(shop.queue.stalled_for())) == (1, 30)
    gate.set()
    await settle()
    assert (shop.queue.depth, shop.queue.stalled_for()) == (0, 0)
    await shop.queue.drain(0)


async def test_what_happens_is_observed(shop):
    gate = shop.hold("a")
    shop.queue.add("a")
    await shop.clock.advance(2.02)
    gate.set()
    await settle()
    assert [(w, round(v, 6)) for w, v in shop.observed] == [("added", 1), ("latency", 0.0), ("worked", 2.0)]


async def test_an_expected_failure_is_one_line_and_a_bug_shows_where(shop, caplog):
    caplog.set_level(logging.WARNING)
    shop.answers.update({"refused": Rejected(500, "InternalError", "no"), "bug": KeyError("x")})
    shop.queue.add("refused")
    shop.queue.add("bug")
    await shop.clock.advance(0.1)
    shown = {record.args[0]: record.exc_info for record in caplog.records}
    assert shown["refused"] is None
    assert shown["bug"] is not None


steps = st.lists(
    st.tuples(
        st.sampled_from("abcde"),
        st.sampled_from([0.0, 0.0, 0.5, 3.0]),  # delay
        st.sampled_from(list(Priority)),
        st.sampled_from([0.0, 0.01, 0.05, 1.0]),  # time until the next step
    ),
    max_size=40,
)


@settings(deadline=None)
@given(steps, st.dictionaries(st.sampled_from("abcde"), st.sampled_from(["fail", "slow"])), st.integers(1, 3))
def test_nothing_added_is_lost_however_it_comes(plan, manners, workers):
    """Every key is worked on by one worker at a time, and begun again after each add, when its delay is over."""

    async def play():
        shop = Shop(workers=workers, resync=(10_000.0, 20_000.0), backoff=(1.0, 5.0))
        failures = dict.fromkeys((key for key, manner in manners.items() if manner == "fail"), 2)
        plain = shop.queue._process

        async def process(key):
            await plain(key)
            if manners.get(key) == "slow":
                done = asyncio.Event()
                shop.clock.call_later(0.3, done.set)
                shop.running.add(key)
                await done.wait()
                shop.running.discard(key)
            if failures.get(key, 0):
                failures[key] -= 1
                raise Rejected(500, "InternalError", "no")

        shop.queue._process = process
        wanted = []
        for key, delay, priority, pause in plan:
            shop.queue.add(key, delay, priority)
            wanted.append((key, len(shop.log), shop.clock.now() + max(delay, 0.02)))
            await shop.clock.advance(pause)
        await shop.clock.advance(100)
        assert await shop.queue.drain(0) is True
        return shop, wanted

    shop, wanted = asyncio.run(play())
    for key, begun_before, due in wanted:
        # Five keys of at most 0.3 s each, twice, may be in the way of a single worker.
        assert any(found == key and when <= due + 3.1 for when, found in shop.log[begun_before:])
    assert shop.queue.failing == 0
