"""The stages of a namespace by the pods that they select: whom a selector or a pod concerns, without asking each."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal, NamedTuple, cast

from pipesegment import names
from pipesegment.facts.byselector import BySelector
from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import NetworkPolicy, Segment, Snapshot
from pipesegment.findings import Refusal
from pipesegment.reach import engines
from pipesegment.reach.engines import Placed


class Part(NamedTuple):
    """Pods that a segment speaks of: a stage's own, in ARC's Kubernetes mode its runners, or whom its pipeline closes."""

    segment: str
    stage: int
    kind: Literal["stage", "runner", "closing"]


Stages = BySelector[Part]


@contextmanager
def named(segment: Segment) -> Iterator[None]:
    """Have an error say at which segment it happened: all of a namespace look at it, and only the log tells them apart."""
    try:
        yield
    except Exception as error:
        note = f"at PipelineSegment {segment.meta.key}"
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
        raise


def placements(segment: Segment) -> tuple[Placed | Refusal, ...]:
    """Give where the stages of a segment are, in their order; found once for this revision of it."""
    found = segment.memo.get("placements")
    if found is None:
        spec = segment.spec
        count = len(spec.stages) if spec is not None else 0
        with named(segment):
            found = tuple(engines.place(segment.meta.name, i, spec) for i in range(count)) if spec is not None else ()
        segment.memo["placements"] = found
    return cast("tuple[Placed | Refusal, ...]", found)


#: What a segment reads of the others of its namespace: whose stages have an account too.
ACCOUNT: Final = "account"


def accounts(segment: Segment) -> Mapping[str, tuple[int, ...]]:
    """Give the accounts of a segment's stages, and which stages have each; empty when it counts for nothing."""
    if segment.spec is None or segment.meta.deleting:
        return {}
    found = segment.memo.get("accounts")
    if found is None:
        found = {}
        for index, stage in enumerate(segment.spec.stages):
            account = stage.service_account.name or names.object_name(segment.meta.name, stage.name)
            found[account] = (*found.get(account, ()), index)
        segment.memo["accounts"] = found
    return cast("Mapping[str, tuple[int, ...]]", found)


def standing(snapshot: Snapshot, namespace: str) -> Iterator[tuple[Segment, NetworkPolicy]]:
    """Give what stands of the stages of segments that count for nothing: they are refused, or go away, and are enforced still."""
    silent = {
        names.label_value(name): segment
        for name, segment in snapshot.segments.get(namespace, {}).items()
        if segment.spec is None or segment.meta.deleting
    }
    for _, policy in sorted(snapshot.policies.get(namespace, {}).items()) if silent else ():
        segment = silent.get(policy.meta.labels.get(names.SEGMENT_LABEL, ""))
        if segment is not None and policy.owned and names.STAGE_LABEL in policy.meta.labels:
            yield segment, policy


def stages_of(snapshot: Snapshot, namespace: str, segment: Segment | None = None) -> Stages:
    """Give the stages of a namespace as the facts are now; with those of `segment`, where the facts do not hold it."""
    held = snapshot.segments.get(namespace, {})
    if segment is not None and held.get(segment.meta.name) is not segment:
        alone = Stages()
        alone.follow({**held, segment.meta.name: segment}, _entries)
        return alone
    stages = snapshot.memo.get(("stages", namespace))
    if stages is None:
        stages = snapshot.memo["stages", namespace] = Stages()
    stages.follow(held, _entries)
    return cast("Stages", stages)


def parts(segment: Segment) -> Mapping[Part, Selector]:
    """Give every selector of a segment; one that is refused or goes away counts for nothing."""
    found = segment.memo.get("parts")
    if found is None:
        found = segment.memo["parts"] = {part: selector for selector, part in _parts(segment)}
    return cast("Mapping[Part, Selector]", found)


def _entries(segment: Segment) -> Iterator[tuple[Selector, Part]]:
    return ((selector, part) for part, selector in parts(segment).items())


def _parts(segment: Segment) -> Iterator[tuple[Selector, Part]]:
    if segment.spec is None or segment.meta.deleting:
        return
    name = segment.meta.name
    for index, placed in enumerate(placements(segment)):
        if not isinstance(placed, Refusal):
            yield placed.selector, Part(name, index, "stage")
            if placed.runner is not None:
                yield placed.runner, Part(name, index, "runner")
    for index, selector in enumerate(engines.closing(segment.spec)):
        yield selector, Part(name, index, "closing")
