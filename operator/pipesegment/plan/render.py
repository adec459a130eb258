"""A ChangeSet for people and for machines. Structured spans, so that only the terminal's own code knows colours."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from pipesegment import names
from pipesegment.compile.canonical import to_yaml
from pipesegment.compile.desired import Object
from pipesegment.plan.changes import Action, Change, ChangeSet, Why
from pipesegment.plan.diff import Difference, project

Style = Literal["created", "configured", "unchanged", "deleted", "conflict", "added", "removed", "context", "place"]

_SIGNS: Final = {
    Action.CREATED: "+",
    Action.CONFIGURED: "~",
    Action.UNCHANGED: "=",
    Action.DELETED: "-",
    Action.CONFLICT: "!",
}
_REASONS: Final = {
    Why.NEW: "",
    Why.CHANGED: "",
    Why.SAME: "",
    Why.DRIFT: "somebody changed or deleted it",
    Why.REMOVED: "nothing declares it any more",
    Why.TERMINATING: "it is being deleted already",
    Why.FOREIGN: "it exists and is not managed by pipesegment: rename the stage, or delete it",
    Why.OTHER_OWNER: "it exists and belongs to another owner: rename the stage or the segment",
}


class Span(NamedTuple):
    """One line and what it means."""

    style: Style
    text: str


def spans(changes: ChangeSet, *, unchanged: bool = False) -> Iterator[Span]:
    """Give the plan line by line: a heading for each object, below it a unified diff of the fields that are ours."""
    for change in changes.changes:
        if change.action is Action.UNCHANGED and not unchanged:
            continue
        yield _heading(change)
        yield from _body(change)


def text(changes: ChangeSet, *, unchanged: bool = False) -> str:
    """Give the plan as plain lines, the summary last."""
    return "\n".join([*(span.text for span in spans(changes, unchanged=unchanged)), summary(changes)])


def summary(changes: ChangeSet) -> str:
    """Give the last line: `2 to create, 1 to change, 0 to delete`, and the conflicts if there are any."""
    counts = changes.counts
    said = (
        f"{counts.get(Action.CREATED, 0)} to create, {counts.get(Action.CONFIGURED, 0)} to change, "
        f"{counts.get(Action.DELETED, 0)} to delete"
    )
    conflicts = counts.get(Action.CONFLICT, 0)
    return f"{said}, {conflicts} in conflict" if conflicts else said


def as_json(changes: ChangeSet) -> dict[str, Any]:
    """Give the plan as JSON: `changes[] {action, why, object, stage, diff[] {path, old, new}}` and `summary`."""
    return {
        "changes": [_json(change) for change in changes.changes],
        "summary": {action.value: changes.counts.get(action, 0) for action in Action},
    }


def _json(change: Change) -> dict[str, Any]:
    target = change.id
    shown: dict[str, Any] = {"apiVersion": target.api_version, "kind": target.kind}
    if target.namespace:
        shown["namespace"] = target.namespace
    return {
        "action": change.action.value,
        "why": change.why.value,
        "object": {**shown, "name": target.name},
        "stage": change.stage,
        "diff": [{"path": d.path, "old": d.old, "new": d.new} for d in _telling(change.differences)],
    }


def _heading(change: Change) -> Span:
    why = _REASONS[change.why]
    said = f"{change.action} ({why})" if why else change.action
    return Span(change.action.value, f"{_SIGNS[change.action]} {change.id}: {said}")


def _body(change: Change) -> Iterator[Span]:
    match change.action:
        case Action.CREATED:
            yield from _unified({}, change.desired or {})
        case Action.DELETED if change.live is not None and change.live.object is not None:
            whole = change.live.object
            yield from _unified(project(whole, _owned_part(whole)), {})
        case Action.CONFIGURED if change.desired is not None and change.live and change.live.object is not None:
            yield from _unified(project(change.live.object, change.desired), change.desired)
        case _:
            return


def _unified(old: Object, new: Object) -> Iterator[Span]:
    before, after = _lines(old), _lines(new)
    if before == after:
        # Only our own mark differs: the declaration changed in something that this object leaves out.
        return
    for line in list(difflib.unified_diff(before, after, lineterm="", n=2))[2:]:
        kinds: dict[str, Style] = {"+": "added", "-": "removed", "@": "place"}
        yield Span(kinds.get(line[:1], "context"), f"    {line}")


def _lines(obj: Object) -> list[str]:
    return to_yaml([_without_hash(obj)]).splitlines()[1:] if obj else []


def _without_hash(obj: Object) -> Object:
    """Leave our mark out: it changes with everything else, and tells people nothing."""
    meta = obj["metadata"]
    annotations = {k: v for k, v in (meta.get("annotations") or {}).items() if k != names.HASH_ANNOTATION}
    rest = {k: v for k, v in meta.items() if k != "annotations"}
    return {**obj, "metadata": {**rest, **({"annotations": annotations} if annotations else {})}}


def _owned_part(obj: Object) -> Mapping[str, Any]:
    """Leave out what the server added, as a wanted object would."""
    meta = obj["metadata"]
    kept = {k: meta[k] for k in ("name", "namespace", "labels", "annotations", "ownerReferences") if k in meta}
    return {**{k: v for k, v in obj.items() if k != "status"}, "metadata": kept}


def _telling(differences: tuple[Difference, ...]) -> list[Difference]:
    mark = f"metadata.annotations[{names.HASH_ANNOTATION}]"
    return [d for d in differences if d.path != mark]
