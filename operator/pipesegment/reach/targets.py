"""Egress: each entry of `reaches` becomes edges, or a finding that says why it stays closed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipesegment.facts.selectors import Selector, canonical
from pipesegment.facts.snapshot import Service
from pipesegment.reach import addresses, apiserver, grants, guardrails, notes, services
from pipesegment.reach.graph import AddressPeer, Edge, HttpRule, Mesh, Mode, Peer, PodPeer, PortRange, Target
from pipesegment.reach.ports import http_rules, ranges
from pipesegment.reach.scene import Declared, Scene, View
from pipesegment.reach.ways import Refused, Way, touches, ways
from pipesegment.spec.destination import Destination
from pipesegment.spec.segment import Port, ReachEntry


def egress(scene: Scene, view: View, declared: Declared[ReachEntry]) -> Iterator[Edge]:
    """Resolve one entry of a stage's reaches."""
    entry = declared.entry
    if not guardrails.allows(scene, declared):
        yield closed(declared, Target(entry.kind), entry.kind)
    elif entry.stage is not None:
        yield from _stage(scene, view, declared)
    elif entry.service is not None:
        yield from service(scene, view, declared, entry.service.namespace or view.key.namespace, entry.service.name)
    elif entry.pods is not None:
        yield from _pods(scene, view, declared)
    elif entry.cidr is not None:
        peer = AddressPeer(entry.cidr.block, tuple(sorted(entry.cidr.except_)))
        yield _open(declared, Target.CIDR, f"cidr {entry.cidr.block}", (peer,), ranges(entry.ports))
    elif entry.internet is not None:
        peers = addresses.internet(guardrails.cluster_ranges(scene))
        yield _open(declared, Target.INTERNET, "internet", peers, ranges(entry.ports))
    elif entry.destination is not None:
        yield from _destination(scene, view, declared, entry.destination.name)
    elif entry.kubernetes_api is not None:
        yield from apiserver.edges(scene, declared)
    elif entry.imds is not None:
        yield _open(declared, Target.IMDS, "imds", addresses.IMDS, ranges(entry.ports) or (PortRange("TCP", 80),))
    else:
        # `fqdn` and `awsService` never come here: they are refused as NotYetSupported before.
        yield closed(declared, Target(entry.kind), entry.kind)


def closed(declared: Declared[ReachEntry], target: Target, described: str) -> Edge:
    """Make the edge of an entry that opens nothing."""
    return Edge(declared.because, "egress", target, described, open=False, ports=ranges(declared.entry.ports))


def service(
    scene: Scene, view: View, declared: Declared[ReachEntry], namespace: str, name: str, target: Target = Target.SERVICE
) -> Iterator[Edge]:
    """Resolve a Service: its pods at their own ports, or the addresses that its EndpointSlices hold."""
    described = f"service {namespace}/{name}"
    found = scene.service(namespace, name)
    if grants.needed(scene, namespace) and not grants.covers_service(scene, view, namespace, name, found):
        yield _ungranted(scene, declared, target, described, namespace)
        return
    if found is None:
        scene.note(
            declared.because,
            "Unresolved",
            described,
            f"Service {namespace}/{name} does not exist",
            "create it, or correct its name; the edge stays closed until then",
        )
        yield closed(declared, target, described)
    elif found.type == "ExternalName":
        notes.no_names(scene, declared, described, f"Service {namespace}/{name} is the host name {found.external_name}")
        yield closed(declared, target, described)
    elif found.selector is not None:
        yield from _selected(scene, view, declared, found, found.selector, target)
    else:
        yield from _endpoints(scene, declared, found, target)


def _selected(
    scene: Scene, view: View, declared: Declared[ReachEntry], found: Service, selector: Selector, target: Target
) -> Iterator[Edge]:
    namespace, name = found.meta.key
    described = f"service {namespace}/{name}"
    ports, missing = services.pod_ports(found, declared.entry.ports)
    notes.missing_ports(scene, declared, found, missing)
    if not ports:
        if not missing:
            scene.note(
                declared.because,
                "Unresolved",
                described,
                f"Service {namespace}/{name} has no ports",
                "give it the ports that its pods serve",
            )
        yield closed(declared, target, described)
        return
    host = f"{namespace}/{name}.{namespace}.svc.cluster.local"
    yield from _to_pods(scene, view, declared, PodPeer(namespace, selector), ports, target, described, (host,))


