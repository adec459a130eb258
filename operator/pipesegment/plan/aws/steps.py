"""The calls of AWS that bring one stage's role and association from what is to what should be.

Rights are taken before any are given, and given before anybody can use them: narrow, settle, widen, bind. What goes loses
its rights first, then whoever is bound to it, and is deleted last. Every prefix of the calls allows no more than old and
new together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any, Final, Literal, NamedTuple

from pipesegment.compile.desired import ObjectID
from pipesegment.plan.changes import Change

Service = Literal["iam", "eks", "sts", "ec2"]


class Call(NamedTuple):
    """One call of AWS: its service, its action as AWS names it, its parameters."""

    service: Service
    action: str
    parameters: Mapping[str, Any]


class Wave(IntEnum):
    """The waves of one stage in their order."""

    NARROW = 1  # whatever takes away; one that fails holds back no other of this wave
    SETTLE = 2  # the role itself, and what neither gives nor takes
    WIDEN = 3
    BIND = 4
    UNBIND = 5
    DROP = 6


@dataclass(frozen=True, slots=True)
class CloudStep:
    """One call for one object; `details` are what an audit line tells beside it.

    `instead` is what is done when AWS refuses the call for good: what takes away does not depend on what is given with it.
    `mark`, of a cut of sessions, is what keeps it owed when it is refused.
    """

    wave: Wave
    call: Call
    id: ObjectID
    change: Change
    details: Mapping[str, str] = field(default_factory=dict)
    mark: "CloudStep | None" = None
    instead: "CloudStep | None" = None

    @property
    def verb(self) -> str:
        """The action, as an audit line names it."""
        return self.call.action

    @property
    def final(self) -> bool:
        """Every call says what it leads to by itself."""
        return True

    @property
    def makes(self) -> bool:
        """Tell whether it makes something, which has no tags before."""
        return self.call.action in _MAKING

    @property
    def deletes(self) -> bool:
        """Tell whether the object is gone after it."""
        return self.call.action in _DELETING


#: What an audit line calls the moment before which sessions are cut.
SESSIONS_BEFORE: Final = "sessionsBefore"
_DELETING: Final = frozenset({"DeleteRole", "DeletePodIdentityAssociation"})
_MAKING: Final = frozenset({"CreateRole", "CreatePodIdentityAssociation"})


class Moment(NamedTuple):
    """When it is looked at, and whether more may be allowed than is now: not of a segment that is held back."""

    now: datetime
    widens: bool = True


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Write tags as IAM takes them."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def in_order(steps: Iterable[CloudStep]) -> tuple[CloudStep, ...]:
    """Sort steps by their waves; inside a wave they stay as they are."""
    return tuple(sorted(steps, key=lambda step: step.wave))
