"""Exceptions and seals with the whole operator: what opens when, what closes when, and what is told of it."""

import logging
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Unreachable
from pipesegment.facts.moments import moment
from pipesegment.world.memory import MemoryCluster
from tests.unit.emergencies import BEGIN, approval, exception, guards, seal
from tests.unit.running.twin import (
    Twin,
    change,
    recorded,
    seeded,
    segment,
    segment_class,
    shapes,
    stage,
    surroundings,
    target_of,
    to,
)

POLICY = ObjectID("networking.k8s.io/v1", "NetworkPolicy", "ci", "shop-a")
NEIGHBOUR = ObjectID("networking.k8s.io/v1", "NetworkPolicy", "ci", "pay-b")
VENDOR = {"cidr": {"block": "198.51.100.7/32"}, "ports": [{"port": 443}]}
OWN = {"cidr": {"block": "192.0.2.0/24"}, "ports": [{"port": 443}]}
SHOP = segment(stage("a", OWN, app="a"), stage("c", to("a", 80), app="c"))
GOVERNING = segment_class(breakGlass={"approverGroups": ["sre"], "maxDuration": "4h"})
HOTFIX = exception(VENDOR)
#: Seconds from the beginning until it is over, and noticed.
END = 3605
WORLD = [*surroundings(), GOVERNING, SHOP, *guards()]


@asynccontextmanager
async def leading(cluster: MemoryCluster, after: float = 0):
    """Run an operator whose time of day moves with its clock; it starts `after` so many seconds."""
    started = moment(BEGIN) + timedelta(seconds=after)
    twin: list[Twin] = []

    def now() -> datetime:
        return started + timedelta(seconds=twin[0].clock.now() - 1000.0) if twin else started

    twin.append(Twin(cluster, now=now))
    try:
        await twin[0].start()
        yield twin[0]
    finally:
        await twin[0].stop()


def opened(cluster, policy=POLICY):
    """The blocks that a policy lets out to."""
    return {
        peer["ipBlock"]["cidr"]
        for rule in cluster.peek(policy)["spec"]["egress"]
        for peer in rule["to"]
        if "ipBlock" in peer
    }


def status(cluster, document):
    return cluster.peek(target_of(document)).get("status", {})


def ready(cluster, document):
    (found,) = (c for c in status(cluster, document)["conditions"] if c["type"] == "Ready")
    return found["status"], found["reason"], found["message"]


def told(cluster):
    """The Events that were posted, as (whose, reason)."""
    return [(e["regarding"]["kind"], e["reason"]) for e in cluster.events]


def trail(caplog):
    return [r.msg for r in caplog.records if r.name == "pipesegment.audit" and r.msg.get("kind") == "SegmentException"]


@pytest.fixture
def audited(caplog):
    caplog.set_level(logging.INFO, logger="pipesegment.audit")
    return caplog


async def test_it_opens_once_approved_and_closes_at_its_end_without_anybodys_doing(audited):
    cluster = seeded([*WORLD, HOTFIX])
    async with leading(cluster) as twin:
        before = shapes(cluster)
        assert opened(cluster) == {"192.0.2.0/24"}
        assert (status(cluster, HOTFIX)["phase"], ready(cluster, HOTFIX)[1]) == ("Pending", "AwaitingApproval")

        change(twin, None, approval(HOTFIX))
        await twin.quiet()
        assert opened(cluster) == {"192.0.2.0/24", "198.51.100.7/32"}
        assert ready(cluster, HOTFIX) == (
            "True",
            "Open",
            "stage a reaches cidr 198.51.100.7/32 until 2030-01-01T11:00:00Z",
        )
        assert ready(cluster, approval(HOTFIX))[:2] == ("True", "Counted")

        await twin.clock.advance(3500)
        assert opened(cluster) == {"192.0.2.0/24", "198.51.100.7/32"}
        await twin.clock.advance(END - (twin.clock.now() - 1000))
        assert shapes(cluster) == before, "opened and closed, it is as if it had never been open"
        assert status(cluster, HOTFIX)["phase"] == "Expired"
        # Told and done: nothing goes on.
        await twin.quiet()

    lines = trail(audited)
    assert [line["action"] for line in lines] == ["open", "close"]
    for line in lines:
        assert line["requestedBy"] == "ada"
        assert line["approvedBy"] == ["grace"]
        assert (line["reason"], line["ticket"]) == ("the mirror is down", "INC-1")
        assert line["opens"] == ["cidr 198.51.100.7/32"]
        assert (line["segment"], line["stage"], line["expiresAt"]) == ("ci/shop", "a", "2030-01-01T11:00:00Z")
    assert lines[0]["reaches"] == ['{"cidr":{"block":"198.51.100.7/32"},"ports":[{"port":443}]}']
    reasons = [reason for kind, reason in told(cluster) if kind == "SegmentException"]
    assert reasons == ["ExceptionRequested", "ExceptionOpened", "ExceptionExpired"]


