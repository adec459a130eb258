"""The work queue: every key is worked on by one worker at a time, as soon as it is due, however often it was added.

A key is at most one of: waiting (for its time), ready (for a worker), active (with a worker). What is added while it is
active is due once more when that is over.
"""

import asyncio
import heapq
import itertools
import logging
import math
import random
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from enum import IntEnum
from typing import Final, Generic, TypeVar

from pipesegment.errors import PipesegmentError, Rejected
from pipesegment.world.clock import Clock, Handle, LoopClock, wait

K = TypeVar("K", bound=Hashable)

#: What a process answers for a key that is gone for good: never again, unless it is added.
NEVER: Final = math.inf

_log = logging.getLogger(__name__)


class Priority(IntEnum):
    """What goes first when workers are short."""

    CHANGE = 0
    RESYNC = 1


def spread_by_text(key: Hashable) -> float:
    """Give a key its own fraction of a period, the same in every process."""
    return zlib.crc32(str(key).encode()) / 2**32


def unobserved(_what: str, _value: float) -> None:
    """Observe nothing."""


class WorkQueue(Generic[K]):
    """A deduplicating queue with workers.

    `process` does the work for one key and answers in how many seconds it is due again without a change: None for the
    next resync, NEVER for a key that is gone. When it raises, the key is tried again after a growing, jittered pause,
    not before what a Rejected asks for; after one that trying again does not mend, the pause is the longest at once. Pauses
    grow with the attempts that nothing new gave cause for: a change starts them anew, or a burst of changes while something
    is not ready yet would put the attempt after it off for minutes.
    `observe` is told 'added' 1, 'latency' seconds from due to begun, 'worked' seconds, 'failed' 1.
    """

    def __init__(
        self,
        process: Callable[[K], Awaitable[float | None]],
        *,
        workers: int = 16,
        coalesce: float = 0.02,
        backoff: tuple[float, float] = (1.0, 300.0),
        resync: tuple[float, float] = (1800.0, 3600.0),
        time_limit: float = 120.0,
        spread: Callable[[K], float] = spread_by_text,
        observe: Callable[[str, float], None] = unobserved,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._process = process
        self._workers = workers
        self._coalesce = coalesce
        self._backoff = backoff
        self._resync = resync
        self._time_limit = time_limit
        self._spread = spread
        self._observe = observe
        self._clock = clock or LoopClock()
        self._random = rng or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._due: dict[K, tuple[float, Priority]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._tickets = itertools.count()
        self._ready: tuple[OrderedDict[K, float], OrderedDict[K, float]] = (OrderedDict(), OrderedDict())
        self._active: set[K] = set()
        self._again: dict[K, tuple[float, Priority]] = {}
        self._failures: dict[K, int] = {}
        self._alarm: Handle | None = None
        self._alarm_at = math.inf
        self._idle: list[asyncio.Future[None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._progress = 0.0
        self._open = True
        self._quiet = asyncio.Event()

    def add(self, key: K, delay: float = 0.0, priority: Priority = Priority.CHANGE) -> None:
        """Make a key due after `delay` seconds, or after the moment in which changes are gathered.

        The earliest of several times counts, and the highest priority. A closed queue takes nothing in.
        """
        if not self._open:
            return
        self._observe("added", 1)
        if key in self._failures and priority is Priority.CHANGE:
            self._failures[key] = 0
        due = self._clock.now() + max(delay, self._coalesce)
        if key in self._active:
            self._again[key] = _sooner(self._again.get(key), (due, priority))
        elif key in self._ready[Priority.CHANGE]:
            pass
        elif key in self._ready[Priority.RESYNC]:
            if priority is Priority.CHANGE:
                self._ready[Priority.CHANGE][key] = self._ready[Priority.RESYNC].pop(key)
        else:
            self._wait(key, due, priority)

    def start(self) -> None:
        """Start the workers."""
        self._tasks = [asyncio.create_task(self._work(), name=f"worker-{n}") for n in range(self._workers)]

    async def drain(self, patience: float) -> bool:
        """Take nothing in any more, let the active ones finish within `patience` seconds, stop the workers.

        Tells whether all of them finished.
        """
        self._open = False
        if self._active and patience > 0:
            self._quiet.clear()
            await wait(self._clock, self._quiet, patience)
        finished = not self._active
        if self._alarm is not None:
            self._alarm.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return finished

    @property
    def depth(self) -> int:
        """Count the keys that are ready for a worker."""
        return sum(len(ready) for ready in self._ready)

    @property
    def failing(self) -> int:
        """Count the keys whose last attempt failed."""
        return len(self._failures)

    def stalled_for(self) -> float:
        """Tell for how many seconds no worker has begun or finished anything, although keys are ready."""
        return self._clock.now() - self._progress if self.depth else 0.0

    def _wait(self, key: K, due: float, priority: Priority) -> None:
        entry = _sooner(self._due.get(key), (due, priority))
        if self._due.get(key) == entry:
            return
        self._due[key] = entry
        heapq.heappush(self._heap, (entry[0], next(self._tickets), key))
        self._set_alarm()

    def _set_alarm(self) -> None:
        if not self._heap or self._heap[0][0] >= self._alarm_at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = self._heap[0][0]
        self._alarm = self._clock.call_later(self._alarm_at - self._clock.now(), self._ring)

    def _ring(self) -> None:
        """Move to the ready ones what is due by now."""
        self._alarm_at = math.inf
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            when, _, key = heapq.heappop(self._heap)
            due = self._due.get(key)
            if due is None or due[0] != when:
                continue  # it was made due earlier, and this is what is left of the later time
            del self._due[key]
            if self.depth == 0:
                self._progress = now  # an idle queue was not stalled
            self._ready[due[1]][key] = when
            self._wake()
        self._set_alarm()

    def _wake(self) -> None:
        while self._idle:
            waiting = self._idle.pop()
            if not waiting.done():
                waiting.set_result(None)
                return

    async def _work(self) -> None:
        while True:
            while self.depth == 0:
                waiting = asyncio.get_running_loop().create_future()
                self._idle.append(waiting)
                await waiting
            key, since = next(ready for ready in self._ready if ready).popitem(last=False)
            began = self._progress = self._clock.now()
            self._active.add(key)
            self._observe("latency", began - since)
            pause, priority = await self._attempt(key)
            self._progress = self._clock.now()
            self._observe("worked", self._progress - began)
            self._finish(key, pause, priority)

    async def _attempt(self, key: K) -> tuple[float, Priority]:
        """Do the work once; tell after how many seconds the key is due again, and how urgent it is then."""
        try:
            async with asyncio.timeout(self._time_limit):
                pause = await self._process(key)
        except Exception as error:  # noqa: BLE001 - one bad key must never stop a worker
            self._observe("failed", 1)
            pause = self._next_attempt(key, error)
            expected = isinstance(error, PipesegmentError | TimeoutError)
            text = f"{type(error).__name__}: {error}"
            _log.warning("%s: next attempt in %.1f s: %s", key, pause, text, exc_info=None if expected else error)
            return pause, Priority.CHANGE
        self._failures.pop(key, None)
        if pause is None:
            low, high = self._resync
            return low + (high - low) * self._spread(key), Priority.RESYNC
        return pause, Priority.CHANGE

    def _next_attempt(self, key: K, error: Exception) -> float:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        base, most = self._backoff
        if isinstance(error, Rejected) and error.permanent:
            # A change makes the key due at once. What nobody tells us of, such as an admission policy, is met by then.
            return self._random.uniform(0.8 * most, most)
        # Full jitter: those that failed together must not come back together.
        pause = self._random.uniform(0, min(most, base * 2.0 ** min(failures, 32)))
        asked = error.retry_after if isinstance(error, Rejected) else None
        return max(pause, asked or 0.0)

    def _finish(self, key: K, pause: float, priority: Priority) -> None:
        self._active.remove(key)
        if not self._active:
            self._quiet.set()
        if not self._open:
            return
        again = self._again.pop(key, None)
        if pause != NEVER:
            self._wait(key, self._clock.now() + max(pause, self._coalesce), priority)
        if again is not None:
            self._wait(key, *again)


def _sooner(known: tuple[float, Priority] | None, new: tuple[float, Priority]) -> tuple[float, Priority]:
    return new if known is None else (min(known[0], new[0]), min(known[1], new[1]))
