"""Which of its objects the in-memory twin shows for a Selection, and how."""

import copy
from collections.abc import Mapping
from typing import Any

from pipesegment.world.kinds import Kind
from pipesegment.world.port import Json, Selection, WatchEvent
from pipesegment.world.store import Change


def shown(obj: Json, kind: Kind, selection: Selection) -> Json | None:
    """Give a copy of an object as a selection shows it; None when it is not selected."""
    meta = obj["metadata"]
    if selection.namespace and meta.get("namespace", "") != selection.namespace:
        return None
    labels = meta.get("labels") or {}
    if not all(_holds(term, labels.get) for term in _terms(selection.labels)):
        return None
    if not all(_holds(term, lambda path: _at(obj, path)) for term in _terms(selection.fields)):
        return None
    found = {"metadata": meta} if selection.metadata_only else obj
    return copy.deepcopy({**found, "apiVersion": kind.api_version, "kind": kind.kind})


def event_for(change: Change, kind: Kind, selection: Selection) -> WatchEvent | None:
    """Tell what a watch with this selection says of a change: leaving the selection is a deletion, too."""
    if change.place == ("", ""):
        bookmark = {"metadata": {"resourceVersion": str(change.version)}}
        return WatchEvent("BOOKMARK", {**bookmark, "apiVersion": kind.api_version, "kind": kind.kind})
    if change.place != (kind.group, kind.kind):
        return None
    before = shown(change.before, kind, selection) if change.before else None
    after = shown(change.after, kind, selection) if change.after else None
    if after is not None:
        return WatchEvent("MODIFIED" if before else "ADDED", after)
    if before is not None:
        before["metadata"]["resourceVersion"] = str(change.version)
        return WatchEvent("DELETED", before)
    return None


def _terms(selector: str) -> list[tuple[str, str, str]]:
    found = []
    for term in filter(None, selector.split(",")):
        if not {"(", " "}.isdisjoint(term):
            raise NotImplementedError(f"the in-memory twin reads no such selector: {selector}")
        operator = next((sign for sign in ("!=", "=") if sign in term), "")
        key, _, value = term.partition(operator) if operator else (term, "", "")
        found.append((key, operator, value))
    return found


def _holds(term: tuple[str, str, str], lookup: Any) -> bool:
    key, operator, value = term
    match operator:
        case "=":
            return bool(lookup(key) == value)
        case "!=":
            return bool(lookup(key) != value)
        case _:
            return lookup(key) is not None


def _at(obj: Mapping[str, Any], path: str) -> Any:
    at: Any = obj
    for part in path.split("."):
        at = at.get(part) if isinstance(at, Mapping) else None
    return at
