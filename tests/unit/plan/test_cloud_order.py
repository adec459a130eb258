"""In AWS rights are taken before they are given, and no state on the way is wider than both ends."""

import pytest

from pipesegment.compile.desired import Desired
from pipesegment.compile.iam.values import Role
from pipesegment.compile.segment import compile_segment
from pipesegment.facts.snapshot import Key
from pipesegment.plan.changes import plan
from pipesegment.plan.cloud import cloud_sequence
from pipesegment.plan.live import Live
from pipesegment.plan.sequence import Restraint, Wave
from tests.unit.iam.authorization import allows
from tests.unit.iam.roles import EVERYTHING, READ, reached
from tests.unit.iam.sts import Token, accepts

LIST = {"actions": ["s3:ListBucket"], "resources": ["arn:aws:s3:::your-bucket"]}
CALLS = (("s3:GetObject", "arn:aws:s3:::your-bucket/a"), ("s3:ListBucket", "arn:aws:s3:::your-bucket"))
ISSUER = "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"


def desired(aws, **rest):
    return compile_segment(reached(aws, uid="u", **rest)).in_cloud


def live(found):
    return {
        o.id: o for o in (Live.of({**obj, "metadata": {**obj["metadata"], "uid": "AROA"}}) for obj in found.objects)
    }


def sequence(old, new, restraint=Restraint.NONE, **rest):
    return cloud_sequence(plan(new, live(old)), restraint, **rest)


def told(found):
    return [(step.wave.name, step.verb, step.id.kind, step.final) for step in found.steps]


NOTHING = Desired(Key("ci", "shop"), "u", ())
BOTH, ONE, OTHER = ({"permissions": p} for p in ([READ, LIST], [READ], [LIST]))
POD = {"identity": "PodIdentity", "permissions": [READ]}


def test_a_role_comes_before_what_binds_it():
    assert told(sequence(NOTHING, desired(POD))) == [
        ("IDENTITY", "create", "IAMRole", True),
        ("WIDEN", "create", "PodIdentityAssociation", True),
    ]


def test_rights_go_first_then_the_binding_then_the_role():
    assert told(sequence(desired(POD), NOTHING, retain=False)) == [
        ("NARROW", "apply", "IAMRole", False),
        ("PRUNE", "delete", "PodIdentityAssociation", True),
        ("PRUNE_IDENTITY", "delete", "IAMRole", True),
    ]


def test_a_role_that_is_retained_keeps_its_name_alone():
    found = sequence(desired(POD), NOTHING)

    assert told(found) == [("NARROW", "apply", "IAMRole", True), ("PRUNE", "delete", "PodIdentityAssociation", True)]
    assert Role.of(found.steps[0].object).inline == {}


@pytest.mark.parametrize(
    ("old", "new", "waves"),
    [(BOTH, ONE, ["NARROW"]), (ONE, BOTH, ["IDENTITY"]), (ONE, OTHER, ["IDENTITY"]), (ONE, ONE, [])],
)
def test_what_only_takes_comes_first(old, new, waves):
    assert [step.wave.name for step in sequence(desired(old), desired(new)).steps] == waves


@pytest.mark.parametrize("new", [ONE, OTHER, BOTH])
@pytest.mark.parametrize("old", [ONE, OTHER, BOTH])
def test_new_hands_never_hold_old_rights(old, new):
    before = desired(old, serviceAccount={"name": "one"})
    after = desired(new, serviceAccount={"name": "two"})
    (start,), (end,) = before.objects, after.objects

    for step in sequence(before, after).steps:
        for who in ("one", "two"):
            for call in CALLS:
                assert not may(step.object, who, call) or may(start, who, call) or may(end, who, call)
    assert sequence(before, after).steps[-1].object == end


def may(obj, account, call):
    token = Token(ISSUER, f"system:serviceaccount:ci:{account}", "sts.amazonaws.com")
    return accepts(obj["spec"]["assumeRolePolicyDocument"], token) and allows(obj["spec"], EVERYTHING, *call)


@pytest.mark.parametrize("restraint", [Restraint.SUSPENDED, Restraint.NO_WIDENING])
@pytest.mark.parametrize(
    ("old", "new", "left"),
    [(BOTH, ONE, ONE), (ONE, OTHER, {"permissions": []}), (BOTH, {"permissions": [LIST, {**READ, "sid": "x"}]}, OTHER)],
)
def test_while_restrained_rights_are_taken_and_none_given(restraint, old, new, left):
    (step,) = sequence(desired(old), desired(new), restraint).steps
    given = {call for call in CALLS if allows(step.object["spec"], EVERYTHING, *call)}
    meant = {"s3:GetObject": READ, "s3:ListBucket": LIST}

    assert step.wave is Wave.NARROW
    assert given == {call for call in CALLS if meant[call[0]] in left["permissions"]}


@pytest.mark.parametrize("restraint", [Restraint.SUSPENDED, Restraint.NO_WIDENING, Restraint.HELD])
def test_while_restrained_nothing_is_made(restraint):
    found = sequence(NOTHING, desired(POD), restraint)

    assert (found.steps, len(found.withheld)) == ((), 2)


def test_while_nobody_knows_the_class_nothing_changes():
    assert sequence(desired(BOTH), desired(ONE), Restraint.HELD).steps == ()


def test_a_boundary_that_was_taken_away_is_put_back_whatever_restrains():
    (obj,) = desired(ONE).objects
    bare = Desired(Key("ci", "shop"), "u", ({**obj, "spec": {**obj["spec"], "permissionsBoundary": ""}},))

    (step,) = sequence(bare, desired(ONE), Restraint.SUSPENDED).steps

    assert step.object["spec"]["permissionsBoundary"] == obj["spec"]["permissionsBoundary"]


def test_a_role_of_somebody_elses_tags_is_a_conflict():
    (obj,) = compile_segment(reached(ONE, uid="other")).in_cloud.objects
    there = {o.id: o for o in [Live.of({**obj, "metadata": {**obj["metadata"], "uid": "AROA"}})]}
    changes = plan(desired(ONE), there)

    assert [change.action.value for change in changes.changes] == ["conflict"]
    assert cloud_sequence(changes).steps == ()


def test_a_role_read_back_is_unchanged():
    (obj,) = desired(ONE).objects
    back = Role.of(obj).object("AROA")

    assert plan(desired(ONE), {o.id: o for o in [Live.of(back)]}).writes == ()