async def test_it_closes_to_the_second_and_not_before():
    cluster = seeded([*WORLD, HOTFIX, approval(HOTFIX)])
    async with leading(cluster) as twin:
        await twin.clock.advance(3599 - (twin.clock.now() - 1000))
        assert "198.51.100.7/32" in opened(cluster)
        await twin.clock.advance(1.5)
        assert "198.51.100.7/32" not in opened(cluster)


async def test_what_ended_while_the_operator_was_down_closes_before_anything_opens():
    """Two segments: one whose exception is over, one that gained an entry meanwhile."""
    late = segment(stage("b", OWN, app="b"), name="pay")
    cluster = seeded([*WORLD, late, HOTFIX, approval(HOTFIX)])
    async with leading(cluster) as twin:
        assert "198.51.100.7/32" in opened(cluster)
        assert status(cluster, HOTFIX)["phase"] == "Open"
    cluster.edit(target_of(late), lambda obj: obj["spec"]["stages"][0]["reaches"].append(VENDOR))
    cluster.seed(segment(stage("z", VENDOR, app="z"), name="aaa"))

    with recorded(cluster) as writes:
        async with leading(cluster, after=4000) as twin:
            assert opened(cluster) == {"192.0.2.0/24"}
            assert status(cluster, HOTFIX)["phase"] == "Expired"
            twin.operator.measure()
            assert twin.metrics.registry.get_sample_value("pipesegment_exceptions_overdue") == 0

    policies = [w.target.name for w in writes if w.target.kind == "NetworkPolicy" and w.before != w.after]
    assert policies[0] == "shop-a"
    assert {"pay-b", "aaa-z"} <= set(policies)


async def test_an_exception_that_cannot_be_closed_counts_as_overdue_until_it_is():
    cluster = seeded([*WORLD, HOTFIX, approval(HOTFIX)])
    async with leading(cluster) as twin:

        def value(name, **labels):
            twin.operator.measure()
            return twin.metrics.registry.get_sample_value(f"pipesegment_{name}", labels)

        assert (value("exceptions", phase="Open"), value("exceptions_overdue")) == (1, 0)
        cluster.fail(Unreachable("no answer"), matches=lambda target: target == POLICY, times=10**6)
        await twin.clock.advance(3700 - (twin.clock.now() - 1000))
        assert "198.51.100.7/32" in opened(cluster)
        assert (status(cluster, HOTFIX)["phase"], ready(cluster, HOTFIX)[:2]) == ("Open", ("False", "ApplyFailed"))
        assert value("exceptions_overdue") == 1

        cluster.mend()
        await twin.clock.advance(700)
        assert opened(cluster) == {"192.0.2.0/24"}
        assert (value("exceptions_overdue"), value("exceptions", phase="Expired")) == (0, 1)


async def test_taking_an_approval_back_closes_and_so_does_deleting_the_exception(audited):
    given = approval(HOTFIX)
    cluster = seeded([*WORLD, HOTFIX, given])
    async with leading(cluster) as twin:
        before = opened(cluster)
        change(twin, given, None)
        await twin.quiet()
        assert opened(cluster) == {"192.0.2.0/24"}
        assert status(cluster, HOTFIX)["phase"] == "Pending"

        change(twin, None, given)
        await twin.quiet()
        assert opened(cluster) == before

        change(twin, HOTFIX, None)
        await twin.quiet()
        assert opened(cluster) == {"192.0.2.0/24"}
        assert ready(cluster, given)[:2] == ("False", "NotCounted")
    assert [line["action"] for line in trail(audited)] == ["open", "close", "open", "close"]
    assert ("PipelineSegment", "ExceptionRevoked") in told(cluster)


