"""Moments that somebody waits for: each rings once, at its time, and nothing is asked for meanwhile."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from pipesegment.facts.meta import Key
from pipesegment.world.clock import Clock, Handle

#: The time of day may be set, and a machine may sleep, while the clock that wakes us stands still: seconds until it is noticed.
_LONGEST: Final = 30.0


class Alarms:
    """One moment for each key; `ring` is told of a key when its moment has come."""

    def __init__(self, clock: Clock, now: Callable[[], datetime], ring: Callable[[Key], None]) -> None:
        self._clock = clock
        self._now = now
        self._ring = ring
        self._times: dict[Key, datetime] = {}
        self._handle: Handle | None = None

    def set(self, key: Key, when: datetime | None) -> None:
        """Wait for a moment in place of what the key waited for; for nothing when None, or when it is over already."""
        self._times.pop(key, None)
        if when is not None and when > self._now():
            self._times[key] = when
        self._arm()

    def stop(self) -> None:
        """Wait for nothing any more."""
        self._times.clear()
        self._arm()

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._times:
            left = (min(self._times.values()) - self._now()).total_seconds()
            self._handle = self._clock.call_later(min(max(left, 0.0), _LONGEST), self._wake)

    def _wake(self) -> None:
        # The clock that wakes us and the one that tells the time need not agree to the moment: who is early waits on.
        now = self._now()
        for key in sorted(key for key, when in self._times.items() if when <= now):
            del self._times[key]
            self._ring(key)
        self._arm()
