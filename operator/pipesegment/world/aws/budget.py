"""How many calls may be made in a second. Every attempt counts: what is tried again is a call like any other."""

import threading
import time
from collections.abc import Callable
from typing import Final

from pipesegment.errors import Unreachable

#: The longest that one waits without looking whether the program ends.
_NAP: Final = 0.5


class Budget:
    """Spaces calls out evenly, whichever thread makes them: at no time more than the rate in any second.

    `sleep` and `now` are the world's; tests hand in their own.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = 0.0
        self._closed = False

    def take(self, rate: float) -> None:
        """Wait for one's turn at `rate` calls a second. Raises Unreachable when the program ends meanwhile."""
        with self._lock:
            turn = max(self._next, self._now())
            self._next = turn + 1.0 / rate
        while not self._closed:
            left = turn - self._now()
            if left <= 0:
                return
            self._sleep(min(left, _NAP))
        raise Unreachable("the operator ends")

    def close(self) -> None:
        """Let nobody through any more."""
        self._closed = True
