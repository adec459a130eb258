"""A seal, and an exception that gives nothing any more, say so while what the stage had stands in AWS."""

import pytest

from pipesegment.errors import Rejected, Unreachable
from tests.unit.cloud.scenes import AWS, aws_class, role_name, running, segment, stage
from tests.unit.cloud.test_controllers import BOTH, REVOKED, policies, says, scene
from tests.unit.cloud.test_exceptions_in_aws import CREATED, ENDS, GOVERNING, WORLD, asked, told
from tests.unit.emergencies import approval, seal
from tests.unit.running import twin as scenes
from tests.unit.running.test_running_exceptions import VENDOR, ready

CUT_OFF = "stage a reaches nothing and accepts nothing"
STANDS = "what the stage has in AWS may stand there still, and the segment's CloudReady tells why"
DONE = ("Sealed", "stage a reaches nothing, accepts nothing and has no rights")
BREAK_GLASS = {"approverGroups": ["sre"], "maxDuration": "4h"}
SHOP = segment(stage("a"))


def writing(call):
    """Whether a call gives or takes rights."""
    return call.action.startswith(("Put", "Delete"))


@pytest.mark.parametrize("duration", [{}, {"duration": "2h"}], ids=["for good", "for two hours"])
@pytest.mark.parametrize(
    ("error", "matches"),
    [(Unreachable("gone"), lambda _: True), (Rejected(403, "AccessDenied", "no"), writing)],
    ids=["unreachable", "denied"],
)
async def test_a_seal_is_not_ready_before_the_rights_are_gone(error, matches, duration) -> None:
    sealing = seal(**duration)
    async with running(aws_class(), SHOP) as world:
        world.aws.fail(error, matches=matches)
        await world.change(None, sealing)
        await world.rest(300)

        assert set(world.role().inline) == {"pipesegment"}
        phase, message = told(world, sealing)
        assert phase == "Sealed"
        assert message.startswith(CUT_OFF)
        assert message.endswith(f"; but {STANDS}")
        assert ready(world.cluster, sealing)[0] == "False"

        world.aws.mend()
        await world.rest(600)
        assert set(world.role().inline) == {"pipesegment-revoked"}
        assert told(world, sealing)[1].startswith(DONE[1])
        assert ready(world.cluster, sealing)[0] == "True"


async def test_a_seal_is_not_ready_while_its_cut_is_owed() -> None:
    async with running(aws_class(), SHOP) as world:
        cut = "pipesegment-revoked"
        world.aws.fail(Rejected(409, "LimitExceeded", "full"), matches=lambda c: c.parameters.get("PolicyName") == cut)
        await world.change(None, seal())
        for seconds in (0, 600):
            await world.rest(seconds)
            assert world.role().inline == {}
            assert ready(world.cluster, seal())[0] == "False"

        world.aws.mend()
        await world.rest(600)
        assert (told(world, seal()), ready(world.cluster, seal())[0]) == (DONE, "True")


@pytest.mark.parametrize("more", [{"suspend": True}, {"mode": "Observe"}], ids=str)
@pytest.mark.parametrize("has", [stage("a"), scenes.stage("a", app="a")], ids=["a role", "no role"])
async def test_a_seal_is_ready_when_nothing_stands(more, has) -> None:
    shop = segment(has)
    async with running(aws_class(), shop) as world:
        await world.change(shop, segment(has, **more))
        await world.change(None, seal())
        assert (told(world, seal()), ready(world.cluster, seal())[0]) == (DONE, "True")


@pytest.mark.parametrize(
    "aws",
    [
        {},
        {"aws": dict(AWS, accountID="999988887777", permissionsBoundaryARN="arn:aws:iam::999988887777:policy/b")},
    ],
    ids=["no aws", "another account"],
)
@pytest.mark.parametrize("restarts", [False, True])
async def test_where_a_class_has_left_its_account_what_stands_there_is_told(aws, restarts) -> None:
    hotfix = asked(VENDOR)
    elsewhere = scenes.segment_class(breakGlass=BREAK_GLASS, **aws)
    async with running(*WORLD, SHOP, hotfix, approval(hotfix, created=CREATED)) as world:
        await world.change(GOVERNING, elsewhere)
        assert len(world.role().inline["pipesegment"]["Statement"]) == 2
        assert world.condition()[0] == "False"
        if not aws:
            phase, message = told(world, hotfix)
            assert phase == "Open"
            assert message.startswith(f"stage a reaches cidr 198.51.100.7/32 until {ENDS}; but ")
            assert "so they are not given" in message
            assert STANDS in message

        await world.change(None, seal())
        assert told(world, seal()) == ("Sealed", f"{CUT_OFF}; but {STANDS}")
        assert ready(world.cluster, seal())[0] == "False"
        cluster, cloud = world.cluster, world.aws
    if restarts:
        async with running(aws=cloud, cluster=cluster, now=world.time.now) as world:
            await world.rest(60)
            assert told(world, seal()) == ("Sealed", f"{CUT_OFF}; but {STANDS}")
            assert ready(world.cluster, seal())[0] == "False"


@BOTH
@pytest.mark.parametrize("suspended", [False, True])
async def test_a_seal_is_ready_when_the_controller_says_that_the_rights_are_gone(backend, suspended) -> None:
    async with scene(backend, SHOP) as world:
        await says(world, backend)
        if suspended:
            await world.change(SHOP, segment(stage("a", maxSessionSeconds=7200), suspend=True))
        mine = {role_name("a"), f"{role_name('a')}-revoked"}
        world.cluster.fail(Rejected(403, "Forbidden", "no"), matches=lambda target: target.name in mine, times=1000)
        await world.change(None, seal())
        assert told(world, seal()) == ("Sealed", f"{CUT_OFF}; but {STANDS}")
        assert ready(world.cluster, seal())[0] == "False"

        world.cluster.mend()
        await world.rest(400)
        assert set(policies(world, backend)) == {REVOKED}
        await says(world, backend)
        await world.rest(2000)
        assert (told(world, seal()), ready(world.cluster, seal())[0]) == (DONE, "True")


async def test_a_seal_is_not_ready_while_the_cut_alone_is_refused() -> None:
    """Where a cut is an object of its own."""
    async with scene("Crossplane", SHOP) as world:
        await says(world, "Crossplane")
        cut = f"{role_name('a')}-revoked"
        world.cluster.fail(Rejected(403, "Forbidden", "no"), matches=lambda target: target.name == cut, times=1000)
        await world.change(None, seal())
        await says(world, "Crossplane")
        assert policies(world, "Crossplane") == {}
        assert ready(world.cluster, seal())[0] == "False"
