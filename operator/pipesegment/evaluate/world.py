"""All objects together: who reaches whom, by NetworkPolicy and the mesh at once, and which object says so.

A connection passes when it passes the NetworkPolicies of both pods and, at a destination with a sidecar, the mesh; what
ztunnel captures has ways of its own (`ambient`), and so has what Linkerd's sidecar stands in front of (`linkerd`). A source with a sidecar is known to the destination only through a Service that targets the port (the mesh's client side
knows no other way to mutual TLS); in plaintext it may always try. Sidecar resources restrict no determined client and
are not judged: the promise of egress rests on NetworkPolicy.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from pipesegment.evaluate.ambient import Hop, Http, Waypoints, hops
from pipesegment.evaluate.authorization import Request
from pipesegment.evaluate.blocks import Blocks
from pipesegment.evaluate.endpoints import AddressEnd, End, PodEnd, Port, address, is_same, routes
from pipesegment.evaluate.istio import ROOT_NAMESPACE, Istio
from pipesegment.evaluate.linkerd import INBOUND, Caller, Linkerd
from pipesegment.evaluate.networkpolicy import NetworkPolicies
from pipesegment.evaluate.verdict import Verdict
from pipesegment.facts.protocols import Spoken, spoken
from pipesegment.facts.snapshot import Gateway, Service, ServicePort

Raw = Mapping[str, Any]

#: The mesh's where nobody says otherwise.
TRUST_DOMAIN: Final = "cluster.local"
_READ: Final[Mapping[Spoken, frozenset[bool]]] = {
    "http": frozenset({True}),
    "bytes": frozenset({False}),
    "unknown": frozenset({True, False}),
}


@dataclass(frozen=True, slots=True)
class Judged:
    """One answer of the matrix.

    `certain` is False when engines differ: some let `ipBlock` match the addresses of pods, some do not. `enforced` is
    then what the wider of both lets through.
    """

    source: End
    destination: End
    port: Port
    enforced: bool
    because: str
    certain: bool = True


class World:
    """The objects of a cluster, ours and others', ready to be asked.

    `services` and `gateways` are the facts' (which ports the mesh knows, which waypoints there are); `objects` plain NetworkPolicies, AuthorizationPolicies and
    PeerAuthentications, other kinds being passed over.
    """

    def __init__(
        self,
        objects: Iterable[Raw],
        services: Iterable[Service] = (),
        gateways: Iterable[Gateway] = (),
        *,
        root_namespace: str = ROOT_NAMESPACE,
        trust_domain: str = TRUST_DOMAIN,
    ) -> None:
        objects = list(objects)
        self._wide = NetworkPolicies(objects, cidr_matches_pods=True)
        self._narrow = NetworkPolicies(objects, cidr_matches_pods=False)
        self._istio = Istio(objects, root_namespace=root_namespace)
        self._linkerd = Linkerd(objects)
        self._trust_domain = trust_domain
        self._waypoints = Waypoints(gateways)
        self._blocks = Blocks((*self._wide.mentioned(), *self._istio.mentioned()))
        self._services: dict[str, list[Service]] = {}
        for service in services:
            self._services.setdefault(service.meta.namespace, []).append(service)

    def judge(self, source: End, destination: End, port: Port, http: Http | None = None) -> Judged:
        """Judge one connection, or one HTTP request on it; without `http` any request that passes will do."""
        if port.protocol == "TCP" and isinstance(destination, PodEnd) and not is_same(source, destination):
            if destination.ambient:
                return self._through(source, destination, port, http)
            if destination.linkerd:
                return self._at_linkerd(source, destination, port, http)
        wide = self._wide.verdict(source, destination, port)
        if not wide.allowed:
            return Judged(source, destination, port, False, wide.because)
        mesh = self._mesh(source, destination, port, http)
        if not mesh.allowed:
            return Judged(source, destination, port, False, mesh.because)
        narrow = self._narrow.verdict(source, destination, port)
        because = (narrow if narrow.allowed else wide).because
        if mesh.because:
            because = f"{because}; {mesh.because}"
        return Judged(source, destination, port, True, because, certain=narrow.allowed)

    def never(self, source: End, destination: End) -> str | None:
        """Say why nothing passes at any port, where one reason holds for all of them; None where the port matters."""
        if _is_captured(destination) and any(self._waypoints.of(destination, self._in(destination.namespace))):
            return None
        found = self._wide.never(source, destination)
        return None if found is None else found.because

    def kin(self, end: End, asked: Collection[str]) -> object:
        """Give what stands for an end: ends of which it is equal are judged alike, but for their names in the reasons.

        `asked` are the labels of pods that any selector asks about.
        """
        if isinstance(end, AddressEnd) or end.host_network:
            return end
        labels = tuple(sorted(pair for pair in end.labels.items() if pair[0] in asked))
        around = tuple(sorted(end.namespace_labels.items()))
        seen = frozenset(block for ip in map(address, end.ips) for block in self._blocks.holding(ip))
        families = frozenset(address(ip).version for ip in end.ips)
        plane = (end.meshed, end.ambient, end.linkerd)
        return (end.namespace, labels, around, end.ports, end.service_account, plane, families, seen)

    def _in(self, namespace: str) -> Sequence[Service]:
        return self._services.get(namespace, ())

    def _through(self, source: End, destination: PodEnd, port: Port, http: Http | None) -> Judged:
        """Judge the ways to a pod that ztunnel captures; the first that passes counts, else the first one's reason."""
        ways = hops(source, destination, port, http, self._waypoints.of(destination, self._in(destination.namespace)))
        refusals = []
        for way in ways:
            reasons, certain = [], True
            for hop in way:
                wide = self._wide.verdict(hop.source, hop.destination, hop.port)
                mesh = self._at(hop) if wide.allowed else wide
                narrow = self._narrow.verdict(hop.source, hop.destination, hop.port)
                certain = certain and narrow.allowed
                if not mesh.allowed:
                    refusals.append(mesh.because)
                    break
                reasons += [(narrow if narrow.allowed else wide).because, mesh.because]
            else:
                return Judged(source, destination, port, True, "; ".join(reasons), certain=certain)
        return Judged(source, destination, port, False, refusals[0])

    def _at_linkerd(self, source: End, destination: PodEnd, port: Port, http: Http | None) -> Judged:
        """Judge the ways to a pod with Linkerd's sidecar: from one to the other at its own port or the called one, or bare."""
        identity = None
        if isinstance(source, PodEnd) and source.linkerd:
            account = (source.namespace, source.service_account)
            identity = (*account, f"{'.'.join(reversed(account))}.serviceaccount.identity.linkerd.{self._trust_domain}")
        ways = [(INBOUND, identity), (port, identity), (port, None)] if identity else [(port, None)]
        refusals = []
        for at, who in ways:
            wide = self._wide.verdict(source, destination, at)
            found = wide
            for ip in dict.fromkeys(a for a, _ in routes(source, destination)) if wide.allowed else ():
                found = self._linkerd.verdict(destination, port.number, Caller(who, ip), http)
                if found.allowed:
                    narrow = self._narrow.verdict(source, destination, at)
                    because = f"{(narrow if narrow.allowed else wide).because}; {found.because}"
                    return Judged(source, destination, port, True, because, certain=narrow.allowed)
            refusals.append(found.because)
        return Judged(source, destination, port, False, refusals[0])

    def _at(self, hop: Hop) -> Verdict:
        """Judge a hop at the proxy that it ends at."""
        account = None
        if isinstance(hop.source, PodEnd) and hop.tunnelled:
            account = f"{self._trust_domain}/ns/{hop.source.namespace}/sa/{hop.source.service_account}"
        verdict = Verdict(False, "")
        for reading in _readings([hop.read] if hop.read else [], asked_as_http=hop.http is not None):
            for ip in dict.fromkeys(a for a, _ in routes(hop.source, hop.destination)):
                request = Request(
                    account,
                    hop.called,
                    http=reading,
                    method=hop.http.method if hop.http else None,
                    path=hop.http.path if hop.http else None,
                    source_ip=None if ip is None else str(ip),
                )
                found = (
                    self._istio.at_waypoint(hop.waypoint, hop.service, request)
                    if hop.waypoint
                    else self._istio.verdict(hop.destination, request)
                )
                if found.allowed:
                    return found
                verdict = verdict if verdict.because else found
        return verdict

    def _mesh(self, source: End, destination: End, port: Port, http: Http | None) -> Verdict:
        if isinstance(destination, AddressEnd) or not destination.meshed or port.protocol != "TCP":
            return Verdict(True, "")
        if is_same(source, destination):
            return Verdict(True, "")
        verdict = Verdict(False, "")
        for request in self._requests(source, destination, port, http):
            found = self._istio.verdict(destination, request)
            if found.allowed:
                return found
            verdict = verdict if verdict.because else found
        return verdict

    def _requests(self, source: End, destination: PodEnd, port: Port, http: Http | None) -> Iterator[Request]:
        """Give every way to put the question to the sidecar: with an identity and without, as HTTP and as bytes."""
        targeting = list(self._targeting(destination, port))
        principals: list[str | None] = [None]
        if isinstance(source, PodEnd) and source.meshed and targeting:
            account = f"{self._trust_domain}/ns/{source.namespace}/sa/{source.service_account}"
            principals = [account, None]
        readings = _readings(targeting, asked_as_http=http is not None)
        addresses = dict.fromkeys(a for a, _ in routes(source, destination))
        for principal in principals:
            for reading in readings:
                for ip in addresses:
                    yield Request(
                        principal,
                        port.number,
                        http=reading,
                        method=http.method if http else None,
                        path=http.path if http else None,
                        source_ip=None if ip is None else str(ip),
                    )

    def _targeting(self, pod: PodEnd, port: Port) -> Iterator[ServicePort]:
        named = {p.name for p in pod.ports if p.name and (p.port, p.protocol) == (port.number, port.protocol)}
        for service in self._services.get(pod.namespace, ()):
            if service.type != "ExternalName" and service.selector is not None and service.selector.matches(pod.labels):
                for candidate in service.ports:
                    # Clients of a headless Service call its pods under the number of the Service's own port.
                    called = not service.headless or candidate.port == port.number
                    if called and candidate.protocol == port.protocol and candidate.target in {port.number, *named}:
                        yield candidate


def matrix(
    objects: Iterable[Raw],
    ends: Sequence[End],
    ports: Sequence[Port],
    services: Iterable[Service] = (),
    gateways: Iterable[Gateway] = (),
) -> Iterator[Judged]:
    """Judge every ordered pair of ends at every port, ends with themselves left out."""
    world = World(objects, services, gateways)
    for source in ends:
        for destination in ends:
            if not is_same(source, destination):
                for port in ports:
                    yield world.judge(source, destination, port)


def _is_captured(end: End) -> TypeGuard[PodEnd]:
    return isinstance(end, PodEnd) and end.ambient


def _readings(ports: Sequence[ServicePort], *, asked_as_http: bool) -> list[bool]:
    """Tell how a sidecar may read a port: as HTTP (True), as bytes (False), or whatever it sees.

    A port that every Service declares as bytes is not read as HTTP, whatever is sent.
    """
    found = frozenset[bool]().union(*(_READ[spoken(port)] for port in ports)) or _READ["unknown"]
    return [True] if asked_as_http and True in found else sorted(found, reverse=True)
