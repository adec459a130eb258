"""Names that are followed: how long what was answered counts, and when it is asked for again."""

import pytest

from pipesegment.facts.hostnames import MOST, Known
from pipesegment.world import hostnames
from pipesegment.world.clock import ManualClock
from pipesegment.world.hostnames import HostNames, Pace
from tests.unit.cloud.scenes import Time
from tests.unit.world.names import NO_ANSWER, MemoryLookups

GIT, WEB = "git.example.com", "web.example.com"
MINUTE, DAY = 60.0, 24 * 3600.0


class Followed:
    """A follower, the clock that moves it, and all that it told."""

    def __init__(self, lookups: MemoryLookups, *pace: Pace) -> None:
        self.lookups = lookups
        self.clock = ManualClock()
        self.known: dict[str, Known | None] = {}
        self.told: list[str] = []
        self.names = HostNames(lookups, self._tell, Time(), self.clock, *pace)

    def _tell(self, name: str, known: Known | None) -> None:
        self.told.append(name)
        self.known[name] = known

    async def want(self, *names: str) -> None:
        self.names.want(frozenset(names))
        await self.clock.advance(0)

    async def asked_within(self, seconds: float) -> int:
        """Let time pass, and tell how often a family was asked for meanwhile."""
        self.lookups.asked.clear()
        await self.clock.advance(seconds)
        return sum(family == 4 for _, family in self.lookups.asked)

    def addresses(self, name: str = GIT) -> tuple[str, ...]:
        found = self.known[name]
        assert found is not None
        return found.addresses


@pytest.fixture
async def followed():
    made = Followed(MemoryLookups({GIT: ["11.0.0.1", "2a01:db7::1"]}))
    yield made
    await made.names.stop()


async def test_both_families_are_followed(followed):
    await followed.want(GIT)

    assert followed.known == {GIT: Known(("11.0.0.1", "2a01:db7::1"))}
    assert sorted(followed.lookups.asked) == [(GIT, 4), (GIT, 6)]


@pytest.mark.parametrize(("ttl", "seconds"), [(0, 30), (1, 30), (60, 60), (86400, 300)])
async def test_a_name_is_asked_for_again_by_its_time_within_bounds(followed, ttl, seconds):
    followed.lookups.ttl = ttl
    await followed.want(GIT)

    assert await followed.asked_within(seconds - 1) == 0
    assert await followed.asked_within(1) == 1


async def test_only_what_changes_is_told(followed):
    followed.lookups.zone[WEB] = ["11.0.0.9"]
    await followed.want(GIT, WEB)
    followed.told.clear()

    await followed.clock.advance(10 * MINUTE)
    assert followed.told == []

    followed.lookups.zone[WEB] = ["11.0.0.9", "11.0.0.8"]
    await followed.clock.advance(MINUTE)
    assert followed.told == [WEB]


async def test_an_address_that_is_answered_no_more_stays_for_a_while(followed):
    await followed.want(GIT)
    followed.lookups.zone[GIT] = ["11.0.0.2"]

    await followed.clock.advance(MINUTE)
    assert followed.addresses() == ("11.0.0.1", "11.0.0.2", "2a01:db7::1")
    await followed.clock.advance(13 * MINUTE)
    assert followed.addresses() == ("11.0.0.1", "11.0.0.2", "2a01:db7::1")
    await followed.clock.advance(2 * MINUTE)
    assert followed.addresses() == ("11.0.0.2",)


async def test_how_often_is_asked_and_how_long_an_address_stays_can_be_said():
    made = Followed(MemoryLookups({GIT: ["11.0.0.1"]}, ttl=1), Pace(floor=5.0, kept=60.0))
    await made.want(GIT)
    assert await made.asked_within(4) == 0
    assert await made.asked_within(1) == 1

    made.lookups.zone[GIT] = ["11.0.0.2"]
    await made.clock.advance(50.0)
    assert made.addresses() == ("11.0.0.1", "11.0.0.2")
    await made.clock.advance(15.0)
    assert made.addresses() == ("11.0.0.2",)
    await made.names.stop()


async def test_a_name_that_is_answered_by_turns_does_not_flap(followed):
    turns = [["11.0.0.1"], ["11.0.0.2"], ["11.0.0.3"]]
    await followed.want(GIT)
    for turn in range(6):
        followed.lookups.zone[GIT] = turns[turn % 3]
        await followed.clock.advance(MINUTE)
    followed.told.clear()
    for turn in range(12):
        followed.lookups.zone[GIT] = turns[turn % 3]
        await followed.clock.advance(MINUTE)

    # The last that is told is the address of IPv6, which went for good.
    assert followed.addresses() == ("11.0.0.1", "11.0.0.2", "11.0.0.3")
    assert len(followed.told) <= 1


