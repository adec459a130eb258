"""How many calls may be made in a second. Every attempt counts: what is tried again is a call like any other."""

import threading
import time
from collections import deque
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
        #: When calls of the last second went.
        self._went: deque[float] = deque()
        self._closed = False

    def take(self, rate: float) -> None:
        """Wait for one's turn at `rate` calls a second. Raises Unreachable when the program ends meanwhile."""
        with self._lock:
            turn = max(self._next, self._now())
            self._next = turn + 1.0 / rate
        while not self._closed:
            left = self._left(turn, rate)
            if left <= 0:
                return
            self._sleep(min(left, _NAP))
        raise Unreachable("the operator ends")

    def _left(self, turn: float, rate: float) -> float:
        """Tell how long to wait still; 0 for one who goes now, and is counted.

        A thread that wakes late must not go together with those whose turn it is by then.
        """
        with self._lock:
            now = self._now()
            while self._went and self._went[0] <= now - 1.0:
                self._went.popleft()
            if turn > now:
                return turn - now
            if len(self._went) >= rate:
                return self._went[0] + 1.0 - now
            self._went.append(now)
            return 0.0

    def close(self) -> None:
        """Let nobody through any more."""
        self._closed = True
