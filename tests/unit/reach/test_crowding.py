"""The Amazon VPC CNI keeps 24 ports for an address: what is left open has a place at every one."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from pipesegment.facts.selectors import Selector
from pipesegment.reach.addresses import network
from pipesegment.reach.crowding import MOST, crowds
from pipesegment.reach.edges import AddressPeer, Edge, Peer, PodPeer, PortRange, Target, Tunnel

BLOCKS = ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "10.2.0.0/16", "2001:db8::/32", "2001:db8:1::/48")
PODS = (
    Selector.of({"app": "a"}),
    Selector.of({"app": "b"}),
    Selector.of({"tier": "x"}),
    Selector.of({"app": "a", "tier": "y"}),
)

peers = st.one_of(
    st.sampled_from(BLOCKS).map(AddressPeer),
    st.builds(PodPeer, st.sampled_from(["ci", "db"]), st.sampled_from(PODS)),
)
ports = st.builds(
    lambda low, many, protocol: tuple(PortRange(protocol, low + n) for n in range(many)),
    st.integers(1, 40),
    st.integers(1, 20),
    st.sampled_from(["TCP", "UDP"]),
)


def edge(*peers: Peer, ports: tuple[PortRange, ...], because: str = "here", **more) -> Edge:
    return Edge(because, "egress", Target.CIDR, "that", **{"open": True, **more}, peers=peers, ports=ports)


def numbered(low: int, many: int) -> tuple[PortRange, ...]:
    return tuple(PortRange("TCP", low + n) for n in range(many))


edges = st.lists(
    st.builds(
        lambda found, ports, number: edge(*found, ports=ports, because=f"entry {number}"),
        st.lists(peers, min_size=1, max_size=3),
        ports,
        st.integers(0, 9),
    ),
    max_size=6,
)


def held(asked: Peer, other: Peer) -> bool:
    """Tell in the plainest words whether what is said of one peer may be said of another one's address."""
    if isinstance(asked, PodPeer) and isinstance(other, PodPeer):
        return asked.namespace == other.namespace and not asked.selector.disjoint(other.selector)
    if isinstance(asked, AddressPeer) and isinstance(other, AddressPeer):
        mine, theirs = network(asked.block), network(other.block)
        return mine.version == theirs.version and mine.subnet_of(theirs)
    return False


def dropped(found: list[Edge]) -> set[Edge]:
    return {e for crowd in crowds(found) for e in crowd.edges}


@given(edges)
def test_what_is_left_has_a_place_and_what_goes_had_none(found):
    gone = dropped(found)
    left = [e for e in found if e not in gone]
    at = {
        peer: {p for e in left for other in e.peers if held(peer, other) for p in e.ports}
        for e in found
        for peer in e.peers
    }

    assert all(len(named) <= MOST for named in at.values())
    for one in gone:
        beside = [{p for e in found for o in e.peers if held(peer, o) for p in e.ports} for peer in at]
        assert any(len(named) > MOST for named in beside), one


@given(edges)
def test_the_order_of_declaration_does_not_matter(found):
    expected = dropped(found)

    assert dropped(found[::-1]) == expected


def test_the_edge_with_the_most_ports_goes():
    small, large = (edge(AddressPeer("10.1.0.0/16"), ports=numbered(low, n)) for low, n in ((1, 12), (100, 13)))

    for order in permutations([small, large]):
        assert dropped(list(order)) == {large}
    assert crowds([small, large])[0].total == 25


def test_closed_edges_take_no_place():
    here = AddressPeer("10.1.0.0/16")

    assert crowds([edge(here, ports=numbered(1, 20)), edge(here, ports=numbered(100, 20), open=False)]) == ()


def test_a_meshs_own_port_takes_a_place_and_every_port_takes_one():
    pods = PodPeer("ci", PODS[0])
    full = edge(pods, ports=numbered(1, 24))

    assert crowds([full]) == ()
    assert dropped([edge(pods, ports=numbered(1, 24), tunnel=Tunnel(guarded=True))])
    assert dropped([full, edge(pods, ports=(), because="engine")]) == {full}


def test_a_range_takes_one_place():
    wide = edge(AddressPeer("10.1.0.0/16"), ports=tuple(PortRange("TCP", n * 100, n * 100 + 99) for n in range(1, 25)))

    assert crowds([wide]) == ()
