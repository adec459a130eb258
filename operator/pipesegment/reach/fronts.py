"""Services in front of a stage: a sidecar knows other pods by their Services alone, at the ports that these lead to.

A call to any other port of a stage in the mesh leaves as plaintext and is reset. Hence the ports of an edge are parted:
those that Services lead to, with what the mesh calls them, and those that none does, which the compiler tells as a gap.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pipesegment.facts.meta import Key
from pipesegment.facts.protocols import Spoken, spoken
from pipesegment.facts.snapshot import Service, ServicePort
from pipesegment.reach import services
from pipesegment.reach.edges import HttpRule, Mesh, PodPeer, PortRange
from pipesegment.reach.ports import sort_key
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View

#: TCP ports of pods, by number; None for all, where a Service names its target and no pod is there to tell the number.
_Served = frozenset[int] | None
#: Services, and what each leads to.
Fronts = list[tuple[Key, _Served]]


class Part(NamedTuple):
    """Ports of an edge. `hosts` are what the mesh calls the stage there, `fronts` its Services that do not lead there."""

    ports: tuple[PortRange, ...]
    hosts: tuple[str, ...] = ()
    fronts: tuple[str, ...] = ()


def parts(scene: Scene, target: View, ports: tuple[PortRange, ...], through: Key | None = None) -> Iterator[Part]:
    """Part the ports at which a stage is called; `through` is the Service that the caller names, which leads there.

    Only numbered TCP ports are parted: a sidecar captures nothing else, and its policies know no names.
    """
    if target.mesh is not Mesh.ISTIO:
        # ztunnel knows pods by their addresses; a proxy of the callee's reads the rest.
        yield Part(ports)
    elif through is not None:
        yield Part(ports, (services.host(through),))
    else:
        fronts = _fronts(scene, target)
        yield from _parted(ports, fronts) if ports else (Part(ports, tuple(services.host(key) for key, _ in fronts)),)


def unread_ports(scene: Scene, view: View, ports: Iterable[PortRange], http: Iterable[HttpRule]) -> tuple[int, ...]:
    """Give the ports of a stage in the mesh at which http rules are not read: all its Services there declare bytes."""
    if not http or view.mesh is Mesh.NONE:
        return ()
    ports = tuple(ports)
    return tuple(number for number in byte_ports(scene, view) if any(_holds(port, number) for port in ports))


def unread_behind(scene: Scene, peer: PodPeer, ports: Iterable[PortRange], http: Iterable[HttpRule]) -> tuple[int, ...]:
    """Give the ports of pods of no stage at which a sidecar would read no requests."""
    if not http:
        return ()
    ports = tuple(ports)
    return tuple(n for n in _byte_ports(_selecting(scene, peer)) if any(_holds(port, n) for port in ports))


def byte_ports(scene: Scene, view: View) -> tuple[int, ...]:
    """Give the ports of a stage that all its Services there declare as something else than HTTP."""
    return _byte_ports(_in_front(scene, view))


def _byte_ports(found: Iterable[Service]) -> tuple[int, ...]:
    said: dict[int, set[Spoken]] = defaultdict(set)
    for service in found:
        for own in service.ports:
            if isinstance(own.target, int):
                said[own.target].add(spoken(own))
    return tuple(sorted(number for number, kinds in said.items() if kinds == {"bytes"}))


def _holds(port: PortRange, number: int) -> bool:
    return isinstance(port.port, int) and port.port <= number <= (port.end or port.port)


def _fronts(scene: Scene, target: View) -> Fronts:
    def find() -> Fronts:
        return [(service.meta.key, _served(scene, target, service)) for service in _in_front(scene, target)]

    return scene.once(("fronts", target.key), find)


def _parted(ports: tuple[PortRange, ...], fronts: Fronts) -> Iterator[Part]:
    inside, outside = [], []
    for port in ports:
        known, rest = _split(port, [served for _, served in fronts])
        inside += known
        outside += rest
    if inside:
        leading = (key for key, served in fronts if any(_split(p, [served])[0] for p in inside if _is_parted(p)))
        yield Part(tuple(sorted(inside, key=sort_key)), tuple(map(services.host, leading)))
    if outside:
        yield Part(tuple(sorted(outside, key=sort_key)), (), tuple(str(key) for key, _ in fronts))


def _split(port: PortRange, fronts: list[_Served]) -> tuple[list[PortRange], list[PortRange]]:
    """Give what Services lead to of a port or range, and the rest of it."""
    if not _is_parted(port) or None in fronts:
        return [port], []
    assert isinstance(port.port, int)
    at, last = port.port, port.end or port.port
    inside, outside = [], []
    for number in sorted({n for served in fronts for n in served or () if at <= n <= last}):
        if number > at:
            outside.append(_range(at, number - 1))
        inside.append(_range(number, number))
        at = number + 1
    if at <= last:
        outside.append(_range(at, last))
    return (inside, outside) if outside else ([port], [])


def _is_parted(port: PortRange) -> bool:
    return port.protocol == "TCP" and isinstance(port.port, int)


def _range(first: int, last: int) -> PortRange:
    return PortRange("TCP", first, last if last > first else None)


def _in_front(scene: Scene, target: View) -> Iterator[Service]:
    """Give the Services that provably select every pod of a stage."""
    yield from _selecting(scene, PodPeer(target.key.namespace, target.selector))


def _selecting(scene: Scene, peer: PodPeer) -> Iterator[Service]:
    scene.reads.add(("Service", peer.namespace, "*"))
    for _, found in sorted(scene.snapshot.services.get(peer.namespace, {}).items()):
        if found.type != "ExternalName" and found.selector is not None and peer.selector.implies(found.selector):
            yield found


def _served(scene: Scene, target: View, found: Service) -> _Served:
    """Give the pods' ports that a Service leads to; a headless one translates nothing and leads to its own numbers."""
    numbers: set[int] = set()
    for port in found.ports:
        if port.protocol == "TCP":
            behind = numbers_behind(scene, target, port)
            if behind is None and not found.headless:
                return None
            if found.headless:
                behind = frozenset({port.port} if behind is None else {port.port} & behind)
            numbers |= behind or frozenset()
    return frozenset(numbers)


def numbers_behind(scene: Scene, target: View, port: ServicePort) -> _Served:
    """Give the pods' ports behind one of a Service's; None while no pod tells the number of a name."""
    if isinstance(port.target, int):
        return frozenset({port.target})
    scene.watches.add((target.key.namespace, target.selector))
    pods = list(scene.snapshot.pods_of(target.key.namespace, target.selector))
    named = (p for pod in pods for p in pod.ports if (p.name, p.protocol) == (port.target, "TCP"))
    return frozenset(p.port for p in named) if pods else None
