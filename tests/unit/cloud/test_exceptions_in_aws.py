"""What an exception gives in AWS: it comes with the network, ends by itself, and goes without cutting anybody's sessions."""

from datetime import timedelta

import pytest

from pipesegment.errors import Unreachable
from pipesegment.world.aws.memory import MemoryAws
from tests.unit.cloud.scenes import AWS, NOW, READ, running, segment, stage
from tests.unit.cloud.test_controllers import crds, policies
from tests.unit.emergencies import approval, exception, guards, seal
from tests.unit.running import twin as scenes
from tests.unit.running.test_running_exceptions import VENDOR, opened, ready, status

CREATED = "2026-11-27T11:50:00Z"
ENDS = "2026-11-27T12:50:00Z"
#: From the beginning of a test until just after the end.
HOUR = 50 * 60 + 2
PUT = {"actions": ["s3:PutObject"], "resources": ["arn:aws:s3:::releases/*"]}
GOVERNING = scenes.segment_class(aws=AWS, breakGlass={"approverGroups": ["sre"], "maxDuration": "4h"})
WORLD = [GOVERNING, *guards(created="2020-01-01T00:00:00Z")]
SHOP = segment(stage("a"), stage("b"))


def asked(*reaches, name="hotfix", permissions=(PUT,), created=CREATED, **more):
    """An exception that gives rights."""
    found = exception(*reaches, name=name, created=created, aws={"permissions": list(permissions)}, **more)
    if not reaches:
        del found["spec"]["reaches"]
    return found


def statements(world, name="a"):
    """The statements of a stage's role, less the stage's own."""
    return [s for s in world.role(name).inline.get("pipesegment", {"Statement": []})["Statement"] if "Sid" in s]


def told(world, document):
    """What an exception's status says: its phase, and the sentence of its Ready."""
    return status(world.cluster, document)["phase"], ready(world.cluster, document)[2]


async def test_it_gives_rights_when_approved_together_with_the_network_and_none_when_it_is_over():
    hotfix = asked(VENDOR)
    async with running(*WORLD, SHOP, hotfix) as world:
        before, other = dict(world.role().inline), dict(world.role("b").inline)
        assert (statements(world), opened(world.cluster), status(world.cluster, hotfix).get("gives")) == ([], set(), [])

        await world.change(None, approval(hotfix, created=CREATED))

        assert status(world.cluster, hotfix).get("gives") == ["s3:PutObject"]
        (given,) = statements(world)
        assert given["Action"] == ["s3:PutObject"]
        assert given["Condition"] == {"DateLessThan": {"aws:CurrentTime": [ENDS]}}
        assert given["Sid"].startswith("ExceptionHotfix")
        assert opened(world.cluster) == {"198.51.100.7/32"}
        assert told(world, hotfix) == (
            "Open",
            f"stage a reaches cidr 198.51.100.7/32 and may s3:PutObject in AWS until {ENDS}",
        )
        assert world.condition()[:2] == ("True", "Applied")

        await world.rest(HOUR)

        # Its time was over before it was taken away: nobody lost anything, and nobody's sessions are cut.
        assert world.role().inline == before
        assert world.role("b").inline == other
        assert opened(world.cluster) == set()
        assert (told(world, hotfix)[0], status(world.cluster, hotfix).get("gives")) == ("Expired", [])


async def test_time_alone_changes_nothing_of_the_role():
    """Its moment is the exception's own, whenever somebody looks."""
    hotfix = asked()
    async with running(*WORLD, SHOP, hotfix, approval(hotfix, created=CREATED)) as world:
        given, writes = statements(world), len(world.aws.writes)
        await world.rest(1000)
        await world.change(SHOP, segment(stage("a"), stage("b"), stage("c")))
        assert statements(world) == given
        assert [c for c in world.aws.writes[writes:] if c.parameters["RoleName"] == world.role().raw["RoleName"]] == []


