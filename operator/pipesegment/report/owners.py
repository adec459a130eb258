"""Status of the two kinds beside the segment: a SegmentGrant's and a SegmentClass's."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipesegment.findings import Finding, Refusal
from pipesegment.reach.edges import StageKey
from pipesegment.report.conditions import Verdict, settled
from pipesegment.report.findings import failure
from pipesegment.report.outcome import Failed
from pipesegment.report.text import LINE, MESSAGE, clean, counted, listing
from pipesegment.spec.status import (
    BoundNamespace,
    Condition,
    ConditionType,
    CoveredEdge,
    Reason,
    SegmentClassStatus,
    SegmentGrantStatus,
)

_MAX_EDGES: Final = 1024
_MAX_NAMESPACES: Final = 64


@dataclass(frozen=True, slots=True, order=True)
class Covered:
    """An edge that a grant covers: whose it is, and where it is declared."""

    stage: StageKey
    because: str


def grant_status(
    generation: int,
    refusals: Iterable[Refusal],
    covered: Iterable[Covered],
    named: Mapping[str, str],
    previous: SegmentGrantStatus,
    now: str,
) -> SegmentGrantStatus:
    """Fold a grant. `named` are the namespaces that its `from` names, with their uid, '' for one that does not exist.

    A namespace is bound to the uid that was seen first; one that was deleted and made anew has to be granted anew.
    """
    edges = sorted(set(covered))
    had = {bound.namespace: bound.uid for bound in previous.namespaces}
    bound = {name: had.get(name) or uid for name, uid in named.items() if had.get(name) or uid}
    changed = sorted(name for name, uid in named.items() if uid and bound[name] != uid)
    verdicts = [_grant_ready(list(refusals), len(edges), changed)]
    return SegmentGrantStatus(
        observed_generation=generation,
        edges=tuple(map(_covered, edges[:_MAX_EDGES])),
        covered=len(edges),
        namespaces=tuple(BoundNamespace(namespace=n, uid=u) for n, u in sorted(bound.items())[:_MAX_NAMESPACES]),
        conditions=_settled(verdicts, previous.conditions, generation, now),
    )


#: As many as admission has to look through.
_MAX_GOVERNED: Final = 1024


def class_status(
    generation: int,
    refusals: Iterable[Refusal],
    findings: Iterable[Finding],
    governs: Sequence[str],
    segments: int,
    failed: Iterable[Failed],
    previous: SegmentClassStatus,
    now: str,
    spared: Iterable[str] = (),
) -> SegmentClassStatus:
    """Fold a class. `governs` are its namespaces, with so many `segments`; `findings` its gaps and ties (`AmbiguousClass`).

    `spared` are the namespaces that it governs and does not isolate although it isolates the others.
    """
    verdicts = [_class_ready(list(refusals), list(findings), (len(governs), segments), list(failed), sorted(spared))]
    return SegmentClassStatus(
        observed_generation=generation,
        namespaces=len(governs),
        segments=segments,
        governs=tuple(sorted(governs)[:_MAX_GOVERNED]),
        conditions=_settled(verdicts, previous.conditions, generation, now),
    )


def _grant_ready(refusals: list[Refusal], covered: int, changed: list[str]) -> Verdict:
    if refusals:
        return _refused(refusals)
    if changed:
        message = (
            f"namespace {', '.join(changed)} was deleted and made anew since it was granted, so nothing is open to it: "
            "delete this grant and create it again if the new one is meant"
        )
        return ConditionType.READY, False, Reason.NAMESPACE_CHANGED, message
    if not covered:
        return ConditionType.READY, True, Reason.UNUSED, "no stage declares an edge that this grant covers"
    return ConditionType.READY, True, Reason.BOUND, f"covers {counted(covered, 'edge')}"


def _class_ready(
    refusals: list[Refusal],
    findings: list[Finding],
    governed: tuple[int, int],
    failed: list[Failed],
    spared: list[str],
) -> Verdict:
    if refusals:
        return _refused(refusals)
    ties = [f for f in findings if f.reason == Reason.AMBIGUOUS_CLASS]
    if ties:
        return ConditionType.READY, False, Reason.AMBIGUOUS_CLASS, listing(f"{f.message}: {f.fix}" for f in ties)
    troubles = [*map(failure, failed), *(f"{f.path}: {f.message}: {f.fix}" for f in findings)]
    if troubles:
        return ConditionType.READY, False, Reason.ISOLATION_FAILED, listing(troubles)
    if not governed[0]:
        return ConditionType.READY, True, Reason.UNUSED, "governs no namespace"
    said = f"governs {counted(governed[0], 'namespace')} and {counted(governed[1], 'segment')}"
    if spared:
        said += f"; leaves {', '.join(spared)} open, because what runs there serves the whole cluster"
    return ConditionType.READY, True, Reason.GOVERNING, said


def _refused(refusals: list[Refusal]) -> Verdict:
    later = all(refusal.reason == Reason.NOT_YET_SUPPORTED for refusal in refusals)
    reason = Reason.NOT_YET_SUPPORTED if later else Reason.INVALID
    return ConditionType.READY, False, reason, listing(map(str, refusals))


def _settled(
    verdicts: list[Verdict], previous: Iterable[Condition], generation: int, now: str
) -> tuple[Condition, ...]:
    ready = verdicts[0]
    if ready[2] in {Reason.INVALID, Reason.NOT_YET_SUPPORTED, Reason.AMBIGUOUS_CLASS}:
        told = Reason.INVALID if ready[2] is Reason.NOT_YET_SUPPORTED else ready[2]
        verdicts = [*verdicts, (ConditionType.STALLED, True, told, f"waits for a person: {ready[3]}")]
    return settled(verdicts, {c.type: c for c in previous}, generation, now)


def _covered(covered: Covered) -> CoveredEdge:
    stage = covered.stage
    return CoveredEdge(
        namespace=clean(stage.namespace, LINE),
        segment=clean(stage.segment, LINE),
        stage=clean(stage.stage, LINE),
        path=clean(covered.because, MESSAGE),
    )
