"""One look at a segment's roles: what is whose, and the calls for each stage in their order."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby

from pipesegment import names
from pipesegment.compile.desired import Desired, Object, ObjectID
from pipesegment.compile.iam.values import Association, Role
from pipesegment.findings import Finding
from pipesegment.plan.aws import associations, roles
from pipesegment.plan.aws.associations import Bound
from pipesegment.plan.aws.ownership import Owner, left_behind, stranger
from pipesegment.plan.aws.roles import Found
from pipesegment.plan.aws.steps import CloudStep, Moment, in_order
from pipesegment.plan.changes import Action, Change, ChangeSet, Why, plan
from pipesegment.plan.live import Entry, Live


@dataclass(frozen=True, slots=True)
class Terms:
    """What the class says of what is made: which managed policies are ours to take off, and whether roles are deleted."""

    policies: frozenset[str] = frozenset()
    deletes: bool = False


@dataclass(frozen=True, slots=True)
class Sight:
    """What exists in AWS by the names concerned."""

    roles: Mapping[str, Found] = field(default_factory=dict)
    bound: tuple[Bound, ...] = ()


@dataclass(frozen=True, slots=True)
class CloudPlan:
    """`changes` of every object, `chains` of calls for those of one stage each, which do not wait for one another.

    `findings` tell what is somebody else's, `kept` what stays though nobody declares it, and why.
    """

    changes: ChangeSet
    chains: tuple[tuple[CloudStep, ...], ...]
    findings: tuple[Finding, ...] = ()
    kept: tuple[str, ...] = ()


def look(
    desired: Desired,
    sight: Sight,
    owner: Owner,
    terms: Terms,
    moment: Moment,
    *,
    inventory: Iterable[Entry] = (),
    stood: Mapping[ObjectID, str] | None = None,
    paths: Mapping[str, str] | None = None,
) -> CloudPlan:
    """Compare what should be in AWS with what is.

    `stood` holds the fingerprints of what was as desired at the last look, `paths` where a stage was declared.
    """
    wanted = {ObjectID.of(obj): obj for obj in desired.objects}
    live = dict(_live(wanted, sight, owner))
    changes = ChangeSet(tuple(_why(c, stood or {}) for c in plan(desired, live, inventory).changes))
    kept: list[str] = []
    findings = [_foreign(c, sight, paths or {}) for c in changes.of(Action.CONFLICT)]
    findings += [f for c in changes.changes if (f := _elsewhere(c, sight, paths or {})) is not None]
    told = {finding.target for finding in findings}
    stuck = {c.stage for c in changes.changes if str(c.id) in told}
    calls = [
        step
        for change in changes.changes
        if change.action is not Action.CONFLICT and not (change.desired is not None and change.stage in stuck)
        for step in _calls(change, sight, terms, moment, kept)
    ]
    by_stage = groupby(sorted(calls, key=lambda step: step.change.stage), key=lambda step: step.change.stage)
    return CloudPlan(changes, tuple(in_order(steps) for _, steps in by_stage), tuple(findings), tuple(kept))


def _why(change: Change, stood: Mapping[ObjectID, str]) -> Change:
    """Tell drift from a change of the declaration: a live object's own fingerprint is one of what it is now."""
    if change.action is not Action.CONFIGURED or change.desired is None:
        return change
    same = stood.get(change.id) == change.desired["metadata"]["annotations"][names.HASH_ANNOTATION]
    return replace(change, why=Why.DRIFT if same else Why.CHANGED)


