"""What the compilers hand on: desired objects and gaps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipesegment.facts.snapshot import Key
from pipesegment.findings import Finding

Object = Mapping[str, Any]


class ObjectID(NamedTuple):
    """Identity of an object in the cluster."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, obj: Object) -> "ObjectID":
        """Read it off an object."""
        meta = obj["metadata"]
        return cls(obj["apiVersion"], obj["kind"], meta.get("namespace", ""), meta["name"])

    def __str__(self) -> str:
        """Render as `Kind namespace/name`."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything that should exist for one segment, sorted by (kind, namespace, name), and what could not be said.

    A gap's edge stays closed in `objects`. `coarse` are edges that are enforced more widely than declared, `notes` what is
    as it should be and worth telling all the same.
    """

    segment: Key
    uid: str
    objects: tuple[Object, ...]
    gaps: tuple[Finding, ...] = ()
    coarse: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()
