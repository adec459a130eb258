"""Moments that somebody waits for, on a clock that moves when it is told to."""

from datetime import UTC, datetime, timedelta

from pipesegment.facts.meta import Key
from pipesegment.world.alarms import Alarms
from pipesegment.world.clock import ManualClock

BEGIN = datetime(2030, 1, 1, 10, tzinfo=UTC)
ONE, TWO = Key("ci", "one"), Key("ci", "two")


class Scene:
    """Alarms, what rang, and a time of day that may be set apart from the clock that wakes."""

    def __init__(self):
        self.clock = ManualClock()
        self.set_by = timedelta()
        self.rang = []
        self.alarms = Alarms(self.clock, self.now, self.rang.append)

    def now(self):
        return BEGIN + timedelta(seconds=self.clock.now() - 1000) + self.set_by

    def at(self, seconds):
        return BEGIN + timedelta(seconds=seconds)


async def test_each_rings_once_at_its_moment():
    scene = Scene()
    scene.alarms.set(TWO, scene.at(90))
    scene.alarms.set(ONE, scene.at(45))
    await scene.clock.advance(44.5)
    assert scene.rang == []
    await scene.clock.advance(0.5)
    assert scene.rang == [ONE]
    await scene.clock.advance(1000)
    assert scene.rang == [ONE, TWO]
    assert scene.clock.pending == 0


async def test_another_moment_takes_the_place_of_the_first_and_none_takes_it_back():
    scene = Scene()
    scene.alarms.set(ONE, scene.at(10))
    scene.alarms.set(ONE, scene.at(20))
    scene.alarms.set(TWO, scene.at(10))
    scene.alarms.set(TWO, None)
    await scene.clock.advance(15)
    assert scene.rang == []
    await scene.clock.advance(5)
    assert scene.rang == [ONE]


async def test_what_is_over_is_not_waited_for_and_nothing_is_after_the_end():
    scene = Scene()
    scene.alarms.set(ONE, scene.at(0))
    scene.alarms.set(TWO, scene.at(10))
    scene.alarms.stop()
    await scene.clock.advance(100)
    assert (scene.rang, scene.clock.pending) == ([], 0)


async def test_a_time_of_day_that_is_set_is_noticed_before_the_clock_would_wake():
    scene = Scene()
    scene.alarms.set(ONE, scene.at(3600))
    await scene.clock.advance(10)
    scene.set_by = timedelta(hours=2)
    await scene.clock.advance(31)
    assert scene.rang == [ONE]


async def test_one_that_is_set_back_does_not_ring_early():
    scene = Scene()
    scene.alarms.set(ONE, scene.at(20))
    scene.set_by = timedelta(seconds=-60)
    await scene.clock.advance(25)
    assert scene.rang == []
    await scene.clock.advance(60)
    assert scene.rang == [ONE]
