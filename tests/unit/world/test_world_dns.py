"""What asks DNS, with a server on loopback: families, times to live, long answers, and answers that are none."""

import dns.rcode
import pytest

from pipesegment.errors import Unreachable
from pipesegment.world.dns import Resolvers
from pipesegment.world.lookups import Answered
from tests.unit.world.dnsserver import DnsServer, serving

GIT = "git.example.com"


@pytest.fixture
async def server():
    async with serving(DnsServer()) as made:
        yield made


def asking(server: DnsServer, lifetime: float = 5.0) -> Resolvers:
    return Resolvers((("127.0.0.1", server.port),), lifetime=lifetime)


async def test_each_family_is_asked_for_by_itself(server):
    server.zone = {(GIT, "A"): ["192.0.2.7", "192.0.2.1"], (GIT, "AAAA"): ["2001:db8::1"]}
    server.ttl = 77

    found = asking(server)

    assert await found.lookup(GIT, 4) == Answered(("192.0.2.1", "192.0.2.7"), 77.0)
    assert await found.lookup(GIT, 6) == Answered(("2001:db8::1",), 77.0)
    assert [(name, kind) for name, kind, _ in server.asked] == [(GIT, "A"), (GIT, "AAAA")]


async def test_a_name_without_addresses_of_a_family_exists(server):
    server.zone = {(GIT, "A"): ["192.0.2.1"]}

    assert (await asking(server).lookup(GIT, 6)).exists
    assert (await asking(server).lookup(GIT, 6)).addresses == ()


async def test_a_name_that_is_not_there_is_an_answer(server):
    assert await asking(server).lookup("nowhere.example.com", 4) == Answered((), exists=False)


async def test_of_a_chain_of_names_the_shortest_time_counts(server):
    server.zone = {
        (GIT, "CNAME"): ["edge.cdn.example."],
        ("edge.cdn.example", "CNAME"): ["near.cdn.example."],
        ("near.cdn.example", "A"): ["192.0.2.9"],
    }
    server.ttls = {GIT: 3600, "edge.cdn.example": 20, "near.cdn.example": 40}

    assert await asking(server).lookup(GIT, 4) == Answered(("192.0.2.9",), 20.0)


async def test_a_long_answer_is_asked_for_again_over_tcp(server):
    server.zone = {(GIT, "A"): [f"198.51.100.{n}" for n in range(1, 200)]}

    assert len((await asking(server).lookup(GIT, 4)).addresses) == 199
    assert [over for _, _, over in server.asked] == ["UDP", "TCP"]


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP])
async def test_a_refusal_is_no_answer(server, rcode):
    server.zone, server.rcode = {(GIT, "A"): ["192.0.2.1"]}, rcode

    with pytest.raises(Unreachable, match="the resolvers fail"):
        await asking(server, 1.0).lookup(GIT, 4)


async def test_silence_is_no_answer(server):
    server.silent = True

    with pytest.raises(Unreachable, match="no resolver answers in time"):
        await asking(server, 0.3).lookup(GIT, 4)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda wire: wire[:11],
        lambda wire: wire[:-2],
        lambda wire: bytes([wire[0] ^ 1]) + wire[1:],
        lambda wire: wire.replace(b"\x03git", b"\x03gut"),
        lambda wire: wire[:12] + b"\xc0\x0c" + wire[12:],
    ],
    ids=["cut short", "cut off", "another question's", "about another name", "a name that names itself"],
)
async def test_an_answer_that_is_none_of_ours_opens_nothing(server, spoil):
    server.zone, server.spoil = {(GIT, "A"): ["192.0.2.1"]}, spoil

    with pytest.raises(Unreachable):
        await asking(server, 0.5).lookup(GIT, 4)


async def test_search_domains_are_not_tried(server):
    server.zone = {(f"{GIT}.ci.svc.cluster.local", "A"): ["10.0.0.1"]}

    assert not (await asking(server).lookup(GIT, 4)).exists
    assert {name for name, _, _ in server.asked} == {GIT}
