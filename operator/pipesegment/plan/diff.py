"""The difference between an object as we want it and as it is, over the fields that are ours.

Metadata and the whole of a ServiceAccount are shared with others: there only what we name counts. A `spec` (and a
binding's subjects) is ours entirely: a field that somebody added there is a difference too, because in a policy an added
rule opens something. What the API server fills in or leaves out by itself is none.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pipesegment import names
from pipesegment.compile.desired import Object

#: Top-level fields that never are ours to compare.
_SERVER: Final = frozenset({"apiVersion", "kind", "status"})
#: Kinds whose top-level fields other controllers write too.
_SHARED_KINDS: Final = frozenset({"ServiceAccount"})
#: What other controllers fill in as they see fit (defaults, what AWS answers): there only what we name counts…
_FILLED: Final = names.CONTROLLED_API_VERSIONS
#: …but for what gives rights: whatever somebody adds there is a difference.
_RIGHTS: Final = frozenset({"spec.inlinePolicies"})
#: Lists in shared parts that are maps by this key for the API server (`x-kubernetes-list-map-keys`).
_KEYED: Final = {"ownerReferences": "uid", "imagePullSecrets": "name", "secrets": "name", "tags": "key"}
#: Fields that the API server fills: key and value.
_DEFAULTS: Final = {"protocol": "TCP"}

ABSENT: Final = None


class Difference(NamedTuple):
    """One field that differs; `old` or `new` is ABSENT (None) when that side lacks it."""

    path: str
    old: Any
    new: Any


def differences(desired: Object, live: Object) -> tuple[Difference, ...]:
    """List the fields in which a live object differs from the desired one, in the order of their paths."""
    return tuple(_shared_or_own(desired, live))


def project(live: Object, desired: Object) -> dict[str, Any]:
    """Cut a live object down to what is compared with `desired`, so that the two can be shown side by side."""
    whole = {key: live[key] for key in ("apiVersion", "kind") if key in live}
    shared = _is_shared(desired)
    for key in sorted(desired):
        if key in _SERVER or key not in live:
            continue
        whole[key] = _project(live[key], desired[key], shared=shared or key == "metadata")
    return whole


def _shared_or_own(desired: Object, live: Object) -> Iterator[Difference]:
    for key in sorted(desired):
        if key in _SERVER:
            continue
        yield from _compare(key, live.get(key), desired[key], shared=_is_shared(desired) or key == "metadata")


def _is_shared(obj: Object) -> bool:
    """Tell whether others write to more than an object's metadata."""
    return obj["kind"] in _SHARED_KINDS or obj["apiVersion"] in _FILLED


def _compare(path: str, old: Any, new: Any, *, shared: bool) -> Iterator[Difference]:
    old, new = _plain(old), _plain(new)
    if path in _RIGHTS:
        old, new, shared = old or {}, new or {}, False
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = set(new) if shared else _significant(old, new)
        for key in sorted(keys):
            yield from _compare(_join(path, key), old.get(key), new.get(key), shared=shared)
    elif isinstance(old, Sequence) and isinstance(new, Sequence) and not isinstance(old, str):
        yield from _compare_lists(path, old, new, shared=shared)
    elif old != new or type(old) is not type(new):
        yield Difference(path, old, new)


def _compare_lists(path: str, old: Sequence[Any], new: Sequence[Any], *, shared: bool) -> Iterator[Difference]:
    key = _KEYED.get(path.rpartition(".")[2]) if shared else None
    if key is not None:
        had = {item.get(key): item for item in old}
        for item in new:
            yield from _compare(f"{path}[{key}={item.get(key)}]", had.get(item.get(key)), item, shared=True)
        return
    for index in range(max(len(old), len(new))):
        before = old[index] if index < len(old) else ABSENT
        after = new[index] if index < len(new) else ABSENT
        yield from _compare(f"{path}[{index}]", before, after, shared=shared)


def _significant(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    """Leave out what only the server says: a default that we did not write."""
    added = {key for key, value in old.items() if key not in new and _DEFAULTS.get(key) == value}
    return (set(old) | set(new)) - added


def _project(live: Any, desired: Any, *, shared: bool, name: str = "") -> Any:
    if isinstance(live, Mapping) and isinstance(desired, Mapping):
        keys = set(desired) & set(live) if shared else _significant(live, desired) & set(live)
        return {key: _project(live[key], desired.get(key), shared=shared, name=key) for key in sorted(keys)}
    if not (isinstance(live, Sequence) and isinstance(desired, Sequence)) or isinstance(live, str):
        return live
    key = _KEYED.get(name) if shared else None
    if key is not None:
        had = {item.get(key): item for item in live}
        return [_project(had[i.get(key)], i, shared=True) for i in desired if i.get(key) in had]
    paired = [_project(a, b, shared=shared) for a, b in zip(live, desired, strict=False)]
    return [*paired, *live[len(desired) :]]


def _plain(value: Any) -> Any:
    """Read an empty list as an absent one, as the API server prints it; an empty mapping may mean 'all' and stays."""
    return ABSENT if isinstance(value, Sequence) and not value and not isinstance(value, str) else value


def _join(path: str, key: str) -> str:
    """Write `path.key`, or `path[key]` for a key that holds dots of its own, such as a label."""
    return f"{path}[{key}]" if "." in key or "/" in key else f"{path}.{key}"
