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

    `owner` is the uid of the segment, grant or class that its ownerReferences name, `segment_uid` the segment that it was
    made for when a grant owns it. `object` is the whole of it, where that is known.
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
        return bool(uid) and (self.owner == uid or (bool(self.owner) and self.segment_uid == uid))


def owner_of(meta: Mapping[str, Any]) -> str:
    """Give the uid of the owner of our own kinds that metadata names; '' without one."""
    references = meta.get("ownerReferences") or ()
    group = f"{names.GROUP}/"
    found = (r for r in references if r.get("kind") in _OWNERS and str(r.get("apiVersion", "")).startswith(group))
    return next((str(r.get("uid", "")) for r in found), "")
