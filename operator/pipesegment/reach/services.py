"""What a Service means at its pods: the Service's own ports become target ports; and which destination is one."""

from collections.abc import Sequence

from pipesegment.facts.meta import Key
from pipesegment.facts.snapshot import EndpointSlice, Service, ServicePort
from pipesegment.reach.edges import PortRange
from pipesegment.reach.graph import Governance
from pipesegment.reach.ports import ranges, sort_key
from pipesegment.spec.destination import Destination
from pipesegment.spec.segment import Port, ReachEntry


def pod_ports(service: Service, wanted: Sequence[Port]) -> tuple[tuple[PortRange, ...], tuple[Port, ...]]:
    """Give the pods' ports behind the Service ports that an entry names (none named: all), and what is not there."""
    chosen, missing = _choose(service, wanted)
    return tuple(sorted({PortRange(p.protocol, p.target) for p in chosen}, key=sort_key)), missing


def own_ports(service: Service, wanted: Sequence[Port]) -> tuple[tuple[PortRange, ...], tuple[Port, ...]]:
    """Give the Service's own ports that an entry names, and what is not there; one that has none takes any number.

    Without either it is 443/TCP, as for host names.
    """
    if not service.ports and not wanted:
        return (PortRange("TCP", 443),), ()
    if not service.ports:
        return ranges(p for p in wanted if isinstance(p.port, int)), tuple(p for p in wanted if isinstance(p.port, str))
    chosen, missing = _choose(service, wanted)
    return tuple(sorted({PortRange(p.protocol, p.port) for p in chosen}, key=sort_key)), missing


def endpoint_ports(service: Service, found: EndpointSlice, wanted: Sequence[Port]) -> tuple[PortRange, ...]:
    """Give the ports of a slice's addresses; slices tie to Service ports by name (EndpointSlice API)."""
    chosen, _ = _choose(service, wanted)
    names = {(p.name, p.protocol) for p in chosen}
    ports = {PortRange(protocol, number) for name, number, protocol in found.ports if (name, protocol) in names}
    return tuple(sorted(ports, key=sort_key))


def named(namespace: str, governing: Governance, entry: ReachEntry) -> Key | None:
    """Give the Service that an entry names, by itself or through a destination of its class."""
    found = entry.service
    place = destination(governing, entry.destination.name) if entry.destination else None
    target = place.service if place else found
    return Key(target.namespace or namespace, target.name) if target and target.name else None


def host(service: Key) -> str:
    """Give what a Sidecar calls a Service, as `namespace/host`."""
    return f"{service.namespace}/{service.name}.{service.namespace}.svc.cluster.local"


def destination(governing: Governance, name: str) -> Destination | None:
    """Find a destination of a class."""
    return next((d for d in governing.spec.destinations if d.name == name), None)


def _choose(service: Service, wanted: Sequence[Port]) -> tuple[tuple[ServicePort, ...], tuple[Port, ...]]:
    if not wanted:
        return service.ports, ()
    chosen: list[ServicePort] = []
    missing: list[Port] = []
    for port in wanted:
        matching = [p for p in service.ports if p.protocol == port.protocol and _is(p, port)]
        chosen += matching
        if not matching:
            missing.append(port)
    return tuple(dict.fromkeys(chosen)), tuple(missing)


def _is(own: ServicePort, wanted: Port) -> bool:
    if isinstance(wanted.port, str):
        return own.name == wanted.port
    return wanted.port <= own.port <= (wanted.end_port or wanted.port)
