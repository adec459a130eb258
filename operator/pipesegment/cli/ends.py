"""Between whom the matrix asks: the pods of the facts, made-up ones where there are none, and addresses.

What is asked comes from the Reach's edges; the answers never do.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Final

from pipesegment.evaluate.endpoints import OPEN, example_labels, live, representative
from pipesegment.facts.ends import AddressEnd, End, PodEnd, Port
from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import Snapshot
from pipesegment.reach.edges import AddressPeer, Edge, Mesh, NamePeer, PodPeer, PortRange, Target
from pipesegment.reach.graph import Reach, StageReach
from pipesegment.reach.mesh import DEFAULT_POLICY, INJECT, INJECTED, annotation

#: Always asked for: whoever reaches it has the node's identity.
METADATA: Final = "169.254.169.254"
#: What a host name may stand for: the address that is nobody's (RFC 7600).
_RESOLVED: Final = "192.0.0.8"
#: Asked for where a wide block holds them: addresses that everybody knows to be outside.
_KNOWN: Final = ("1.1.1.1", "2606:4700:4700::1111")

#: Selectors of pods, by namespace.
Named = Mapping[str, Iterable[Selector]]


@dataclass(frozen=True, slots=True)
class Ends:
    """Whom to ask about: `own` are the pods of the segments' stages, `others` whoever they may meet."""

    own: tuple[PodEnd, ...]
    others: tuple[End, ...]
    #: The pods of each stage, of neighbours too, by the name that stands for it: `namespace/segment-stage`.
    stages: Mapping[str, tuple[PodEnd, ...]]

    def pairs(self) -> Iterator[tuple[End, End]]:
        """Give every ordered pair with a stage's pod at one end, sources first."""
        for pod in self.own:
            for other in (*self.own, *self.others):
                if pod is not other:
                    yield pod, other
        for other in self.others:
            for pod in self.own:
                yield other, pod

    def find(self, name: str) -> End | None:
        """Find a pod by `namespace/name`, a host by its name, an address."""
        return next((e for e in (*self.own, *self.others) if str(e) == name), None)

    def meeting(self, peer: PodPeer) -> tuple[PodEnd, ...]:
        """Give the pods that a peer selects."""
        return tuple(e for e in (*self.own, *self.others) if isinstance(e, PodEnd) and _meets(peer, e))


def ends(reaches: Sequence[Reach], neighbours: Sequence[Reach], snapshot: Snapshot) -> Ends:
    """Collect the ends of a matrix over segments; `neighbours` are asked about where an edge meets them."""
    pods = list(live(snapshot))
    taken = frozenset(map(str, pods))
    own: dict[str, PodEnd] = {}
    stages: dict[str, tuple[PodEnd, ...]] = {}
    named = _named((*reaches, *neighbours))
    for reach in reaches:
        for name, found in _stage_pods(reach, pods, taken, snapshot, named):
            own |= {str(pod): pod for pod in found}
            stages.setdefault(name, found)
    others: dict[str, End] = {str(pod): pod for pod in pods if str(pod) not in own}
    every = [edge for reach in reaches for edge in _edges(reach)]
    peers = [peer for edge in every for peer in edge.peers if isinstance(peer, PodPeer)]
    for reach in neighbours:
        for name, found in _stage_pods(reach, pods, taken, snapshot, named):
            met = [pod for pod in found if str(pod) in taken or any(_meets(peer, pod) for peer in peers)]
            for pod in met:
                others.setdefault(str(pod), pod)
            stages.setdefault(name, tuple(met))
    for edge in every:
        for peer in edge.peers:
            if isinstance(peer, PodPeer):
                if not any(isinstance(e, PodEnd) and _meets(peer, e) for e in (*own.values(), *others.values())):
                    _add(others, _made_up(peer, edge, snapshot))
            else:
                end = outside(peer, edge)
                others.setdefault(str(end), end)
    others.setdefault(METADATA, AddressEnd(METADATA))
    return Ends(tuple(own.values()), tuple(others.values()), stages)


def ports(reaches: Iterable[Reach]) -> tuple[Port, ...]:
    """Give every port that the segments' edges name by number, both ends of a range."""
    found = {Port(p.protocol, number) for r in reaches for e in _edges(r) for p in e.ports for number in _numbers(p)}
    return tuple(sorted(found)) or (Port("TCP", 443),)


def named_ports(reaches: Iterable[Reach], found: Ends) -> tuple[Port, ...]:
    """Give the numbers that pods declare for the ports which the edges name by name."""
    names = {(p.protocol, p.port) for r in reaches for e in _edges(r) for p in e.ports if isinstance(p.port, str)}
    pods = (end for end in (*found.own, *found.others) if isinstance(end, PodEnd))
    return tuple(sorted({Port(p.protocol, p.port) for pod in pods for p in pod.ports if (p.protocol, p.name) in names}))


def outside(peer: AddressPeer | NamePeer, edge: Edge) -> AddressEnd:
    """Represent what is outside: a host by its name, an address of a block, the API server as what it is."""
    if isinstance(peer, NamePeer):
        return host(peer.name)
    api = edge.target is Target.KUBERNETES_API and not edge.virtual
    return AddressEnd(example(peer), entities=("kube-apiserver",) if api else ())


