"""A document that IAM does not take: what is to go goes nevertheless, and sessions are cut once for it."""

import json

import pytest

from pipesegment.errors import Rejected
from tests.unit.cloud.scenes import LIST, READ, aws_class, running, segment, stage

#: What no check of ours knows to be wrong, and IAM refuses.
ODD = {"actions": ["s3:GetObjectTagging"], "resources": ["arn:aws:s3:::odd"]}
OTHER = {"actions": ["s3:GetObjectAcl"], "resources": ["arn:aws:s3:::bucket/*"]}


def refuse(world, reason="MalformedPolicyDocument", status=400):
    """Let AWS refuse every document with the odd statement."""
    world.aws.fail(Rejected(status, reason, "no"), matches=lambda c: "odd" in c.parameters.get("PolicyDocument", ""))


def actions(world):
    """What the stage's role allows."""
    document = world.role().inline.get("pipesegment", {"Statement": []})
    return [action for statement in document["Statement"] for action in statement["Action"]]


@pytest.mark.parametrize("refusal", [("MalformedPolicyDocument", 400), ("LimitExceeded", 409)])
async def test_what_is_taken_back_goes_though_what_comes_with_it_is_refused(refusal):
    before, after = segment(stage("a", READ, LIST)), segment(stage("a", READ, ODD))
    async with running(aws_class(), before) as world:
        refuse(world, *refusal)

        await world.change(before, after)

        assert actions(world) == ["s3:GetObject"]
        assert world.condition()[0] == "False"


async def test_nothing_in_common_leaves_nothing():
    before, after = segment(stage("a", LIST)), segment(stage("a", ODD))
    async with running(aws_class(), before) as world:
        refuse(world)

        await world.change(before, after)

        assert actions(world) == []


async def test_sessions_are_cut_once_however_long_the_document_is_refused():
    before, after = segment(stage("a", READ, LIST)), segment(stage("a", READ, ODD))
    async with running(aws_class(), before) as world:
        refuse(world)
        await world.change(before, after)
        cut = json.dumps(world.role().inline["pipesegment-revoked"])

        for _ in range(6):
            await world.rest(1800)

        assert json.dumps(world.role().inline["pipesegment-revoked"]) == cut


async def test_a_failure_that_passes_takes_nothing_that_stays():
    before, after = segment(stage("a", LIST)), segment(stage("a", ODD))
    async with running(aws_class(), before) as world:
        refuse(world, "ConcurrentModification", 409)

        await world.change(before, after)

        assert actions(world) == ["s3:ListBucket"]


async def test_a_document_that_is_taken_is_put_by_one_call():
    before, after = segment(stage("a", READ, LIST)), segment(stage("a", READ, OTHER))
    async with running(aws_class(), before) as world:
        world.aws.calls.clear()

        await world.change(before, after)

        puts = [c.parameters["PolicyName"] for c in world.aws.calls if c.action == "PutRolePolicy"]
        assert puts == ["pipesegment-revoked", "pipesegment"]
        assert actions(world) == ["s3:GetObject", "s3:GetObjectAcl"]
