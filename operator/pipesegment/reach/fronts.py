"""Services in front of a stage: a sidecar knows other pods by their Services alone, at the ports that these lead to.

A call to any other port of a stage in the mesh leaves as plaintext and is reset. Hence the ports of an edge are parted:
those that Services lead to, with what the mesh calls them, and those that none does, which the compiler tells as a gap.
With HTTP rules they are parted once more: a sidecar reads requests only where a Service says that the port speaks HTTP.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from pipesegment.facts.snapshot import Key, Service, ServicePort
from pipesegment.reach import services
from pipesegment.reach.graph import Mesh, PortRange
from pipesegment.reach.ports import sort_key
from pipesegment.reach.scene import Scene, View
from pipesegment.reach.services import Front, Led


class Part(NamedTuple):
    """Ports of an edge. `hosts` are what the mesh calls the stage there, `fronts` its Services that do not lead there."""

    ports: tuple[PortRange, ...]
    hosts: tuple[str, ...] = ()
    fronts: tuple[str, ...] = ()
    speaks_http: bool = False


class _Kind(Enum):
    LED = "led"
    HTTP = "http"
    UNLED = "unled"


def parts(
    scene: Scene, target: View, ports: tuple[PortRange, ...], through: Key | None = None, *, http: bool = False
) -> Iterator[Part]:
    """Part the ports at which a stage is called; `through` is the Service that the caller names, which leads there.

    Only numbered TCP ports are parted: a sidecar captures nothing else, and its policies know no names.
    """
    if target.mesh is Mesh.NONE:
        yield Part(ports)
        return
    fronts = _fronts(scene, target, through)
    if not ports:
        yield Part((), tuple(services.host(front.service) for front in fronts))
        return
    whole = [p for p in ports if p.protocol != "TCP" or isinstance(p.port, str)]
    groups = _grouped([p for p in ports if p not in whole], fronts, named=through is not None, http=http)
    groups[_Kind.HTTP if groups[_Kind.HTTP] else _Kind.LED] += whole
    for kind, found in groups.items():
        some = tuple(sorted(found, key=sort_key))
        if some and kind is _Kind.UNLED:
            yield Part(some, (), tuple(str(front.service) for front in fronts))
        elif some:
            leading = (f for f in fronts if through or any(led.meets(port) for led in f.led for port in some))
            yield Part(some, tuple(services.host(f.service) for f in leading), (), kind is _Kind.HTTP)


def _grouped(
    ports: Iterable[PortRange], fronts: tuple[Front, ...], *, named: bool, http: bool
) -> dict[_Kind, list[PortRange]]:
    known = {n for front in fronts for led in front.led for n in led.numbers or ()}

    def kind_of(number: int | None) -> _Kind:
        leading = [led for front in fronts for led in front.led if led.to(number)]
        if not leading:
            return _Kind.LED if named else _Kind.UNLED
        return _Kind.HTTP if http and all(led.http for led in leading) else _Kind.LED

    groups: dict[_Kind, list[PortRange]] = {kind: [] for kind in _Kind}
    for port in ports:
        for piece, kind in _pieces(port, known, kind_of):
            groups[kind].append(piece)
    return groups


def _pieces(
    port: PortRange, known: Iterable[int], kind_of: Callable[[int | None], _Kind]
) -> list[tuple[PortRange, _Kind]]:
    """Cut a port or range where what is known of its numbers changes; what is not known of any is one kind."""
    assert isinstance(port.port, int)
    at, last = port.port, port.end or port.port
    pieces = []
    for number in sorted(n for n in known if at <= n <= last):
        if number > at:
            pieces.append((_range(at, number - 1), kind_of(None)))
        pieces.append((_range(number, number), kind_of(number)))
        at = number + 1
    if at <= last:
        pieces.append((_range(at, last), kind_of(None)))
    kinds = {kind for _, kind in pieces}
    return [(port, kinds.pop())] if len(kinds) == 1 else pieces


def _range(first: int, last: int) -> PortRange:
    return PortRange("TCP", first, last if last > first else None)


def _fronts(scene: Scene, target: View, through: Key | None) -> tuple[Front, ...]:
    """Give the Services that provably select every pod of a stage, or the one that is named."""
    if through is not None:
        named = scene.service(*through)
        return (_front(scene, target, named),) if named else ()
    found = scene.fronts.get(target.key)
    if found is None:
        namespace = target.key.namespace
        scene.reads.add(("Service", namespace, "*"))
        there = sorted(scene.snapshot.services.get(namespace, {}).items())
        found = tuple(_front(scene, target, s) for _, s in there if _selects(s, target))
        scene.fronts[target.key] = found
    return found


def _selects(found: Service, target: View) -> bool:
    return found.type != "ExternalName" and found.selector is not None and target.selector.implies(found.selector)


def _front(scene: Scene, target: View, found: Service) -> Front:
    """Say which of a stage's ports a Service leads to; a headless one translates nothing and leads to its own numbers."""
    led = []
    for port in found.ports:
        if port.protocol == "TCP":
            behind = _behind(scene, target, port)
            if found.headless:
                behind = frozenset({port.port} if behind is None else {port.port} & behind)
            led.append(Led(behind, services.speaks_http(port)))
    return Front(found.meta.key, tuple(led))


def _behind(scene: Scene, target: View, port: ServicePort) -> frozenset[int] | None:
    """Give the numbers behind a port of a Service; None where it names its target and no pod is there to tell."""
    if isinstance(port.target, int):
        return frozenset({port.target})
    scene.watches.add((target.key.namespace, target.selector))
    pods = list(scene.snapshot.pods_of(target.key.namespace, target.selector))
    named = (p for pod in pods for p in pod.ports if (p.name, p.protocol) == (port.target, "TCP"))
    return frozenset(p.port for p in named) if pods else None
