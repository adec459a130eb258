"""The ways to a pod that ztunnel captures: in plaintext, through the tunnel, through a waypoint in front of it.

On the network each is a call of its own: the tunnel to port 15008 of the pod, a waypoint to its port 15008 and from there to
the pod's. Nothing here knows what a segment declares or how it was compiled. Sources: Istio's pages 'Ambient and Kubernetes
NetworkPolicy', 'Configure waypoint proxies' and 'Use Layer 4 security policy'. Where they leave it open, the wider reading
is taken: whoever has an identity of the mesh may also call in plaintext, or pass by a waypoint.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from pipesegment.facts.ends import End, PodEnd, Port
from pipesegment.facts.meta import Key
from pipesegment.facts.snapshot import Gateway, Service, ServicePort

TUNNEL: Final = Port("TCP", 15008)
_USE: Final = "istio.io/use-waypoint"
_ELSEWHERE: Final = "istio.io/use-waypoint-namespace"


class Http(NamedTuple):
    """One HTTP request's method and path."""

    method: str
    path: str


@dataclass(frozen=True, slots=True)
class Hop:
    """One call on the way: `port` on the wire, `called` as the proxy at its end sees it.

    `tunnelled`: under the source's identity. `waypoint` and `service` where it ends at a waypoint (`service` None: a pod is
    called by its address there), `read` the Service's port, by which the waypoint knows the protocol.
    """

    source: End
    destination: PodEnd
    port: Port
    called: int
    tunnelled: bool
    waypoint: Key | None = None
    service: Key | None = None
    read: ServicePort | None = None
    http: Http | None = None


class Way(NamedTuple):
    """A waypoint's pod on the way to a pod, by a Service's port or (None) by the pod's own."""

    pod: PodEnd
    gateway: Key
    service: Service | None = None


class Waypoints:
    """Which waypoints stand in front of a pod."""

    def __init__(self, gateways: Iterable[Gateway]) -> None:
        self._gateways = {gateway.meta.key: gateway for gateway in gateways}

    def of(self, pod: PodEnd, services: Sequence[Service]) -> list[Way]:
        """Give the waypoints through which a pod is called, by each Service of its namespace and by its address."""
        found = []
        for service in services:
            if service.type == "ExternalName" or service.headless or service.selector is None:
                continue
            if service.selector.matches(pod.labels):
                gateway = self._used(service.meta.labels, pod)
                if gateway is not None and gateway.handles in {"", "service", "all"}:
                    found.append(Way(_pod(gateway, pod), gateway.meta.key, service))
        own = self._used(pod.labels, pod)
        if own is not None and own.handles in {"workload", "all"}:
            found.append(Way(_pod(own, pod), own.meta.key))
        return found

    def _used(self, labels: Mapping[str, str], pod: PodEnd) -> Gateway | None:
        said = labels if _USE in labels else pod.namespace_labels
        return self._gateways.get(Key(said.get(_ELSEWHERE) or pod.namespace, said.get(_USE, "")))


def _pod(gateway: Gateway, target: PodEnd) -> PodEnd:
    namespace, name = gateway.meta.key
    around = target.namespace_labels if namespace == target.namespace else {}
    labels = {
        "gateway.networking.k8s.io/gateway-name": name,
        "gateway.networking.k8s.io/gateway-class-name": gateway.class_name,
    }
    return PodEnd(namespace, name, labels, around, service_account=gateway.account)


def hops(
    source: End, destination: PodEnd, port: Port, http: Http | None, waypoints: Iterable[Way]
) -> Iterator[tuple[Hop, ...]]:
    """Give every way to a captured pod, each as the calls that it is made of."""
    if isinstance(source, PodEnd) and (source.ambient or source.meshed):
        yield (Hop(source, destination, TUNNEL, port.number, tunnelled=True, http=http),)
        for way in waypoints:
            onwards = Hop(way.pod, destination, TUNNEL, port.number, tunnelled=True)
            for called, read in _called(way.service, destination, port):
                there = Hop(source, way.pod, TUNNEL, called, True, way.gateway, _key(way.service), read, http)
                yield (there, onwards)
    yield (Hop(source, destination, port, port.number, tunnelled=False, http=http),)


def _called(service: Service | None, pod: PodEnd, port: Port) -> Iterator[tuple[int, ServicePort | None]]:
    """Give the ports at which a waypoint is called for a pod's port."""
    if service is None:
        yield port.number, None
        return
    named = {p.name for p in pod.ports if p.name and (p.port, p.protocol) == (port.number, port.protocol)}
    for own in service.ports:
        if own.protocol == port.protocol and own.target in {port.number, *named}:
            yield own.port, own


def _key(service: Service | None) -> Key | None:
    return service.meta.key if service else None