def _live(wanted: Mapping[ObjectID, Object], sight: Sight, owner: Owner) -> Iterator[tuple[ObjectID, Live]]:
    """Give what exists as objects; what is not ours says so, and what others tag beside us is theirs."""
    for found in sight.roles.values():
        role, target = (
            found.role,
            ObjectID(names.IAM_API_VERSION, names.IAM_ROLE, owner.segment.namespace, found.role.name),
        )
        if target in wanted:
            known = Role.of(wanted[target])
            ours = not stranger(role.tags, owner, known.tags.get(names.STAGE_LABEL, ""))
            seen = replace(role, tags=_shared(role.tags, known.tags))
        else:
            ours, seen = left_behind(role.name, role.tags, owner, role.account), role
        yield target, _told(target, seen.object(found.id), ours=ours)
    by_account = {(a.namespace, a.account): t for t, a in _associations(wanted)}
    for bound in sight.bound:
        live = bound.association
        stage = live.tags.get(names.STAGE_LABEL, "")
        target = by_account.get((live.namespace, live.account)) or ObjectID.of(live.object())
        if target in wanted:
            known_tags = Association.of(wanted[target]).tags
            stage, live = known_tags.get(names.STAGE_LABEL, ""), replace(live, tags=_shared(live.tags, known_tags))
        yield target, _told(target, live.object(bound.id), ours=not stranger(bound.association.tags, owner, stage))


def _associations(wanted: Mapping[ObjectID, Object]) -> Iterator[tuple[ObjectID, Association]]:
    of_kind = ((t, o) for t, o in wanted.items() if t.kind == names.POD_IDENTITY_ASSOCIATION)
    return ((target, Association.of(obj)) for target, obj in of_kind)


def _told(target: ObjectID, obj: Object, *, ours: bool) -> Live:
    found = replace(Live.of(obj), id=target)
    return found if ours else replace(found, owner="", managed_by_us=False)


def _shared(live: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in live.items() if key in wanted}


def _calls(change: Change, sight: Sight, terms: Terms, moment: Moment, kept: list[str]) -> Iterable[CloudStep]:
    if change.id.kind == names.IAM_ROLE:
        found = sight.roles.get(change.id.name)
        if change.desired is not None:
            return roles.steps(change, Role.of(change.desired), found, moment)
        if found is None:
            return ()
        calls, foreign = roles.farewell(change, found, terms.policies, moment, delete=terms.deletes)
        if foreign:
            kept.append(f"{change.id} keeps what somebody else gave it: {', '.join(foreign)}")
        return calls
    bound = _bound(change, sight)
    if change.desired is not None:
        return associations.steps(change, Association.of(change.desired), bound, moment)
    return associations.farewell(change, bound) if bound is not None else ()


def _bound(change: Change, sight: Sight) -> Bound | None:
    return next((b for b in sight.bound if change.live is not None and b.id == change.live.uid), None)


def _foreign(change: Change, sight: Sight, paths: Mapping[str, str]) -> Finding:
    path = f"{paths.get(change.stage, 'spec')}.aws"
    message = f"{change.id} exists in AWS and its tags do not say that it is this segment's, so it is left as it is"
    if change.id.kind == names.IAM_ROLE:
        found = sight.roles[change.id.name].role
        fix = f"delete role {found.path}{found.name} there if nothing needs it, or rename the stage"
        return Finding(path, "ForeignRole", str(change.id), message, fix)
    fix = "delete that association if nothing needs it, or give the stage another service account"
    return Finding(path, "ForeignAssociation", str(change.id), message, fix)


def _elsewhere(change: Change, sight: Sight, paths: Mapping[str, str]) -> Finding | None:
    """Tell of a role of ours under another path: no call moves one, and its ARN is another."""
    found = sight.roles.get(change.id.name) if change.id.kind == names.IAM_ROLE else None
    if found is None or change.desired is None or change.action is Action.CONFLICT:
        return None
    desired = Role.of(change.desired)
    if found.role.path == desired.path:
        return None
    path = f"{paths.get(change.stage, 'spec')}.aws"
    message = f"{change.id} is under {found.role.path}, and the class wants {desired.path}; no role can be moved"
    fix = "have the platform team set spec.aws.rolePath back, or delete the role: it is made anew"
    return Finding(path, "RoleElsewhere", str(change.id), message, fix)
