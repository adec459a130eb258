"""Where an exception stands: in force, or why it is not, and which approvals count for it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pipesegment.facts.meta import Key
from pipesegment.spec.status import IN_FORCE, Phase


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an approval counts for its exception: `problem` says why it does not."""

    approval: Key
    uid: str
    username: str
    problem: str
    created: str

    @property
    def counts(self) -> bool:
        """Whether it counts."""
        return not self.problem


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a SegmentException stands: in force (Open, Sealed), or why it is not.

    `hash` is its spec's; `begun` when it took effect, `ends` when it ends by itself, None when not known or never;
    `by_class` the class that governs, as (name, uid), None when it cannot be said; `sealers` its sealerGroups; `meant` the
    segment's uid and the stage's pods as they are now, '' where nobody knows.
    """

    key: Key
    uid: str
    stage: str
    effect: Literal["Open", "Seal"]
    phase: Phase
    reason: str
    message: str
    hash: str = ""
    approvals: tuple[Verdict, ...] = ()
    needed: int = 0
    begun: datetime | None = None
    ends: datetime | None = None
    by_class: tuple[str, str] | None = None
    sealers: tuple[str, ...] = ()
    meant: tuple[str, str] = ("", "")

    @property
    def name(self) -> str:
        """The exception's name."""
        return self.key.name

    @property
    def in_force(self) -> bool:
        """Whether it opens or seals anything now."""
        return self.phase in IN_FORCE
