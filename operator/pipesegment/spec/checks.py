"""Checks of a segment that need more than its spec: its own name, or other segments."""

from collections.abc import Iterable, Iterator

from pipesegment import names
from pipesegment.findings import Refusal
from pipesegment.spec.phrases import path
from pipesegment.spec.segment import PipelineSegmentSpec

#: Namespace, name and spec of a segment.
Named = tuple[str, str, PipelineSegmentSpec]


def judge(namespace: str, name: str, spec: PipelineSegmentSpec) -> tuple[Refusal, ...]:
    """Give everything that is wrong with one segment beyond its model."""
    found = (*_undeclared(namespace, name, spec), *_accounts(name, spec), *_reserved(name, spec))
    return tuple(_of(namespace, name, refusal) for refusal in found)


def taken(segments: Iterable[Named]) -> tuple[Refusal, ...]:
    """Refuse object names that two segments of a namespace both need; both are refused, for neither came first."""
    users: dict[tuple[str, str, str], list[tuple[str, str, str]]] = {}
    for namespace, name, spec in segments:
        for kind, wanted, place in _wanted(name, spec):
            users.setdefault((namespace, kind, wanted), []).append((namespace, name, place))
    shared: dict[tuple[str, str, str, str, str], list[str]] = {}
    for (_, kind, wanted), found in sorted(users.items()):
        if len({name for _, name, _ in found}) > 1:
            for namespace, name, place in found:
                shared.setdefault((wanted, namespace, name, place, _others(namespace, name, found)), []).append(kind)
    return tuple(
        Refusal(
            place,
            f"needs objects ({', '.join(kinds)}) whose name another segment ({others}) needs too",
            wanted,
            "rename the stage or the segment",
            reason="Conflict",
            object=f"{namespace}/{name}",
        )
        for (wanted, namespace, name, place, others), kinds in shared.items()
    )


def _others(namespace: str, name: str, users: list[tuple[str, str, str]]) -> str:
    return ", ".join(sorted({f"{namespace}/{other}" for _, other, _ in users if other != name}))


def _wanted(name: str, spec: PipelineSegmentSpec) -> Iterator[tuple[str, str, str]]:
    if spec.engine:
        yield "NetworkPolicy", name, "spec.engine"
    for index, stage in enumerate(spec.stages):
        made = names.object_name(name, stage.name)
        place = path("spec", ("stages", index, "name"))
        yield "NetworkPolicy", made, place
        own = stage.service_account.name
        yield "ServiceAccount", own or made, path("spec", ("stages", index, "serviceAccount", "name")) if own else place


def _reserved(name: str, spec: PipelineSegmentSpec) -> Iterator[Refusal]:
    """Find objects that would take the name of the class's isolation, which could then not be made."""
    for kind, wanted, place in _wanted(name, spec):
        if kind == "NetworkPolicy" and wanted == names.DEFAULT_DENY:
            fix = "rename the stage or the segment"
            yield Refusal(place, "needs the name of the SegmentClass's own policy", wanted, fix)


def _of(namespace: str, name: str, refusal: Refusal) -> Refusal:
    return Refusal(refusal.path, refusal.problem, refusal.value, refusal.fix, refusal.reason, f"{namespace}/{name}")


def _undeclared(namespace: str, name: str, spec: PipelineSegmentSpec) -> Iterator[Refusal]:
    """Find stages that name this very segment; without a segment's name the model has found them already."""
    declared = {stage.name for stage in spec.stages}
    named: list[tuple[tuple[str | int, ...], str, str | None, str | None]] = [
        (place, found.name, found.segment, found.namespace)
        for place, entry in spec.each_reach()
        if (found := entry.stage)
    ]
    named += [
        (place, source.name, source.segment, source.namespace)
        for place, entry in spec.each_accept()
        if (source := entry.stage) and source.name and not source.any_segment
    ]
    for place, stage, segment, home in named:
        here = (segment or name) == name and (home or namespace) == namespace
        if here and (segment or home) and stage not in declared:
            yield Refusal(
                path("spec", (*place, "stage", "name")),
                "is not a stage of this segment",
                stage,
                "declare the stage, or name the segment that has it",
            )


def _accounts(name: str, spec: PipelineSegmentSpec) -> Iterator[Refusal]:
    defaults = {
        names.object_name(name, stage.name): stage.name for stage in spec.stages if not stage.service_account.name
    }
    for index, stage in enumerate(spec.stages):
        own = stage.service_account.name
        if own in defaults:
            yield Refusal(
                path("spec", ("stages", index, "serviceAccount", "name")),
                "is the account of another stage too",
                str(own),
                "give each stage an account of its own",
            )
