"""What a cluster knows: its objects, and what it remembers of documents that are given anew."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipesegment.cli.inputs import Given, Object
from pipesegment.cli.options import Options
from pipesegment.verify.moment import Seen

#: What only a cluster can say of an object.
_CLUSTERS: Final = frozenset({"uid", "creationTimestamp", "deletionTimestamp", "generation"})


def gathered_from(options: Options, *, whole: bool) -> tuple[Sequence[Object], Seen | None]:
    """Ask the cluster. Its client is loaded only then."""
    if whole:
        from pipesegment.cli.examine import examine  # noqa: PLC0415

        examined = examine(options)
        return examined.objects, examined.seen
    from pipesegment.cli.gather import gather  # noqa: PLC0415

    return gather(options), None


def merged(facts: Sequence[Object], documents: Sequence[Given]) -> list[Object]:
    """Give the facts with the documents in the place of what they replace, so that nothing is read for nothing."""
    known = {_identity(obj): obj for obj in facts}
    given = {_identity(item.raw): item.raw for item in documents}
    every = {**known, **given}.items()
    return [_remembered(obj, known.get(key)) if key in given else obj for key, obj in every]


def _identity(obj: Object) -> tuple[str, ...]:
    """Identify an object; two meshes have an AuthorizationPolicy each."""
    meta: Mapping[str, Any] = obj.get("metadata") or {}
    group = str(obj.get("apiVersion", "")).rpartition("/")[0]
    return (group, str(obj.get("kind")), str(meta.get("namespace", "")), str(meta.get("name", "")))


def _remembered(raw: Object, known: Object | None) -> Object:
    """Give a document what the cluster knows of it, and nothing that only a cluster can say from itself.

    Uid and age decide who owns an object and who was first: whoever could write them into a file would be the older. What
    host names stand for is what an operator found out.
    """
    own = {key: value for key, value in raw["metadata"].items() if key not in _CLUSTERS}
    if known is None:
        status = {key: value for key, value in (raw.get("status") or {}).items() if key != "hostNames"}
        return {**raw, "metadata": own, **({"status": status} if "status" in raw else {})}
    kept = {key: value for key, value in known["metadata"].items() if key in _CLUSTERS}
    return {**raw, "metadata": {**own, **kept}, "status": known.get("status")}
