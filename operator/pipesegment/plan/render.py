"""Changes for people and for machines. Structured spans, so that only the terminal's own code knows colours."""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

from pipesegment import names
from pipesegment.compile.canonical import to_yaml
from pipesegment.compile.desired import Object
from pipesegment.plan.changes import Action, Change, Why
from pipesegment.plan.diff import Difference, project

Style = Literal["created", "configured", "deleted", "conflict", "added", "removed", "context", "place"]

_HEADINGS: Final[Mapping[Action, tuple[Style, str]]] = {
    Action.CREATED: ("created", "+"),
    Action.CONFIGURED: ("configured", "~"),
    Action.DELETED: ("deleted", "-"),
    Action.CONFLICT: ("conflict", "!"),
}
_REASONS: Final = {
    Why.DRIFT: "somebody changed or deleted it",
    Why.REMOVED: "nothing declares it any more",
    Why.FOREIGN: "it exists and is not managed by pipesegment: rename the stage, or delete it",
    Why.OTHER_OWNER: "it exists and belongs to another owner: rename the stage or the segment",
}
_COUNTED: Final = {
    Action.CREATED: "to create",
    Action.CONFIGURED: "to change",
    Action.DELETED: "to delete",
    Action.CONFLICT: "in conflict",
    Action.UNCHANGED: "unchanged",
}


class Span(NamedTuple):
    """One line and what it means."""

    style: Style
    text: str


def spans(changes: Iterable[Change]) -> Iterator[Span]:
    """Give the plan line by line: a heading for each object, below it a unified diff of the fields that are ours.

    What is unchanged is left out.
    """
    for change in changes:
        heading = _HEADINGS.get(change.action)
        if heading is not None:
            yield _heading(change, *heading)
            yield from _body(change)


def summary(changes: Iterable[Change]) -> str:
    """Count in one line: `2 to create, 1 in conflict, 7 unchanged`; what there is none of is left out."""
    counts = Counter(change.action for change in changes)
    said = [f"{counts[action]} {words}" for action, words in _COUNTED.items() if counts[action]]
    return ", ".join(said) or "nothing to do"


def as_json(changes: Iterable[Change]) -> dict[str, Any]:
    """Give the plan as JSON.

    `changes[] {action, apiVersion, kind, namespace, name, stage, why, differences[] {path, old, new}}`, and how many
    there are of each action in `counts`.
    """
    counts: Counter[Action] = Counter()
    shown = []
    for change in changes:
        counts[change.action] += 1
        shown.append(_json(change))
    return {"changes": shown, "counts": {action.value: counts[action] for action in Action}}


def _json(change: Change) -> dict[str, Any]:
    target = change.id
    return {
        "action": change.action.value,
        "apiVersion": target.api_version,
        "kind": target.kind,
        "namespace": target.namespace,
        "name": target.name,
        "stage": change.stage,
        "why": change.why.value,
        "differences": [{"path": d.path, "old": d.old, "new": d.new} for d in telling(change.differences)],
    }


def _heading(change: Change, style: Style, sign: str) -> Span:
    why = _REASONS.get(change.why)
    said = f"{change.action} ({why})" if why else change.action
    return Span(style, f"{sign} {change.id}: {said}")


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


def telling(differences: tuple[Difference, ...]) -> list[Difference]:
    """Leave out our own mark, which tells people nothing."""
    mark = f"metadata.annotations[{names.HASH_ANNOTATION}]"
    return [d for d in differences if d.path != mark]