def _endpoints(scene: Scene, declared: Declared[ReachEntry], found: Service, target: Target) -> Iterator[Edge]:
    namespace, name = found.meta.key
    described = f"service {namespace}/{name}"
    _, missing = services.pod_ports(found, declared.entry.ports)
    notes.missing_ports(scene, declared, found, missing)
    scene.reads.add(("EndpointSlice", namespace, "*"))
    opened = False
    for each in scene.snapshot.slices_of(namespace, name):
        ports = services.endpoint_ports(found, each, declared.entry.ports)
        allowed = [a for a in each.addresses if guardrails.address_allowed(scene, declared, described, a)]
        if ports and allowed:
            opened = True
            peers = tuple(AddressPeer(addresses.host(a)) for a in allowed)
            host = f"{namespace}/{name}.{namespace}.svc.cluster.local"
            yield _open(declared, target, described, peers, ports, hosts=(host,))
    if not opened:
        scene.note(
            declared.because,
            "Unresolved",
            described,
            f"Service {namespace}/{name} has no selector, and no EndpointSlice gives it an address at these ports",
            "create its EndpointSlice (label kubernetes.io/service-name), or give the Service a selector",
        )
        yield closed(declared, target, described)


def _stage(scene: Scene, view: View, declared: Declared[ReachEntry]) -> Iterator[Edge]:
    named = declared.entry.stage
    assert named is not None
    namespace, segment = named.namespace or view.key.namespace, named.segment or view.key.segment
    own = (namespace, segment) == (view.key.namespace, view.key.segment)
    described = f"stage {named.name}" if own else f"stage {namespace}/{segment}/{named.name}"
    target = scene.view(namespace, segment, named.name)
    found = ways(scene, view, declared, target) if target is not None else Refused("HalfOpen")
    if isinstance(found, Refused) or found is None or target is None:
        reason = found.reason if isinstance(found, Refused) else "HalfOpen"
        notes.refused(scene, view, declared, described, reason)
        yield closed(declared, Target.STAGE, described)
        return
    yield from _through(declared, Target.STAGE, described, PodPeer(namespace, target.selector), found, target, scene)


def _pods(scene: Scene, view: View, declared: Declared[ReachEntry]) -> Iterator[Edge]:
    pods = declared.entry.pods
    assert pods is not None
    namespace = pods.namespace or view.key.namespace
    selector = canonical(pods.pod_selector)
    described = f"pods {namespace}: {selector}"
    if grants.needed(scene, namespace) and not grants.covers_pods(scene, view, namespace, selector):
        yield _ungranted(scene, declared, Target.PODS, described, namespace)
        return
    peer = PodPeer(namespace, selector)
    yield from _to_pods(scene, view, declared, peer, ranges(declared.entry.ports), Target.PODS, described, ())


def _to_pods(
    scene: Scene,
    view: View,
    declared: Declared[ReachEntry],
    peer: PodPeer,
    ports: tuple[PortRange, ...],
    target: Target,
    described: str,
    hosts: tuple[str, ...],
) -> Iterator[Edge]:
    """Open the way to pods; where they are provably a stage's pods, that stage has a say.

    Where only some of them are, the way is open to the others, and what stays closed is told.
    """
    scene.watches.add((peer.namespace, peer.selector))
    met = [
        (other, found)
        for other in scene.views_in(peer.namespace)
        if other.mode is Mode.ENFORCE and touches(scene, peer.namespace, peer.selector, other)
        if (found := ways(scene, view, declared, other)) is not None
    ]
    admitting = [(other, found) for other, found in met if not isinstance(found, Refused)]
    through = [(other, found) for other, found in admitting if peer.selector.implies(other.selector)]
    for other, found in through:
        yield from _through(
            declared, target, described, peer, _held(scene, view, declared, peer, described, found), other, scene, hosts
        )
    if through:
        return
    for other, found in met:
        if isinstance(found, Refused):
            part = "" if peer.selector.implies(other.selector) else "some of "
            who = f"stage {other.key}, whose pods are {part}those of {described},"
            notes.refused(scene, view, declared, described, found.reason, who)
    if any(peer.selector.implies(other.selector) for other, _ in met):
        yield closed(declared, target, described)
        return
    if not admitting or peer.namespace != scene.namespace:
        ports = grants.granted_ports(scene, view, declared, peer, ports, described)
    if not ports:
        yield closed(declared, target, described)
        return
    yield Edge(
        declared.because,
        "egress",
        target,
        described,
        open=True,
        peers=(peer,),
        ports=ports,
        http=http_rules(declared.entry.http),
        hosts=hosts,
    )


