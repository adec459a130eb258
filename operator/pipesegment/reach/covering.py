"""Whether one entry, one Service, one grant means one concrete destination at one port.

Answers are the ways in which a port is meant: None by its number, a text by that name of the destination's. Two sides
agree where they mean it in the same way, because the number behind a name differs from pod to pod. No way: not meant.
"""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import Final

from pipesegment.facts.ends import Address, AddressEnd, End, PodEnd, Port, address
from pipesegment.facts.snapshot import Protocol, Service, ServicePort, Snapshot
from pipesegment.reach.edges import PortRange
from pipesegment.reach.ports import ranges
from pipesegment.spec import ports as spec
from pipesegment.spec.destination import Destination
from pipesegment.spec.grant import GrantTo, SegmentGrantSpec
from pipesegment.spec.segmentclass import SegmentClassSpec

Ways = frozenset[str | None]
NO_WAY: Final[Ways] = frozenset()
BY_NUMBER: Final[Ways] = frozenset({None})

_METADATA: Final = (ip_address("169.254.169.254"), ip_address("fd00:ec2::254"))
_HTTP_PORT: Final = 80
HTTPS: Final = (spec.Port(port=443),)
#: Special-purpose blocks that Python's own tables call global, or that are younger than they are.
_NOT_PUBLIC: Final = tuple(
    ip_network(block)
    for block in (
        *("168.63.129.16/32", "100.100.100.200/32", "192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        *("64:ff9b::/96", "64:ff9b:1::/48", "100:0:0:1::/64", "2001::/23", "2002::/16", "3fff::/20", "5f00::/16"),
        *("fec0::/10", "ff00::/8"),
    )
)


def at(ports: Iterable[spec.Port], port: Port | None, destination: End) -> Ways:
    """Give the ways in which declared ports mean a port of a destination (None: any of its ports)."""
    return frozenset(way for p in ports for way in _one(p.protocol, p.port, p.end_port, port, destination))


def _one(
    protocol: Protocol, wanted: int | str, end: int | None, port: Port | None, destination: End
) -> Iterator[str | None]:
    if port is not None and port.protocol != protocol:
        return
    if isinstance(wanted, int):
        if port is None or wanted <= port.number <= (end or wanted):
            yield None
    elif isinstance(destination, PodEnd):
        named = (p.port for p in destination.ports if (p.name, p.protocol) == (wanted, protocol))
        if any(port is None or number == port.number for number in named):
            yield wanted


def addresses(end: End) -> tuple[Address, ...]:
    """Give the addresses by which an end may be meant: pods are meant as pods, but on the host network they are nodes."""
    return tuple(address(ip) for ip in end.ips) if isinstance(end, AddressEnd) or end.host_network else ()


def in_block(end: End, block: str, holes: Iterable[str]) -> bool:
    """Tell whether an end is an address of a block less its holes."""
    whole, less = ip_network(block), [ip_network(hole) for hole in holes]
    return any(ip in whole and not any(ip in hole for hole in less) for ip in addresses(end))


def is_internet(end: End, governing: SegmentClassSpec, snapshot: Snapshot) -> bool:
    """Tell whether an end is a public address, and none of the cluster's."""
    return any(_is_public(ip) and not is_of_the_cluster(ip, governing, snapshot) for ip in addresses(end))


def is_of_the_cluster(ip: Address, governing: SegmentClassSpec, snapshot: Snapshot) -> bool:
    """Tell whether an address is the cluster's own: a pod's, a Service's, a node's, the API server's, or in its ranges."""
    # Around a public IPv6 address of a pod or Service the whole subnet is taken for the cluster's.
    subnet = ip_network((ip, 64 if ip.version == 6 else 32), strict=False)
    return (
        snapshot.seen.first_in(subnet) is not None
        or ip in api_servers(snapshot)
        or any(ip in ip_network(block) for block in own_blocks(governing, snapshot))
    )


def own_blocks(governing: SegmentClassSpec, snapshot: Snapshot) -> tuple[str, ...]:
    """Give the cluster's own ranges: those that the class names, and the nodes'."""
    nodes = [block for node in snapshot.nodes.values() for block in (*node.addresses, *node.pod_cidrs)]
    return (*governing.network.cluster_cidrs, *nodes)


def api_servers(snapshot: Snapshot) -> frozenset[Address]:
    """Give the API server's addresses."""
    return frozenset(address(ip) for found in snapshot.slices_of("default", "kubernetes") for ip in found.addresses)


def _is_public(ip: Address) -> bool:
    return ip.is_global and not any(ip in block for block in _NOT_PUBLIC)


def metadata(end: End, ports: Iterable[spec.Port], port: Port | None) -> Ways:
    """Mean the cloud's metadata service."""
    if not any(ip in _METADATA for ip in addresses(end)):
        return NO_WAY
    wanted = tuple(ports) or (spec.Port(port=_HTTP_PORT),)
    return at(wanted, port, end)


def service(
    found: Service, wanted: Iterable[spec.Port], destination: End, port: Port | None, snapshot: Snapshot
) -> Ways:
    """Mean a Service: its pods at its target ports, or the addresses of its slices where it selects no pods."""
    wanted = tuple(wanted)
    if found.type == "ExternalName":
        return external(found, wanted, destination, port)
    ports = [p for p in found.ports if not wanted or any(_means(w, p) for w in wanted)]
    if found.selector is None:
        names = {p.name for p in ports}
        slices = _slices(found, destination, snapshot)
        meant = ((p, n) for name, n, p in slices if name in names)
        return BY_NUMBER if any(port in (None, way) for way in meant) else NO_WAY
    if not is_behind(found, destination, snapshot):
        return NO_WAY
    return frozenset(way for p in ports for way in _one(p.protocol, p.target, None, port, destination))


def is_behind(found: Service, end: End, snapshot: Snapshot) -> bool:
    """Tell whether an end is one of a Service's, at whatever port."""
    if found.selector is None:
        return bool(_slices(found, end, snapshot))
    return isinstance(end, PodEnd) and end.namespace == found.meta.namespace and found.selector.matches(end.labels)


def _slices(found: Service, end: End, snapshot: Snapshot) -> list[tuple[str, int, Protocol]]:
    """Give the ports of the slices that hold an end's address."""
    mine = addresses(end)
    parts = snapshot.slices_of(found.meta.namespace, found.meta.name)
    return [port for part in parts if any(address(a) in mine for a in part.addresses) for port in part.ports]


def _means(wanted: spec.Port, port: ServicePort) -> bool:
    if wanted.protocol != port.protocol:
        return False
    if isinstance(wanted.port, str):
        return wanted.port == port.name
    return wanted.port <= port.port <= (wanted.end_port or wanted.port)


def kubernetes_api(wanted: Iterable[spec.Port], destination: End, port: Port | None, snapshot: Snapshot) -> Ways:
    """Mean the API server: the addresses and ports of its slices, and its Service's address at the Service's ports."""
    wanted = tuple(wanted)
    mine = addresses(destination)
    pairs = {
        (address(a), p, n)
        for part in snapshot.slices_of("default", "kubernetes")
        for a in part.addresses
        for _, n, p in part.ports
    }
    front = snapshot.service("default", "kubernetes")
    if front is not None:
        pairs |= {(address(a), p.protocol, p.port) for a in front.cluster_ips for p in front.ports}
    if wanted:
        return at(wanted, port, destination) if any(a in mine for a, _, _ in pairs) else NO_WAY
    return BY_NUMBER if any(a in mine and port in (None, (p, n)) for a, p, n in pairs) else NO_WAY


def destination_block(found: Destination, wanted: Iterable[spec.Port], end: End, port: Port | None) -> Ways:
    """Mean the addresses of a class's destination."""
    if not any(in_block(end, block, found.except_) for block in found.cidrs):
        return NO_WAY
    return at(tuple(wanted) or found.ports or HTTPS, port, end)


def named(names: Iterable[str], end: End) -> bool:
    """Tell whether an end was looked up under one of these host names; `*.` is every name below."""
    known = end.names if isinstance(end, AddressEnd) else ()
    return any(k == n or (n.startswith("*.") and k.endswith(n[1:])) for k in known for n in names)


def external(
    found: Service, wanted: Iterable[spec.Port], end: End, port: Port | None, *, anywhere: bool = False
) -> Ways:
    """Mean a Service that is another name of a host outside, at the Service's own ports; `anywhere`: of any host."""
    wanted = tuple(wanted)
    if not anywhere and not named((found.external_name,), end):
        return NO_WAY
    if not found.ports:
        return at(wanted or HTTPS, port, end)
    meant = (p for p in found.ports if not wanted or any(_means(w, p) for w in wanted))
    return BY_NUMBER if any(port in (None, (p.protocol, p.port)) for p in meant) else NO_WAY


def destination_name(found: Destination, wanted: Iterable[spec.Port], end: End, port: Port | None) -> Ways:
    """Mean the host names of a class's destination."""
    return at(tuple(wanted) or found.ports or HTTPS, port, end) if named(found.fqdns, end) else NO_WAY


def host_name(names: Iterable[str], wanted: Iterable[spec.Port], end: End, port: Port | None) -> Ways:
    """Mean host names."""
    return at(tuple(wanted) or HTTPS, port, end) if named(names, end) else NO_WAY


def granted(spec_: SegmentGrantSpec, namespace: str, end: End, port: Port | None, snapshot: Snapshot) -> Ways:
    """Mean the ports that a grant opens of an end that it covers."""
    if spec_.to.pod_selector is not None:
        return at(spec_.ports, port, end)
    found = _granted_service(spec_.to, namespace, snapshot)
    return NO_WAY if found is None else service(found, spec_.ports, end, port, snapshot)


def service_ports(found: Service, wanted: Iterable[spec.Port]) -> tuple[PortRange, ...]:
    """Give the pods' ports that are meant of a Service, as they are declared."""
    wanted = tuple(wanted)
    meant = (p for p in found.ports if not wanted or any(_means(w, p) for w in wanted))
    return tuple(PortRange(p.protocol, p.target) for p in meant)


def granted_ports(spec_: SegmentGrantSpec, namespace: str, snapshot: Snapshot) -> tuple[PortRange, ...]:
    """Give the pods' ports that a grant opens, as they are declared."""
    if spec_.to.pod_selector is not None:
        return ranges(spec_.ports)
    found = _granted_service(spec_.to, namespace, snapshot)
    return service_ports(found, spec_.ports) if found else ()


def _granted_service(to: GrantTo, namespace: str, snapshot: Snapshot) -> Service | None:
    return snapshot.service(namespace, to.service.name) if to.service else None
