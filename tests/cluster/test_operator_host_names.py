"""Host names that the operator's process looks up itself, at a DNS server of the test: opened, followed, closed in time."""

import asyncio
import time
from dataclasses import dataclass, field

import dns.rcode
import pytest

from lab.api import WaitError
from tests.cluster.operator import POLICY, VERSION, condition, segment, segment_class, settled, stage
from tests.unit.world.dnsserver import DnsServer, serving

GIT = "git.example.com"
#: Names are asked for as often as they may be, and what is answered no more is soon forgotten.
PAUSE, KEPT = 1.0, 4.0


@dataclass
class Watched(DnsServer):
    """A DNS server that can be waited for: every question is news."""

    news: asyncio.Event = field(default_factory=asyncio.Event)

    def answer(self, wire, over):
        try:
            return super().answer(wire, over)
        finally:
            self.news.set()

    async def asked_for(self, times):
        """Wait until so many more questions came."""
        until = len(self.asked) + times
        async with asyncio.timeout(60):
            while len(self.asked) < until:
                self.news.clear()
                await self.news.wait()

    def says(self, *addresses):
        self.zone = {(GIT, "A"): list(addresses)}


@pytest.fixture
async def server():
    async with serving(Watched(ttl=1)) as made:
        yield made


@pytest.fixture
async def resolving(installed, namespaces, api):
    """A namespace whose class has names looked up."""
    label = f"lab.example.com/{(await namespaces('label'))[-8:]}"
    name = label.partition("/")[2]
    network = {"provider": "NetworkPolicy", "inexact": {"fqdn": "Resolve"}}
    await api.apply(segment_class(name, label, network=network, mesh={"provider": "None"}))
    yield await namespaces("ci", labels={label: "yes"})
    await api.delete(VERSION, "SegmentClass", name)


@pytest.fixture
def starting(operators, server):
    """Start an operator that asks this server. The server lives in the test's loop, which must not stand still meanwhile."""

    async def start():
        made = operators(resolvers=f"127.0.0.1:{server.port}", names_pause=PAUSE, names_kept=KEPT)
        return await asyncio.to_thread(made.start)

    return start


def shop(namespace):
    to_git = {"fqdn": {"names": [GIT]}, "ports": [{"port": 443}]}
    return segment("shop", namespace, stage("build", to_git, dns="None"))


def opened(policy):
    """Every block that a policy lets through."""
    rules = policy["spec"].get("egress") or ()
    return {peer["ipBlock"]["cidr"] for rule in rules for peer in rule["to"] if "ipBlock" in peer}


async def opening(api, namespace, *blocks):
    """Wait until exactly these blocks are open."""
    return await api.wait(*POLICY, "shop-build", namespace, until=lambda found: opened(found) == set(blocks))


async def told(api, namespace, words):
    """Wait until the segment is not Ready and says why."""

    def says(found):
        ready = condition(found, "Ready")
        return ready.get("status") == "False" and words in ready["message"]

    try:
        return await api.wait(VERSION, "PipelineSegment", "shop", namespace, until=says)
    except WaitError:
        found = await api.get(VERSION, "PipelineSegment", "shop", namespace)
        raise AssertionError(f"'{words}' is not what it says: {condition(found, 'Ready')}") from None


def host_names(found):
    return {each["name"]: each["addresses"] for each in found["status"]["hostNames"]}


async def test_what_is_answered_opens_and_what_is_answered_no_more_closes_in_its_time(server, starting, resolving, api):
    server.says("11.0.0.1", "11.0.0.2")
    await starting()
    await api.apply(shop(resolving))

    policy = await opening(api, resolving, "11.0.0.1/32", "11.0.0.2/32")
    found = await settled(api, "shop", resolving, "Coarse")
    assert [rule["ports"] for rule in policy["spec"]["egress"]] == [[{"port": 443, "protocol": "TCP"}]]
    assert host_names(found) == {GIT: ["11.0.0.1", "11.0.0.2"]}
    assert condition(found, "Exact")["status"] == "False"

    changed = time.monotonic()
    server.says("11.0.0.2", "11.0.0.3")
    # The new one is open while clients may still have the old.
    await opening(api, resolving, "11.0.0.1/32", "11.0.0.2/32", "11.0.0.3/32")
    await opening(api, resolving, "11.0.0.2/32", "11.0.0.3/32")
    assert time.monotonic() - changed > KEPT - PAUSE


async def test_while_nobody_answers_what_was_answered_last_goes_on(server, starting, resolving, api):
    server.says("11.0.0.1")
    operator = await starting()
    await api.apply(shop(resolving))
    await opening(api, resolving, "11.0.0.1/32")
    await settled(api, "shop", resolving, "Coarse")

    server.rcode = dns.rcode.SERVFAIL
    # One question for each family and pause: longer than an address stays that an answer leaves out.
    await server.asked_for(2 * int(KEPT / PAUSE) + 4)

    assert opened(await api.get(*POLICY, "shop-build", resolving)) == {"11.0.0.1/32"}
    assert [line for line in operator.lines() if "cannot be looked up" in str(line) and GIT in str(line)]
    server.rcode = dns.rcode.NOERROR
    server.says("11.0.0.9")
    # The old one was last answered longer ago than an address stays.
    await opening(api, resolving, "11.0.0.9/32")


async def test_an_answer_that_leads_inside_opens_nothing_and_is_told(server, starting, resolving, api):
    server.says("11.0.0.1")
    await starting()
    await api.apply(shop(resolving))
    await opening(api, resolving, "11.0.0.1/32")

    server.says("169.254.169.254", "10.96.0.1", "11.0.0.2")
    await told(api, resolving, "169.254.169.254")
    # What may be open is, and the others never were.
    await opening(api, resolving, "11.0.0.2/32")


@pytest.mark.cluster("audit")
async def test_a_restart_asks_before_it_writes(server, starting, resolving, api, record_from_here):
    """With the same answers it writes nothing; without any the way closes, for a status is no word of DNS."""
    server.says("11.0.0.1")
    operator = await starting()
    await api.apply(shop(resolving))
    policy = await opening(api, resolving, "11.0.0.1/32")
    before = await settled(api, "shop", resolving, "Coarse")
    await asyncio.to_thread(operator.stop)

    record = record_from_here()
    second = await starting()
    async with asyncio.timeout(60):
        while second.metric("reconcile_seconds_count") < 1:  # noqa: ASYNC110 - a port offers nothing to wait on
            await asyncio.sleep(0.05)
    await server.asked_for(2)
    assert [(each.verb, each.resource) for each in record.writes([resolving])] == []
    after = await api.get(VERSION, "PipelineSegment", "shop", resolving)
    assert host_names(after) == host_names(before) == {GIT: ["11.0.0.1"]}
    found = await api.get(*POLICY, "shop-build", resolving)
    assert found["metadata"]["resourceVersion"] == policy["metadata"]["resourceVersion"]
    await asyncio.to_thread(second.stop)

    server.rcode = dns.rcode.SERVFAIL
    await starting()
    await told(api, resolving, "has no answer")
    await opening(api, resolving)
    server.rcode = dns.rcode.NOERROR
    await opening(api, resolving, "11.0.0.1/32")
