"""What is known to stand in AWS once the calls were sent, as changes that a report and an inventory read."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from pipesegment.compile.desired import Desired, ObjectID
from pipesegment.plan.aws.look import CloudPlan
from pipesegment.plan.aws.steps import Moment
from pipesegment.plan.changes import Action, Change, ChangeSet, Why
from pipesegment.plan.live import Entry, Live


def beginning(desired: Desired, recorded: Iterable[Entry]) -> ChangeSet:
    """Give what a status recorded, before anything was looked at: it is there, and whether as desired is not known."""
    wanted = {ObjectID.of(obj): obj for obj in desired.objects}
    changes = (
        Change(Action.CONFIGURED, entry.id, Why.CHANGED, wanted[entry.id], Live(entry.id, entry.uid))
        if entry.id in wanted
        else Change(Action.DELETED, entry.id, Why.REMOVED, None, Live(entry.id, entry.uid))
        for entry in sorted(recorded)
    )
    return ChangeSet(tuple(changes))


def settled(
    planned: CloudPlan, made: Mapping[ObjectID, str], undone: Collection[ObjectID], moment: Moment
) -> tuple[ChangeSet, tuple[ObjectID, ...]]:
    """Give what stands, what is still to be written, and what is withheld.

    `made` are the ids of what was made, `undone` the objects whose calls were not all sent. What was given up, deleted or
    retained, is not spoken of any more; neither is what is somebody else's.
    """
    told = {finding.target for finding in planned.findings}
    kept, withheld = [], []
    for change in planned.changes.changes:
        if change.action is Action.CONFLICT or (change.desired is None and change.id not in undone):
            continue
        if change.id in undone or (str(change.id) in told and change.desired is not None):
            kept.append(_begun(change, made))
        elif change.writes and change.desired is not None and not moment.widens:
            withheld.append(change.id)
            kept.append(change)
        elif change.desired is not None:
            kept.append(_stands(change, made))
    return ChangeSet(tuple(kept)), tuple(withheld)


def _stands(change: Change, made: Mapping[ObjectID, str]) -> Change:
    uid = made.get(change.id) or change.uid
    return replace(change, action=Action.UNCHANGED, why=Why.SAME, live=Live(change.id, uid), differences=())


def _begun(change: Change, made: Mapping[ObjectID, str]) -> Change:
    """Give a change that is not at its end; what was made already exists. A cut that is owed is no change of the object."""
    if change.action is Action.UNCHANGED:
        change = replace(change, action=Action.CONFIGURED, why=Why.CHANGED)
    live = Live(change.id, made[change.id]) if change.id in made else change.live
    return replace(change, live=live and replace(live, object=None), differences=())
