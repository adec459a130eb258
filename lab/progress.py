"""What the lab tells the person who waits, on stderr: what is chosen, what is built, how long it has taken."""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

#: Seconds between two lines where the output is not a terminal (a log): enough to show life, few enough to read.
LOG_INTERVAL = 20.0
TERMINAL_INTERVAL = 0.5


#: Set while somebody else speaks; what is told meanwhile is kept in `_kept`.
_silent = threading.Event()
_kept: list[str] = []


def say(text: str) -> None:
    """Write one line to stderr, or keep it while somebody else speaks."""
    if _silent.is_set():
        _kept.append(text)
    else:
        print(f"lab: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Let somebody else speak: lines of meanwhile are written afterwards, elapsed times of meanwhile are not."""
    _silent.set()
    try:
        yield
    finally:
        _silent.clear()
        while _kept:
            say(_kept.pop(0))


def duration(seconds: float) -> str:
    """Render seconds as `42 s` or `3 min 07 s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class Progress:
    """A line about long work that shows elapsed time and the phase; updated in place on a terminal, else now and then.

    Use as a context manager and set `phase` while working.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._terminal = sys.stderr.isatty()
        self._started = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="lab-progress", daemon=True)
        self.phase = ""

    def __enter__(self) -> Self:
        say(self._title)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._terminal and not _silent.is_set():
            print("\r\x1b[K", end="", file=sys.stderr)
        outcome = "done in" if error is None else "ended after"
        say(f"{outcome} {duration(time.monotonic() - self._started)}")

    def _tick(self) -> None:
        while not self._over.wait(TERMINAL_INTERVAL if self._terminal else LOG_INTERVAL):
            if _silent.is_set():
                continue
            line = f"  {duration(time.monotonic() - self._started)}  {self.phase}"
            if self._terminal:
                print(f"\r\x1b[K{line[:110]}", end="", file=sys.stderr, flush=True)
            else:
                say(line.strip())
