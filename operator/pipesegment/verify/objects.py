"""Reads the segment's own objects back: a ChangeSet is what they lack, told as findings instead of as work to do."""

from collections.abc import Collection, Iterator, Mapping

from pipesegment.findings import Finding
from pipesegment.plan.changes import Action, Change, ChangeSet, Why
from pipesegment.plan.render import telling

_OPERATOR = "see whether the operator runs, and what the segment's conditions say"
_SHOWN = 3


def check(changes: ChangeSet, paths: Mapping[str, str], unread: Collection[str], obj: str) -> Iterator[Finding]:
    """Give a finding for every object that is not as declared.

    `paths` tells where a stage was declared. Of a kind that is `unread` nothing is known, its objects' absence included.
    """
    for conflict in changes.conflicts(paths):
        yield Finding(conflict.path, conflict.reason, conflict.target, conflict.message, conflict.fix, obj)
    for change in changes.changes:
        if change.id.kind in unread:
            continue
        found = _found(change)
        if found is not None:
            reason, message, fix = found
            path = paths.get(change.stage, "spec")
            yield Finding(path, reason, str(change.id), message, fix, obj)


def _found(change: Change) -> tuple[str, str, str] | None:
    target = change.id
    match change.action:
        case Action.CREATED:
            return "Missing", f"{target} does not exist", _OPERATOR
        case Action.CONFIGURED:
            places = [difference.path for difference in telling(change.differences)]
            if not places:
                return None
            shown = ", ".join(places[:_SHOWN]) + (f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else "")
            who = "somebody changed it" if change.why is Why.DRIFT else "the declaration has changed"
            return (
                "Drifted",
                f"{target} is not as declared, {who}: {shown}",
                f"{_OPERATOR}; `pipesegment plan` shows it",
            )
        case Action.DELETED:
            return "Leftover", f"{target} exists, and nothing declares it any more", _OPERATOR
        case Action.UNCHANGED if change.why is Why.TERMINATING and change.desired is not None:
            return "Missing", f"{target} is being deleted", _OPERATOR
    return None
