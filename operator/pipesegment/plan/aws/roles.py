"""The calls for one managed role: made, corrected, or stripped of its rights and left or deleted."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pipesegment import names
from pipesegment.compile.iam.policy import POLICY
from pipesegment.compile.iam.values import DESCRIPTION, Document, Role, text
from pipesegment.facts.moments import written as as_written
from pipesegment.plan.aws import revocation
from pipesegment.plan.aws.rights import Rights, common, narrowed
from pipesegment.plan.aws.steps import SESSIONS_BEFORE, Call, CloudStep, Moment, Wave, tag_list
from pipesegment.plan.changes import Change


@dataclass(frozen=True, slots=True)
class Found:
    """A role that exists, whatever tags it has. A revocation of ours is no part of it: `revoked` are its moment and cause."""

    role: Role
    id: str
    revoked: revocation.Standing | None = None


def steps(change: Change, desired: Role, found: Found | None, moment: Moment) -> Iterator[CloudStep]:
    """Give the calls that bring a role to what is desired; `found` is None where there is none."""
    if found is None:
        if moment.widens:
            yield _step(Wave.SETTLE, change, "CreateRole", desired.name, _creation(desired))
            # A denial takes nothing from a role that is not there yet.
            for step in _widening(change, desired, {}, ()):
                yield replace(step, wave=Wave.WIDEN)
        return
    live = found.role
    if revocation.POLICY in live.inline:
        # Somebody else's under this name goes before the cut is put, or it would take the cut with it.
        yield _delete_policy(Wave.NARROW, change, desired.name, revocation.POLICY)
    yield from _revoked(change, found, desired, moment)
    if live.boundary != desired.boundary and (moment.widens or not live.boundary):
        yield _put_boundary(change, desired)
    for arn in sorted(set(live.managed) - set(desired.managed)):
        yield _step(Wave.NARROW, change, "DetachRolePolicy", desired.name, {"PolicyArn": arn})
    for policy in sorted(live.inline.keys() - desired.inline.keys() - {revocation.POLICY}):
        yield _delete_policy(Wave.NARROW, change, desired.name, policy)
    if not moment.widens:
        yield from _stripped(change, desired, live)
        return
    if live.trust != desired.trust:
        yield from _trusting(change, desired, live)
        return
    yield from _settling(change, desired, live)
    yield from _widening(change, desired, live.inline, live.managed)


def farewell(
    change: Change, found: Found, ours: Iterable[str], moment: Moment, *, delete: bool
) -> tuple[tuple[CloudStep, ...], tuple[str, ...]]:
    """Give the calls for a role that nobody declares any more, and what somebody else gave it.

    `ours` are the managed policies that we attach. Rights go first, with the sessions that hold them. It is deleted only
    when nothing of somebody else's is left on it.
    """
    live = found.role
    mine = sorted(set(live.managed) & set(ours))
    foreign = tuple(sorted({*live.managed, *live.inline} - {*mine, POLICY}))
    gone = delete and not foreign
    calls: list[CloudStep] = []
    if not gone:
        # A role that is deleted takes its sessions with it.
        calls += _revoked(change, found, replace(live, inline={}, managed=()), moment)
    if POLICY in live.inline:
        calls.append(_delete_policy(Wave.NARROW, change, live.name, POLICY))
    calls += [_step(Wave.NARROW, change, "DetachRolePolicy", live.name, {"PolicyArn": arn}) for arn in mine]
    if gone:
        if found.revoked is not None:
            calls.append(_delete_policy(Wave.DROP, change, live.name, revocation.POLICY))
        calls.append(_step(Wave.DROP, change, "DeleteRole", live.name, {}))
    return tuple(calls), foreign


def _revoked(change: Change, found: Found, desired: Role, moment: Moment) -> Iterator[CloudStep]:
    """Cut the sessions that hold more than they should; take away a cut that has nothing left to cut."""
    live, stands = found.role, found.revoked
    wanted = revocation.standing(live, desired, stands, moment.now)
    if wanted is None and stands is not None:
        yield _delete_policy(Wave.NARROW, change, live.name, revocation.POLICY)
    elif wanted is not None and wanted != stands:
        details = {SESSIONS_BEFORE: as_written(wanted[0])}
        cut = _put_policy(Wave.NARROW, change, live.name, revocation.POLICY, revocation.document(*wanted), details)
        due = revocation.is_due(live, desired, moment.now)
        yield replace(cut, mark=_mark(change, live, wanted[0])) if due else cut


def _mark(change: Change, live: Role, before: datetime) -> CloudStep:
    """Have a role say that its sessions are to be cut."""
    tags = {names.OWED_TAG: as_written(before)}
    return _step(Wave.NARROW, change, "TagRole", live.name, {"Tags": _tags(live, tags)}, {"tag": names.OWED_TAG})


def _tags(role: Role, more: Mapping[str, str]) -> list[dict[str, str]]:
    """Write tags beside the cluster's own: the operator may not tag without it (`compile.iam.operator`)."""
    own = {key: value for key, value in role.tags.items() if key == names.CLUSTER_TAG}
    return tag_list({**own, **more})


