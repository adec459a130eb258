"""Rights that exceptions give a stage's managed role for a while, held to what the stage's own are held to (docs/adr/0067).

What of them cannot be given is told beside the segment, which is not at fault, and the rest is given.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256

from pipesegment.facts.moments import written
from pipesegment.findings import Refusal, quoted
from pipesegment.reach.aws import rights
from pipesegment.reach.aws.judge import Judge
from pipesegment.reach.aws.values import INLINE_CHARACTERS, NOW, UNTIL, CloudIdentity, Statement
from pipesegment.reach.exceptions import Lent, path
from pipesegment.reach.graph import Governance
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View
from pipesegment.spec.cloud import StageAws


def added(scene: Scene, view: View, identity: CloudIdentity | None) -> CloudIdentity | None:
    """Give a stage's identity with what exceptions give it."""
    if not view.lent:
        return identity
    why = _nowhere(scene.governance, view, identity)
    if why:
        for name in dict.fromkeys(each.exception for each in view.lent):
            place = f"{path(name)} spec.aws"
            message = f"gives rights in AWS, and {why}, so they are not given"
            fix = "ask for reaches alone, or have the stage declare a role that is managed"
            scene.note(place, "ExceptionRefused", f"stage {view.key.stage}", message, fix)
        return identity
    assert identity is not None
    assert identity.rights is not None
    found = tuple(_given(scene, view))
    return replace(identity, rights=replace(identity.rights, lent=found)) if found else identity


def fit(governing: Governance, aws: StageAws, lent: Iterable[Lent]) -> Iterator[Lent]:
    """Give what the class allows of what exceptions give a stage with a role of its own: only that needs ways."""
    if aws.role_arn is None and aws.asks:
        yield from (each for each, statement, _ in _held("", governing, aws, lent) if statement is not None)


def _nowhere(governing: Governance, view: View, identity: CloudIdentity | None) -> str:
    """Say why there is no role to hold such rights; '' when there is one."""
    stage = f"stage {view.key.stage}"
    if not governing.name:
        return f"no SegmentClass governs namespace {view.key.namespace}"
    if governing.spec.aws.account_id is None:
        return f"SegmentClass {governing.name} has no aws"
    if view.stage.aws.role_arn is not None:
        return f"the role of {stage} is somebody else's, which is never changed"
    if not view.stage.aws.asks:
        return f"{stage} declares no rights, so that it has no role"
    if identity is None:
        return f"{stage} has no role, for what is told of its aws"
    return f"{stage} is closed, and has no rights" if identity.withdrawn else ""


def _given(scene: Scene, view: View) -> Iterator[Statement]:
    for each, statement, refusals in _held(scene.object, scene.governance, view.stage.aws, view.lent):
        if statement is not None:
            yield statement
        elif not refusals:
            message = (
                f"a role's policies hold {INLINE_CHARACTERS} characters, and there is no room for this; it is not given"
            )
            fix = "use wildcards where they say the same, or ask for fewer rights"
            scene.note(each.because, "RoleTooLarge", f"stage {view.key.stage}", message, fix)
        for refusal in refusals:
            message = f"{refusal.problem} {quoted(refusal.value)}, so it is not given"
            scene.note(refusal.path, "ExceptionRefused", refusal.value, message, refusal.fix)


def _held(
    about: str, governing: Governance, aws: StageAws, lent: Iterable[Lent]
) -> Iterator[tuple[Lent, Statement | None, Sequence[Refusal]]]:
    """Give the statement for each that is given; for each other one why it is not, nothing where it finds no room."""
    room = INLINE_CHARACTERS
    for each in lent:
        # The least that it takes; how much it is `compile.iam` finds.
        told = rights.told((each.permission,))
        if told > room:
            yield each, None, ()
            continue
        judge = Judge(about, governing)
        statement = _judged(judge, each, aws)
        if judge.refusals:
            yield each, None, judge.refusals
            continue
        room -= told
        yield each, statement, ()


def _judged(judge: Judge, lent: Lent, aws: StageAws) -> Statement:
    """Hold a statement to the class, and to the moment at which its exception ends."""
    given, conditions = lent.permission, lent.permission.conditions
    rights.judged(judge, lent.because, given, aws.identity != "ForgeOIDC")
    ends = conditions.get(UNTIL, {})
    if any(key.lower() == NOW.lower() for key in ends):
        # Two values of one key are an 'or'.
        problem = f"says by {UNTIL} when it ends, and the exception says that:"
        judge.refuse(f"{lent.because}.conditions", problem, NOW, "leave it out, and ask for as long as it is needed")
    held = {**conditions, UNTIL: {**ends, NOW: (written(lent.until),)}}
    return rights.statement(lent.because, given.model_copy(update={"sid": _sid(lent), "conditions": held}))


def _sid(lent: Lent) -> str:
    """Name a statement after its exception, apart from every other one: a Sid has letters and digits alone.

    A stage's own statements are never called so (`rights`).
    """
    apart = sha256(lent.because.encode()).hexdigest()[:16]
    name = "".join(part.capitalize() for part in re.split("[^a-z0-9]+", lent.exception))
    return f"Exception{name}{lent.permission.sid or ''}{apart}"
