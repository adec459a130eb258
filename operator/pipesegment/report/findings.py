"""What each finding does to a segment's conditions: one table, and the order in which the worst is told first."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pipesegment.findings import Finding, Refusal, quoted
from pipesegment.reach import exceptions
from pipesegment.report.outcome import Failed, Outcome
from pipesegment.report.text import LINE, clean
from pipesegment.spec.status import Reason

#: Reasons for which Ready is False, the worst first; where several hold, the first is Ready's reason.
READY_FALSE: Final = (
    Reason.INVALID,
    Reason.NOT_YET_SUPPORTED,
    Reason.CONFLICT,
    Reason.APPLY_FAILED,
    Reason.OVERLAPPING,
    Reason.UNRESOLVED,
    Reason.HALF_OPEN,
    Reason.GAP,
)

#: Reasons for which Conforming is False, the worst first.
CONFORMING_FALSE: Final = (
    Reason.NOT_ENFORCED,
    Reason.WIDENED,
    Reason.HOST_NETWORK,
    Reason.UNWIRED,
    Reason.NAMESPACE_OPEN,
)

#: Findings under another name than the reason that they stand for. Every other unknown one is a Gap.
_STANDS_FOR: Final[Mapping[str, Reason]] = {
    "AmbiguousClass": Reason.UNRESOLVED,  # no class could be found that governs
    "ClassLost": Reason.UNRESOLVED,
    "OverlapUnion": Reason.WIDENED,  # the other stage's allows add up with this one's
    "PipelineUnclosed": Reason.NAMESPACE_OPEN,
    "BarePods": Reason.NOT_ENFORCED,
    "StartupWindow": Reason.NOT_ENFORCED,
    "SharedName": Reason.NOT_ENFORCED,
    "SecondFamily": Reason.NOT_ENFORCED,
    "UnfencedNode": Reason.NOT_ENFORCED,
    "ExceptUnreliable": Reason.NOT_ENFORCED,
    "PortsMerged": Reason.NOT_ENFORCED,
    "ForeignRole": Reason.CONFLICT,
    "ForeignAssociation": Reason.CONFLICT,
    "RoleElsewhere": Reason.CONFLICT,
    "GroupsStrict": Reason.NOT_ENFORCED,
    "GroupsPending": Reason.UNWIRED,
    "LaxMutualTLS": Reason.WIDENED,
    "Bypassed": Reason.WIDENED,
    "NoSidecar": Reason.UNWIRED,
    "NotCaptured": Reason.UNWIRED,
    "Captured": Reason.UNWIRED,
    "Exempt": Reason.CONFORMS,  # the class's own word, and Conforming's message repeats it
    "EngineUnknown": Reason.CONFORMS,  # nothing is known against it, and Conforming's message says what is not known
    "NamespaceUnknown": Reason.CONFORMS,
}
_REASONS: Final = {reason.value: reason for reason in Reason}
#: Findings that make no condition False; Ungranted may be Ready's reason.
_WARNINGS: Final = frozenset({Reason.UNGRANTED, Reason.CONFORMS})
#: What makes no condition False; the mesh's own condition tells it all the same.
_MESH_NOTES: Final = frozenset({"MeshIdle"})
#: What is as declared here and does not work for somebody else's doing: Ready stays True, and its message tells it.
_READY_NOTES: Final = frozenset(
    {
        *("DeadEnd", "BlockedByOthers", "PrivateDnsOff", "EndpointShut", "EndpointsOld", "GroupsOff"),
        *("ServiceShut", "PortsLost", "NamesOld", "NamesUnsteady"),
        *("StageSealed", "ExceptionRefused"),
    }
)
#: What the exceptions' own statuses tell.
_ELSEWHERE: Final = frozenset({"ExceptionIdle"})
#: Gaps of the mesh: its own condition tells them too.
_MESH: Final = frozenset(
    {
        *("NoService", "NotInMesh", "NamedPort", "PortRange", "MeshSelector", "HttpNotEnforced"),
        *("MixedMesh", "WaypointUnfit", "TunnelOpen", "GrantUnheld"),
    }
)

By = Mapping[Reason, Sequence[Finding]]


def sorted_out(outcome: Outcome) -> By:
    """Give every finding of an outcome under the reason that it stands for, less those that stand for none."""
    found: dict[Reason, list[Finding]] = {}
    for finding in (*_refused(outcome.refusals), *_told(outcome), *outcome.conflicts):
        if finding.reason in _MESH_NOTES | _ELSEWHERE or _is_ready_note(finding):
            continue
        found.setdefault(_reason(finding), []).append(finding)
    for finding in outcome.desired.coarse if outcome.desired else ():
        found.setdefault(Reason.COARSE, []).append(finding)
    return found


def gaps(by: By) -> list[Finding]:
    """Give what keeps edges closed or objects unwritten, the worst first: `status.gaps[]`."""
    return [finding for reason in READY_FALSE for finding in by.get(reason, ())]


def mesh_gaps(outcome: Outcome) -> list[Finding]:
    """Give the gaps that the mesh has, a missing Service first."""
    found = [finding for finding in _told(outcome) if finding.reason in _MESH]
    return sorted(found, key=lambda f: f.reason != Reason.NO_SERVICE)


def mesh_notes(outcome: Outcome) -> list[Finding]:
    """Give what is to be told of the mesh though every object is as declared."""
    return [finding for finding in _told(outcome) if finding.reason in _MESH_NOTES]


def ready_notes(outcome: Outcome) -> list[Finding]:
    """Give what is to be told of edges though they are enforced as declared."""
    return [f for f in _told(outcome) if f.reason not in _ELSEWHERE and _is_ready_note(f)]


def _is_ready_note(finding: Finding) -> bool:
    """Tell whether a finding makes nothing False; what an exception cannot have is no fault of the segment's."""
    return finding.reason in _READY_NOTES or exceptions.is_of(finding.path)


def sentence(finding: Finding) -> str:
    """Write a finding as a line that tells people what to do."""
    return f"{finding.path}: {finding.message}: {finding.fix}"


def failure(failed: Failed) -> str:
    """Tell which call failed, and what was answered."""
    answer = f"{failed.status} {failed.message}" if failed.status else failed.message
    return f"{failed.verb} of {failed.id} failed: {answer}"


def fault(error: Exception) -> str:
    """Tell that we failed, at what nobody expected."""
    told = clean(f"{type(error).__name__}: {error}", LINE)
    return f"the operator failed at it: {told}; what stands stays as it is; please report it"


def _told(outcome: Outcome) -> tuple[Finding, ...]:
    cloud = outcome.cloud.findings if outcome.cloud else ()
    return (
        *(outcome.reach.findings if outcome.reach else ()),
        *(outcome.desired.gaps if outcome.desired else ()),
        *cloud,
    )


def _refused(refusals: Iterable[Refusal]) -> Iterable[Finding]:
    for refusal in refusals:
        message = f"{refusal.problem} {quoted(refusal.value)}"
        yield Finding(refusal.path, refusal.reason, refusal.value, message, refusal.fix, refusal.object)


def _reason(finding: Finding) -> Reason:
    reason = _STANDS_FOR.get(finding.reason) or _REASONS.get(finding.reason)
    known = {*READY_FALSE, *CONFORMING_FALSE, *_WARNINGS}
    return reason if reason in known else Reason.GAP
