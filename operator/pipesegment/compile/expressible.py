"""What the engines can say of a Reach: one pass before anything is rendered.

An edge that the network can express and the mesh cannot (or the other way round) must be closed in both, and so must
its other half: an edge between two stages of one segment stands on both, as egress of the one and ingress of the other.
Hence gaps are found here, and the renderers take every open edge that is left without asking again.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

from pipesegment.compile import callers, granted
from pipesegment.compile.addresses import Style, complement, style_of
from pipesegment.compile.ambient_rules import wider_than_declared, withheld
from pipesegment.compile.mesh_rules import problem, selector_problem
from pipesegment.compile.network_rules import is_region_wide, network_problem, stage_problem, stands_for_names
from pipesegment.compile.problem import HTTP_NOT_ENFORCED, Problem
from pipesegment.findings import Finding
from pipesegment.reach import crowding
from pipesegment.reach.edges import AddressPeer, Edge, Peer, PodPeer
from pipesegment.reach.graph import Reach, StageReach

#: The most rules of one policy and direction: what Istio's schema takes, and more than any declaration means.
MAX_RULES: Final = 512
#: The most peers of one policy and direction: engines turn each into entries on every node that runs such a pod.
MAX_PEERS: Final = 1024

_Side = Literal["egress", "ingress", "runner"]


class Expressed(NamedTuple):
    """A Reach whose open edges can all be rendered; what was closed for it; what is wider than declared."""

    reach: Reach
    gaps: tuple[Finding, ...]
    coarse: tuple[Finding, ...]


class _Place(NamedTuple):
    stage: int
    side: _Side
    position: int


@dataclass(frozen=True, slots=True)
class _Half:
    place: _Place
    stage: StageReach
    edge: Edge


def split(reach: Reach) -> Expressed:
    """Close every edge that cannot be expressed, both halves of it and what a grant opens for it, and say why."""
    reach = granted.marked(reach)
    halves = {half.place: half for half in _open_halves(reach)}
    edge_of = _edges(halves.values())
    # A refused stage gets no allow, and nobody an allow towards it; `reach` has said why.
    closed = {edge_of[place] for place, half in halves.items() if half.stage.closed}
    problems = {
        place: found
        for place, half in halves.items()
        if edge_of[place] not in closed and (found := _problem(reach, half))
    }
    coarse_http = reach.governance.spec.network.inexact.http == "Coarse"
    wider = {place: found for place, found in problems.items() if coarse_http and found.reason == HTTP_NOT_ENFORCED}
    gaps = {place: found for place, found in problems.items() if place not in wider}
    closed |= {edge_of[place] for place in gaps}
    left = [half for place, half in halves.items() if edge_of[place] not in closed]
    gaps |= _too_large(left, style_of(reach.governance.spec))
    closed |= {edge_of[place] for place in gaps}
    gaps |= _crowded(reach, [half for half in left if edge_of[half.place] not in closed])
    closed |= {edge_of[place] for place in gaps}
    wider = {place: found for place, found in wider.items() if edge_of[place] not in closed}
    tunnelled = {
        place: found
        for place, half in halves.items()
        if edge_of[place] not in closed
        and (
            found := wider_than_declared(half.stage, half.edge)
            or callers.wider(half.stage, half.edge)
            or granted.by_identity(reach, half.stage, half.edge)
        )
    }
    named = {
        place: stands_for_names(half.edge)
        for place, half in halves.items()
        if edge_of[place] not in closed and half.edge.names
    }
    regional = {
        place: found
        for place, half in halves.items()
        if edge_of[place] not in closed and (found := is_region_wide(half.edge))
    }
    shut = {place for place in halves if edge_of[place] in closed}
    unserved = {(halves[place].stage.key, halves[place].edge.because) for place in shut}
    rest = replace(
        reach,
        stages=tuple(_rebuilt(i, stage, shut, wider.keys()) for i, stage in enumerate(reach.stages)),
        granted=tuple(g for g in reach.granted if (g.stage, g.because) not in unserved),
    )
    said = [*_findings(reach, halves, edge_of, gaps), *_selector_gaps(reach)]
    widened = [
        finding for found in (wider, tunnelled, named, regional) for finding in _findings(reach, halves, edge_of, found)
    ]
    return Expressed(granted.left(rest), tuple(sorted(set(said))), tuple(sorted(set(widened))))


def _problem(reach: Reach, half: _Half) -> Problem | None:
    found = _first_problem(reach, half)
    if found and found.reason == HTTP_NOT_ENFORCED and half.edge.by_grant:
        # Its owners' word: no class of ours makes it wider.
        return granted.unread(reach, half.stage, half.edge, found)
    return found


def _first_problem(reach: Reach, half: _Half) -> Problem | None:
    return (
        network_problem(reach.network, half.edge, _beside(half))
        or problem(half.stage, half.edge, reach.network)
        or granted.problem(reach, half.stage, half.edge)
        or withheld(reach, half.stage, half.edge)
        or callers.unheld(half.stage, half.edge)
    )


def _beside(half: _Half) -> tuple[Edge, ...]:
    if half.place.side == "runner":
        return half.stage.runner.egress if half.stage.runner else ()
    return half.stage.egress if half.place.side == "egress" else half.stage.ingress


def _open_halves(reach: Reach) -> Iterator[_Half]:
    for number, stage in enumerate(reach.stages):
        sides: dict[_Side, tuple[Edge, ...]] = {"egress": stage.egress, "ingress": stage.ingress}
        if stage.runner:
            sides["runner"] = stage.runner.egress
        for side, edges in sides.items():
            for index, edge in enumerate(edges):
                if edge.open:
                    yield _Half(_Place(number, side, index), stage, edge)


def _edges(halves: Iterable[_Half]) -> dict[_Place, _Place]:
    """Tell for each half which edge it belongs to, by the edge's first half.

    An egress half and an ingress half are one edge when one declaration made both, for the same ports and requests,
    and each has the other's stage as its peer. The egress half may point at a Service or at pods of that stage.
    """
    first: dict[_Place, _Place] = {}
    inbound: dict[object, list[_Half]] = defaultdict(list)

    def root(place: _Place) -> _Place:
        while first[place] != place:
            place = first[place]
        return place

    outbound = []
    for half in halves:
        first[half.place] = half.place
        if half.place.side == "egress":
            outbound.append(half)
        for peer in half.edge.peers if half.place.side == "ingress" else ():
            inbound[_declaration(half.edge, peer)].append(half)
    for half in outbound:
        own = PodPeer(half.stage.key.namespace, half.stage.selector)
        for other in inbound.get(_declaration(half.edge, own), ()):
            if any(_is_within(peer, other.stage) for peer in half.edge.peers):
                low, high = sorted((root(half.place), root(other.place)))
                first[high] = low
    return {place: root(place) for place in first}


def _declaration(edge: Edge, source: Peer) -> object:
    return (edge.because, source, edge.ports, edge.http)


def _is_within(peer: Peer, stage: StageReach) -> bool:
    return (
        isinstance(peer, PodPeer)
        and peer.namespace == stage.key.namespace
        and (peer.selector == stage.selector or peer.selector.implies(stage.selector))
    )


def _too_large(halves: Iterable[_Half], style: Style) -> dict[_Place, Problem]:
    """Find the edges to close in policies that hold more than engines take, the largest first.

    Which ones does not depend on the order of declaration, or moving an entry would open and close edges.
    """
    policies: dict[tuple[int, _Side], list[tuple[int, _Half]]] = defaultdict(list)
    for half in halves:
        policies[half.place.stage, half.place.side].append((_weight(half.edge, style), half))
    found = {}
    for edges in policies.values():
        peers = sum(weight for weight, _ in edges)
        if peers <= MAX_PEERS and len(edges) <= MAX_RULES:
            continue
        rules = len(edges)
        for weight, half in sorted(edges, key=lambda e: (-e[0], repr((e[1].edge.peers, e[1].edge.ports)))):
            if peers <= MAX_PEERS and rules <= MAX_RULES:
                break
            found[half.place] = Problem(
                "TooLarge",
                f"the policy of stage {half.stage.key.stage} would hold more than {MAX_PEERS} peers or {MAX_RULES} "
                f"rules; {half.edge.described} alone is {weight} peers",
                "declare fewer or larger blocks",
            )
            peers -= weight
            rules -= 1
    return found


def _crowded(reach: Reach, halves: Iterable[_Half]) -> dict[_Place, Problem]:
    """Find the edges to close where the Amazon VPC CNI would drop some of their ports without a word."""
    if reach.governance.spec.network.provider != "AmazonVPC":
        return {}
    policies: dict[tuple[int, _Side], list[_Half]] = defaultdict(list)
    for half in halves:
        policies[half.place.stage, half.place.side].append(half)
    found = {}
    for held in policies.values():
        for crowd in crowding.crowds(half.edge for half in held):
            for half in held:
                if half.edge in crowd.edges:
                    found[half.place] = Problem(
                        "TooManyPorts",
                        f"{half.edge.described} and what is open beside it are {crowd.total} ports and ranges of one address, "
                        f"and the Amazon VPC CNI keeps {crowding.MOST}; the edge stays closed",
                        "declare fewer ports, or ranges of them",
                    )
    return found


def _weight(edge: Edge, style: Style) -> int:
    return sum(len(complement(p)) if style == "Prefixes" and isinstance(p, AddressPeer) else 1 for p in edge.peers)


def _rebuilt(number: int, stage: StageReach, shut: set[_Place], wider: Iterable[_Place]) -> StageReach:
    changed = set(wider)

    def edges(side: _Side, given: tuple[Edge, ...]) -> tuple[Edge, ...]:
        found = []
        for index, edge in enumerate(given):
            place = _Place(number, side, index)
            if place in shut:
                found.append(replace(edge, open=False))
            else:
                found.append(replace(edge, http=()) if place in changed else edge)
        return tuple(found)

    runner = stage.runner and replace(stage.runner, egress=edges("runner", stage.runner.egress))
    return replace(stage, egress=edges("egress", stage.egress), ingress=edges("ingress", stage.ingress), runner=runner)


def _findings(
    reach: Reach, halves: Mapping[_Place, _Half], edge_of: Mapping[_Place, _Place], said: Mapping[_Place, Problem]
) -> Iterator[Finding]:
    """Tell each edge once, in the words of the side that declared it."""
    told = set()
    for place in sorted(said, key=lambda p: (p.side == "ingress", p)):
        if edge_of[place] not in told:
            told.add(edge_of[place])
            edge = halves[place].edge
            yield Finding(
                edge.because,
                said[place].reason,
                edge.described,
                said[place].message,
                said[place].fix,
                str(reach.segment),
            )


def _selector_gaps(reach: Reach) -> Iterator[Finding]:
    for stage in reach.stages:
        found = None if stage.closed else stage_problem(reach.network, stage) or selector_problem(stage)
        if found:
            where = f"{stage.path}.podSelector"
            yield Finding(where, found.reason, f"stage {stage.key.stage}", found.message, found.fix, str(reach.segment))
