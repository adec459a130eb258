"""What the compilers hand on: desired objects and gaps."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from pipesegment import names
from pipesegment.facts.meta import Key
from pipesegment.findings import Finding

Object = Mapping[str, Any]


class ObjectID(NamedTuple):
    """Identity of an object in the cluster, or in AWS."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, obj: Object) -> "ObjectID":
        """Read it off an object."""
        meta = obj["metadata"]
        return cls(obj["apiVersion"], obj["kind"], meta.get("namespace", ""), meta["name"])

    @property
    def in_cloud(self) -> bool:
        """Tell whether it is brought about apart from the network: it lives in AWS, or another controller makes it there."""
        return self.api_version in names.CLOUD_API_VERSIONS or self.by_controller

    @property
    def by_controller(self) -> bool:
        """Tell whether it is a custom resource by which another controller makes something in AWS."""
        return self.api_version in names.CONTROLLED_API_VERSIONS

    @property
    def is_role(self) -> bool:
        """Tell whether it is a role of IAM, however it is made."""
        return self.kind == names.IAM_ROLE or (self.by_controller and self.kind == names.CONTROLLED_ROLE)

    def __str__(self) -> str:
        """Render as `Kind namespace/name`."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def stage_of(obj: Object) -> str:
    """Name the stage that an object says it belongs to; '' for none."""
    return str((obj["metadata"].get("labels") or {}).get(names.STAGE_LABEL, ""))


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

    @property
    def in_cluster(self) -> "Desired":
        """What of it is the network's and the accounts'; AWS, or whoever makes things there, must never delay that."""
        return replace(self, objects=tuple(obj for obj in self.objects if not ObjectID.of(obj).in_cloud))

    @property
    def in_cloud(self) -> "Desired":
        """What of it is made in AWS; gaps belong to the other half."""
        objects = tuple(obj for obj in self.objects if ObjectID.of(obj).in_cloud)
        return replace(self, objects=objects, gaps=(), coarse=(), notes=())