async def test_a_name_that_is_gone_is_known_for_a_while(followed):
    await followed.want(GIT)
    del followed.lookups.zone[GIT]

    await followed.clock.advance(14 * MINUTE)
    assert followed.addresses() == ("11.0.0.1", "2a01:db7::1")
    await followed.clock.advance(2 * MINUTE)
    assert followed.known == {GIT: Known(trouble="does not exist")}
    followed.lookups.zone[GIT] = []
    await followed.clock.advance(MINUTE)
    assert followed.known == {GIT: Known(trouble="has no address")}


async def test_without_answers_the_last_one_goes_on_for_a_day_and_is_told_as_old(followed):
    await followed.want(GIT)
    followed.lookups.failing["*"] = NO_ANSWER

    await followed.clock.advance(14 * MINUTE)
    assert followed.known == {GIT: Known(("11.0.0.1", "2a01:db7::1"))}
    await followed.clock.advance(2 * MINUTE)
    assert followed.known == {GIT: Known(("11.0.0.1", "2a01:db7::1"), old="2026-11-27T12:00:00Z")}
    await followed.clock.advance(DAY)
    assert followed.known == {GIT: Known(trouble="has no answer (no resolver answers in time)")}
    followed.lookups.failing.clear()
    await followed.clock.advance(MINUTE)
    assert followed.known == {GIT: Known(("11.0.0.1", "2a01:db7::1"))}


async def test_what_left_the_answer_goes_although_nobody_answers_any_more(followed):
    await followed.want(GIT)
    followed.lookups.zone[GIT] = ["11.0.0.2", "2a01:db7::1"]
    await followed.clock.advance(MINUTE)
    followed.lookups.failing["*"] = NO_ANSWER

    await followed.clock.advance(16 * MINUTE)

    assert followed.addresses() == ("11.0.0.2", "2a01:db7::1")


async def test_a_family_that_nobody_answers_takes_nothing_from_the_other(followed, monkeypatch):
    lookup = followed.lookups.lookup

    async def only_four(name, family):
        if family == 6:
            raise NO_ANSWER
        return await lookup(name, family)

    monkeypatch.setattr(followed.lookups, "lookup", only_four)
    await followed.want(GIT)

    assert followed.known == {GIT: Known(("11.0.0.1",))}
    await followed.clock.advance(DAY)
    assert followed.known == {GIT: Known(("11.0.0.1",))}


@pytest.mark.parametrize("error", [NO_ANSWER, RuntimeError("a fault of ours")])
async def test_a_lookup_that_fails_in_any_way_is_tried_again(followed, error):
    followed.lookups.failing["*"] = error
    await followed.want(GIT)
    assert followed.known[GIT] is not None
    assert followed.known[GIT].trouble.startswith("has no answer (")
    followed.lookups.failing.clear()

    await followed.clock.advance(30)

    assert followed.addresses() == ("11.0.0.1", "2a01:db7::1")


async def test_more_addresses_than_are_followed_close_the_name(followed):
    followed.lookups.zone[GIT] = [f"11.0.{n}.1" for n in range(MOST)]
    await followed.want(GIT)
    assert len(followed.addresses()) == MOST

    followed.lookups.zone[GIT].append("2a01:db7::1")
    await followed.clock.advance(MINUTE)
    assert followed.known == {GIT: Known(many=MOST + 1)}


async def test_of_many_addresses_by_turns_the_latest_are_known(followed):
    await followed.want(GIT)
    for turn in range(2 * MOST):
        followed.lookups.ttl = 0
        followed.lookups.zone[GIT] = [f"11.1.{turn}.1", f"11.2.{turn}.1", f"11.3.{turn}.1"]
        await followed.clock.advance(30)

    known = followed.known[GIT]
    assert known is not None
    assert (len(known.addresses), known.dropped) == (MOST, True)
    assert set(followed.lookups.zone[GIT]) <= set(known.addresses)


async def test_a_name_that_nobody_means_any_more_is_not_asked_for(followed):
    await followed.want(GIT, WEB)
    await followed.want(WEB)

    assert followed.known[GIT] is None
    await followed.asked_within(10 * MINUTE)
    assert {name for name, _ in followed.lookups.asked} == {WEB}


async def test_a_name_that_is_never_answered_delays_nobody(followed):
    followed.lookups.failing[WEB] = None

    await followed.want(GIT, WEB)

    assert followed.addresses() == ("11.0.0.1", "2a01:db7::1")
    assert WEB not in followed.known


async def test_there_is_a_bound_to_names(followed, monkeypatch):
    monkeypatch.setattr(hostnames, "_MOST_NAMES", 2)
    await followed.want(GIT, WEB)
    await followed.want(GIT, WEB, "a.example.com")

    assert followed.known["a.example.com"] == Known(trouble="is not looked up, for 2 names are already")
    # Who was there first stays, whatever his name; whoever waits comes in when there is room.
    await followed.want(GIT, "a.example.com")
    assert followed.known["a.example.com"] == Known(trouble="does not exist")
