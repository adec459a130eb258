"""What there is to tell of a segment's roles in AWS."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pipesegment import names
from pipesegment.compile.desired import Desired, Object, ObjectID, stage_of
from pipesegment.findings import Finding, quoted
from pipesegment.plan.changes import Action
from pipesegment.reach import exceptions
from pipesegment.report.findings import failure, sentence
from pipesegment.report.outcome import CloudState, Outcome
from pipesegment.report.text import counted, listing
from pipesegment.spec.status import Reason

#: Findings that say why a stage has no role, or no security groups.
_GAPS: Final = frozenset({"EndpointUnknown", "RoleTooLarge", "GroupsUnserved"})


def unread(desired: Desired, paths: dict[str, str]) -> Iterator[Finding]:
    """Name what should be in AWS and was not looked for there; `paths` tells where a stage was declared."""
    for obj in desired.in_cloud.objects:
        target = ObjectID.of(obj)
        path = f"{paths.get(obj['metadata']['labels'][names.STAGE_LABEL], 'spec')}.aws"
        message = f"{target} was not looked for: only the operator looks into AWS"
        yield Finding(path, "RoleNotRead", str(target), message, "see the segment's condition CloudReady")


def verdict(outcome: Outcome) -> tuple[bool, Reason, str]:
    """Tell whether everything in AWS is as declared, and if not, why; the network is not spoken of."""
    for reason, found in ((Reason.INVALID, refused(outcome)), (Reason.GAP, gaps(outcome))):
        if found:
            return False, reason, listing(map(sentence, found))
    state, desired = outcome.cloud or CloudState(), _wanted(outcome)
    if state.findings:
        return False, Reason.FOREIGN_ROLE, listing(map(sentence, state.findings))
    if state.trouble is not None and (desired or state.changes.changes):
        return False, Reason(state.trouble[0]), state.trouble[1]
    if state.failed:
        return False, Reason.APPLY_FAILED, listing(map(failure, state.failed))
    if state.withheld:
        held = "nothing is made or widened until the segment may be: "
        reason = Reason.SUSPENDED if outcome.reach is not None and outcome.reach.suspended else Reason.PROGRESSING
        return False, reason, listing(map(str, state.withheld), held)
    waiting = _unwritten(state, desired)
    waiting += [change.id for change in state.changes.of(Action.DELETED)]
    if waiting:
        return False, Reason.PROGRESSING, listing(map(str, waiting), "not written yet: ")
    if not desired:
        return True, Reason.NOT_DECLARED, "nothing of it is declared"
    return True, Reason.APPLIED, f"{counted(len(desired), 'object in AWS', 'objects in AWS')} as declared"


def _wanted(outcome: Outcome) -> Sequence[Object]:
    return outcome.desired.in_cloud.objects if outcome.desired else ()


def _unwritten(state: CloudState, wanted: Iterable[Object]) -> list[ObjectID]:
    """Name what does not stand in AWS as it is desired."""
    stands = {c.id: _hash(c.desired) for c in state.changes.of(Action.UNCHANGED) if c.desired is not None}
    return [ObjectID.of(obj) for obj in wanted if stands.get(ObjectID.of(obj)) != _hash(obj)]


def _hash(obj: Object) -> str:
    return str(obj["metadata"]["annotations"][names.HASH_ANNOTATION])


def refused(outcome: Outcome) -> list[Finding]:
    """Give what the class does not allow in AWS."""
    refusals = outcome.reach.cloud_refusals if outcome.reach else ()
    return [Finding(r.path, r.reason, r.value, f"{r.problem} {quoted(r.value)}", r.fix, r.object) for r in refusals]


def gaps(outcome: Outcome) -> list[Finding]:
    """Give the reasons why a stage has no role, or no groups, though its class allows them."""
    told = (*(outcome.reach.findings if outcome.reach else ()), *(outcome.desired.gaps if outcome.desired else ()))
    return [finding for finding in told if finding.reason in _GAPS and not exceptions.is_of(finding.path)]


def is_written(outcome: Outcome, stage: str) -> bool:
    """Tell whether a stage's role is as it is desired now; how it is bound to an account is not asked."""
    of_stage = (obj for obj in _wanted(outcome) if stage_of(obj) == stage)
    wanted = [obj for obj in of_stage if obj["kind"] != names.POD_IDENTITY_ASSOCIATION]
    return bool(wanted) and not _unwritten(outcome.cloud or CloudState(), wanted)


def stands_otherwise(outcome: Outcome, stage: str) -> bool:
    """Tell whether a stage has something in AWS, as far as is known, that is not as it is desired now.

    What is withheld of a role that narrows has been taken already.
    """
    state = outcome.cloud or CloudState()
    wanted = {ObjectID.of(obj): _hash(obj) for obj in _wanted(outcome)}
    narrowed = set(state.withheld) - {failed.id for failed in state.failed}
    for change in state.changes.changes:
        # Of what a status recorded and nobody desires, only a look tells the stage. What is to be made beside it is a cut.
        if change.stage not in {stage, ""} or (change.live is None and change.id in wanted):
            continue
        done = change.action is Action.UNCHANGED or change.id in narrowed
        same = change.desired is not None and wanted.get(change.id) == _hash(change.desired)
        if not (done and same) or (change.id.by_controller and state.trouble is not None):
            return True
    return False


def role_arn(outcome: Outcome, stage: str) -> str | None:
    """Give the role that a stage has: somebody else's, or the managed one once it is there."""
    reach = outcome.reach
    identity = next((s.cloud for s in reach.stages if s.key.stage == stage), None) if reach else None
    if identity is None or identity.role_arn:
        return identity.role_arn if identity else None
    state = outcome.cloud or CloudState()
    for change in state.changes.changes:
        if change.id.by_controller and state.trouble is not None:
            # Its custom resource is there; whether the role is, its controller has not said.
            continue
        if change.id.is_role and change.stage == stage and change.desired is not None and change.live:
            return str(change.desired["metadata"]["annotations"][names.ARN_ANNOTATION])
    return None
