"""Host names that segments mean, looked up again and again for as long as somebody means them (docs/adr/0059).

Each name has a life of its own: a slow one delays nobody. Addresses that leave the answer stay for a while, because clients
keep them as well, and because many names are answered by turns. When nobody answers, what was answered last goes on: told
as old after a while, and not known any more after a day.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pipesegment.errors import Unreachable
from pipesegment.facts.hostnames import MOST, Known
from pipesegment.facts.moments import written
from pipesegment.report.text import LINE, clean
from pipesegment.world.clock import Clock, LoopClock, sleep, wait
from pipesegment.world.lookups import Answered, Family, Lookups

_log = logging.getLogger(__name__)

#: A name is asked for again no later than this.
_CEILING: Final = 300.0
#: When what is known is told as old, and when it is not known any more.
_OLD: Final = 900.0
_CAP: Final = 24 * 3600.0
#: How many names are followed at all, and how many are asked for at once.
_MOST_NAMES: Final = 4096
_AT_ONCE: Final = 32
#: How long a beginning waits for the first answers: ways that are open must not close for a moment.
_PATIENCE: Final = 30.0


@dataclass(frozen=True, slots=True)
class Pace:
    """A name is asked for again when its time to live is over, but no sooner than `floor`.

    An address that is answered no more stays for `kept`.
    """

    floor: float = 30.0
    kept: float = 900.0


@dataclass(slots=True)
class _Answers:
    """What was answered for one family: when last, and each address with when it was last in an answer."""

    read: float | None = None
    at: datetime | None = None
    seen: dict[str, float] = field(default_factory=dict)
    exists: bool = True
    trouble: str = ""


@dataclass(slots=True)
class _Name:
    name: str
    answers: dict[Family, _Answers] = field(default_factory=lambda: {4: _Answers(), 6: _Answers()})
    known: Known | None = None
    work: asyncio.Task[None] | None = None


class HostNames:
    """Follows names; `told` hears of each whose meaning is another one now (None: nobody means it any more)."""

    def __init__(
        self,
        lookups: Lookups | None,
        told: Callable[[str, Known | None], None],
        now: Callable[[], datetime],
        clock: Clock | None = None,
        pace: Pace = Pace(),
    ) -> None:
        self._lookups = lookups
        self._told = told
        self._now = now
        self._clock = clock or LoopClock()
        self._pace = pace
        self._names: dict[str, _Name] = {}
        self._left_out: frozenset[str] = frozenset()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._answered = asyncio.Event()

    async def start(self) -> None:
        """Wait a little for what is answered first."""
        if self._names:
            self._check_answered()
            await wait(self._clock, self._answered, _PATIENCE)

    async def stop(self) -> None:
        """Ask for nothing any more."""
        tasks = [each.work for each in self._names.values() if each.work is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def want(self, names: frozenset[str]) -> None:
        """Follow exactly these names from now on; those that were followed before come first, where they are too many."""
        if self._lookups is None:
            return
        for name in self._names.keys() - names:
            gone = self._names.pop(name)
            if gone.work is not None:
                gone.work.cancel()
            self._told(name, None)
        new = sorted(names - self._names.keys())
        room = _MOST_NAMES - len(self._names)
        for name in new[:room]:
            made = self._names[name] = _Name(name)
            made.work = asyncio.create_task(self._follow(self._lookups, made), name=f"host name {name}")
        for name in new[room:]:
            if name not in self._left_out:
                _log.warning("%s is not looked up: %d names are followed already", name, _MOST_NAMES)
                self._told(name, Known(trouble=f"is not looked up, for {_MOST_NAMES} names are already"))
        self._left_out = frozenset(new[room:])

    async def _follow(self, lookups: Lookups, each: _Name) -> None:
        while True:
            async with self._slots:
                pauses = await asyncio.gather(*(self._ask(lookups, each, family) for family in each.answers))
            known = meaning(each.answers, self._clock.now(), self._pace.kept)
            if known != each.known:
                each.known = known
                self._told(each.name, known)
            self._check_answered()
            await sleep(self._clock, min(pauses))

    async def _ask(self, lookups: Lookups, each: _Name, family: Family) -> float:
        """Ask for one family, and tell when to ask again."""
        answers = each.answers[family]
        try:
            found = await lookups.lookup(each.name, family)
        except Exception as error:  # noqa: BLE001 - whatever it is: what is not answered any more has to grow old, and be told
            trouble = clean(str(error) if isinstance(error, Unreachable) else f"{type(error).__name__}: {error}", LINE)
            if trouble != answers.trouble:
                _log.warning("%s cannot be looked up (IPv%d): %s", each.name, family, trouble)
            answers.trouble = trouble
            return self._pace.floor
        take(answers, found, self._clock.now(), self._now(), self._pace.kept)
        return min(max(found.ttl, self._pace.floor), _CEILING)

    def _check_answered(self) -> None:
        if all(each.known is not None for each in self._names.values()):
            self._answered.set()


def take(answers: _Answers, found: Answered, now: float, at: datetime, kept: float) -> None:
    """Take in an answer. Of addresses that are in it no more, those of long ago are forgotten."""
    lately = {address: seen for address, seen in answers.seen.items() if now - seen < kept}
    answers.seen = {**lately, **dict.fromkeys(found.addresses, now)}
    answers.read, answers.at, answers.exists, answers.trouble = now, at, found.exists, ""


def meaning(answers: Mapping[Family, _Answers], now: float, kept: float) -> Known:
    """Tell what a name stands for, by the answers of both families."""
    good = [each for each in answers.values() if each.read is not None and now - each.read < _CAP]
    held = [(s == a.read, s, address) for a in good for address, s in a.seen.items() if s == a.read or now - s < kept]
    if not good:
        trouble = next((each.trouble for each in answers.values() if each.trouble), "")
        return Known(trouble=f"has no answer ({trouble})")
    current = sum(is_current for is_current, _, _ in held)
    if current > MOST:
        return Known(many=current)
    latest = sorted(address for _, _, address in sorted(held, reverse=True)[:MOST])
    if not latest:
        why = "has no address" if any(each.exists for each in good) else "does not exist"
        return Known(trouble=why)
    last = max(good, key=lambda each: each.read or 0.0)
    old = written(last.at) if last.at is not None and now - (last.read or 0.0) > _OLD else ""
    return Known(tuple(latest), old=old, dropped=len(held) > MOST)
