"""A grant in the ambient mesh: the DENY that holds the stage comes before its way is open, and goes after it is closed."""

import pytest

from pipesegment import names
from pipesegment.compile.desired import ObjectID
from pipesegment.evaluate.endpoints import PodEnd, Port
from pipesegment.evaluate.world import World
from tests.unit.running.twin import (
    change,
    grant,
    leading,
    policies,
    recorded,
    seeded,
    segment,
    segment_class,
    stage,
    states,
    surroundings,
    to_api,
)

A = PodEnd("ci", "a", {"app": "a"}, ips=("10.0.0.9",), service_account="shop-a", ambient=True)
API = PodEnd("prod", "d", {"app": "d"}, ips=("10.0.1.9",), ambient=True)
POLICY = ObjectID("networking.k8s.io/v1", "NetworkPolicy", "ci", "shop-a")


def ambient():
    """Write the surroundings with both namespaces in the ambient mesh."""
    found = []
    for obj in surroundings():
        if obj["kind"] == "Namespace":
            obj["metadata"]["labels"] = {"istio.io/dataplane-mode": "ambient"}
        found.append(obj)
    return found


def shop(**spec):
    return segment(stage("a", to_api(), app="a"), **spec)


def denials(cluster):
    found = policies(cluster).values()
    return [p for p in found if (p["metadata"].get("labels") or {}).get(names.PART_LABEL) == names.DENIAL]


def open_ports(objects):
    world = World(objects, (), ())
    return {p for p in (22, 8080, 9090) if world.judge(A, API, Port("TCP", p)).enforced}


@pytest.fixture
def cluster():
    governing = segment_class(network={"requireGrants": True})
    return seeded([*ambient(), governing, grant(), shop()])


async def test_the_tunnel_is_never_open_without_the_deny(cluster):
    before = policies(cluster)
    with recorded(cluster) as writes:
        async with leading(cluster) as twin:
            assert open_ports(policies(cluster).values()) == {8080}
            assert len(denials(cluster)) == 1
            change(twin, grant(), None)
            await twin.quiet()
            assert denials(cluster) == []
    after_stage = [s for s in states(before, writes) if any(ObjectID.of(o) == POLICY for o in s)]
    assert {frozenset(open_ports(state)) for state in after_stage} == {frozenset(), frozenset({8080})}


async def test_a_segment_that_is_held_back_keeps_the_deny_when_its_grant_goes(cluster):
    async with leading(cluster) as twin:
        change(twin, shop(), shop(suspend=True))
        await twin.quiet()
        change(twin, grant(), None)
        await twin.quiet()
        assert open_ports(policies(cluster).values()) == set()
        assert len(denials(cluster)) == 1


async def test_a_segment_that_goes_takes_its_deny_along(cluster):
    async with leading(cluster) as twin:
        assert len(denials(cluster)) == 1
        change(twin, shop(), None)
        await twin.quiet()
        assert denials(cluster) == []


async def test_somebody_who_deletes_the_deny_gets_it_back(cluster):
    async with leading(cluster) as twin:
        (found,) = denials(cluster)
        cluster.remove(ObjectID.of(found))
        await twin.quiet()
        assert len(denials(cluster)) == 1