async def test_an_approval_counts_by_the_word_of_the_class_that_governs_and_of_no_other(audited):
    """Admission looks at the class that the approval names: another one, or one made anew, may let anybody approve."""
    lenient = approval(HOTFIX, cls=("default", "u-lenient"))
    cluster = seeded([*WORLD, HOTFIX, lenient])
    async with leading(cluster) as twin:
        assert opened(cluster) == {"192.0.2.0/24"}
        assert status(cluster, HOTFIX)["class"] == {"name": "default", "uid": "u-default"}
        assert ready(cluster, lenient) == (
            "False",
            "NotCounted",
            "does not count, for it is by the word of SegmentClass default, which is not the one that governs",
        )

        change(twin, None, approval(HOTFIX, by="heidi"))
        await twin.quiet()
        assert opened(cluster) == {"192.0.2.0/24", "198.51.100.7/32"}


@pytest.mark.parametrize(
    ("since", "told"),
    [
        ("2030-01-01T09:59:57Z", "Open"),
        ("2030-01-01T09:59:58Z", "Unguarded"),
        ("2030-01-01T10:00:10Z", "Unguarded"),
    ],
)
async def test_what_was_asked_for_before_anything_denied_is_not_believed(since, told):
    """While admission only warned, or had not taken notice yet, anybody could ask in anybody's name."""
    later = approval(HOTFIX, created="2030-01-01T10:05:00Z")
    cluster = seeded([*surroundings(), GOVERNING, SHOP, *guards(created=since), HOTFIX, later])
    async with leading(cluster, after=600):
        assert ready(cluster, HOTFIX)[1] == told


async def test_what_was_approved_before_anything_denied_is_not_believed():
    """A binding that was bound anew is as old as that: what was approved before has to be approved again."""
    anew = guards(created="2029-01-01T00:00:00Z")
    late = exception(VENDOR, created="2030-01-01T10:10:00Z")
    early = approval(late, created="2030-01-01T10:11:00Z")
    for obj in anew:
        if obj["metadata"]["name"].endswith("segmentapprovals") and obj["kind"].endswith("Binding"):
            obj["metadata"]["creationTimestamp"] = "2030-01-01T10:11:00Z"
    cluster = seeded([*surroundings(), GOVERNING, SHOP, *anew, late, early])
    async with leading(cluster, after=900):
        # The exception itself is older than that binding, too: nobody knows who asked.
        assert ready(cluster, late)[1] == "Unguarded"
        assert ready(cluster, early)[2] == (
            "does not count, for it was made before the admission policies denied anything, so nobody knows by whom"
        )


async def test_who_may_lift_a_seal_is_told_and_follows_the_class():
    incident = seal()
    cluster = seeded([*WORLD, incident])
    async with leading(cluster) as twin:
        assert status(cluster, incident)["sealers"] == []
        rules = {**GOVERNING["spec"]["breakGlass"], "sealerGroups": ["security"]}
        change(twin, GOVERNING, {**GOVERNING, "spec": {**GOVERNING["spec"], "breakGlass": rules}})
        await twin.quiet()
        assert status(cluster, incident)["sealers"] == ["security"]


async def test_an_exception_made_anew_under_its_old_name_has_to_be_approved_anew():
    cluster = seeded([*WORLD, HOTFIX, approval(HOTFIX)])
    async with leading(cluster) as twin:
        change(twin, HOTFIX, None)
        again = exception(VENDOR)
        again["metadata"]["uid"] = "u-another"
        change(twin, None, again)
        await twin.quiet()
        assert opened(cluster) == {"192.0.2.0/24"}
        assert (
            ready(cluster, approval(HOTFIX))[2]
            == "does not count, for it names another exception that was called hotfix"
        )


async def test_it_closes_when_nothing_holds_approvals_to_their_authors_any_more():
    policy, binding, *_ = guards()
    for lacking in (policy, binding):
        cluster = seeded([*WORLD, HOTFIX, approval(HOTFIX)])
        async with leading(cluster) as twin:
            assert "198.51.100.7/32" in opened(cluster)
            change(twin, lacking, None)
            await twin.quiet()
            assert opened(cluster) == {"192.0.2.0/24"}
            assert status(cluster, HOTFIX)["reason"] == "Unguarded"
            change(twin, None, lacking)
            await twin.quiet()
            assert "198.51.100.7/32" in opened(cluster)


async def test_the_other_segment_opens_and_closes_its_half():
    """It accepts; that it hears of exceptions of its neighbour is what is shown."""
    accepts = [{"stage": {"name": "a", "segment": "shop"}, "ports": [{"port": 80}]}]
    pay = segment(stage("b", app="b", accepts=accepts), name="pay")
    asked = exception({"stage": {"name": "b", "segment": "pay"}, "ports": [{"port": 80}]})
    cluster = seeded([*WORLD, pay, asked])
    async with leading(cluster) as twin:
        assert cluster.peek(NEIGHBOUR)["spec"]["ingress"] == []
        change(twin, None, approval(asked))
        await twin.quiet()
        assert len(cluster.peek(NEIGHBOUR)["spec"]["ingress"]) == 1
        await twin.clock.advance(END - (twin.clock.now() - 1000))
        assert cluster.peek(NEIGHBOUR)["spec"]["ingress"] == []


