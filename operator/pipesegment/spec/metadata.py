"""The metadata of our documents: what is kept of it, and what is wrong with it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from pipesegment.findings import Refusal
from pipesegment.spec.base import Model
from pipesegment.spec.phrases import refusals
from pipesegment.spec.units import Int, Label, LabelKey, LabelValue

#: Fields of ObjectMeta (meta/v1) that a server writes and nobody here reads.
_SERVERS: Final = (
    "generateName",
    "selfLink",
    "resourceVersion",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "finalizers",
    "managedFields",
)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is kept of metadata; times as the API prints them, '' when absent. Offline there is no uid and no time."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def object(self) -> str:
        """Give `namespace/name`, or the name alone for cluster-scoped kinds."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class _ObjectMeta(Model):
    """ObjectMeta, strict."""

    name: Label
    namespace: Label | None = None
    uid: str | None = None
    generation: Int | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[LabelKey, LabelValue] | None = None
    annotations: dict[LabelKey, str] | None = None


def read_metadata(raw: Any, *, namespaced: bool) -> tuple[Metadata, tuple[Refusal, ...]]:
    """Read metadata; what cannot be read is left out and refused. Without a namespace it is `default`, as in kubectl."""
    if not isinstance(raw, Mapping):
        return Metadata(""), (Refusal("metadata", "missing required field", "metadata", "add it with a name"),)
    name, namespace = raw.get("name"), raw.get("namespace")
    home = (namespace if isinstance(namespace, str) and namespace else "default") if namespaced else ""
    known = Metadata(name if isinstance(name, str) else "", home)
    wrong = tuple(_placed(raw, known.object, namespaced=namespaced))
    try:
        meta = _ObjectMeta.model_validate(
            {key: value for key, value in raw.items() if key not in _SERVERS}, by_alias=True, by_name=False
        )
    except ValidationError as error:
        return known, (*wrong, *refusals(error, _ObjectMeta, "metadata", known.object))
    return Metadata(
        meta.name,
        home,
        meta.uid or "",
        meta.generation or 0,
        meta.creation_timestamp or "",
        meta.deletion_timestamp or "",
        meta.labels or {},
        meta.annotations or {},
    ), wrong


def _placed(raw: Mapping[str, Any], name: str, *, namespaced: bool) -> Iterator[Refusal]:
    if raw.get("namespace") and not namespaced:
        yield Refusal(
            "metadata.namespace", "is given to a cluster-scoped kind", str(raw["namespace"]), "remove it", object=name
        )
