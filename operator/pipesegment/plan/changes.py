"""Desired and live objects → ChangeSet: what is created, configured or deleted, what stays, what is not ours to touch.

Ours is what says so itself: labelled as managed by us, and owned by this segment (in another namespace: by a grant, and
made for this segment). The inventory only tells where to look. Whether an object is still as we left it is known in two
ways: it is what the API server answered to our last write, or the whole of it was compared.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pipesegment import names
from pipesegment.compile.desired import Desired, Object, ObjectID
from pipesegment.findings import Finding
from pipesegment.plan.diff import Difference, differences
from pipesegment.plan.live import Applied, Entry, Live


class Action(StrEnum):
    """What happens to one object."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    CONFLICT = "conflict"


class Why(StrEnum):
    """Why it happens."""

    NEW = "new"  # nothing of that name exists
    CHANGED = "changed"  # the declaration, or what it names, changed
    DRIFT = "drift"  # somebody changed or deleted what we had applied
    SAME = "same"
    REMOVED = "removed"  # nothing declares it any more
    TERMINATING = "terminating"  # it is being deleted already; what replaces it comes when it is gone
    FOREIGN = "foreign"  # nobody of ours made it
    OTHER_OWNER = "other-owner"  # it belongs to another segment, grant or class


@dataclass(frozen=True, slots=True)
class Change:
    """One object and what happens to it.

    `uid` and `resource_version` are the preconditions: of the object that was looked at, '' for one that must not exist.
    `differences` are known only where the whole live object is.
    """

    action: Action
    id: ObjectID
    why: Why
    desired: Object | None = None
    live: Live | None = None
    differences: tuple[Difference, ...] = ()

    @property
    def uid(self) -> str:
        """The uid that the object must have."""
        return self.live.uid if self.live else ""

    @property
    def resource_version(self) -> str:
        """The resourceVersion that the object must have."""
        return self.live.resource_version if self.live else ""

    @property
    def stage(self) -> str:
        """The stage that it belongs to; '' for the segment's or a class's own."""
        if self.desired is not None:
            labels: Mapping[str, str] = self.desired["metadata"].get("labels") or {}
        else:
            labels = self.live.labels if self.live else {}
        return labels.get(names.STAGE_LABEL, "")

    @property
    def writes(self) -> bool:
        """Tell whether anything is written."""
        return self.action in {Action.CREATED, Action.CONFIGURED, Action.DELETED}


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Every object of a segment, sorted by identity, with what happens to it."""

    changes: tuple[Change, ...]

    def of(self, *actions: Action) -> tuple[Change, ...]:
        """Give the changes with one of these actions."""
        return tuple(change for change in self.changes if change.action in actions)

    @property
    def writes(self) -> tuple[Change, ...]:
        """The changes that write something; empty in a converged cluster."""
        return tuple(change for change in self.changes if change.writes)

    @property
    def counts(self) -> Mapping[Action, int]:
        """How many objects each action has."""
        return Counter(change.action for change in self.changes)

    def inventory(self, done: Mapping[ObjectID, str]) -> tuple[Entry, ...]:
        """Give the inventory after a run.

        `done` holds the writes that succeeded: the uid of what was applied, '' for what was deleted. A delete that was
        refused or never tried stays, so that the object is not forgotten.
        """
        uids = ((change.id, done.get(change.id, _uid_before(change))) for change in self.changes)
        return tuple(sorted(Entry(target, uid) for target, uid in uids if uid))

    def conflicts(self, paths: Mapping[str, str] | None = None) -> tuple[Finding, ...]:
        """Give a Finding for every object that is somebody else's; `paths` tells where a stage was declared."""
        known = paths or {}
        return tuple(_conflict(change, known.get(change.stage, "spec")) for change in self.of(Action.CONFLICT))


