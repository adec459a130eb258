"""What there is to tell of a segment's roles in AWS."""

from collections.abc import Iterator
from typing import Final

from pipesegment import names
from pipesegment.compile.desired import Desired, ObjectID
from pipesegment.findings import Finding, quoted
from pipesegment.plan.changes import ChangeSet
from pipesegment.report.outcome import Outcome

#: The kinds that are made in AWS.
KINDS: Final = frozenset({names.IAM_ROLE, names.POD_IDENTITY_ASSOCIATION})
#: Findings that say why a stage has no role.
_GAPS: Final = frozenset({"EndpointUnknown", "RoleTooLarge"})


def unmade(desired: Desired, changes: ChangeSet, paths: dict[str, str]) -> Iterator[Finding]:
    """Name what should be in AWS and nobody is about to make; `paths` tells where a stage was declared."""
    planned = {change.id for change in changes.changes}
    for obj in desired.in_cloud.objects:
        target = ObjectID.of(obj)
        if target not in planned:
            path = f"{paths.get(obj['metadata']['labels'][names.STAGE_LABEL], 'spec')}.aws"
            message = f"{target} is not made, and not looked for: this version makes nothing in AWS"
            yield Finding(path, "RoleNotMade", str(target), message, "make it as `pipesegment compile --aws` prints it")


def unmade_of(outcome: Outcome) -> list[Finding]:
    """Name what an outcome leaves unmade in AWS."""
    if outcome.desired is None or outcome.reach is None:
        return []
    paths = {stage.key.stage: stage.path for stage in outcome.reach.stages}
    return list(unmade(outcome.desired, outcome.changes, paths))


def refused(outcome: Outcome) -> list[Finding]:
    """Give what the class does not allow in AWS."""
    refusals = outcome.reach.cloud_refusals if outcome.reach else ()
    return [Finding(r.path, r.reason, r.value, f"{r.problem} {quoted(r.value)}", r.fix, r.object) for r in refusals]


def gaps(outcome: Outcome) -> list[Finding]:
    """Give the reasons why a stage has no role though its class allows one."""
    told = (*(outcome.reach.findings if outcome.reach else ()), *(outcome.desired.gaps if outcome.desired else ()))
    return [finding for finding in told if finding.reason in _GAPS]


def role_arn(outcome: Outcome, stage: str) -> str | None:
    """Give the role that a stage has: somebody else's, or the managed one once it is there."""
    reach = outcome.reach
    identity = next((s.cloud for s in reach.stages if s.key.stage == stage), None) if reach else None
    if identity is None or identity.role_arn:
        return identity.role_arn if identity else None
    for change in outcome.changes.changes:
        exists = outcome.done.get(change.id) or change.live is not None
        if change.id.kind == names.IAM_ROLE and change.stage == stage and change.desired is not None and exists:
            return str(change.desired["metadata"]["annotations"][names.ARN_ANNOTATION])
    return None
