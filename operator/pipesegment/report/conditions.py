"""The fold: an outcome and the conditions before it → the conditions after it.

Ready says whether every edge is enforced as declaration and class say; the others say what stands in the way, and what
does not. Reconciling and Stalled exist only when True, and never together: Stalled waits for a person (kstatus).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pipesegment.plan.changes import Why
from pipesegment.reach.edges import Mode
from pipesegment.reach.isolation import isolates
from pipesegment.report import cloud
from pipesegment.report.findings import (
    CONFORMING_FALSE,
    READY_FALSE,
    By,
    failure,
    fault,
    mesh_gaps,
    mesh_notes,
    ready_notes,
    sentence,
    sorted_out,
)
from pipesegment.report.outcome import Outcome
from pipesegment.report.text import clean, counted, listing
from pipesegment.spec.status import Condition, ConditionType, Reason

#: Which kinds each part of a segment consists of.
_PARTS: Final[Mapping[ConditionType, frozenset[str]]] = {
    ConditionType.NETWORK_READY: frozenset({"NetworkPolicy", "CiliumNetworkPolicy", "SecurityGroupPolicy"}),
    ConditionType.IDENTITY_READY: frozenset({"ServiceAccount", "RoleBinding"}),
    ConditionType.MESH_READY: frozenset(
        {
            "AuthorizationPolicy",
            "PeerAuthentication",
            "Sidecar",
            "ServiceEntry",
            "Server",
            "HTTPRoute",
            "MeshTLSAuthentication",
            "NetworkAuthentication",
        }
    ),
}
_NOUNS: Final = {
    ConditionType.NETWORK_READY: ("NetworkPolicy", "NetworkPolicies"),
    ConditionType.IDENTITY_READY: ("ServiceAccount", "ServiceAccounts"),
    ConditionType.MESH_READY: ("mesh object", "mesh objects"),
}

#: What some parts consist of beside.
_BESIDE: Final = {
    ConditionType.NETWORK_READY: (
        ("CiliumNetworkPolicy", "CiliumNetworkPolicies"),
        ("SecurityGroupPolicy", "SecurityGroupPolicies"),
    ),
    ConditionType.IDENTITY_READY: (("RoleBinding", "RoleBindings"),),
}
#: What is told beside objects that hold for pods of later alone.
_LATER: Final = "; pods get security groups when they are scheduled"

#: Findings that say that nobody reads the objects at all, as far as is known.
_UNENFORCED: Final = frozenset({"NotEnforced", "EngineUnknown"})

_PERSON: Final = "waits for a person: "

Verdict = tuple[ConditionType, bool, Reason, str]


def segment_conditions(
    outcome: Outcome, previous: Iterable[Condition], now: str, opened: tuple[int, int]
) -> tuple[Condition, ...]:
    """Fold a segment's outcome. `opened` are its open and its declared edges, `now` the time as the API writes it.

    After a refusal of the whole spec, or a fault of ours, the parts keep what was said of them: they stand as they did.
    """
    before = {condition.type: condition for condition in previous}
    by = sorted_out(outcome)
    verdicts = [_noted(outcome, _ready(outcome, by, opened)), *_abnormal(outcome, by)]
    kept: list[Condition] = []
    if outcome.reach is None:
        fresh = {kind for kind, *_ in verdicts} | {ConditionType.RECONCILING, ConditionType.STALLED}
        kept = [condition for condition in before.values() if condition.type not in fresh]
    else:
        verdicts += [_exact(by), _conforming(by), *_parts(outcome)]
    return settled(verdicts, before, outcome.generation, now, kept)


def settled(
    verdicts: Iterable[Verdict],
    before: Mapping[str, Condition],
    generation: int,
    now: str,
    kept: Iterable[Condition] = (),
) -> tuple[Condition, ...]:
    """Write conditions; the time of one moves only when its status does. In the order of their types."""
    written = [_condition(verdict, before, generation, now) for verdict in verdicts]
    order = {kind.value: number for number, kind in enumerate(ConditionType)}
    return tuple(sorted([*written, *kept], key=lambda c: order.get(c.type, len(order))))


def _condition(verdict: Verdict, before: Mapping[str, Condition], generation: int, now: str) -> Condition:
    kind, holds, reason, message = verdict
    had = before.get(kind)
    status = "True" if holds else "False"
    return Condition(
        type=kind.value,
        status=status,
        observed_generation=generation,
        last_transition_time=had.last_transition_time if had and had.status == status else now,
        reason=reason.value,
        message=clean(message),
    )


def _noted(outcome: Outcome, ready: Verdict) -> Verdict:
    """Tell beside a Ready that is True what is as declared and does not work for somebody else's doing."""
    kind, holds, reason, message = ready
    notes = ready_notes(outcome) if holds else []
    return (kind, holds, reason, f"{message}; {listing(map(sentence, notes), 'but ')}") if notes else ready


