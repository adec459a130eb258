"""Fields that the API has and this version does not act on: they are refused, never ignored."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from pipesegment import names
from pipesegment.findings import Refusal
from pipesegment.spec.base import Model, shown
from pipesegment.spec.phrases import path
from pipesegment.spec.segment import PipelineSegmentSpec, Stage
from pipesegment.spec.segmentclass import SegmentClassSpec

_REASON: Final = "NotYetSupported"
_Place = tuple[str | int, ...]


def not_yet_supported(kind: str, spec: Model, name: str = "") -> tuple[Refusal, ...]:
    """Give a refusal for every field whose behaviour comes with a later version.

    `kind` is the kind of the object that has this spec, `name` the object as `namespace/name`.
    """
    found = _FINDERS[kind](spec) if kind in _FINDERS else ()
    return tuple(
        Refusal(path("spec", place), "is not supported by this version", shown(value), "remove it", _REASON, name)
        for place, value in found
    )


def _segment(spec: PipelineSegmentSpec) -> Iterator[tuple[_Place, Any]]:
    for index, stage in enumerate(spec.stages):
        for step, value in _stage(stage):
            yield ("stages", index, *step), value


def _stage(stage: Stage) -> Iterator[tuple[_Place, Any]]:
    if stage.gates:
        yield ("gates",), stage.gates


def _class(spec: SegmentClassSpec) -> Iterator[tuple[_Place, Any]]:
    for place, value, default in (
        (("gates",), spec.gates, type(spec.gates)()),
        (("evidenceKeys",), spec.evidence_keys, ()),
    ):
        if value != default:
            yield place, value


_FINDERS: Final[dict[str, Callable[[Any], Iterator[tuple[_Place, Any]]]]] = {
    names.SEGMENT: _segment,
    names.CLASS: _class,
}
