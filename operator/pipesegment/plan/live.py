"""What is known of objects that exist, and of what we applied last.

The operator keeps metadata alone; a file and the in-memory twin know the whole object. Ownership is read off the object
itself and never off a status, which its author's friends may write (semantics, § Identity).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pipesegment import names
from pipesegment.compile.desired import Object, ObjectID

_OWNERS: Final = frozenset({names.SEGMENT, names.GRANT, names.CLASS})
_NAMESPACE: Final = "Namespace"


class Entry(NamedTuple):
    """One line of `status.inventory`: only a hint where to look, never a permission to delete."""

    id: ObjectID
    uid: str


class Applied(NamedTuple):
    """What the API server answered to our own last write of an object, or what we saw when we compared it as a whole."""

    uid: str
    resource_version: str
    generation: int
    hash: str


@dataclass(frozen=True, slots=True)
class Live:
    """An object that exists.

    `owner` is the uid of the segment, grant or class that its ownerReferences name (of a default deny whose class is gone:
    the Namespace's), `segment_uid` the segment that it was made for when a grant owns it. `object` is the whole of it,
    where that is known.
    """

    id: ObjectID
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    hash: str = ""
    owner: str = ""
    segment_uid: str = ""
    managed_by_us: bool = False
    deleting: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    object: Object | None = None

    @classmethod
    def of(cls, obj: Object, *, whole: bool = True) -> "Live":
        """Read an object, or the metadata of one (`whole` False), as the API prints it."""
        meta = obj["metadata"]
        labels = meta.get("labels") or {}
        annotations = meta.get("annotations") or {}
        return cls(
            id=ObjectID.of(obj),
            uid=meta.get("uid", ""),
            resource_version=meta.get("resourceVersion", ""),
            generation=meta.get("generation", 0),
            hash=annotations.get(names.HASH_ANNOTATION, ""),
            owner=owner_of(meta),
            segment_uid=annotations.get(names.SEGMENT_UID_ANNOTATION, ""),
            managed_by_us=labels.get(names.MANAGED_BY_LABEL) == names.MANAGED_BY,
            deleting=meta.get("deletionTimestamp") is not None,
            labels=labels,
            object=obj if whole else None,
        )

    @property
    def applied(self) -> Applied:
        """Give what to remember of it once it is known to be as we want it."""
        return Applied(self.uid, self.resource_version, self.generation, self.hash)

    def names_owner(self, uid: str) -> bool:
        """Tell whether it says itself that it exists for the segment or class with this uid."""
        # What another controller shall see to the end has no owner, or the garbage collector would take it away first.
        made = bool(self.owner) or self.id.by_controller
        return bool(uid) and (self.owner == uid or (made and self.segment_uid == uid))


def owner_of(meta: Mapping[str, Any]) -> str:
    """Give the uid of the owner of our own kinds that metadata names; '' without one.

    The garbage collector takes the class's reference off a default deny whose class is gone: its Namespace is left.
    """
    references = our_references(meta)
    found = next((r for r in references if r["kind"] in _OWNERS), None) or next(iter(references), None)
    return str(found.get("uid", "")) if found else ""


def our_references(meta: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Give the ownerReferences that we write: to our own kinds, and of what only denies to its Namespace."""
    return [r for r in meta.get("ownerReferences") or () if _is_ours(r, meta)]


def is_denial(labels: Mapping[str, str]) -> bool:
    """Tell by its labels whether an object is a DENY of ours in another namespace: it opens nothing, and closes one caller."""
    return labels.get(names.PART_LABEL) == names.DENIAL


def _is_ours(reference: Mapping[str, Any], meta: Mapping[str, Any]) -> bool:
    version, kind = str(reference.get("apiVersion", "")), reference.get("kind")
    whole = meta.get("name") == names.DEFAULT_DENY or is_denial(meta.get("labels") or {})
    if whole and (version, kind) == ("v1", _NAMESPACE):
        return True
    return version.startswith(f"{names.GROUP}/") and kind in _OWNERS
