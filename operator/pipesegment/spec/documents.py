"""From text or API objects to specs: the one door through which every declaration comes in.

Everything that is wrong is told at once, as Refusals; what comes out is right as far as the document alone can tell.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from pydantic import ValidationError

from pipesegment import names
from pipesegment.errors import Refused
from pipesegment.findings import Refusal
from pipesegment.spec import checks, yamlfile
from pipesegment.spec.base import Model, api_name, shown, without_nulls
from pipesegment.spec.exception import SegmentApprovalSpec, SegmentExceptionSpec
from pipesegment.spec.grant import SegmentGrantSpec
from pipesegment.spec.metadata import Metadata, read_metadata
from pipesegment.spec.phrases import nearest, path, refusals, unknown_field
from pipesegment.spec.segment import PipelineSegmentSpec
from pipesegment.spec.segmentclass import SegmentClassSpec
from pipesegment.spec.unsupported import not_yet_supported

Spec = TypeVar("Spec", bound=Model)
Object = Mapping[str, Any]

_ENVELOPE: Final = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})
_CLAIM: Final = frozenset({"namespaceSelector", "priority"})
_CLASS_FIELDS: Final = frozenset(api_name(name) for name in SegmentClassSpec.model_fields)
_LATER: Final = frozenset({names.EVIDENCE})


@dataclass(frozen=True, slots=True)
class Document(Generic[Spec]):
    """One declaration of ours, and where it was read (`shop.yaml:12`)."""

    meta: Metadata
    spec: Spec
    raw: Object
    source: str = ""


@dataclass(frozen=True, slots=True)
class Documents:
    """What a text held, in its order. `others` are objects of foreign kinds, as they were."""

    segments: tuple[Document[PipelineSegmentSpec], ...] = ()
    grants: tuple[Document[SegmentGrantSpec], ...] = ()
    classes: tuple[Document[SegmentClassSpec], ...] = ()
    exceptions: tuple[Document[SegmentExceptionSpec], ...] = ()
    approvals: tuple[Document[SegmentApprovalSpec], ...] = ()
    others: tuple[Object, ...] = ()


@dataclass(slots=True)
class _Found:
    documents: dict[str, list[Any]] = field(default_factory=lambda: {kind: [] for kind in names.KINDS})
    others: list[Object] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


def load(given: str | Iterable[Object], source: str = "-") -> Documents:
    """Read every document of a YAML or JSON text, or of objects already read; Lists are unfolded.

    `source` names the text in refusals. Raises Refused with everything that is wrong in all of them.
    """
    found = _Found()
    texts = yamlfile.read(given, source) if isinstance(given, str) else ((source, obj) for obj in given)
    for place, value in texts:
        for obj in _unfold(value):
            _sort(obj, place, found)
    _meet(found)
    if found.refused:
        raise Refused(found.refused)
    return Documents(
        tuple(found.documents[names.SEGMENT]),
        tuple(found.documents[names.GRANT]),
        tuple(found.documents[names.CLASS]),
        tuple(found.documents[names.EXCEPTION]),
        tuple(found.documents[names.APPROVAL]),
        tuple(found.others),
    )


def parse_segment(obj: Object) -> tuple[Metadata, PipelineSegmentSpec]:
    """Read a PipelineSegment. Raises Refused with everything that is wrong with it."""
    return _parse(obj, names.SEGMENT, PipelineSegmentSpec)


def parse_grant(obj: Object) -> tuple[Metadata, SegmentGrantSpec]:
    """Read a SegmentGrant. Raises Refused with everything that is wrong with it."""
    return _parse(obj, names.GRANT, SegmentGrantSpec)


def parse_class(obj: Object) -> tuple[Metadata, SegmentClassSpec]:
    """Read a SegmentClass. Raises Refused with everything that is wrong with it."""
    return _parse(obj, names.CLASS, SegmentClassSpec)


def parse_exception(obj: Object) -> tuple[Metadata, SegmentExceptionSpec]:
    """Read a SegmentException. Raises Refused with everything that is wrong with it."""
    return _parse(obj, names.EXCEPTION, SegmentExceptionSpec)


def parse_approval(obj: Object) -> tuple[Metadata, SegmentApprovalSpec]:
    """Read a SegmentApproval. Raises Refused with everything that is wrong with it."""
    return _parse(obj, names.APPROVAL, SegmentApprovalSpec)


def parse_claim(obj: Object) -> SegmentClassSpec | None:
    """Read of a refused SegmentClass whom it claims to govern, and nothing else of its spec; None when that is not sure.

    A field that nobody knows may be the selector or the priority, misspelt or in the words of a later version.
    """
    spec = obj.get("spec") or {}
    if not isinstance(spec, Mapping) or not spec.keys() <= _CLASS_FIELDS or not obj.keys() <= _ENVELOPE:
        return None
    try:
        return validate({key: part for key, part in spec.items() if key in _CLAIM}, SegmentClassSpec)
    except Refused:
        return None


def validate(spec: Any, model: type[Spec], name: str = "") -> Spec:
    """Read a spec alone, by the API's field names only. Raises Refused; says nothing about fields of later versions."""
    try:
        return model.model_validate(without_nulls(spec), by_alias=True, by_name=False)
    except ValidationError as error:
        raise Refused(refusals(error, model, "spec", name)) from None


