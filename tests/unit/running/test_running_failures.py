"""Calls that the API server refuses for good are told and left alone, those that it may take later are tried soon."""

import pytest

from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Rejected
from tests.unit.running.twin import (
    change,
    leading,
    recorded,
    seeded,
    segment,
    segment_class,
    shapes,
    stage,
    surroundings,
    target_of,
)

POLICY = ObjectID("networking.k8s.io/v1", "NetworkPolicy", "ci", "shop-a")
INVALID = Rejected(422, "Invalid", "spec.egress: Invalid value")
FOR_EVER = 1_000_000


def conditions(cluster, document):
    return {c["type"]: c for c in cluster.peek(target_of(document))["status"]["conditions"]}


async def tries(twin, seconds):
    """Count the calls that somebody makes for the policy within so many seconds."""
    before = twin.cluster.calls["apply"]
    for _ in range(seconds * 2):
        await twin.clock.advance(0.5)
    return twin.cluster.calls["apply"] - before


async def test_a_call_that_is_refused_for_good_is_told_and_not_repeated_in_a_loop():
    """It waits for a change, and looks again in minutes: what refuses it may be somebody's admission policy."""
    shop = segment(stage("a", app="a"))
    cluster = seeded([*surroundings(), shop])
    cluster.fail(INVALID, matches=lambda target: target == POLICY, times=FOR_EVER)

    async with leading(cluster) as twin:
        told = conditions(cluster, shop)
        assert told["Ready"]["reason"] == "ApplyFailed"
        assert "422 Invalid: spec.egress: Invalid value" in told["Ready"]["message"]
        assert told["Reconciling"]["message"].startswith("tried again on a change, and every few minutes: ")
        assert await tries(twin, 200) == 0
        assert 1 <= await tries(twin, 600) <= 4

        cluster.mend()
        change(twin, shop, segment(stage("a", app="b")))
        await twin.quiet()
        assert conditions(cluster, shop)["Ready"]["reason"] == "Enforced"
        assert POLICY in shapes(cluster)


@pytest.mark.parametrize("error", [Rejected(403, "Forbidden", "no roles yet"), Rejected(500, "InternalError", "etcd")])
async def test_a_call_that_may_succeed_later_is_tried_within_seconds(error):
    shop = segment(stage("a", app="a"))
    cluster = seeded([*surroundings(), shop])
    cluster.fail(error, matches=lambda target: target == POLICY, times=2)

    async with leading(cluster) as twin:
        assert conditions(cluster, shop)["Ready"]["reason"] == "Enforced"
        assert twin.clock.now() < 1000 + 30


async def test_one_that_may_succeed_later_does_not_wait_for_one_that_never_will():
    """Two calls of one wave: the segment comes back as soon as one of them may be cured."""
    shop = segment(stage("a", app="a"), stage("b", app="b"))
    other = POLICY._replace(name="shop-b")
    cluster = seeded([*surroundings(), shop])
    cluster.fail(INVALID, matches=lambda target: target == POLICY, times=FOR_EVER)
    cluster.fail(Rejected(503, "ServiceUnavailable", "busy"), matches=lambda target: target == other)

    async with leading(cluster):
        assert other in shapes(cluster)
        assert conditions(cluster, shop)["Ready"]["reason"] == "ApplyFailed"


async def test_what_the_api_server_asks_for_is_waited_for_in_a_look_with_several_failures():
    shop = segment(stage("a", app="a"))
    cluster = seeded([*surroundings(), shop])
    slow = Rejected(429, "TooManyRequests", "slow down", retry_after=120)
    cluster.fail(slow, matches=lambda target: target == POLICY, times=FOR_EVER)

    async with leading(cluster) as twin:
        assert await tries(twin, 90) == 0
        cluster.mend()
        assert await tries(twin, 60) > 0
        assert conditions(cluster, shop)["Ready"]["reason"] == "Enforced"


async def test_a_classs_isolation_that_is_refused_for_good_is_not_repeated_in_a_loop():
    isolating = segment_class(network={"isolation": {"mode": "Namespace"}})
    cluster = seeded([*surroundings(), isolating])
    cluster.fail(INVALID, matches=lambda target: target.kind == "NetworkPolicy", times=FOR_EVER)

    async with leading(cluster) as twin:
        assert conditions(cluster, isolating)["Ready"]["reason"] == "IsolationFailed"
        with recorded(cluster) as writes:
            assert await tries(twin, 200) == 0
        assert writes == []