def _held(
    scene: Scene, view: View, declared: Declared[ReachEntry], peer: PodPeer, described: str, found: Sequence[Way]
) -> list[Way]:
    """Hold ways to a stage of another namespace to what grants there leave of them."""
    left = []
    for way in found:
        ports = grants.held_ports(scene, view, peer, way.ports)
        if ports != way.ports:
            grants.note_ungranted(scene, declared.because, described, peer.namespace)
        if ports:
            left.append(replace(way, ports=ports))
    return left


def _through(
    declared: Declared[ReachEntry],
    target: Target,
    described: str,
    peer: PodPeer,
    found: Sequence[Way],
    other: View,
    scene: Scene,
    hosts: tuple[str, ...] = (),
) -> Iterator[Edge]:
    """Open the ways to a stage's pods."""
    meshed = other.mesh is not Mesh.NONE
    for way in found:
        yield Edge(
            declared.because,
            "egress",
            target,
            described,
            open=True,
            peers=(peer,),
            ports=way.ports,
            http=way.http,
            hosts=hosts or (served_by(scene, other) if meshed else ()),
            other_meshed=meshed,
        )


def served_by(scene: Scene, view: View) -> tuple[str, ...]:
    """Give the Services that provably select a stage's pods, as `namespace/host`."""
    namespace = view.key.namespace
    scene.reads.add(("Service", namespace, "*"))
    return tuple(
        f"{namespace}/{name}.{namespace}.svc.cluster.local"
        for name, found in sorted(scene.snapshot.services.get(namespace, {}).items())
        if found.selector is not None and view.selector.implies(found.selector)
    )


def _destination(scene: Scene, view: View, declared: Declared[ReachEntry], name: str) -> Iterator[Edge]:
    described = f"destination {name}"
    found = services.destination(view.governing, name)
    if found is None:
        governing = view.governing.name
        scene.note(
            declared.because,
            "Unresolved",
            described,
            f"SegmentClass {governing} has no destination {name}"
            if governing
            else f"no SegmentClass governs namespace {view.key.namespace}, so there is no destination {name}",
            "have the platform team add it to spec.destinations, or correct the name",
        )
        yield closed(declared, Target.DESTINATION, described)
        return
    if found.service is not None and found.service.name is not None:
        standing = Declared(
            declared.because, declared.entry.model_copy(update={"ports": declared.entry.ports or found.ports})
        )
        namespace = found.service.namespace or view.key.namespace
        yield from service(scene, view, standing, namespace, found.service.name, Target.DESTINATION)
    if found.cidrs:
        yield _blocks(scene, declared, described, found)
    elif found.service is None or found.service.name is None:
        notes.no_names(scene, declared, described, f"destination {name} is known by host names alone")
        yield closed(declared, Target.DESTINATION, described)


def _blocks(scene: Scene, declared: Declared[ReachEntry], described: str, found: Destination) -> Edge:
    """Open a destination's addresses; ports by name mean nothing there."""
    ports = tuple(
        p for p in ranges(declared.entry.ports or found.ports or (Port(port=443),)) if isinstance(p.port, int)
    )
    if not ports:
        scene.note(
            declared.because,
            "Unresolved",
            described,
            f"the ports of {described} are names, and only pods and Services name their ports",
            "give them as numbers",
        )
        return closed(declared, Target.DESTINATION, described)
    excepts = tuple(sorted(found.except_))
    peers = tuple(AddressPeer(block, tuple(e for e in excepts if _inside(e, block))) for block in sorted(found.cidrs))
    return _open(declared, Target.DESTINATION, described, peers, ports)


def _inside(inner: str, outer: str) -> bool:
    a, b = addresses.network(inner), addresses.network(outer)
    return a.version == b.version and a.subnet_of(b)  # type: ignore[arg-type] # same version, just compared


def _open(
    declared: Declared[ReachEntry],
    target: Target,
    described: str,
    peers: tuple[Peer, ...],
    ports: tuple[PortRange, ...],
    hosts: tuple[str, ...] = (),
) -> Edge:
    http: tuple[HttpRule, ...] = http_rules(declared.entry.http)
    because = declared.because
    return Edge(because, "egress", target, described, open=True, peers=peers, ports=ports, http=http, hosts=hosts)


def _ungranted(scene: Scene, declared: Declared[ReachEntry], target: Target, described: str, namespace: str) -> Edge:
    """Close an entry that needs a grant; what is said does not depend on whether the target exists."""
    grants.note_ungranted(scene, declared.because, described, namespace)
    return closed(declared, target, described)