def _ready(outcome: Outcome, by: By, opened: tuple[int, int]) -> Verdict:
    for reason in sorted(READY_FALSE, key=lambda reason: reason is not Reason.UNRESOLVED or not _is_stalled(outcome)):
        found = [sentence(f) for f in by.get(reason, ())]
        if reason is Reason.APPLY_FAILED:
            found += _pending(outcome)
        if found:
            return ConditionType.READY, False, reason, listing(found)
    reach = outcome.reach
    assert reach is not None
    edges = f"{opened[0]} of {counted(opened[1], 'edge')}"
    sealed = [stage for stage in reach.stages if stage.sealed]
    if sealed:
        told = (f"stage {s.key.stage} is sealed by {s.sealed}" for s in sealed)
        return ConditionType.READY, True, Reason.SEALED, f"{listing(told)}; of the other stages {edges} open"
    if reach.suspended:
        waiting = f"; {counted(len(outcome.withheld), 'object')} would change" if outcome.withheld else ""
        return ConditionType.READY, True, Reason.SUSPENDED, f"nothing is widened, created or repaired{waiting}"
    observing = [stage.key.stage for stage in reach.stages if stage.mode is Mode.OBSERVE]
    if observing:
        would = f"would open {edges} and close everything else; nothing blocks yet in stages {', '.join(observing)}"
        if isolates(reach.governance.spec, reach.segment.namespace):
            would += f", but the SegmentClass isolates namespace {reach.segment.namespace}, which closes their pods"
        return ConditionType.READY, True, Reason.OBSERVING, would
    if by.get(Reason.COARSE):
        return ConditionType.READY, True, Reason.COARSE, listing(map(sentence, by[Reason.COARSE]))
    if by.get(Reason.UNGRANTED):
        own_side = f"{edges} open on the stages' own side; "
        return ConditionType.READY, True, Reason.UNGRANTED, listing(map(sentence, by[Reason.UNGRANTED]), own_side)
    return ConditionType.READY, True, Reason.ENFORCED, f"{edges} open, everything else closed{_doubt(by)}"


def _doubt(by: By) -> str:
    """Say where nobody is known to read the objects: that they say so closes nothing then, and Conforming tells the rest."""
    known = {f.reason for reason in (Reason.NOT_ENFORCED, Reason.CONFORMS) for f in by.get(reason, ())}
    return "; but nobody is known to enforce that: see Conforming" if _UNENFORCED & known else ""


def _exact(by: By) -> Verdict:
    coarse = by.get(Reason.COARSE, ())
    if coarse:
        return ConditionType.EXACT, False, Reason.COARSE, listing(map(sentence, coarse))
    return ConditionType.EXACT, True, Reason.AS_DECLARED, "no edge is enforced more widely than declared"


def _conforming(by: By) -> Verdict:
    for reason in CONFORMING_FALSE:
        if by.get(reason):
            others = [sentence(f) for other in CONFORMING_FALSE if other is not reason for f in by.get(other, ())]
            return ConditionType.CONFORMING, False, reason, listing([*map(sentence, by[reason]), *others])
    notes = by.get(Reason.CONFORMS, ())
    exempt = [sentence(f) for f in notes if f.reason == "Exempt"]
    unknown = [sentence(f) for f in notes if f.reason != "Exempt"]
    lead = "nothing that is known undoes it" if unknown or exempt else "nothing around the segment undoes it"
    told = [listing(found, why) for found, why in ((exempt, "exempt: "), (unknown, "not known: ")) if found]
    return ConditionType.CONFORMING, True, Reason.CONFORMS, "; ".join([lead, *told])


def _parts(outcome: Outcome) -> Iterator[Verdict]:
    for kind, kinds in _PARTS.items():
        yield _part(outcome, kind, kinds)
    yield ConditionType.CLOUD_READY, *cloud.verdict(outcome)
    yield ConditionType.GATES_OPEN, True, Reason.NOT_DECLARED, "nothing of it is declared"