def plan(
    desired: Desired,
    live: Mapping[ObjectID, Live],
    inventory: Iterable[Entry] = (),
    remembered: Mapping[ObjectID, Applied] | None = None,
) -> ChangeSet:
    """Compare what should be with what is.

    `live` holds every object that carries our labels for this segment, every object of a desired name, and what could be
    found of the inventory. An object that is neither remembered nor known as a whole counts as drifted: ask `unverified`
    first.
    """
    recorded = {entry.id: entry.uid for entry in inventory}
    known = remembered or {}
    wanted = {ObjectID.of(obj): obj for obj in desired.objects}
    changes = [
        _wanted(target, obj, live.get(target), desired, recorded.get(target, ""), known.get(target))
        for target, obj in wanted.items()
    ]
    for target, found in live.items():
        if target not in wanted and is_ours(found, desired, recorded.get(target, "")):
            action, why = (Action.UNCHANGED, Why.TERMINATING) if found.deleting else (Action.DELETED, Why.REMOVED)
            changes.append(Change(action, target, why, None, found))
    return ChangeSet(tuple(sorted(changes, key=lambda change: change.id)))


def unverified(
    desired: Desired, live: Mapping[ObjectID, Live], remembered: Mapping[ObjectID, Applied]
) -> tuple[ObjectID, ...]:
    """Name the objects that have to be read as a whole before `plan` can tell whether they drifted.

    Metadata cannot say what is in an object: after a restart nothing is remembered, and a resourceVersion that is not
    ours may be anybody's touch.
    """
    asked = (ObjectID.of(obj) for obj in desired.objects)
    return tuple(
        target
        for target in asked
        if (found := live.get(target)) is not None and found.object is None and remembered.get(target) != found.applied
    )


def _wanted(
    target: ObjectID, obj: Object, found: Live | None, desired: Desired, recorded: str, known: Applied | None
) -> Change:
    if found is None:
        # What we remember or recorded existed: somebody deleted it.
        return Change(Action.CREATED, target, Why.DRIFT if known or recorded else Why.NEW, obj)
    if not is_ours(found, desired, recorded):
        why = Why.OTHER_OWNER if found.managed_by_us or found.owner else Why.FOREIGN
        return Change(Action.CONFLICT, target, why, obj, found)
    if found.deleting:
        return Change(Action.UNCHANGED, target, Why.TERMINATING, obj, found)
    wanted_hash = (obj["metadata"].get("annotations") or {}).get(names.HASH_ANNOTATION, "")
    if found.object is not None:
        differing = differences(obj, found.object)
        if not differing:
            return Change(Action.UNCHANGED, target, Why.SAME, obj, found)
        why = Why.DRIFT if wanted_hash and found.hash == wanted_hash else Why.CHANGED
        return Change(Action.CONFIGURED, target, why, obj, found, differing)
    if found.hash != wanted_hash:
        return Change(Action.CONFIGURED, target, Why.CHANGED, obj, found)
    if known == found.applied:
        return Change(Action.UNCHANGED, target, Why.SAME, obj, found)
    return Change(Action.CONFIGURED, target, Why.DRIFT, obj, found)


def is_ours(found: Live, desired: Desired, recorded: str = "") -> bool:
    """Tell whether an object was made for whom something is desired; `recorded` is the uid that the inventory has of it."""
    if not desired.uid:
        return found.managed_by_us and _labelled_for(found, desired)
    # Somebody may have taken our label away: then the recorded uid tells that it is the object that we made.
    return found.names_owner(desired.uid) and (found.managed_by_us or (bool(recorded) and recorded == found.uid))


def _labelled_for(found: Live, desired: Desired) -> bool:
    """Offline nothing has a uid, and nothing is written: labels do."""
    key = desired.segment
    if not key.namespace:
        return found.labels.get(names.CLASS_LABEL) == names.label_value(key.name)
    origin = found.labels.get(names.ORIGIN_LABEL, found.id.namespace)
    return found.labels.get(names.SEGMENT_LABEL) == key.name and origin == key.namespace


def _uid_before(change: Change) -> str:
    return "" if change.action is Action.CONFLICT else change.uid


def _conflict(change: Change, path: str) -> Finding:
    if change.why is Why.FOREIGN:
        message = f"{change.id} exists and is not managed by pipesegment, so it is left as it is"
    else:
        message = f"{change.id} exists and belongs to another owner of pipesegment's, so it is left as it is"
    fix = "rename the stage or the segment, or delete that object if nothing needs it"
    return Finding(path, "Conflict", str(change.id), message, fix)
