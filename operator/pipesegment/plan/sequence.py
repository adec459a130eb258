"""What is sent to the API server, in waves.

Inside one wave the order does not matter and every subset of it is safe, so that its steps may be under way at once. A
wave begins only when every step before it succeeded; after a failure the rest of its wave may run, and nothing more.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from itertools import groupby
from typing import Literal

from pipesegment.compile.desired import Object, ObjectID
from pipesegment.plan.changes import Change

Verb = Literal["create", "apply", "delete"]


class Wave(IntEnum):
    """The waves in their order; `order.py` argues why it is this one."""

    DENY = 1  # new fences that let nothing through: the default deny, the pipeline's closing policy
    NARROW = 2  # everything that only takes away
    RELEASE = 3  # what stands in another namespace without its consent, and isolates there
    IDENTITY = 4  # accounts
    TURN = 5  # the policies that go from old to new in one write between narrow and wide
    MOVE = 6  # of these, the ones that select other pods than before
    LEAVE = 7  # of these, the ones that isolate nobody any more
    WIDEN = 8  # everything that only adds
    PRUNE = 9
    PRUNE_IDENTITY = 10
    PRUNE_FENCES = 11
    PRUNE_DENY = 12


class Restraint(Enum):
    """What holds a segment back. Nothing holds back what stands in another namespace without its consent: it goes."""

    NONE = "none"
    NO_WIDENING = "no-widening"  # a class that is lost or ambiguous, a declaration that is refused
    SUSPENDED = "suspended"  # nothing is created, widened or repaired; revocations still happen
    HELD = "held"  # nobody knows what the class said: nothing of its own changes


@dataclass(frozen=True, slots=True)
class Step:
    """One API call.

    `details` are what an audit line tells beside it. `final` is False for a policy on its way that a later step brings to its end. `uid` and `resource_version` are
    preconditions; '' where an earlier step of the same object decides them, or (create) where nothing may exist.
    """

    wave: Wave
    verb: Verb
    id: ObjectID
    change: Change
    object: Object | None = None
    final: bool = True
    uid: str = ""
    resource_version: str = ""
    details: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def deletes(self) -> bool:
        """Tell whether the object is gone after it."""
        return self.verb == "delete"


@dataclass(frozen=True, slots=True)
class Sequence:
    """Every step, in order; `withheld` are the objects that will not get where they should, and why nothing is lost."""

    steps: tuple[Step, ...]
    withheld: tuple[ObjectID, ...] = ()

    @property
    def waves(self) -> Iterator[tuple[Step, ...]]:
        """Give the steps wave by wave."""
        for _, steps in groupby(self.steps, key=lambda step: step.wave):
            yield tuple(steps)