def _part(outcome: Outcome, part: ConditionType, kinds: frozenset[str]) -> Verdict:
    conflicts = [c for c in outcome.conflicts if c.target.partition(" ")[0] in kinds]
    if conflicts:
        return part, False, Reason.CONFLICT, listing(map(sentence, conflicts))
    failures = [failure(failed) for failed in outcome.failures if failed.id.kind in kinds]
    if failures:
        return part, False, Reason.APPLY_FAILED, listing(failures)
    gaps = mesh_gaps(outcome) if part is ConditionType.MESH_READY else []
    if gaps:
        reason = Reason.NO_SERVICE if gaps[0].reason == Reason.NO_SERVICE else Reason.GAP
        return part, False, reason, listing(map(sentence, gaps))
    waiting = _waiting(outcome, kinds)
    if waiting:
        return part, False, *waiting
    number = sum(1 for change in outcome.changes.changes if change.id.kind in kinds and change.desired is not None)
    noun, plural = _NOUNS[part]
    if not number:
        return part, True, Reason.NOT_DECLARED, f"no {noun} is needed"
    notes = mesh_notes(outcome) if part is ConditionType.MESH_READY else []
    told = listing(map(sentence, notes), "; but ") if notes else ""
    if part in _BESIDE:
        return part, True, Reason.APPLIED, _counts(outcome, part)
    return part, True, Reason.APPLIED, f"{counted(number, noun, plural)} as declared{told}"


def _counts(outcome: Outcome, part: ConditionType) -> str:
    """Count the objects of a part, those of further kinds apart."""
    kinds = Counter(change.id.kind for change in outcome.changes.changes if change.desired is not None)
    *first, last = [counted(kinds[noun[0]], *noun) for noun in (_NOUNS[part], *_BESIDE[part]) if kinds[noun[0]]]
    later = _LATER if part is ConditionType.NETWORK_READY and kinds["SecurityGroupPolicy"] else ""
    return f"{', '.join(first)} and {last} as declared{later}" if first else f"{last} as declared{later}"


def _waiting(outcome: Outcome, kinds: frozenset[str]) -> tuple[Reason, str] | None:
    withheld = [target for target in outcome.withheld if target.kind in kinds]
    reach = outcome.reach
    if withheld and reach is not None and reach.suspended and not reach.governance.stalled:
        return Reason.SUSPENDED, listing(map(str, withheld), "suspended, so these stay as they are: ")
    if withheld and reach is not None and not reach.governance.known:
        unknown = "what the class that governed said is not known any more, so these stay as they are: "
        return Reason.PROGRESSING, listing(map(str, withheld), unknown)
    if withheld:
        return Reason.PROGRESSING, listing(map(str, withheld), "nothing is widened until the segment is mended: ")
    undone = [c.id for c in outcome.changes.writes if c.id.kind in kinds and c.id not in outcome.done]
    undone += [c.id for c in outcome.changes.changes if c.id.kind in kinds and c.why is Why.TERMINATING]
    return (Reason.PROGRESSING, listing(map(str, undone), "not written yet: ")) if undone else None


def _abnormal(outcome: Outcome, by: By) -> Iterator[Verdict]:
    stalled = _stalled(outcome, by)
    if stalled is not None:
        reason, message = stalled
        yield ConditionType.STALLED, True, reason, message
        return
    pending = _pending(outcome)
    if pending:
        slowly = outcome.failures and not outcome.fault and all(failed.permanent for failed in outcome.failures)
        again = "tried again on a change, and every few minutes: " if slowly else "tried again: "
        yield ConditionType.RECONCILING, True, Reason.PROGRESSING, listing(pending, again)


def _stalled(outcome: Outcome, by: By) -> tuple[Reason, str] | None:
    if _is_stalled(outcome):
        assert outcome.reach is not None
        stalled = outcome.reach.governance.stalled
        why = [sentence(f) for f in by.get(Reason.UNRESOLVED, ()) if f.reason == stalled]
        return Reason(stalled), listing(why, _PERSON)
    for reason, told in (
        (Reason.INVALID, Reason.INVALID),
        (Reason.NOT_YET_SUPPORTED, Reason.INVALID),
        (Reason.CONFLICT, Reason.CONFLICT),
    ):
        if by.get(reason):
            return told, listing(map(sentence, by[reason]), _PERSON)
    return None


def _is_stalled(outcome: Outcome) -> bool:
    """Tell whether nobody governs: that comes before what the class that governed last refuses."""
    return outcome.reach is not None and bool(outcome.reach.governance.stalled)


def _pending(outcome: Outcome) -> list[str]:
    """Tell what is tried again."""
    ours = [fault(outcome.fault)] if outcome.fault else []
    return [*ours, *map(failure, outcome.failures), *_terminating(outcome)]


def _terminating(outcome: Outcome) -> list[str]:
    gone = [c.id for c in outcome.changes.changes if c.why is Why.TERMINATING and c.desired is not None]
    return [f"{target} is being deleted, and is made anew when it is gone" for target in gone]
