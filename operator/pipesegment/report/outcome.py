"""What one look at a segment came to, as far as it has to be told."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipesegment.compile.desired import Desired, ObjectID
from pipesegment.errors import is_permanent
from pipesegment.findings import Finding, Refusal
from pipesegment.plan.changes import ChangeSet
from pipesegment.plan.sequence import Restraint
from pipesegment.reach.graph import Reach


@dataclass(frozen=True, slots=True)
class Failed:
    """A call that did not succeed. `status` is HTTP's, 0 without an answer; `conflict`: it is somebody else's object.

    `retry_after` is what the API server asked for, in seconds.
    """

    id: ObjectID
    verb: str
    status: int
    message: str
    conflict: bool = False
    retry_after: float = 0.0

    @property
    def permanent(self) -> bool:
        """Tell whether trying again mends nothing."""
        return is_permanent(self.status)


@dataclass(frozen=True, slots=True)
class CloudState:
    """What is known of a segment's objects in AWS since they were last looked at.

    `changes` of what stands, what is still to be written, and what is still to go; `trouble` is why nothing could be done,
    a reason and a sentence; `waits` why what is withheld is.
    """

    changes: ChangeSet = field(default_factory=lambda: ChangeSet(()))
    failed: tuple[Failed, ...] = ()
    findings: tuple[Finding, ...] = ()
    withheld: tuple[ObjectID, ...] = ()
    trouble: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that a status is made of.

    A refused spec has no `reach`: then nothing was written, and `refusals` say why. Nor has one that we failed at: `fault`
    is our own error then, which nobody expected. With a `reach`, `refusals` are what the class does not allow. `done` is as `ChangeSet.inventory` wants it. `restraint` is what held it back, and what is in
    AWS, and is worked on apart, `cloud`.
    """

    generation: int
    refusals: tuple[Refusal, ...] = ()
    reach: Reach | None = None
    desired: Desired | None = None
    changes: ChangeSet = field(default_factory=lambda: ChangeSet(()))
    failed: tuple[Failed, ...] = ()
    withheld: tuple[ObjectID, ...] = ()
    done: Mapping[ObjectID, str] = field(default_factory=dict)
    restraint: Restraint = Restraint.NONE
    cloud: CloudState | None = None
    #: Nothing that it says counts any more: it is being deleted.
    going: bool = False
    #: Stages that are closed as they stand, though nobody can say what they should be.
    shut: frozenset[str] = frozenset()
    fault: Exception | None = None

    @property
    def conflicts(self) -> tuple[Finding, ...]:
        """Objects that are somebody else's, whether seen before or met while writing."""
        paths = {s.key.stage: s.path for s in self.reach.stages} if self.reach else {}
        met = tuple(
            Finding(
                "spec",
                "Conflict",
                str(failed.id),
                f"{failed.id} was made or changed by somebody else meanwhile",
                "rename the stage or the segment, or delete that object if nothing needs it",
            )
            for failed in self.failed
            if failed.conflict
        )
        return (*self.changes.conflicts(paths), *met)

    @property
    def failures(self) -> tuple[Failed, ...]:
        """Calls that failed and are tried again."""
        return tuple(failed for failed in self.failed if not failed.conflict)