async def test_taken_back_before_its_end_it_is_a_right_that_is_lost():
    """As anywhere else: the sessions that had it are cut, first thing."""
    hotfix = asked()
    async with running(*WORLD, SHOP, hotfix, approval(hotfix, created=CREATED)) as world:
        writes = len(world.aws.writes)

        await world.change(hotfix, None)

        assert statements(world) == []
        assert set(world.role().inline) == {"pipesegment", "pipesegment-revoked"}
        assert [c.parameters["PolicyName"] for c in world.aws.writes[writes:]] == ["pipesegment-revoked", "pipesegment"]
        assert set(world.role("b").inline) == {"pipesegment"}


async def test_what_ends_while_the_operator_is_down_goes_when_one_starts_and_cuts_nobody():
    hotfix, aws = asked(), MemoryAws(AWS["accountID"])
    given = approval(hotfix, created=CREATED)
    async with running(*WORLD, SHOP, hotfix, given, aws=aws) as world:
        assert len(statements(world)) == 1
        cluster = world.cluster

    async with running(aws=aws, cluster=cluster, now=NOW + timedelta(seconds=HOUR)) as world:
        await world.rest(2000)
        assert (statements(world), set(world.role().inline)) == ([], {"pipesegment"})
        assert told(world, hotfix)[0] == "Expired"


async def test_one_of_two_ends_and_the_other_goes_on():
    first, second = asked(), asked(name="later", created="2026-11-27T11:55:00Z", permissions=[{**PUT, "sid": "Again"}])
    given = [approval(each, created="2026-11-27T11:56:00Z") for each in (first, second)]
    async with running(*WORLD, SHOP, first, second, *given) as world:
        assert [s["Condition"]["DateLessThan"]["aws:CurrentTime"] for s in statements(world)] == [
            [ENDS],
            ["2026-11-27T12:55:00Z"],
        ]
        await world.rest(HOUR)
        (left,) = statements(world)
        assert left["Sid"].startswith("ExceptionLaterAgain")
        assert set(world.role().inline) == {"pipesegment"}


async def test_a_seal_takes_these_rights_with_all_others():
    hotfix = asked()
    async with running(*WORLD, SHOP, hotfix, approval(hotfix, created=CREATED)) as world:
        incident = seal(created=CREATED)
        await world.change(None, incident)
        assert set(world.role().inline) == {"pipesegment-revoked"}


async def test_a_suspended_segment_is_given_nothing_and_still_loses_what_is_over():
    hotfix, idle = asked(), segment(stage("a"), stage("b"), suspend=True)
    async with running(*WORLD, SHOP, hotfix, approval(hotfix, created=CREATED)) as world:
        await world.change(SHOP, idle)
        assert (len(statements(world)), told(world, hotfix)[0]) == (1, "Open")
        late = asked(name="late")
        await world.change(None, late)
        await world.change(None, approval(late, created=CREATED))
        assert told(world, late) == ("Pending", "nothing of the segment is widened")
        assert len(statements(world)) == 1

        await world.rest(HOUR)
        assert (statements(world), set(world.role().inline)) == ([], {"pipesegment"})


@pytest.mark.parametrize("end", ["expiry", "deletion", "seal"])
async def test_breaking_the_segment_keeps_no_rights(end):
    """Of a segment without a meaning the stage is shut; its role keeps its own rights, and none that an exception gave."""
    hotfix, broken = asked(), segment(stage("a"), scenes.stage("b", scenes.to("nowhere", 80), app="b"))
    async with running(*WORLD, SHOP, hotfix, approval(hotfix, created=CREATED)) as world:
        await world.change(SHOP, broken)
        assert (len(statements(world)), told(world, hotfix)[0]) == (1, "Open")
        match end:
            case "expiry":
                await world.rest(HOUR)
            case "deletion":
                await world.change(hotfix, None)
            case "seal":
                await world.change(None, seal(created=CREATED))
        assert statements(world) == []
        assert set(world.role().inline) == {"pipesegment", *(["pipesegment-revoked"] if end != "expiry" else [])}
        assert set(world.role("b").inline) == {"pipesegment"}


