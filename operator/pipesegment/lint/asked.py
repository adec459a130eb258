"""What is wrong with an exception that does not exist yet: told as if it were approved."""

from collections.abc import Iterator
from dataclasses import replace

from pipesegment.compile.segment import compile_segment
from pipesegment.errors import Refused
from pipesegment.facts.emergency import SegmentException
from pipesegment.facts.snapshot import Segment, Snapshot
from pipesegment.findings import Finding
from pipesegment.lint import identity
from pipesegment.reach import exceptions, governance
from pipesegment.reach.resolve import resolve
from pipesegment.spec.exception import SegmentExceptionSpec


def check(exception: SegmentException, snapshot: Snapshot) -> Iterator[Finding]:
    """Tell whether there is such a stage, whether the class allows the exception, and what of its entries stays closed."""
    spec, key = exception.spec, exception.meta.key
    if spec is None:
        return
    segment = snapshot.segment(key.namespace, spec.segment)
    if segment is None:
        lacking = f"there is no segment {key.namespace}/{spec.segment} among what is given"
        yield _told(exception, "ExceptionUnplaced", lacking, "correct spec.segment, or give the segment as well")
        return
    governing = governance.of_segment(segment, snapshot)
    (standing,) = (s for s in exceptions.standings(segment, snapshot, governing) if s.name == key.name)
    if standing.reason == "Unresolved":
        stages = ", ".join(sorted(stage.name for stage in segment.spec.stages)) if segment.spec is not None else ""
        yield _told(exception, "ExceptionUnplaced", standing.message, f"correct spec.stage: it has {stages}")
    elif spec.effect == "Open":
        # Without a class nobody knows what one would allow.
        if standing.phase == "Refused" and governing.name:
            yield _told(exception, "ExceptionRefused", standing.message, "ask within the class's breakGlass")
        yield from _entries(exception, segment, snapshot)
        yield from _rights(exception, spec)


def _rights(exception: SegmentException, spec: SegmentExceptionSpec) -> Iterator[Finding]:
    given = spec.aws.permissions if spec.aws is not None else ()
    for finding in identity.wild(exceptions.rights_path(exception.meta.name), f"stage {spec.stage}", given):
        yield replace(finding, object=str(exception.meta.key))


def _entries(exception: SegmentException, segment: Segment, snapshot: Snapshot) -> Iterator[Finding]:
    key = exception.meta.key
    held = {**snapshot.exceptions[key.namespace], key.name: replace(exception, supposed=True)}
    try:
        reach = resolve(segment, replace(snapshot, exceptions={**snapshot.exceptions, key.namespace: held}))
        gaps = compile_segment(reach).gaps
    except Refused:
        # That is told of the segment.
        return
    lead = f"{exceptions.path(key.name)} "
    yield from (finding for finding in (*reach.findings, *gaps) if finding.path.startswith(lead))


def _told(exception: SegmentException, reason: str, message: str, fix: str) -> Finding:
    assert exception.spec is not None
    key = exception.meta.key
    return Finding(exceptions.path(key.name), reason, f"stage {exception.spec.stage}", message, fix, str(key))
