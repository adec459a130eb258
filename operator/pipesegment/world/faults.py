"""What tests do to the in-memory twin: calls that fail, a process that dies in the middle, and the record of writes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from pipesegment.compile.desired import ObjectID
from pipesegment.world.port import Json

#: The calls that change something.
WRITES: Final = frozenset({"apply", "create", "replace", "delete", "patch_status"})


class Crash(BaseException):
    """The process died here. No `except Exception` may survive it."""


class Write(NamedTuple):
    """One call that was made to change something, with the object before and after it (None: it was not there)."""

    verb: str
    target: ObjectID
    before: Json | None
    after: Json | None


@dataclass(slots=True)
class Fault:
    """An error for the `at`-th matching call (from 1) and `times - 1` after it.

    `after` lets the call have its effect first, as when only the answer is lost.
    """

    error: BaseException
    verbs: frozenset[str]
    matches: Callable[[ObjectID], bool]
    at: int
    times: int
    after: bool
    seen: int = 0

    def strikes(self, verb: str, target: ObjectID) -> bool:
        """Count a call, and tell whether it is one that fails."""
        if verb not in self.verbs or not self.matches(target):
            return False
        self.seen += 1
        return self.at <= self.seen < self.at + self.times
