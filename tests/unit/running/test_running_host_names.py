"""Host names that the operator looks up: open from the first write on, followed, closed where they lead inside."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from pipesegment import names
from pipesegment.compile.desired import ObjectID
from tests.unit.running import twin as scenes
from tests.unit.world.names import NO_ANSWER, MemoryLookups

GIT, WEB = "git.example.com", "web.example.com"
RESOLVE = {"network": {"inexact": {"fqdn": "Resolve"}}}
DAY = 24 * 3600.0


def shop(*found: str, name: str = "shop", app: str = "a"):
    return scenes.segment(
        scenes.stage(app, *({"fqdn": {"names": [each]}} for each in found), app=app, dns="None"), name=name
    )


class World:
    """A cluster, an operator on it, and DNS."""

    def __init__(self, twin, lookups):
        self.twin, self.lookups = twin, lookups

    def opened(self, name="shop-a"):
        """Every block that a policy lets through."""
        policy = self.twin.cluster.existing(ObjectID("networking.k8s.io/v1", "NetworkPolicy", "ci", name))
        rules = policy["spec"].get("egress") or ()
        return {peer["ipBlock"]["cidr"] for rule in rules for peer in rule["to"] if "ipBlock" in peer}

    def status(self, name="shop"):
        return self.twin.cluster.existing(ObjectID(names.API_VERSION, names.SEGMENT, "ci", name))["status"]

    def condition(self, kind="Ready", name="shop"):
        found = next(c for c in self.status(name)["conditions"] if c["type"] == kind)
        return found["status"], found["reason"], found["message"]

    async def rest(self, seconds=0.0):
        await self.twin.clock.advance(seconds)
        await self.twin.quiet()

    async def change(self, old, new):
        scenes.change(self.twin, old, new)
        await self.rest()


@asynccontextmanager
async def running(*documents, zone=None, **lookups):
    dns = MemoryLookups({GIT: ["11.0.0.1", "2a01:db7::1"], WEB: ["11.0.0.9"]} if zone is None else zone, **lookups)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ci"}}
    async with scenes.leading(scenes.seeded([namespace, *documents]), lookups=dns) as twin:
        yield World(twin, dns)


async def test_ways_are_open_from_the_first_write_on():
    async with running(scenes.segment_class(**RESOLVE), shop(GIT)) as world:
        assert world.opened() == {"11.0.0.1/32", "2a01:db7::1/128"}
        assert len([w for w in world.twin.cluster.writes if w.target.kind == "NetworkPolicy"]) == 1
        assert world.condition() == ("True", "Coarse", world.condition("Exact")[2])
        assert "is open to 2 addresses at these ports" in world.condition()[2]
        assert world.status()["hostNames"] == [{"name": GIT, "addresses": ["11.0.0.1", "2a01:db7::1"]}]


async def test_a_name_that_is_declared_later_is_looked_up():
    before = shop(GIT)
    async with running(scenes.segment_class(**RESOLVE), before) as world:
        await world.change(before, shop(GIT, WEB))
        assert world.opened() == {"11.0.0.1/32", "2a01:db7::1/128", "11.0.0.9/32"}
        await world.change(shop(GIT, WEB), shop(WEB))
        assert world.opened() == {"11.0.0.9/32"}
        world.lookups.asked.clear()
        await world.rest(600)
        assert {name for name, _ in world.lookups.asked} == {WEB}


async def test_an_answer_that_changes_is_followed_and_wakes_whom_it_concerns():
    one, two = shop(GIT), shop(WEB, name="two", app="b")
    async with running(scenes.segment_class(**RESOLVE), one, two) as world:
        world.lookups.zone[WEB] = ["11.0.0.8"]
        before = len(world.twin.cluster.writes)
        await world.rest(60)
        assert world.opened("two-b") == {"11.0.0.9/32", "11.0.0.8/32"}
        await world.rest(1200)
        assert world.opened("two-b") == {"11.0.0.8/32"}
        assert {w.target.name for w in world.twin.cluster.writes[before:]} == {"two-b", "two"}


async def test_an_answer_that_leads_inside_is_told_and_stays_closed():
    pod = {"kind": "Pod", "metadata": {"name": "db", "namespace": "prod"}, "spec": {"containers": [{"name": "m"}]}}
    pod["status"] = {"phase": "Running", "podIPs": [{"ip": "11.7.0.7"}]}
    async with running(scenes.segment_class(**RESOLVE), shop(GIT), pod) as world:
        hostile = ["11.7.0.7", "169.254.169.254", "10.0.0.1", "127.0.0.1", "fd00:ec2::254", "11.0.0.1"]
        world.lookups.zone[GIT] = hostile
        await world.rest(60)
        assert world.opened() == {"11.0.0.1/32", "2a01:db7::1/128"}
        assert world.condition()[:2] == ("False", "Unresolved")
        told = " ".join(gap["message"] for gap in world.status()["gaps"])
        assert all(address in told for address in hostile[:5])
        assert all(
            "11.7.0.7" not in json.dumps(write.after)
            for write in world.twin.cluster.writes
            if write.target.kind == "NetworkPolicy"
        )


async def test_when_dns_is_silent_the_last_answer_goes_on_for_a_day():
    async with running(scenes.segment_class(**RESOLVE), shop(GIT)) as world:
        world.lookups.failing["*"] = NO_ANSWER
        await world.rest(1200)
        assert world.opened() == {"11.0.0.1/32", "2a01:db7::1/128"}
        assert world.status()["hostNames"][0]["lastAnswered"]
        await world.rest(DAY)
        assert (world.opened(), world.condition()[1]) == (set(), "Unresolved")
        world.lookups.failing.clear()
        await world.rest(60)
        assert world.opened() == {"11.0.0.1/32", "2a01:db7::1/128"}


@pytest.mark.parametrize("error", [NO_ANSWER, None])
async def test_dns_that_does_not_answer_at_the_start_delays_the_network_no_longer_than_half_a_minute(error):
    other = {"cidr": {"block": "192.0.2.0/24"}, "ports": [{"port": 443}]}
    both = scenes.segment(scenes.stage("a", {"fqdn": {"names": [GIT]}}, other, app="a", dns="None"))
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ci"}}
    cluster = scenes.seeded([namespace, scenes.segment_class(**RESOLVE), both])
    dns = MemoryLookups({GIT: ["11.0.0.1"]}, failing={"*": error})
    twin = scenes.Twin(cluster, lookups=dns)
    twin._reporter.start()
    twin.operator.start()
    await twin.quiet(leading=False)
    leading = asyncio.ensure_future(twin.operator.lead())
    await twin.clock.advance(31)
    await leading
    await twin.quiet()
    try:
        world = World(twin, dns)
        assert (world.opened(), world.condition()[1]) == ({"192.0.2.0/24"}, "Unresolved")
    finally:
        await twin.stop()


async def test_where_names_are_not_followed_nobody_asks():
    async with running(scenes.segment_class(), shop(GIT)) as world:
        await world.rest(600)
        assert world.lookups.asked == []
        assert world.condition()[1] == "Gap"


async def test_a_class_that_names_are_followed_by_later_is_obeyed():
    before, after = scenes.segment_class(), scenes.segment_class(**RESOLVE)
    async with running(before, shop(GIT)) as world:
        await world.change(before, after)
        assert world.opened() == {"11.0.0.1/32", "2a01:db7::1/128"}
        await world.change(after, before)
        assert (world.opened(), world.condition()[1]) == (set(), "Gap")
        world.lookups.asked.clear()
        await world.rest(600)
        assert world.lookups.asked == []


async def test_a_suspended_segment_opens_no_new_address():
    found = shop(GIT)
    async with running(scenes.segment_class(**RESOLVE), found) as world:
        suspended = {**found, "spec": {**found["spec"], "suspend": True}}
        await world.change(found, suspended)
        world.lookups.zone[GIT] = ["11.0.0.2"]
        await world.rest(60)
        assert world.opened() == {"11.0.0.1/32", "2a01:db7::1/128"}


async def test_names_with_too_many_addresses_stay_closed_and_are_told():
    many = [f"11.0.{n}.1" for n in range(33)]
    async with running(scenes.segment_class(**RESOLVE), shop(GIT), zone={GIT: many}) as world:
        assert world.opened() == set()
        status, reason, message = world.condition()
        assert (status, reason) == ("False", "Gap")
        assert "is answered with 33 addresses, and 32 are the most" in message


async def test_a_segment_has_so_many_names_looked_up_and_no_more():
    found = [f"h{n}.example.com" for n in range(300)]
    stages = [
        scenes.stage("a", *({"fqdn": {"names": found[n : n + 50]}} for n in range(0, 300, 50)), app="a", dns="None")
    ]
    zone = {name: [f"11.1.{n // 200}.{n % 200}"] for n, name in enumerate(found)}
    async with running(scenes.segment_class(**RESOLVE), scenes.segment(*stages), zone=zone) as world:
        assert len(world.opened()) == 256
        assert len(world.status()["hostNames"]) == 256
        assert len({name for name, _ in world.lookups.asked}) == 256
        assert "more than 256 host names are meant by one segment" in world.condition()[2]
