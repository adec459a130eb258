"""Roles that another controller makes: from desired and live custom resources to the calls that bring them about.

What a role should be at this moment is decided as for roles that are made here: a role that loses rights denies its earlier
sessions everything, one of a segment that is held back only narrows, one that is given up and kept has no rights. The calls
are to the API server; when and in which order AWS hears of it is the controller's to decide (docs/adr/0056).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

from pipesegment import names
from pipesegment.compile.desired import Desired, Object, ObjectID, stage_of
from pipesegment.compile.iam.backends import CONTROLLERS, maker
from pipesegment.compile.iam.controlled import Backend, Held
from pipesegment.compile.iam.policy import REVOKED
from pipesegment.compile.iam.trust import VERSION
from pipesegment.compile.iam.values import Role, document, text
from pipesegment.facts.moments import written as as_written
from pipesegment.findings import Finding
from pipesegment.plan.aws import revocation
from pipesegment.plan.aws.rights import Rights, narrowed
from pipesegment.plan.aws.steps import SESSIONS_BEFORE, Moment
from pipesegment.plan.changes import Action, Change, ChangeSet, Why, is_ours, plan
from pipesegment.plan.diff import differences
from pipesegment.plan.live import Entry, Live
from pipesegment.plan.sequence import Sequence, Step, Verb, Wave

#: Where the steps of a kind come: rights go first, and who uses a role comes when it stands. Deletions, then applies.
_LAST: Final = (Wave.PRUNE, Wave.WIDEN)
_WAVES: Final[Mapping[str, tuple[Wave, Wave]]] = {
    "RolePolicy": (Wave.NARROW, Wave.TURN),
    "RolePolicyAttachment": (Wave.NARROW, Wave.TURN),
    names.CONTROLLED_ROLE: (Wave.PRUNE_IDENTITY, Wave.NARROW),
}
#: What stands in for a policy that somebody added, until it is taken out: to take a field away one has to hold it.
_NOTHING: Final = text({"Version": VERSION, "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})


@dataclass(frozen=True, slots=True)
class Arranged:
    """What is to be written, stage by stage, and what came of comparing."""

    changes: ChangeSet
    sequences: tuple[Sequence, ...]
    findings: tuple[Finding, ...] = ()
    withheld: tuple[ObjectID, ...] = ()
    cuts: Mapping[str, revocation.Standing] = field(default_factory=dict)  # role -> what cuts its sessions now


@dataclass(slots=True)
class _Target:
    """What should be there now, and what was found out on the way."""

    objects: list[Object] = field(default_factory=list)
    withheld: list[ObjectID] = field(default_factory=list)
    untouched: set[ObjectID] = field(default_factory=set)
    cuts: dict[str, revocation.Standing] = field(default_factory=dict)  # role -> what cuts its sessions now
    owed: Mapping[str, revocation.Standing] = field(default_factory=dict)
    stripped: dict[ObjectID, Object] = field(default_factory=dict)  # roles that go, without rights
    stuck: set[str] = field(default_factory=set)  # stages that are given nothing
    absent: frozenset[ObjectID] = frozenset()

    def gives(self, moment: Moment, stage: str) -> bool:
        """Tell whether a stage may have more than it has."""
        return moment.widens and stage not in self.stuck


def arrange(
    desired: Desired,
    live: Mapping[ObjectID, Object],
    moment: Moment,
    *,
    deletes: bool,
    inventory: tuple[Entry, ...] = (),
    paths: Mapping[str, str] | None = None,
    absent: Collection[ObjectID] = (),
    owed: Mapping[str, revocation.Standing] | None = None,
) -> Arranged:
    """Compare what should be with what is; `live` are whole objects, whosever they are. `deletes`: roles go with their objects.

    `absent` cannot be written for now, for their kinds are not installed. Whatever keeps a stage from being given
    something, it still loses what it should not have. `owed` are cuts that were refused when rights were taken already.
    """
    recorded = {entry.id: entry.uid for entry in inventory}
    ours = {t: o for t, o in live.items() if _is_ours(Live.of(o), desired, recorded)}
    target = _Target(owed=owed or {}, absent=frozenset(absent))
    target.stuck |= {stage_of(o) for o in desired.objects if ObjectID.of(o) in absent and _is_of_role(o)}
    # A role that is somebody else's gets nothing of ours: neither rights nor an account that uses it.
    names_of = {ObjectID.of(o): o for o in (*desired.objects, *companions(desired))}
    taken = {
        t: o for t, o in names_of.items() if t in live and not is_ours(Live.of(live[t]), desired, recorded.get(t, ""))
    }
    target.stuck |= set(map(stage_of, taken.values()))
    for name, backend in CONTROLLERS.items():
        wanted = [obj for obj in desired.objects if maker(obj["apiVersion"]) == name]
        there = [obj for obj in ours.values() if maker(obj["apiVersion"]) == name]
        _roles(target, backend, wanted, there, moment, deletes=deletes)
        _others(target, backend, wanted, there, moment)
    planned = set(map(ObjectID.of, target.objects))
    target.objects += [obj for t, obj in taken.items() if t not in planned]
    seen = {t: Live.of(o) for t, o in live.items() if t not in target.untouched - taken.keys()}
    now = Desired(desired.segment, desired.uid, tuple(target.objects))
    changes = plan(now, seen, inventory)
    steps = sorted(_steps(changes, target), key=lambda step: (step.change.stage, step.wave, step.id))
    sequences = tuple(Sequence(tuple(some)) for _, some in groupby(steps, key=lambda step: step.change.stage))
    told = tuple(_foreign(change, paths or {}) for change in changes.of(Action.CONFLICT))
    return Arranged(changes, sequences, told, tuple(sorted(target.withheld)), target.cuts)


def companions(desired: Desired) -> tuple[Object, ...]:
    """Give the objects that a cut of sessions would need beside what is desired: nobody else may hold their names."""
    declared = {ObjectID.of(obj) for obj in desired.objects}
    cut = revocation.document(datetime.fromtimestamp(0, UTC), "")
    found = [
        obj
        for backend in CONTROLLERS.values()
        for held in backend.roles(desired.objects).values()
        for obj in backend.role(replace(held, revoked=cut), retained=True)
    ]
    return tuple(obj for obj in found if ObjectID.of(obj) not in declared)


def settled(arranged: Arranged, desired: Desired, done: Mapping[ObjectID, str]) -> ChangeSet:
    """Give what stands and what is still to be written, against what was desired; what was given up is not spoken of."""
    declared = {ObjectID.of(obj): obj for obj in desired.objects}
    kept = []
    for change in arranged.changes.changes:
        pending = change.writes and change.id not in done
        if change.action is Action.CONFLICT or (change.id not in declared and not pending):
            continue
        uid = done.get(change.id) or change.uid
        stands = not pending and change.why is not Why.TERMINATING and change.id not in arranged.withheld
        action, why = (Action.UNCHANGED, Why.SAME) if stands else (change.action, change.why)
        if not stands and action is Action.UNCHANGED:
            action = Action.CONFIGURED
        wanted = declared.get(change.id)
        found = Live(change.id, uid) if uid else None
        kept.append(replace(change, action=action, why=why, desired=wanted, live=found, differences=()))
    missing = [t for t in arranged.withheld if t in declared and t not in {c.id for c in kept}]
    kept += [Change(Action.CREATED, t, Why.NEW, declared[t]) for t in missing]
    return ChangeSet(tuple(sorted(kept, key=lambda change: change.id)))


def _roles(
    target: _Target, backend: Backend, wanted: list[Object], there: list[Object], moment: Moment, *, deletes: bool
) -> None:
    want, have = backend.roles(wanted), backend.roles(there)
    for name in sorted({*want, *have}):
        held, found = want.get(name), have.get(name)
        declared = [obj for obj in wanted if backend.role_of(obj) == name]
        gives = target.gives(moment, stage_of(declared[0]) if declared else "")
        if found is None:
            if gives:
                target.objects += declared
            else:
                target.withheld += map(ObjectID.of, declared)
            continue
        role = held.role if held is not None else replace(found.role, inline={}, managed=())
        if not gives:
            wished, role = role, narrowed(found.role, role)
            target.withheld += map(ObjectID.of, declared if role != wished else ())
        written = _write(target, backend, role, found, moment, retained=not deletes)
        if held is None and deletes:
            # Whatever becomes of the deletion, and when: the rights go first.
            target.stripped |= {ObjectID.of(obj): obj for obj in written if obj["kind"] == names.CONTROLLED_ROLE}
        else:
            target.objects += written


def _write(
    target: _Target, backend: Backend, role: Role, found: Held, moment: Moment, *, retained: bool
) -> list[Object]:
    stands = revocation.read(found.revoked) if found.revoked is not None else None
    cut = revocation.standing(found.role, role, stands, moment.now)
    late = target.owed.get(role.name)
    if cut == stands and late is not None and not revocation.is_over(late[0], moment.now):
        cut = late
    if cut is not None and cut != stands:
        target.cuts[role.name] = cut
    denial = revocation.document(*cut) if cut is not None else None
    return backend.role(Held(role, denial), retained=retained)


def _others(target: _Target, backend: Backend, wanted: list[Object], there: list[Object], moment: Moment) -> None:
    """Bind accounts, unless the segment is held back: then nobody is given a role, or another one."""
    for obj in wanted:
        if not backend.role_of(obj):
            free = target.gives(moment, stage_of(obj)) and ObjectID.of(obj) not in target.absent
            if free or _stands(obj, there):
                target.objects.append(obj)
            else:
                target.withheld.append(ObjectID.of(obj))
                target.untouched.add(ObjectID.of(obj))


def _is_of_role(obj: Object) -> bool:
    return ObjectID.of(obj).by_controller and bool(CONTROLLERS[maker(obj["apiVersion"])].role_of(obj))


def _stands(obj: Object, there: Iterable[Object]) -> bool:
    stamp = obj["metadata"]["annotations"][names.HASH_ANNOTATION]
    same = (o for o in there if ObjectID.of(o) == ObjectID.of(obj))
    return any((o["metadata"].get("annotations") or {}).get(names.HASH_ANNOTATION) == stamp for o in same)


def _is_ours(live: Live, desired: Desired, recorded: Mapping[ObjectID, str]) -> bool:
    return is_ours(live, desired, recorded.get(live.id, "")) and not live.deleting


def _steps(changes: ChangeSet, target: _Target) -> Iterator[Step]:
    for change in changes.writes:
        delete, apply = _WAVES.get(change.id.kind, _LAST)
        if change.desired is None:
            stripped, live = target.stripped.get(change.id), change.live.object if change.live else None
            if stripped is not None and live is not None and differences(stripped, live):
                details = _details(stripped, target)
                yield Step(Wave.NARROW, "apply", change.id, change, stripped, False, change.uid, details=details)
            yield Step(delete, "delete", change.id, change, uid=change.uid)
            continue
        # The denial of earlier sessions comes before anything else of a role.
        denies = change.id.name.endswith(REVOKED.removeprefix("pipesegment"))
        wave = Wave.DENY if denies else Wave.NARROW if _takes(change) else apply
        foreign = _foreign_policies(change)
        if foreign is not None:
            yield Step(Wave.DENY, "apply", change.id, change, foreign, final=False, uid=change.uid)
        verb: Verb = "create" if change.live is None else "apply"
        yield Step(
            wave, verb, change.id, change, change.desired, uid=change.uid, details=_details(change.desired, target)
        )


def _details(obj: Object, target: _Target) -> dict[str, str]:
    """Give the moment when this very object cuts sessions."""
    cut = target.cuts.get(cut_by(obj))
    return {SESSIONS_BEFORE: as_written(cut[0])} if cut is not None else {}


def _takes(change: Change) -> bool:
    """Tell whether an object that gives rights is one of less, or of others: one write, that does not wait for what gives."""
    of_role = change.id.kind in _WAVES and change.id.kind != names.CONTROLLED_ROLE
    if not of_role or change.live is None or change.live.object is None or change.desired is None:
        return False
    live, wanted = change.live.object.get("spec") or {}, change.desired["spec"]
    before, after = live.get("forProvider") or {}, wanted.get("forProvider") or {}
    if "policy" not in after or before.get("role") != after["role"]:
        return True
    return Rights.written([document(before.get("policy"))]).loses(Rights.written([document(after["policy"])]))


def cut_by(obj: Object) -> str:
    """Name the role whose sessions this very object cuts; '' for none."""
    spec = obj["spec"]
    if REVOKED in (spec.get("inlinePolicies") or {}):
        return str(spec.get("name"))
    own = obj["metadata"]["annotations"].get("crossplane.io/external-name") == REVOKED
    return str((spec.get("forProvider") or {}).get("role")) if own else ""


def _foreign_policies(change: Change) -> dict[str, Any] | None:
    """Give the object with what somebody added to its inline policies denied: held by us, it goes with the next apply."""
    if change.live is None or change.live.object is None or change.desired is None:
        return None
    spec = change.desired["spec"]
    if "inlinePolicies" not in spec:
        return None
    there = ((change.live.object.get("spec") or {}).get("inlinePolicies") or {}).keys()
    added = dict.fromkeys(there - spec["inlinePolicies"].keys(), _NOTHING)
    if not added:
        return None
    return {**change.desired, "spec": {**spec, "inlinePolicies": {**spec["inlinePolicies"], **added}}}


def _foreign(change: Change, paths: Mapping[str, str]) -> Finding:
    path = f"{paths.get(change.stage, 'spec')}.aws"
    message = f"{change.id} exists and does not say that it is this segment's, so it is left as it is"
    reason = "ForeignRole" if change.id.kind != names.POD_IDENTITY_ASSOCIATION else "ForeignAssociation"
    return Finding(path, reason, str(change.id), message, "delete it if nothing needs it, or rename the stage")
