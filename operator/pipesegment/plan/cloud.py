"""The order of what is made in AWS: rights are taken before they are given, and no state is wider than old or new.

It is a sequence of its own: AWS out of reach must never delay the network. A role is a pair, whom it trusts and what it may
do. Where both change, new hands would hold old rights in between, so the role first stands without any.

One step of a role is several calls, in this order: the boundary, what is detached, the trust, the inline policy (one
document, one call), what is attached, then tags and session. What has been done at any moment lies within the step's two
ends: until the inline policy is put the rights are old ones, less what is detached; from then on they are new ones.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pipesegment import names
from pipesegment.compile.desired import Object
from pipesegment.compile.iam.policy import POLICY
from pipesegment.plan.changes import Change, ChangeSet
from pipesegment.plan.sequence import Restraint, Sequence, Step, Verb, Wave

_TRUST: Final = "assumeRolePolicyDocument"


def cloud_sequence(changes: ChangeSet, restraint: Restraint = Restraint.NONE, *, retain: bool = True) -> Sequence:
    """Order the writes in AWS; of roles that change or go, the whole live object must be known.

    `retain`: a role that nobody declares any more loses its rights, and stays. While anything restrains the segment, rights
    are taken and nothing is given; a boundary that somebody took away is put back all the same.
    """
    writes = [change for change in changes.writes if change.id.in_cloud]
    steps: list[Step] = []
    if restraint is not Restraint.HELD:
        free = restraint is Restraint.NONE
        found = (step for change in writes for step in (_steps(change, retain) if free else _taken(change)))
        steps = sorted(found, key=lambda step: (step.wave, step.id))
    ends = {step.change.id for step in steps if step.final}
    return Sequence(tuple(steps), tuple(sorted(change.id for change in writes if change.id not in ends)))


def _steps(change: Change, retain: bool) -> Iterator[Step]:
    if change.id.kind != names.IAM_ROLE:
        # What binds an account comes after the role that it is bound to, and goes before it.
        yield _step(Wave.PRUNE if change.desired is None else Wave.WIDEN, change, change.desired)
        return
    old, new = _live(change), change.desired
    if new is None:
        assert old is not None
        yield _step(Wave.NARROW, change, _with(old, [], []), final=retain)
        if not retain:
            yield _step(Wave.PRUNE_IDENTITY, change, None)
    elif old is None:
        yield _step(Wave.IDENTITY, change, new)
    elif _narrows(old, new):
        yield _step(Wave.NARROW, change, new)
    else:
        if old["spec"][_TRUST] != new["spec"][_TRUST] and _rights(old) != _rights(new):
            yield _step(Wave.NARROW, change, _with(new, [], [], trust=old["spec"][_TRUST]), final=False)
        yield _step(Wave.IDENTITY, change, new)


def _taken(change: Change) -> Iterator[Step]:
    """Take from a role what it should not have, and give it nothing."""
    old, new = _live(change), change.desired
    if change.id.kind != names.IAM_ROLE or old is None:
        return
    if new is None:
        yield _step(Wave.NARROW, change, _with(old, [], []), final=False)
    elif _narrows(old, new):
        yield _step(Wave.NARROW, change, new)
    else:
        common = _common(old, new)
        if _rights(common) != _rights(old) or old["spec"]["permissionsBoundary"] != new["spec"]["permissionsBoundary"]:
            yield _step(Wave.NARROW, change, common, final=False)


def _step(wave: Wave, change: Change, obj: Object | None, *, final: bool = True) -> Step:
    verb: Verb = "delete" if obj is None else "create" if change.live is None else "apply"
    return Step(wave, verb, change.id, change, obj, final=final, uid=change.uid)


def _live(change: Change) -> Object | None:
    if change.live is None:
        return None
    if change.live.object is None:
        raise KeyError(change.id)
    return change.live.object


def _narrows(old: Object, new: Object) -> bool:
    """Tell whether a role only loses by a change; a boundary that is put back only takes, another one may give."""
    before, after = old["spec"], new["spec"]
    bounded = before["permissionsBoundary"] in {"", after["permissionsBoundary"]}
    return before[_TRUST] == after[_TRUST] and bounded and _rights(_common(old, new)) == _rights(new)


def _common(old: Object, new: Object) -> Object:
    """Give the role as it was trusted, with the rights that it has before and after, and every denial of both."""
    allows = [s for s in _statements(new) if s["Effect"] == "Allow" and s in _statements(old)]
    denials = [s for s in _statements(new) if s["Effect"] == "Deny"]
    denials += [s for s in _statements(old) if s["Effect"] == "Deny" and s not in denials]
    managed = sorted({*old["spec"]["managedPolicyARNs"]} & {*new["spec"]["managedPolicyARNs"]})
    return _with(new, [*allows, *denials], managed, trust=old["spec"][_TRUST])


def _with(
    obj: Object, statements: list[Mapping[str, Any]], managed: list[str], trust: Mapping[str, Any] | None = None
) -> Object:
    """Give a role other rights, and another trust; what AWS keeps apart from that stays."""
    version = next((document["Version"] for document in obj["spec"]["inlinePolicies"].values()), "")
    inline = {POLICY: {"Version": version, "Statement": statements}} if statements else {}
    spec = {**obj["spec"], "inlinePolicies": inline, "managedPolicyARNs": managed}
    return {**obj, "spec": {**spec, _TRUST: trust} if trust is not None else spec}


def _rights(obj: Object) -> tuple[list[Mapping[str, Any]], list[str]]:
    return _statements(obj), list(obj["spec"]["managedPolicyARNs"])


def _statements(obj: Object) -> list[Mapping[str, Any]]:
    return [s for _, document in sorted(obj["spec"]["inlinePolicies"].items()) for s in document["Statement"]]
