"""Status, Events and audit trail of a SegmentException: who asked, who approved, why, what opened when, what closed when."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from pipesegment import names
from pipesegment.facts.emergency import SegmentException
from pipesegment.facts.meta import Key
from pipesegment.facts.moments import written
from pipesegment.findings import Refusal
from pipesegment.reach import exceptions
from pipesegment.reach.aws.values import Statement
from pipesegment.reach.graph import StageReach
from pipesegment.reach.standing import Standing, Verdict
from pipesegment.report import cloud
from pipesegment.report.conditions import settled
from pipesegment.report.events import Event
from pipesegment.report.findings import failure, sentence
from pipesegment.report.outcome import Outcome
from pipesegment.report.text import LINE, MESSAGE, clean, fitted, listing
from pipesegment.spec.base import shown
from pipesegment.spec.exception import SegmentExceptionSpec
from pipesegment.spec.status import (
    IN_FORCE,
    ClassRef,
    ConditionType,
    MeantStage,
    Phase,
    Reason,
    SegmentApprovalStatus,
    SegmentExceptionStatus,
)

#: How many approvers a status names; more people never have to approve.
_MAX_APPROVERS: Final = 64
#: How many targets a line of the trail names.
_MAX_TARGETS: Final = 32
_UNWRITTEN: Final = "its rights are not in AWS yet, and the segment's CloudReady tells why"
_NOT_TAKEN: Final = "what the stage has in AWS may stand there still, and the segment's CloudReady tells why"


@dataclass(frozen=True, slots=True)
class Effect:
    """What an exception came to in one look at its segment: what it opens (described), what of it stays closed, and why.

    `rights` are the actions that it gives in AWS, `unwritten` tells that they do not stand there as they should, `untaken` that a
    seal has not taken there what it should. `stuck` says why what stands could not be brought to what the exception says ('' when it could).
    """

    opened: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()
    unwritten: bool = False
    untaken: bool = False
    closed: tuple[str, ...] = ()
    refused: bool = False
    stuck: str = ""
    #: Why nobody knows what is open, only that it is what was open before ('' when it is known).
    unknown: str = ""
    held: Literal["", "Suspended", "AmbiguousClass", "ClassLost"] = ""


def effect(standing: Standing, outcome: Outcome) -> Effect:
    """Find what an exception came to."""
    stuck = listing(map(failure, outcome.failures)) if outcome.failures else ""
    reach = outcome.reach
    untaken = standing.in_force and cloud.stands_otherwise(outcome, standing.stage)
    if reach is None or not standing.in_force:
        why = "the segment is being deleted" if outcome.going else "the segment is refused"
        why = why if outcome.fault is None else "the operator failed at the segment"
        return Effect(stuck=stuck, untaken=untaken, unknown=why if reach is None else "")
    lead = f"{exceptions.path(standing.name)} "
    gaps = outcome.desired.gaps if outcome.desired else ()
    mine = [finding for finding in (*reach.findings, *gaps) if finding.path.startswith(lead)]
    shut = {finding.path for finding in gaps}
    stage = next(stage for stage in reach.stages if stage.key.stage == standing.stage)
    edges = [e for e in stage.egress if e.because.startswith(lead)]
    opened = {edge.described for edge in edges if edge.open and edge.because not in shut}
    crowded = {finding.path for finding in mine if finding.reason == "RoleTooLarge"}
    given = [s for s in _lent(stage) if s.because.startswith(lead) and s.because not in crowded]
    unwritten = bool(given) and not cloud.is_written(outcome, standing.stage)
    closed = [sentence(finding) for finding in mine]
    closed += [_NOT_TAKEN] if untaken and not given and any(f.path.startswith(f"{lead}spec.aws") for f in mine) else []
    held = reach.governance.stalled or ("Suspended" if reach.suspended else "")
    return Effect(
        opened=tuple(sorted(opened)),
        rights=tuple(sorted({action for statement in given for action in statement.actions})),
        unwritten=unwritten,
        untaken=untaken,
        closed=tuple(closed),
        refused=not (opened or given) and any(finding.reason == "ExceptionRefused" for finding in mine),
        stuck=stuck,
        held=held if outcome.withheld or unwritten else "",  # type: ignore[arg-type] # `stalled` is one of the two other words
    )


def exception_status(
    exception: SegmentException, standing: Standing, found: Effect, previous: SegmentExceptionStatus, now: str
) -> SegmentExceptionStatus:
    """Fold one look at an exception into its status; what stands is told, not what should."""
    phase, reason, message = _told(standing, found, previous)
    holds = phase in IN_FORCE and not found.stuck and not (phase == "Sealed" and found.untaken)
    approvers = sorted({clean(v.username, MESSAGE) for v in standing.approvals if v.counts})
    before = {c.type: c for c in previous.conditions}
    verdict = (ConditionType.READY, holds, reason, message)
    begun = _time(standing.begun) if phase in IN_FORCE else previous.opens_at
    return SegmentExceptionStatus(
        observed_generation=exception.meta.generation,
        phase=phase,
        reason=reason.value,
        spec_hash=exception.hash or None,
        class_=ClassRef(name=standing.by_class[0], uid=standing.by_class[1]) if standing.by_class else None,
        sealers=standing.sealers,
        meant=_meant(standing, previous.meant),
        approvals=len(approvers),
        approvals_needed=standing.needed,
        approvers=tuple(approvers[:_MAX_APPROVERS]),
        gives=_gives(phase, found, previous),
        opens_at=begun or None,
        expires_at=_time(standing.ends) or None,
        conditions=settled([verdict], before, exception.meta.generation, now),
    )


def _gives(phase: Phase, found: Effect, previous: SegmentExceptionStatus) -> tuple[str, ...]:
    """Give the actions that stand in AWS; where that is not known, or not brought about yet, those of before."""
    if phase != "Open":
        return ()
    late = found.stuck or found.unknown or found.unwritten
    return previous.gives if late else tuple(clean(action, LINE) for action in found.rights[:_MAX_TARGETS])


def _meant(standing: Standing, before: MeantStage | None) -> MeantStage | None:
    """Keep what an exception was for when it was looked at first."""
    uid, pods = standing.meant
    if before is None:
        return MeantStage(uid=uid, pods=clean(pods, MESSAGE) or None) if uid else None
    same = before.uid == uid and before.pods is None and pods
    return before.model_copy(update={"pods": clean(pods, MESSAGE)}) if same else before


def _told(standing: Standing, found: Effect, previous: SegmentExceptionStatus) -> tuple[Phase, Reason, str]:
    before = previous.phase
    if found.stuck:
        # It may be neither as it was nor as it should be: what was in force counts as being so still.
        phase = before if before in IN_FORCE else standing.phase
        return phase, Reason.APPLY_FAILED, f"{standing.message}, but this is not brought about yet: {found.stuck}"
    if standing.phase == "Open" and found.held and before != "Open":
        return "Pending", Reason(found.held), "nothing of the segment is widened"
    if standing.phase == "Open" and found.refused:
        return "Refused", Reason.NOT_ALLOWED, listing(found.closed)
    if standing.phase == "Open" and found.unknown:
        return "Open", Reason.OPEN, clean(f"stands as it did, for {found.unknown}, until {_time(standing.ends)}")
    if standing.phase == "Open":
        opens = _opens(standing.stage, found) or "it opens nothing"
        lacking = (*([_UNWRITTEN] if found.unwritten else ()), *found.closed)
        but = listing(lacking, "; but ") if lacking else ""
        return "Open", Reason.OPEN, clean(f"{opens} until {_time(standing.ends)}{but}")
    if standing.phase == "Sealed":
        until = f" until {_time(standing.ends)}" if standing.ends is not None else ""
        if found.untaken:
            shut = f"stage {standing.stage} reaches nothing and accepts nothing"
            return "Sealed", Reason.SEALED, f"{shut}{until}; but {_NOT_TAKEN}"
        return "Sealed", Reason.SEALED, f"{standing.message}{until}"
    return standing.phase, Reason(standing.reason), standing.message


def approval_status(
    generation: int,
    refusals: Iterable[Refusal],
    verdict: Verdict | None,
    exception: str,
    previous: SegmentApprovalStatus,
    now: str,
) -> SegmentApprovalStatus:
    """Fold an approval; `verdict` is None when there is no exception that could say anything of it."""
    wrong = list(refusals)
    if wrong:
        ready = (ConditionType.READY, False, Reason.INVALID, listing(map(str, wrong)))
    elif verdict is None:
        ready = (
            ConditionType.READY,
            False,
            Reason.NOT_COUNTED,
            f"there is no SegmentException {exception} that it could count for",
        )
    elif verdict.counts:
        ready = (ConditionType.READY, True, Reason.COUNTED, f"counts for SegmentException {exception}")
    else:
        ready = (ConditionType.READY, False, Reason.NOT_COUNTED, f"does not count, for {verdict.problem}")
    before = {c.type: c for c in previous.conditions}
    return SegmentApprovalStatus(observed_generation=generation, conditions=settled([ready], before, generation, now))


def event(
    spec: SegmentExceptionSpec, found: Effect, before: SegmentExceptionStatus, after: SegmentExceptionStatus
) -> Event | None:
    """Tell that an exception came into another phase; None when it did not."""
    if before.phase == after.phase:
        return None
    asked = f"{clean(spec.requested_by.username, LINE)} asked" + (f" ({spec.ticket})" if spec.ticket else "")
    who = f"{asked}: {clean(spec.reason)}"
    approved = f"; approved by {', '.join(after.approvers)}" if after.approvers else ""
    match after.phase:
        case "Open":
            opens = _opens(spec.stage, found) or f"stage {spec.stage} reaches nothing more"
            opened = f"{opens} until {after.expires_at}"
            return Event("Warning", "ExceptionOpened", fitted(f"{opened}; {who}{approved}"))
        case "Sealed":
            return Event("Warning", "StageSealed", fitted(f"stage {spec.stage} is cut off; {who}"))
        case "Expired":
            was = f"stage {spec.stage} is as declared again" if before.phase in IN_FORCE else "it was never in force"
            why = _ready(after) if after.reason == Reason.REPLACED else "its time is over"
            return Event("Normal", "ExceptionExpired", fitted(f"{why}: {was}; {who}{approved}"))
        case "Refused":
            return Event("Warning", "ExceptionRefused", fitted(_ready(after)))
        case _ if before.phase in IN_FORCE:
            # Of a segment that says nothing, only what stands is known.
            what = f"stage {spec.stage} is as declared again: " if after.reason != Reason.UNRESOLVED else ""
            return Event("Warning", "ExceptionClosed", fitted(f"{what}{_ready(after)}"))
        case _:
            return Event("Normal", "ExceptionRequested", fitted(f"{who}; {_ready(after)}"))


def gone(record: Mapping[str, Any]) -> Event:
    """Tell, of the segment, that an exception in force was taken back."""
    lifted = record["effect"] == "Seal"
    what = "is not sealed any more" if lifted else "is as declared again"
    message = f"SegmentException {record['name']} was deleted: stage {record['stage']} {what}"
    return Event("Normal", "SealLifted" if lifted else "ExceptionRevoked", fitted(message))


def record(
    exception: SegmentException, spec: SegmentExceptionSpec, found: Effect, status: SegmentExceptionStatus
) -> dict[str, Any]:
    """Give what the audit trail says of an exception in force: who, why, what, from when to when.

    `opens` is what of its `reaches` was open when it was last seen, `gives` the actions that it gives in AWS, there or on
    their way; nothing for one that was over before we began.
    """
    return {
        "kind": names.EXCEPTION,
        "namespace": exception.meta.namespace,
        "name": exception.meta.name,
        "uid": exception.meta.uid,
        "segment": str(Key(exception.meta.namespace, spec.segment)),
        "stage": spec.stage,
        "effect": spec.effect,
        "requestedBy": clean(spec.requested_by.username, MESSAGE),
        "requestedAt": exception.meta.created,
        "approvedBy": list(status.approvers),
        "reason": clean(spec.reason),
        "ticket": clean(spec.ticket or "", LINE),
        "reaches": [clean(shown(entry), MESSAGE) for entry in spec.reaches[:_MAX_TARGETS]],
        "permissions": [clean(shown(each), MESSAGE) for each in (spec.aws.permissions if spec.aws else ())],
        "opens": [clean(target, MESSAGE) for target in found.opened[:_MAX_TARGETS]],
        "gives": [clean(action, MESSAGE) for action in found.rights[:_MAX_TARGETS]],
        "opensAt": status.opens_at or "",
        "expiresAt": status.expires_at or "",
        "specHash": exception.hash,
    }


def trail(
    action: Literal["open", "seal", "close", "lift"], what: Mapping[str, Any], *, time: str, why: str, user: str
) -> dict[str, Any]:
    """Build the audit line of an exception that came into force, or out of it."""
    return {"audit": True, "time": time, "action": action, **what, "why": clean(why), "user": clean(user, LINE)}


def _ready(status: SegmentExceptionStatus) -> str:
    return next((c.message for c in status.conditions if c.type == ConditionType.READY), "")


def _opens(stage: str, found: Effect) -> str:
    """Say what a stage has more; '' for nothing."""
    parts = [f"reaches {', '.join(found.opened)}"] if found.opened else []
    parts += [f"may {', '.join(found.rights)} in AWS"] if found.rights else []
    return f"stage {stage} {' and '.join(parts)}" if parts else ""


def _lent(stage: StageReach) -> tuple[Statement, ...]:
    return stage.cloud.rights.lent if stage.cloud is not None and stage.cloud.rights is not None else ()


def _time(when: datetime | None) -> str:
    return written(when) if when is not None else ""