async def test_while_the_segment_does_not_conform_more_people_have_to_approve():
    rules = {"approverGroups": ["sre"], "whenNotConforming": {"approvals": 2}}
    cautious = segment_class(breakGlass=rules, network={"isolation": {"mode": "Namespace"}})
    wide = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "wide", "namespace": "ci", "uid": "u-wide"},
        "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
    }
    cluster = seeded([*surroundings(), cautious, SHOP, *guards(), HOTFIX, approval(HOTFIX)])
    async with leading(cluster) as twin:
        assert "198.51.100.7/32" in opened(cluster)
        change(twin, None, wide)
        await twin.quiet()
        assert opened(cluster) == {"192.0.2.0/24"}
        assert (status(cluster, HOTFIX)["approvals"], status(cluster, HOTFIX)["approvalsNeeded"]) == (1, 2)
        change(twin, None, approval(HOTFIX, "linus"))
        await twin.quiet()
        assert "198.51.100.7/32" in opened(cluster)
        change(twin, wide, None)
        await twin.quiet()
        assert status(cluster, HOTFIX)["approvalsNeeded"] == 1


async def test_a_suspended_segment_opens_nothing_new_and_closes_what_ends():
    early, late = exception(VENDOR, name="early"), exception(OWN | {"cidr": {"block": "203.0.113.0/24"}}, name="late")
    cluster = seeded([*WORLD, early, approval(early), late])
    async with leading(cluster) as twin:
        suspended = segment(*SHOP["spec"]["stages"], suspend=True)
        change(twin, SHOP, suspended)
        change(twin, None, approval(late))
        await twin.quiet()
        assert opened(cluster) == {"192.0.2.0/24", "198.51.100.7/32"}
        assert (status(cluster, early)["phase"], status(cluster, late)["phase"]) == ("Open", "Pending")
        assert status(cluster, late)["reason"] == "Suspended"
        await twin.clock.advance(END - (twin.clock.now() - 1000))
        assert opened(cluster) == {"192.0.2.0/24"}


@pytest.mark.parametrize(
    "more", [{}, {"mode": "Observe"}, {"suspend": True}, {"mode": "Observe", "suspend": True}], ids=str
)
async def test_a_seal_cuts_at_once_whatever_the_segment_says_of_itself(more, audited):
    cluster = seeded([*surroundings(), GOVERNING, segment(*SHOP["spec"]["stages"], **more)])
    cut = seal()
    async with leading(cluster) as twin:
        before = shapes(cluster)
        change(twin, None, cut)
        await twin.quiet()
        made = cluster.peek(POLICY)["spec"]
        assert (made["egress"], made["ingress"]) == ([], [])
        assert made["podSelector"] == {"matchLabels": {"app": "a"}}
        assert set(made["policyTypes"]) == {"Ingress", "Egress"}
        assert ready(cluster, SHOP)[:2] == ("True", "Sealed")
        assert status(cluster, SHOP)["summary"]["sealed"] == 1
        assert ready(cluster, cut)[:2] == ("True", "Sealed")

        # Somebody takes it away: it is made again, suspended or not.
        cluster.drop(cluster.existing(POLICY), orphan=True)
        await twin.quiet()
        assert cluster.peek(POLICY)["spec"]["egress"] == []

        change(twin, cut, None)
        await twin.quiet()
        if "suspend" not in more:
            assert shapes(cluster) == before
    assert [line["action"] for line in trail(audited)] == ["seal", "lift"]
    assert ("PipelineSegment", "SealLifted") in told(cluster)


async def test_an_exception_whose_segment_is_not_there_says_so_and_opens_when_it_comes():
    cluster = seeded([*surroundings(), GOVERNING, *guards(), HOTFIX, approval(HOTFIX)])
    async with leading(cluster) as twin:
        assert (status(cluster, HOTFIX)["phase"], status(cluster, HOTFIX)["reason"]) == ("Pending", "Unresolved")
        assert ready(cluster, approval(HOTFIX))[:2] == ("False", "NotCounted")
        change(twin, None, SHOP)
        await twin.quiet()
        assert status(cluster, HOTFIX)["phase"] == "Open"
        assert ready(cluster, approval(HOTFIX))[:2] == ("True", "Counted")