_PARSERS: Final = {
    names.SEGMENT: parse_segment,
    names.GRANT: parse_grant,
    names.CLASS: parse_class,
    names.EXCEPTION: parse_exception,
    names.APPROVAL: parse_approval,
}


def _parse(obj: Object, kind: str, model: type[Spec]) -> tuple[Metadata, Spec]:
    meta, wrong = read_metadata(obj.get("metadata"), namespaced=names.KINDS[kind][2])
    name = meta.object
    found = [*_envelope(obj, kind, name), *wrong]
    spec: Spec | None = None
    # A class without a spec is the default class; a segment or grant without one says nothing.
    if kind == names.CLASS and obj.get("spec") is None:
        obj = {**obj, "spec": {}}
    if obj.get("spec") is None:
        found.append(Refusal("spec", "missing required field", "spec", "add it", object=name))
    else:
        try:
            spec = validate(obj["spec"], model, name)
        except Refused as refused:
            found.extend(refused.refusals)
    if spec is not None and not found:
        if isinstance(spec, PipelineSegmentSpec):
            found.extend(checks.judge(meta.namespace, meta.name, spec))
        found.extend(not_yet_supported(kind, spec, name))
    if found or spec is None:
        raise Refused(found)
    return meta, spec


def _envelope(obj: Object, kind: str, name: str) -> Iterator[Refusal]:
    for given in obj:
        if given not in _ENVELOPE:
            yield Refusal(path("", (given,)), *unknown_field(given, _ENVELOPE), object=name)
    for key, wanted in (("apiVersion", names.API_VERSION), ("kind", kind)):
        if obj.get(key) != wanted:
            yield Refusal(key, "is not what is expected", shown(obj.get(key, "")), f"write {wanted}", object=name)


def _unfold(value: Any) -> Iterator[Any]:
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if (
        isinstance(value, Mapping)
        and isinstance(kind, str)
        and kind.endswith("List")
        and isinstance(value.get("items"), list)
    ):
        for item in value["items"]:
            # Items of a typed list carry neither kind nor apiVersion when the API prints them.
            typed = {} if kind == "List" else {"apiVersion": value.get("apiVersion"), "kind": kind.removesuffix("List")}
            yield from _unfold({**typed, **item} if isinstance(item, Mapping) else item)
    elif value is not None:
        yield value


def _sort(obj: Any, place: str, found: _Found) -> None:
    if not isinstance(obj, Mapping):
        found.refused.append(
            Refusal(place, "is not an object", shown(obj), "write apiVersion, kind, metadata and spec")
        )
        return
    kind, version = obj.get("kind"), obj.get("apiVersion")
    wrong = _unreadable(kind, version, place)
    if wrong:
        found.refused.append(wrong)
        return
    if kind not in _PARSERS:
        found.others.append(obj)
        return
    try:
        meta, spec = _PARSERS[kind](obj)
    except Refused as refused:
        found.refused.extend(refused.refusals)
    else:
        found.documents[kind].append(Document(meta, spec, obj, place))


def _unreadable(kind: Any, version: Any, place: str) -> Refusal | None:
    """Tell why a document's kind cannot be read; None for our kinds and for foreign ones."""
    for key, value in (("kind", kind), ("apiVersion", version)):
        if not isinstance(value, str) or not value:
            return Refusal(key, "missing required field", key, "add it", object=place)
    if kind in _PARSERS:
        return (
            None
            if version == names.API_VERSION
            else Refusal(
                "apiVersion", "is not known for this kind", version, f"write {names.API_VERSION}", object=place
            )
        )
    if version.split("/")[0] != names.GROUP:
        return None
    if kind in _LATER:
        return Refusal(
            "kind", "is not supported by this version", kind, "remove the document", "NotYetSupported", object=place
        )
    meant = nearest(kind, _PARSERS)
    fix = f"did you mean {meant}?" if meant else f"use {', '.join(_PARSERS)}"
    return Refusal("kind", "is not a kind of pipesegment.dev", kind, fix, object=place)


def _meet(found: _Found) -> None:
    """Refuse what no single document shows: an object given twice, a name that two segments need."""
    for kind, documents in found.documents.items():
        seen: set[str] = set()
        for document in documents:
            name = document.meta.object
            if name in seen:
                found.refused.append(
                    Refusal(
                        "metadata.name",
                        f"is the name of two documents of the kind {kind}",
                        name,
                        "keep one",
                        object=name,
                    )
                )
            seen.add(name)
    segments = {document.meta.object: document for document in found.documents[names.SEGMENT]}
    found.refused.extend(checks.taken((d.meta.namespace, d.meta.name, d.spec) for d in segments.values()))
