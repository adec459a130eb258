"""How many ports a policy names of one address, which the Amazon VPC CNI counts.

Its agent has 24 places for each address that policies name, for all protocols and all rules together: what finds no place is
passed over, and told in a log on the node alone (EKS user guide, considerations of network policies; aws-network-policy-agent).
Pods count by selector: two that one pod may match meet at its address. A block has the ports of every block that holds it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from pipesegment.reach.addresses import network
from pipesegment.reach.edges import AddressPeer, Edge, PodPeer, PortRange

#: How many ports and ranges of one address the agent keeps.
MOST: Final = 24
#: A mesh's own port, whichever it is.
_TUNNEL: Final = PortRange("TCP", "tunnel")

_Named = dict[PodPeer | str, dict[Edge, frozenset[PortRange]]]


class Crowd(NamedTuple):
    """Edges of one policy and direction that name more ports of some address than are kept; `total` is their number there."""

    edges: tuple[Edge, ...]
    total: int


def crowds(edges: Iterable[Edge]) -> tuple[Crowd, ...]:
    """Find for each address that the open edges of one policy and direction name too often which of them to do without.

    Those with the most ports go first: which ones does not depend on the order of declaration.
    """
    opened = tuple(dict.fromkeys(edge for edge in edges if edge.open))
    ports = {edge: _ports(edge) for edge in opened}
    if len(frozenset().union(*ports.values())) <= MOST:
        return ()
    found = []
    gone: set[Edge] = set()
    for _, naming in sorted(_together(_named(ports)).items(), key=lambda item: repr(item[0])):
        left = {edge: own for edge, own in naming.items() if edge not in gone}
        total = len(frozenset().union(*left.values()))
        dropped = []
        for edge in sorted(left, key=lambda e: (-len(ports[e]), repr((e.ports, e.peers)))):
            if len(frozenset().union(*left.values())) <= MOST:
                break
            dropped.append(edge)
            del left[edge]
        gone.update(dropped)
        if dropped:
            found.append(Crowd(tuple(dropped), total))
    return tuple(found)


def _ports(edge: Edge) -> frozenset[PortRange]:
    """Give the entries that an edge takes; one for every port takes one."""
    own = edge.ports or (PortRange("TCP", 0),)
    return frozenset((*own, _TUNNEL) if edge.tunnel is not None else own)


def _named(ports: Mapping[Edge, frozenset[PortRange]]) -> _Named:
    found: _Named = defaultdict(dict)
    for edge, own in ports.items():
        for peer in edge.peers:
            if isinstance(peer, PodPeer):
                found[peer][edge] = own
            elif isinstance(peer, AddressPeer):
                found[peer.block][edge] = own
    return found


def _together(named: _Named) -> _Named:
    """Give for each peer the edges that its addresses may have entries of."""
    pods: dict[str, list[PodPeer]] = defaultdict(list)
    for peer in named:
        if isinstance(peer, PodPeer):
            pods[peer.namespace].append(peer)
    lengths = _lengths([peer for peer in named if isinstance(peer, str)])
    found: _Named = {}
    for peer in named:
        if isinstance(peer, PodPeer):
            beside = [p for p in pods[peer.namespace] if not p.selector.disjoint(peer.selector)]
            found[peer] = {edge: own for p in beside for edge, own in named[p].items()}
        else:
            found[peer] = {edge: own for block in _around(peer, lengths) for edge, own in named.get(block, {}).items()}
    return found


def _lengths(blocks: Sequence[str]) -> frozenset[tuple[int, int]]:
    return frozenset((n.version, n.prefixlen) for n in map(network, blocks))


def _around(block: str, lengths: frozenset[tuple[int, int]]) -> list[str]:
    """Give a block and those that hold it, of the lengths that there are."""
    own = network(block)
    return [
        str(own.supernet(new_prefix=length))
        for version, length in lengths
        if version == own.version and length <= own.prefixlen
    ]