#: What the API server takes and the model does not: nothing that such a segment says has a meaning.
BROKEN = segment(stage("a", OWN, to("nowhere", 80), app="a"))


async def come_to(twin, end):
    """What the exception opened ends, in one way or another."""
    match end:
        case "expiry":
            await twin.clock.advance(END - (twin.clock.now() - 1000))
        case "deletion":
            change(twin, HOTFIX, None)
        case "approval":
            change(twin, approval(HOTFIX), None)
        case "seal":
            change(twin, None, seal())
    await twin.quiet()


def assert_shut(cluster, neighbour):
    """The stage is shut as it stands, and its neighbour's policy is as it was."""
    made = cluster.peek(POLICY)["spec"]
    assert (made["egress"], made["ingress"]) == ([], [])
    assert made["podSelector"] == {"matchLabels": {"app": "a"}}
    assert cluster.peek(POLICY._replace(name="shop-c")) == neighbour


@pytest.mark.parametrize("end", ["expiry", "deletion", "seal"])
async def test_breaking_the_segment_keeps_nothing_open(end):
    """Nobody can say what should stand instead, so the stage is shut; what others have stays as it is."""
    cluster = seeded([*WORLD, HOTFIX, approval(HOTFIX)])
    async with leading(cluster) as twin:
        change(twin, SHOP, BROKEN)
        await twin.quiet()
        assert "198.51.100.7/32" in opened(cluster)
        assert status(cluster, HOTFIX)["phase"] == "Open"
        before = cluster.peek(POLICY._replace(name="shop-c"))

        await come_to(twin, end)
        assert_shut(cluster, before)

        change(twin, BROKEN, SHOP)
        await twin.quiet()
        assert opened(cluster) == (set() if end == "seal" else {"192.0.2.0/24"})


async def test_a_segment_that_is_broken_when_the_operator_starts_closes_what_is_over_all_the_same():
    cluster = seeded([*WORLD, HOTFIX, approval(HOTFIX)])
    async with leading(cluster):
        assert "198.51.100.7/32" in opened(cluster)
    cluster.edit(target_of(SHOP), lambda obj: obj.update(spec=BROKEN["spec"]))
    async with leading(cluster, after=4000) as twin:
        assert opened(cluster) == set()
        assert status(cluster, HOTFIX)["phase"] == "Expired"
        twin.operator.measure()
        assert twin.metrics.registry.get_sample_value("pipesegment_exceptions_overdue") == 0


async def test_while_its_segment_is_broken_an_exception_opens_nothing():
    cluster = seeded([*WORLD, HOTFIX])
    async with leading(cluster) as twin:
        change(twin, SHOP, BROKEN)
        change(twin, None, approval(HOTFIX))
        await twin.quiet()
        assert opened(cluster) == {"192.0.2.0/24"}
        assert (status(cluster, HOTFIX)["phase"], status(cluster, HOTFIX)["reason"]) == ("Pending", "Unresolved")


async def test_while_nobody_knows_what_the_class_said_what_is_over_is_shut_with_its_stage():
    cluster = seeded([*WORLD, HOTFIX, approval(HOTFIX)])
    async with leading(cluster):
        assert "198.51.100.7/32" in opened(cluster)
    cluster.drop(cluster.existing(target_of(GOVERNING)), orphan=True)
    async with leading(cluster, after=4000):
        assert opened(cluster) == set()
        assert status(cluster, HOTFIX)["phase"] == "Expired"
        assert cluster.peek(POLICY._replace(name="shop-c"))["spec"]["egress"] != []


async def test_what_was_deleted_while_its_segment_was_broken_and_no_operator_ran_is_shut():
    """The exception is gone, and the segment says nothing: what was in force is known from the segment's own status."""
    cluster = seeded([*WORLD, HOTFIX, approval(HOTFIX)])
    async with leading(cluster):
        assert "198.51.100.7/32" in opened(cluster)
        (shown, _) = status(cluster, SHOP)["stages"]
        assert shown["exceptions"] == [{"name": "hotfix", "uid": "u-hotfix"}]
    cluster.edit(target_of(SHOP), lambda obj: obj.update(spec=BROKEN["spec"]))
    cluster.drop(cluster.existing(target_of(HOTFIX)), orphan=True)
    async with leading(cluster, after=60) as twin:
        assert opened(cluster) == set()
        change(twin, BROKEN, SHOP)
        await twin.quiet()
        assert opened(cluster) == {"192.0.2.0/24"}
