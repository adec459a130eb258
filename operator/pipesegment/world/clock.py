"""Time, handed in from outside, so that tests of waiting need not wait."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Handle(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Take the call back; without effect when it was made already."""


class Clock(Protocol):
    """Monotonic seconds, and calls that are due later."""

    def now(self) -> float:
        """Tell the time: monotonic seconds from an arbitrary start."""

    def call_later(self, delay: float, call: Callable[[], object]) -> Handle:
        """Make a call on the event loop after so many seconds."""


class LoopClock:
    """The real clock, on the running event loop."""

    def now(self) -> float:
        """Tell the time. Works in every thread."""
        return time.monotonic()

    def call_later(self, delay: float, call: Callable[[], object]) -> Handle:
        """Make a call on the running event loop after so many seconds."""
        return asyncio.get_running_loop().call_later(delay, call)


def utc() -> datetime:
    """Tell the time of day."""
    return datetime.now(UTC)


class _Due:
    __slots__ = ("call", "cancelled")

    def __init__(self, call: Callable[[], object]) -> None:
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class ManualClock:
    """A clock that moves only when it is told to; part of the in-memory twin."""

    def __init__(self, start: float = 1000.0) -> None:
        self._now = start
        self._heap: list[tuple[float, int, _Due]] = []
        self._ticket = itertools.count()
        self._news = asyncio.Event()

    def now(self) -> float:
        """Tell the time that was set."""
        return self._now

    def call_later(self, delay: float, call: Callable[[], object]) -> Handle:
        """Note a call for later."""
        due = _Due(call)
        heapq.heappush(self._heap, (self._now + max(delay, 0.0), next(self._ticket), due))
        self._news.set()
        return due

    @property
    def pending(self) -> int:
        """Count the calls that are still due."""
        return sum(not due.cancelled for _, _, due in self._heap)

    async def armed(self) -> None:
        """Wait until somebody waits for this clock."""
        while not self.pending:
            self._news.clear()
            await self._news.wait()

    async def advance(self, seconds: float) -> None:
        """Move on, making every call at its own time and letting its consequences run."""
        end = self._now + seconds
        await settle()
        while self._heap and self._heap[0][0] <= end:
            when, _, due = heapq.heappop(self._heap)
            if due.cancelled:
                continue
            self._now = max(self._now, when)
            due.call()
            await settle()
        self._now = end
        await settle()


async def settle(rounds: int = 20) -> None:
    """Let everything run that can run without time passing."""
    for _ in range(rounds):
        await asyncio.sleep(0)


async def sleep(clock: Clock, seconds: float) -> None:
    """Wait by a clock."""
    done = asyncio.get_running_loop().create_future()

    def finish() -> None:
        if not done.done():
            done.set_result(None)

    handle = clock.call_later(seconds, finish)
    try:
        await done
    finally:
        handle.cancel()


async def wait(clock: Clock, event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event at most so long; tell whether it came."""
    waiting = asyncio.ensure_future(event.wait())
    handle = clock.call_later(seconds, waiting.cancel)
    try:
        await asyncio.wait({waiting})
    finally:
        handle.cancel()
        waiting.cancel()
    return event.is_set()