async def test_while_aws_does_not_answer_the_network_opens_and_the_exception_says_what_is_missing():
    hotfix = asked(VENDOR)
    async with running(*WORLD, SHOP, hotfix) as world:
        world.aws.fail(Unreachable("no answer"))
        await world.change(None, approval(hotfix, created=CREATED))
        assert opened(world.cluster) == {"198.51.100.7/32"}
        phase, message = told(world, hotfix)
        assert phase == "Open"
        assert message.endswith("; but its rights are not in AWS yet, and the segment's CloudReady tells why")

        world.aws.mend()
        await world.rest(600)
        assert told(world, hotfix)[1].endswith(f"may s3:PutObject in AWS until {ENDS}")


async def test_a_role_that_is_full_keeps_room_for_its_own_rights_and_for_the_cut_of_sessions():
    """Who asked first has what there is room for; the others are told, and the stage is as declared."""
    wide = {**PUT, "resources": [f"arn:aws:s3:::releases/{'x' * 160}/{n}/*" for n in range(24)]}
    first, second = (asked(name=name, permissions=[{**wide, "sid": "A"}, {**wide, "sid": "B"}]) for name in ("b", "a"))
    second["metadata"]["creationTimestamp"] = "2026-11-27T11:51:00Z"
    given = [approval(first, created=CREATED), approval(second, created="2026-11-27T11:52:00Z")]
    async with running(*WORLD, SHOP, first, second, *given) as world:
        assert [s["Sid"][:11] for s in statements(world)] == ["ExceptionBA", "ExceptionBB"]
        assert told(world, first)[1] == f"stage a may s3:PutObject in AWS until {ENDS}"
        assert "it opens nothing" in told(world, second)[1]
        assert "there is no room for this; it is not given" in told(world, second)[1]
        assert world.condition()[:2] == ("True", "Applied")

        await world.change(first, None)
        assert "pipesegment-revoked" in world.role().inline


@pytest.mark.parametrize("change", ["actions", "resources", "conditions", "sid"])
async def test_an_approval_of_other_rights_counts_for_nothing(change):
    """The hash that an approval names is one of every word of the spec."""
    more = {
        "actions": ["s3:GetObject"],
        "resources": ["*"],
        "conditions": {"StringEquals": {"a:b": ["c"]}},
        "sid": "Other",
    }
    hotfix = asked()
    other = asked(permissions=[{**PUT, change: more[change]}])
    async with running(*WORLD, SHOP, hotfix, approval(other, created=CREATED)) as world:
        assert statements(world) == []
        assert told(world, hotfix)[0] == "Pending"


async def test_rights_that_the_stage_has_anyway_are_none_that_it_loses():
    hotfix = asked(permissions=[READ])
    async with running(*WORLD, SHOP, hotfix, approval(hotfix, created=CREATED)) as world:
        await world.rest(HOUR)
        assert set(world.role().inline) == {"pipesegment"}


@pytest.mark.parametrize("backend", ["ACK", "Crossplane"])
async def test_other_controllers_are_told_the_same(backend):
    """One exception ends by itself and cuts nobody; another is taken back, and cuts."""
    governing = scenes.segment_class(aws={**AWS, "backend": backend}, breakGlass={"approverGroups": ["sre"]})
    first, second = asked(), asked(name="later", duration="3h")
    world = running(governing, *WORLD[1:], *crds(backend), SHOP, first, second, off=True, backends=backend)
    async with world as found:
        for each in (first, second):
            await found.change(None, approval(each, created=CREATED))
        written = policies(found, backend)["pipesegment"]["Statement"]
        assert [s["Condition"]["DateLessThan"]["aws:CurrentTime"] for s in written[1:]] == [
            [ENDS],
            ["2026-11-27T14:50:00Z"],
        ]
        await found.rest(HOUR)
        assert (len(policies(found, backend)["pipesegment"]["Statement"]), set(policies(found, backend))) == (
            2,
            {"pipesegment"},
        )
        await found.change(second, None)
        assert set(policies(found, backend)) == {"pipesegment", "pipesegment-revoked"}
        assert len(policies(found, backend)["pipesegment"]["Statement"]) == 1
