"""Roles and associations as custom resources, by which another controller makes them in AWS (docs/adr/0056).

A backend writes and reads the same values as everything else here: what is planned about a role does not depend on who
makes it. Such an object has no ownerReference: it has to outlive the segment until rights are taken, and Crossplane's live
in no namespace. Whose it is say labels and the segment's uid.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from pipesegment import names
from pipesegment.compile.canonical import stamped
from pipesegment.compile.desired import Object, ObjectID
from pipesegment.compile.iam.values import Association, Document, Role


@dataclass(frozen=True, slots=True)
class Held:
    """A role, and the document that denies its earlier sessions everything, where one stands beside its rights."""

    role: Role
    revoked: Document | None = None


class Verdict(NamedTuple):
    """What a controller says of an object that is not as it should be: it is at it, or it cannot."""

    how: Literal["waits", "fails"]
    message: str


class Backend(Protocol):
    """One controller's language."""

    def role(self, held: Held, *, retained: bool) -> list[Object]:
        """Write the objects of a role; `retained`: it stays in AWS when its object goes."""

    def association(self, association: Association, name: str, region: str) -> Object:
        """Write the object of an association, under a name of its own."""

    def roles(self, objects: Iterable[Object]) -> dict[str, Held]:
        """Read the roles that objects come to, by their names."""

    def role_of(self, obj: Object) -> str:
        """Name the role that an object is a part of; '' for what is no part of one."""

    def verdict(self, obj: Object) -> Verdict | None:
        """Read what the controller says; None when all is as it should be."""


def made(
    api_version: str,
    kind: str,
    name: str,
    tags: Mapping[str, str],
    spec: Mapping[str, Any],
    annotations: Mapping[str, str],
    *,
    namespaced: bool = False,
) -> Object:
    """Write an object: labels and annotations say whose it is, as tags do in AWS."""
    namespace = tags.get(names.NAMESPACE_TAG, "")
    labels = {key: tags[key] for key in (names.MANAGED_BY_LABEL, names.SEGMENT_LABEL, names.STAGE_LABEL) if key in tags}
    own = {names.SEGMENT_UID_ANNOTATION: tags[names.SEGMENT_UID_TAG]} if names.SEGMENT_UID_TAG in tags else {}
    metadata: dict[str, Any] = {"name": name, **({"namespace": namespace} if namespaced else {})}
    metadata |= {"labels": {**labels, names.ORIGIN_LABEL: namespace}, "annotations": {**annotations, **own}}
    return stamped({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": dict(spec)})


def home(obj: Object) -> tuple[str, str]:
    """Give partition and account of a role, as its ARN says them; '' where it says none."""
    arn = (obj["metadata"].get("annotations") or {}).get(names.ARN_ANNOTATION) or ""
    parts = f"{arn}::::".split(":")
    return parts[1], parts[4]


def conditions(obj: Object) -> dict[str, tuple[str, str]]:
    """Give an object's conditions: type -> status and message. What is said of an earlier generation says nothing."""
    found, generation = (obj.get("status") or {}).get("conditions") or (), obj["metadata"].get("generation", 0)
    fresh = (c for c in found if c.get("observedGeneration", generation) >= generation)
    return {str(c.get("type")): (str(c.get("status")), str(c.get("message") or c.get("reason") or "")) for c in fresh}


def elsewhere(obj: Object, arn: str) -> Verdict | None:
    """Tell when a controller made something of another name than its annotation says: in another account, most likely."""
    wanted = (obj["metadata"].get("annotations") or {}).get(names.ARN_ANNOTATION, "")
    if not arn or not wanted or arn == wanted:
        return None
    return Verdict("fails", f"{ObjectID.of(obj)} is {arn} in AWS, and the class's account and path say {wanted}")
