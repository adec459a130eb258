"""A cut of sessions that AWS refuses is owed until it is made; the rights go meanwhile."""

import json

import pytest

from pipesegment import names
from pipesegment.errors import Rejected
from pipesegment.facts.moments import written
from pipesegment.plan.aws import revocation
from pipesegment.world.aws.memory import MemoryAws
from tests.unit.cloud.scenes import ACCOUNT, CLUSTER, LIST, NOW, READ, aws_class, running, segment, stage
from tests.unit.cloud.test_exceptions_in_aws import CREATED, WORLD, asked, statements
from tests.unit.emergencies import approval, seal

CUT = "pipesegment-revoked"
WIDE, NARROW = segment(stage("a", READ, LIST)), segment(stage("a", READ))
BUSY = Rejected(409, "ConcurrentModification", "try again")
DENIED = Rejected(403, "AccessDenied", "no")
FULL = Rejected(409, "LimitExceeded", "Maximum policy size of 10240 bytes exceeded")


def is_cut(call):
    """Whether a call cuts sessions."""
    return call.parameters.get("PolicyName") == CUT and call.action == "PutRolePolicy"


def cut_before(world):
    """The moment before which sessions are cut; '' for none."""
    found = world.role().inline.get(CUT)
    return found["Statement"][0]["Condition"]["DateLessThan"]["aws:TokenIssueTime"] if found else ""


def tagging(world):
    """The calls that tagged a role."""
    return [c for c in world.aws.writes if c.action == "TagRole"]


@pytest.mark.parametrize(("error", "times"), [(BUSY, 1), (DENIED, 3)], ids=["busy once", "denied three times"])
@pytest.mark.parametrize("loss", ["right", "exception", "seal"])
async def test_a_cut_that_was_refused_is_made_later(loss, error, times) -> None:
    hotfix = asked()
    given = [hotfix, approval(hotfix, created=CREATED)] if loss == "exception" else []
    async with running(*WORLD, WIDE, *given) as world:
        world.aws.fail(error, matches=is_cut, times=times)
        changes = {"right": (WIDE, NARROW), "exception": (hotfix, None), "seal": (None, seal())}
        await world.change(*changes[loss])

        left = {"right": 1, "exception": 2, "seal": 0}[loss]
        assert len(world.role().inline.get("pipesegment", {"Statement": []})["Statement"]) == left
        assert statements(world) == []

        await world.rest(3600)
        assert cut_before(world)
        assert world.condition()[:2] == ("True", "Applied")
        assert world.condition("Ready")[0] == "True"

        writes = len(world.aws.writes)
        await world.rest(7200)
        assert world.aws.writes[writes:] == []

        await world.rest(13 * 3600)
        assert not cut_before(world)
        assert world.condition()[0] == "True"


async def test_while_a_cut_is_owed_cloud_ready_says_so_and_the_rights_are_gone() -> None:
    async with running(aws_class(), WIDE) as world:
        world.aws.fail(FULL, matches=is_cut)
        await world.change(WIDE, NARROW)
        for seconds in (0, 600, 4 * 3600):
            await world.rest(seconds)
            assert [s["Action"] for s in world.role().inline["pipesegment"]["Statement"]] == [READ["actions"]]
            status, reason, message = world.condition()
            assert (status, reason) == ("False", "ApplyFailed")
            assert "sessions of before are not cut yet: LimitExceeded" in message
        # What is tried again is no new loss: the mark stays as it was, and is over with the sessions.
        assert len(tagging(world)) == 1

        await world.rest(9 * 3600)
        assert world.condition()[:2] == ("True", "Applied")
        assert not cut_before(world)


async def test_a_cut_is_owed_by_the_next_operator_too() -> None:
    aws = MemoryAws(ACCOUNT)
    async with running(aws_class(), WIDE, aws=aws) as world:
        aws.fail(BUSY, matches=is_cut)
        await world.change(WIDE, NARROW)
        assert not cut_before(world)
        cluster = world.cluster
    aws.mend()
    async with running(aws=aws, cluster=cluster, now=world.time.now) as world:
        await world.rest(3600)
        assert cut_before(world)
        assert world.condition()[:2] == ("True", "Applied")