def host(name: str) -> AddressEnd:
    """Represent a host name, or the names below one (`*.`), by an address that is nobody's."""
    return AddressEnd(_RESOLVED, (name.replace("*.", "www.", 1),))


def example(peer: AddressPeer) -> str:
    """Find an address in a block and outside of its exceptions."""
    block = ip_network(peer.block)
    holes = [ip_network(hole) for hole in peer.excepts]
    known = [address for address in map(ip_address, _KNOWN) if address in block]
    behind = [hole.broadcast_address + 1 for hole in holes if hole.broadcast_address != block.broadcast_address]
    for candidate in [*known, block.network_address, *behind]:
        if not any(candidate in hole for hole in holes):
            return str(candidate)
    return str(block.network_address)


def _named(reaches: Iterable[Reach]) -> Named:
    """Give the selectors of pods that edges have, by the namespace that they are in."""
    found: dict[str, dict[Selector, None]] = {}
    for reach in reaches:
        for edge in _edges(reach):
            for peer in edge.peers:
                if isinstance(peer, PodPeer):
                    found.setdefault(peer.namespace, {})[peer.selector] = None
    return found


def _stage_pods(
    reach: Reach, pods: Sequence[PodEnd], taken: Collection[str], snapshot: Snapshot, named: Named
) -> Iterator[tuple[str, tuple[PodEnd, ...]]]:
    """Give a segment's pods, stage by stage, under the name that stands for them; a stage without any is represented."""
    for stage in reach.stages:
        name = f"{stage.key.segment}-{stage.key.stage}"
        yield _pods_or(stage.selector, name, stage, pods, taken, snapshot, named)
        if stage.runner is not None:
            yield _pods_or(stage.runner.selector, f"{name}-runner", stage, pods, taken, snapshot, named)


def _pods_or(
    selector: Selector,
    name: str,
    stage: StageReach,
    pods: Sequence[PodEnd],
    taken: Collection[str],
    snapshot: Snapshot,
    named: Named,
) -> tuple[str, tuple[PodEnd, ...]]:
    namespace = stage.key.namespace
    place = f"{namespace}/{name}"
    found = tuple(pod for pod in pods if pod.namespace == namespace and selector.matches(pod.labels))
    if found:
        return place, found
    made = representative(
        namespace,
        # A pod of that name that is not the stage's keeps it.
        f"{name}-stage" if place in taken else name,
        _apart(selector, named.get(namespace, ())),
        namespace_labels=_labels(namespace, snapshot),
        service_account=stage.account.name,
        meshed=stage.mesh is Mesh.ISTIO,
        ambient=stage.mesh is Mesh.AMBIENT,
        linkerd=_default(namespace, snapshot) if stage.mesh is Mesh.LINKERD else "",
    )
    return place, (made,) if made is not None else ()


def _apart(selector: Selector, named: Iterable[Selector]) -> Selector:
    """Narrow a stage's selector to pods that no edge means by chance.

    That a made-up pod has a label, or lacks it, nobody said: only what words alone prove to meet the stage is a fact.
    """
    apart = selector
    for other in named:
        if selector.implies(other) or other.implies(selector):
            continue
        for narrowed in (apart, *(apart & Selector.of(None, r.opposite) for r in other.requirements)):
            labels = example_labels(narrowed)
            if labels is not None and not other.matches(labels):
                apart = narrowed
                break
    return apart


def _made_up(peer: PodPeer, edge: Edge, snapshot: Snapshot) -> PodEnd | None:
    """Represent pods that an edge meets and the facts lack: a Service's are called after it."""
    name = edge.described.rpartition("/")[2] if edge.target is Target.SERVICE else edge.target.value
    labels = _labels(peer.namespace, snapshot)
    carried = edge.tunnel is not None
    linkerd = carried and annotation(INJECT, peer.namespace, snapshot) in INJECTED
    return representative(
        peer.namespace,
        name,
        peer.selector,
        namespace_labels=labels,
        ambient=carried and not linkerd,
        linkerd=_default(peer.namespace, snapshot) if linkerd else "",
    )


def _default(namespace: str, snapshot: Snapshot) -> str:
    return annotation(DEFAULT_POLICY, namespace, snapshot) or OPEN


def _add(others: dict[str, End], end: PodEnd | None) -> None:
    if end is None:
        return
    number = 2
    named = end
    while str(named) in others:
        named = replace(end, name=f"{end.name}-{number}")
        number += 1
    others[str(named)] = named


def _edges(reach: Reach) -> Iterator[Edge]:
    for stage in reach.stages:
        yield from stage.egress
        yield from stage.ingress
        if stage.runner is not None:
            yield from stage.runner.egress


def _numbers(port: PortRange) -> tuple[int, ...]:
    if isinstance(port.port, str):
        return ()
    return (port.port,) if port.end is None else (port.port, port.end)


def _meets(peer: PodPeer, end: PodEnd) -> bool:
    return peer.namespace == end.namespace and peer.selector.matches(end.labels)


def _labels(namespace: str, snapshot: Snapshot) -> Mapping[str, str]:
    found = snapshot.namespaces.get(namespace)
    return found.labels if found else {}
