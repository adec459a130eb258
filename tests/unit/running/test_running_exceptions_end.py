"""What ends closes although its segment is going, refused, or another one by the same name."""

import pytest

from pipesegment import names
from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Unreachable
from tests.unit.emergencies import approval, guards, seal
from tests.unit.running.test_running_exceptions import (
    BROKEN,
    GOVERNING,
    HOTFIX,
    OWN,
    POLICY,
    SHOP,
    WORLD,
    assert_shut,
    come_to,
    leading,
    opened,
    ready,
    status,
)
from tests.unit.running.twin import change, recorded, seeded, segment, stage, surroundings, target_of


def going(cluster, twin, finalizer="example.com/stay"):
    """Somebody deletes the segment, and a finalizer keeps it."""

    def edit(obj):
        obj["metadata"] |= {"finalizers": [finalizer], "deletionTimestamp": "2030-01-01T10:05:00Z"}

    cluster.edit(target_of(SHOP), edit)
    twin.put(SHOP)


def overdue(twin):
    twin.operator.measure()
    return twin.metrics.registry.get_sample_value("pipesegment_exceptions_overdue")


@pytest.mark.parametrize("end", ["expiry", "deletion", "approval", "seal"])
async def test_a_segment_that_somebody_keeps_from_going_keeps_nothing_open(end):
    cluster = seeded([*WORLD, HOTFIX, approval(HOTFIX)])
    async with leading(cluster) as twin:
        going(cluster, twin)
        await twin.quiet()
        assert "198.51.100.7/32" in opened(cluster)
        assert ready(cluster, HOTFIX)[2].startswith("stands as it did, for the segment is being deleted")
        before = cluster.peek(POLICY._replace(name="shop-c"))

        await come_to(twin, end)
        assert_shut(cluster, before)
        if end == "seal":
            assert ready(cluster, seal())[:2] == ("True", "Sealed")


async def test_what_a_going_segment_had_open_closes_first_when_an_operator_starts():
    cluster = seeded([*WORLD, HOTFIX, approval(HOTFIX)])
    async with leading(cluster) as twin:
        going(cluster, twin)
        await twin.quiet()
    async with leading(cluster, after=4000) as twin:
        assert opened(cluster) == set()
        assert (status(cluster, HOTFIX)["phase"], overdue(twin)) == ("Expired", 0)


async def test_while_a_going_segment_cannot_be_closed_its_exception_is_overdue():
    cluster = seeded([*WORLD, HOTFIX, approval(HOTFIX)])
    async with leading(cluster) as twin:
        going(cluster, twin)
        await twin.quiet()
        cluster.fail(Unreachable("no answer"), matches=lambda target: target == POLICY, times=10**6)
        await twin.clock.advance(3700 - (twin.clock.now() - 1000))
        assert (status(cluster, HOTFIX)["phase"], ready(cluster, HOTFIX)[:2]) == ("Open", ("False", "ApplyFailed"))
        assert overdue(twin) == 1
        cluster.mend()
        await twin.clock.advance(700)
        assert (opened(cluster), overdue(twin)) == (set(), 0)


async def test_a_going_segment_opens_nothing_and_a_gone_one_is_told():
    given = approval(HOTFIX)
    cluster = seeded([*WORLD, HOTFIX])
    async with leading(cluster) as twin:
        going(cluster, twin)
        change(twin, None, given)
        await twin.quiet()
        assert opened(cluster) == {"192.0.2.0/24"}
        assert ready(cluster, HOTFIX)[2] == "segment ci/shop is being deleted, so nothing of it is widened"

        change(twin, SHOP, None)
        await twin.quiet()
        assert ready(cluster, HOTFIX)[2] == "there is no segment ci/shop"
        assert ready(cluster, given)[:2] == ("False", "NotCounted")


@pytest.mark.parametrize("collected", ["before", "after"], ids="owners are taken off {} we look".format)
async def test_a_segment_deleted_with_orphan_leaves_behind_nothing_that_an_exception_opened(collected):
    cluster = seeded([*WORLD, HOTFIX, approval(HOTFIX)])

    def orphan():
        for obj in cluster.objects("NetworkPolicy"):
            cluster.edit(ObjectID.of(obj), lambda found: found["metadata"].pop("ownerReferences", None))

    async with leading(cluster) as twin:
        assert "198.51.100.7/32" in opened(cluster)
        if collected == "before":
            orphan()
        going(cluster, twin, "orphan")
        await twin.quiet()
        assert opened(cluster) == set()
        assert "ownerReferences" not in cluster.peek(POLICY)["metadata"], "it would be collected"
        assert (status(cluster, HOTFIX)["phase"], status(cluster, HOTFIX)["reason"]) == ("Pending", "Unresolved")
        orphan()
        change(twin, SHOP, None)
        await twin.quiet()
        assert (opened(cluster), cluster.peek(POLICY)["spec"]["podSelector"]) == (set(), {"matchLabels": {"app": "a"}})