async def test_a_role_that_is_kept_owes_its_cut_as_well() -> None:
    async with running(aws_class(), WIDE) as world:
        world.aws.fail(BUSY, matches=is_cut, times=1)
        await world.delete()
        await world.rest(3600)
        assert set(world.role().inline) == {CUT}


async def test_what_is_neither_cut_nor_marked_is_not_taken_before_it_is() -> None:
    """What is lost then tells of it itself; a moment later both are there."""
    async with running(aws_class(), WIDE) as world:
        before = dict(world.role().inline)
        world.aws.fail(DENIED, matches=lambda call: is_cut(call) or call.action == "TagRole")
        await world.change(WIDE, NARROW)
        assert world.role().inline == before
        assert world.condition()[0] == "False"

        world.aws.mend()
        await world.rest(3600)
        assert cut_before(world)
        assert len(world.role().inline["pipesegment"]["Statement"]) == 1


async def test_the_mark_is_one_that_the_operators_own_policy_lets_it_write() -> None:
    """Whoever tags has to name the cluster; so does whoever puts a tag back."""
    async with running(aws_class(), WIDE) as world:
        world.aws.fail(BUSY, matches=is_cut, times=1)
        await world.change(WIDE, NARROW)
        world.role().raw["Tags"] = [t for t in world.role().raw["Tags"] if t["Key"] != "kubernetes-namespace"]
        await world.rest(3600)
        marked, mended = ({t["Key"]: t["Value"] for t in c.parameters["Tags"]} for c in tagging(world))
        assert (marked.keys(), marked[names.CLUSTER_TAG]) == ({names.CLUSTER_TAG, names.OWED_TAG}, CLUSTER)
        assert mended == {names.CLUSTER_TAG: CLUSTER, "kubernetes-namespace": "ci"}


@pytest.mark.parametrize("told", ["soon", "2026-11-27T12:00:00", "0001-01-01T00:00:00+14:00"])
@pytest.mark.parametrize("where", ["mark", "cut"])
async def test_a_moment_that_nobody_can_mean_is_none(where, told) -> None:
    """Whoever can write a role's tags or policies does not stop the operator with a time before all time, or of no zone."""
    async with running(aws_class(), WIDE) as world:
        if where == "mark":
            world.role().raw["Tags"].append({"Key": names.OWED_TAG, "Value": told})
        else:
            cut = revocation.document(NOW, "")
            cut["Statement"][0]["Condition"] = {"DateLessThan": {"aws:TokenIssueTime": told}}
            world.role().inline[CUT] = cut
        await world.change(WIDE, NARROW)
        assert [s["Action"] for s in world.role().inline["pipesegment"]["Statement"]] == [READ["actions"]]
        assert cut_before(world) == written(NOW)
        assert world.condition()[:2] == ("True", "Applied")


async def test_rights_that_leave_no_room_for_a_cut_are_told_and_never_written() -> None:
    """A stage cannot keep its sessions by filling its role on purpose."""

    def of(characters: int):
        resources = [f"arn:aws:s3:::{'b' * 40}/{n:04}{'x' * 200}" for n in range(36)]
        return {"actions": ["s3:GetObject"], "resources": [*resources, "arn:aws:s3:::b/" + "y" * characters]}

    for characters, has in ((300, True), (700, False)):
        async with running(aws_class(), segment(stage("a", of(characters)))) as world:
            assert bool(world.aws.roles) is has, sum(
                len(json.dumps(d, separators=(",", ":"))) for r in world.aws.roles.values() for d in r.inline.values()
            )
            if not has:
                assert world.condition()[:2] == ("False", "Gap")
                assert "for the denial that cuts sessions" in world.condition()[2]