def _trusting(change: Change, desired: Role, live: Role) -> Iterator[CloudStep]:
    """Give a role other hands: they never hold old rights that they should not have, nor old hands new ones."""
    strips = list(_stripped(change, desired, live))
    yield from strips
    wave = Wave.SETTLE if strips else Wave.NARROW
    yield _step(wave, change, "UpdateAssumeRolePolicy", desired.name, {"PolicyDocument": text(desired.trust)})
    yield from _settling(change, desired, live)
    for step in _widening(change, desired, live.inline, live.managed):
        yield replace(step, wave=Wave.WIDEN)


def _settling(change: Change, desired: Role, live: Role) -> Iterator[CloudStep]:
    if live.session_seconds != desired.session_seconds:
        seconds = {"MaxSessionDuration": desired.session_seconds}
        yield _step(Wave.SETTLE, change, "UpdateRole", desired.name, seconds)
    if missing := {key: value for key, value in desired.tags.items() if live.tags.get(key) != value}:
        yield _step(Wave.SETTLE, change, "TagRole", desired.name, {"Tags": _tags(desired, missing)})


def _stripped(change: Change, desired: Role, live: Role) -> Iterator[CloudStep]:
    """Take what is to go and give nothing: of a document that changes, what old and new both allow is left."""
    kept = narrowed(live, desired).inline
    for name in sorted(live.inline.keys() & desired.inline.keys()):
        if kept.get(name) != live.inline[name]:
            yield _cut_down(change, desired.name, name, kept.get(name))


def _widening(
    change: Change, desired: Role, inline: Mapping[str, Document], managed: tuple[str, ...]
) -> Iterator[CloudStep]:
    for name, document in _differing(desired, inline):
        # One document is put by one call: what takes something away does not wait for what gives.
        if not _before(inline, name).loses(Rights.written([document])):
            yield _put_policy(Wave.WIDEN, change, desired.name, name, document)
            continue
        step = _put_policy(Wave.NARROW, change, desired.name, name, document)
        held = inline.get(name)
        yield replace(step, instead=_cut_down(change, desired.name, name, common(held, document))) if held else step
    for arn in sorted(set(desired.managed) - set(managed)):
        yield _step(Wave.WIDEN, change, "AttachRolePolicy", desired.name, {"PolicyArn": arn})


def _cut_down(change: Change, role: str, policy: str, kept: Document | None) -> CloudStep:
    """Leave of a policy what is kept of it; None: nothing."""
    if kept is None:
        return _delete_policy(Wave.NARROW, change, role, policy)
    return _put_policy(Wave.NARROW, change, role, policy, kept)


def _differing(desired: Role, inline: Mapping[str, Document]) -> Iterator[tuple[str, Document]]:
    return ((name, document) for name, document in sorted(desired.inline.items()) if inline.get(name) != document)


def _before(inline: Mapping[str, Document], name: str) -> Rights:
    """Give the rights of one policy as it stands; one that is not there has none, and none to lose."""
    return Rights.written([inline[name]] if name in inline else [])


def _creation(role: Role) -> dict[str, Any]:
    return {
        "Path": role.path,
        "AssumeRolePolicyDocument": text(role.trust),
        "PermissionsBoundary": role.boundary,
        "MaxSessionDuration": role.session_seconds,
        "Description": DESCRIPTION,
        "Tags": tag_list(role.tags),
    }


def _put_boundary(change: Change, role: Role) -> CloudStep:
    return _step(Wave.NARROW, change, "PutRolePermissionsBoundary", role.name, {"PermissionsBoundary": role.boundary})


def _put_policy(
    wave: Wave, change: Change, role: str, policy: str, document: Document, details: Mapping[str, str] | None = None
) -> CloudStep:
    parameters = {"PolicyName": policy, "PolicyDocument": text(document)}
    return _step(wave, change, "PutRolePolicy", role, parameters, {"policy": policy, **(details or {})})


def _delete_policy(wave: Wave, change: Change, role: str, policy: str) -> CloudStep:
    return _step(wave, change, "DeleteRolePolicy", role, {"PolicyName": policy}, {"policy": policy})


def _step(
    wave: Wave,
    change: Change,
    action: str,
    role: str,
    parameters: Mapping[str, Any],
    details: Mapping[str, str] | None = None,
) -> CloudStep:
    told = details or ({"policy": str(parameters["PolicyArn"])} if "PolicyArn" in parameters else {})
    return CloudStep(wave, Call("iam", action, {"RoleName": role, **parameters}), change.id, change, told)