def seal_of(cluster):
    return ready(cluster, seal())[:2]


async def test_a_seal_makes_the_policy_that_closes_where_none_stands_and_the_pods_are_known():
    """In Observe nothing was made, and of a segment that is going nothing else is."""
    observing = segment(*SHOP["spec"]["stages"], mode="Observe")
    cluster = seeded([*surroundings(), GOVERNING, observing, *guards()])
    async with leading(cluster) as twin:
        going(cluster, twin)
        change(twin, None, seal())
        await twin.quiet()
        made = cluster.peek(POLICY)
        assert (made["spec"]["egress"], made["spec"]["ingress"]) == ([], [])
        assert made["spec"]["podSelector"] == {"matchLabels": {"app": "a"}}
        assert made["metadata"]["labels"][names.SEALED_LABEL] == "true"
        assert seal_of(cluster) == ("True", "Sealed")

        cluster.drop(cluster.existing(POLICY), orphan=True)
        await twin.quiet()
        assert cluster.peek(POLICY)["spec"]["egress"] == []

        change(twin, seal(), None)
        await twin.quiet()
        assert names.SEALED_LABEL not in cluster.peek(POLICY)["metadata"]["labels"]


async def test_a_seal_of_a_refused_segment_without_policies_says_that_it_cuts_nothing_off():
    cluster = seeded([*surroundings(), GOVERNING, BROKEN, *guards(), seal()])
    async with leading(cluster) as twin:
        assert ready(cluster, seal()) == (
            "False",
            "Unresolved",
            "segment ci/shop is refused, and no policy stands that could be shut: stage a is not cut off",
        )
        change(twin, BROKEN, SHOP)
        await twin.quiet()
        assert seal_of(cluster) == ("True", "Sealed")
        change(twin, SHOP, BROKEN)
        await twin.quiet()
        assert seal_of(cluster) == ("True", "Sealed")
        cluster.drop(cluster.existing(POLICY), orphan=True)
        await twin.quiet()
        assert seal_of(cluster) == ("False", "Unresolved")


async def test_what_is_sealed_after_the_segment_was_broken_says_so_to_admission_until_it_is_lifted():
    cluster = seeded(WORLD)
    async with leading(cluster) as twin:
        change(twin, SHOP, BROKEN)
        await twin.quiet()
        change(twin, None, seal())
        await twin.quiet()
        assert cluster.peek(POLICY)["metadata"]["labels"][names.SEALED_LABEL] == "true"
        change(twin, seal(), None)
        await twin.quiet()
        assert names.SEALED_LABEL not in cluster.peek(POLICY)["metadata"]["labels"]


def anew(*stages, uid="u-shop-again"):
    found = segment(*stages)
    found["metadata"]["uid"] = uid
    return found


async def test_another_segment_of_that_name_has_nothing_opened():
    cluster = seeded([*WORLD, HOTFIX, approval(HOTFIX)])
    async with leading(cluster) as twin:
        assert status(cluster, HOTFIX)["meant"] == {"uid": "u-shop", "pods": "app=a"}
        change(twin, SHOP, None)
        await twin.quiet()
        with recorded(cluster) as writes:
            change(twin, None, anew(stage("a", OWN, app="c")))
            await twin.quiet()
        assert not any("198.51.100.7" in str(w.after) for w in writes if w.target == POLICY)
        assert opened(cluster) == {"192.0.2.0/24"}
        assert (status(cluster, HOTFIX)["phase"], *ready(cluster, HOTFIX)[1:]) == (
            "Expired",
            "Replaced",
            "it was asked for another segment that was called shop: ask anew",
        )
        change(twin, None, seal())
        await twin.quiet()
        assert seal_of(cluster) == ("True", "Sealed")
    async with leading(cluster, after=60):
        assert status(cluster, HOTFIX)["reason"] == "Replaced"


async def test_other_pods_of_the_stage_have_nothing_opened_and_that_is_for_good():
    cluster = seeded([*WORLD, HOTFIX, approval(HOTFIX)])
    other = segment(stage("a", OWN, app="b"))
    async with leading(cluster) as twin:
        for old, new in ((SHOP, other), (other, SHOP)):
            change(twin, old, new)
            await twin.quiet()
            assert opened(cluster) == {"192.0.2.0/24"}
            assert status(cluster, HOTFIX)["reason"] == "Replaced"
