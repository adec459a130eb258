"""Whose field is it: server-side apply on plain objects, as far as the in-memory twin needs it.

An object is flattened into leaves. Lists are one leaf, but for those that the API merges by key or as a set. Sources:
the Kubernetes pages on server-side apply, and the merge markers of the types that we write.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pipesegment.errors import Rejected

Path = tuple[Any, ...]
Owners = dict[str, frozenset[Path]]

#: Lists that are merged by these fields of their items.
_KEYED: Final[Mapping[Path, tuple[str, ...]]] = {
    ("metadata", "ownerReferences"): ("uid",),
    ("status", "conditions"): ("type",),
    ("status", "stages"): ("name",),
    ("spec", "stages"): ("name",),
    ("imagePullSecrets",): ("name",),
}
_SETS: Final = frozenset({("metadata", "finalizers")})
#: What names an object and what the server keeps about it: nobody's fields.
_IDENTITY: Final = frozenset({"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp"})
_SERVER: Final = frozenset({"managedFields", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"})


def applied(live: Mapping[str, Any], config: Mapping[str, Any], owners: Owners, manager: str, *, force: bool) -> Any:
    """Apply a manager's whole configuration: its fields are replaced, other managers' stay, `owners` is brought up.

    Raises Rejected 409 when another manager holds a field with another value and `force` is not given.
    """
    have, want = leaves(live), leaves(config)
    disputed = {path for path, value in want.items() if have.get(path, value) != value}
    losers = {other: held & disputed for other, held in owners.items() if other != manager and held & disputed}
    if losers and not force:
        other, lost = next(iter(losers.items()))
        field = ".".join(str(part) for part in min(lost, key=str))
        raise Rejected(409, "Conflict", f"Apply failed with {len(lost)} conflicts: {other!r} holds .{field}")
    for other, lost in losers.items():
        owners[other] -= lost
    foreign = _held_by_others(owners, manager)
    for given_up in owners.get(manager, frozenset()) - want.keys() - foreign:
        have.pop(given_up, None)
    owners[manager] = frozenset(want)
    return _combined(live, have, want)


def edited(live: Mapping[str, Any], new: Mapping[str, Any], owners: Owners, manager: str) -> None:
    """Bring `owners` up after an update as a whole: what changed is the editor's, what is gone is nobody's."""
    have, want = leaves(live), leaves(new)
    changed = frozenset(path for path, value in want.items() if path not in have or have[path] != value)
    for other, held in owners.items():
        owners[other] = frozenset(path for path in held if path in want and path not in changed)
    owners[manager] = owners.get(manager, frozenset()) | changed


def leaves(obj: Mapping[str, Any]) -> dict[Path, Any]:
    """Flatten an object; identity and the server's own metadata are left out."""
    found: dict[Path, Any] = {}
    for key, value in obj.items():
        if key == "metadata":
            kept = {name: item for name, item in value.items() if name not in _IDENTITY | _SERVER}
            if kept:
                _flatten(kept, ("metadata",), ("metadata",), found)
        elif key not in {"apiVersion", "kind"}:
            _flatten(value, (key,), (key,), found)
    return found


def _flatten(value: Any, path: Path, schema: Path, found: dict[Path, Any]) -> None:
    if value is None:
        return
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            _flatten(item, (*path, key), (*schema, key), found)
    elif isinstance(value, list) and schema in _KEYED:
        for item in value:
            key = tuple((name, item.get(name)) for name in _KEYED[schema])
            for name, part in item.items():
                _flatten(part, (*path, key, name), (*schema, "*", name), found)
    elif isinstance(value, list) and schema in _SETS:
        for item in value:
            found[*path, (("", item),)] = item
    else:
        found[path] = value


def _combined(live: Mapping[str, Any], have: dict[Path, Any], want: dict[Path, Any]) -> Any:
    """Build the object anew from what stays of `have` and all of `want`."""
    kept = {path: value for path, value in have.items() if not _superseded(path, value, want)}
    metadata = {key: item for key, item in live.get("metadata", {}).items() if key in _IDENTITY | _SERVER}
    new: dict[str, Any] = {key: live[key] for key in ("apiVersion", "kind") if key in live}
    new["metadata"] = metadata
    for path, value in {**kept, **want}.items():
        _place(new, path, value)
    return new


def _superseded(path: Path, value: Any, want: Iterable[Path]) -> bool:
    # A scalar becomes a map, or a map an atomic value: the two cannot be there together.
    return any(
        (len(path) < len(other) and other[: len(path)] == path and value != {})
        or (len(other) < len(path) and path[: len(other)] == other)
        for other in want
    )


def _place(obj: dict[str, Any], path: Path, value: Any) -> None:
    at: Any = obj
    for part, following in zip(path, (*path[1:], None), strict=True):
        last = following is None
        if isinstance(part, tuple):
            at = _item(at, part, value, last=last)
        elif last:
            at[part] = value
        else:
            at = at.setdefault(part, [] if isinstance(following, tuple) else {})


def _item(items: list[Any], key: tuple[tuple[str, Any], ...], value: Any, *, last: bool) -> Any:
    if last:
        items.append(value)
        return value
    for item in items:
        if all(item.get(name) == wanted for name, wanted in key):
            return item
    new = dict(key)
    items.append(new)
    return new


def _held_by_others(owners: Owners, manager: str) -> frozenset[Path]:
    return frozenset().union(*(held for other, held in owners.items() if other != manager))
