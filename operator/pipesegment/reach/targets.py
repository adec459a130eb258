"""Egress: each entry of `reaches` becomes edges, or a finding that says why it stays closed."""

from collections.abc import Iterator, Sequence
from functools import partial

from pipesegment.facts.selectors import Selector, canonical
from pipesegment.facts.snapshot import Service
from pipesegment.reach import addresses, apiserver, endpoints, grants, guardrails, hostnames, notes, pods, services
from pipesegment.reach.edges import AddressPeer, Edge, HttpRule, Network, Peer, PodPeer, PortRange, Target
from pipesegment.reach.pods import Aim
from pipesegment.reach.ports import http_rules, ranges
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import Declared, View
from pipesegment.reach.ways import Refused, ways
from pipesegment.spec.destination import Destination
from pipesegment.spec.segment import CidrBlock, Port, ReachEntry


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
    elif entry.destination is not None:
        yield from _destination(scene, view, declared, entry.destination.name)
    elif entry.kubernetes_api is not None:
        yield from apiserver.edges(scene, declared)
    elif entry.aws_service is not None:
        yield from endpoints.edges(scene, view, declared)
    else:
        yield _outside(scene, declared)


def _outside(scene: Scene, declared: Declared[ReachEntry]) -> Edge:
    """Resolve what is outside of the cluster, by addresses or names."""
    entry = declared.entry
    if entry.cidr is not None:
        return _block(scene, declared, entry.cidr)
    if entry.internet is not None:
        peers = guardrails.internet(scene)
        return _open(declared, Target.INTERNET, "internet", peers, ranges(entry.ports))
    if entry.imds is not None:
        return _open(declared, Target.IMDS, "imds", addresses.IMDS, ranges(entry.ports) or (PortRange("TCP", 80),))
    assert entry.fqdn is not None
    described = f"fqdn {', '.join(entry.fqdn.names)}"
    return _named(scene, declared, Target.FQDN, described, entry.fqdn.names, entry.ports)


def _block(scene: Scene, declared: Declared[ReachEntry], cidr: CidrBlock) -> Edge:
    described = f"cidr {cidr.block}"
    if addresses.is_empty(cidr.block, cidr.except_):
        notes.nothing_left(scene, declared.because, described)
        return closed(declared, Target.CIDR, described)
    peer = AddressPeer(cidr.block, tuple(sorted(cidr.except_)))
    return _open(declared, Target.CIDR, described, (peer,), ranges(declared.entry.ports))


def closed(declared: Declared[ReachEntry], target: Target, described: str) -> Edge:
    """Make the edge of an entry that opens nothing."""
    return Aim(declared, target, described).closed()


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
        yield _external(scene, view, declared, found, target)
    elif found.selector is not None:
        yield from _selected(scene, view, declared, found, found.selector, target)
    else:
        yield from _endpoints(scene, view, declared, found, target)


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
    aim = Aim(declared, target, described, (services.host(found.meta.key),))
    yield from pods.edges(scene, view, aim, PodPeer(namespace, selector), ports)


def _endpoints(
    scene: Scene, view: View, declared: Declared[ReachEntry], found: Service, target: Target
) -> Iterator[Edge]:
    namespace, name = found.meta.key
    described = f"service {namespace}/{name}"
    _, missing = services.pod_ports(found, declared.entry.ports)
    notes.missing_ports(scene, declared, found, missing)
    scene.reads.add(("EndpointSlice", namespace, "*"))
    opened = meant = False
    for each in scene.snapshot.slices_of(namespace, name):
        behind = partial(services.endpoint_ports, found, each)
        ports = behind(declared.entry.ports)
        # What is there and stays closed is told by whoever closes it.
        meant = meant or bool(ports and each.addresses)
        ports = grants.endpoint_ports(scene, view, declared.because, found, behind, ports)
        allowed = [a for a in each.addresses if guardrails.address_allowed(scene, declared, described, a)]
        if ports and allowed:
            opened = True
            peers = tuple(AddressPeer(addresses.host(a)) for a in allowed)
            yield _open(declared, target, described, peers, ports, hosts=(services.host(found.meta.key),))
    if not meant:
        scene.note(
            declared.because,
            "Unresolved",
            described,
            f"Service {namespace}/{name} has no selector, and no EndpointSlice gives it an address at these ports",
            "create its EndpointSlice (label kubernetes.io/service-name), or give the Service a selector",
        )
    if not opened:
        yield closed(declared, target, described)


def _external(scene: Scene, view: View, declared: Declared[ReachEntry], found: Service, target: Target) -> Edge:
    """Resolve a Service that is another name of a host outside: nothing translates its ports."""
    described = f"service {found.meta.key}"
    ports, missing = services.own_ports(found, declared.entry.ports)
    notes.missing_ports(scene, declared, found, missing)
    ports = grants.endpoint_ports(
        scene, view, declared.because, found, lambda wanted: services.own_ports(found, wanted)[0], ports
    )
    name = found.external_name
    if not ports or not guardrails.name_allowed(scene, declared, described, name):
        return closed(declared, target, described)
    meant = hostnames.Meaning(declared.because, described, (name,))
    return hostnames.opened(scene, meant, _open(declared, target, described, (), ports))


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
    aim = Aim(declared, Target.STAGE, described)
    yield from pods.to_stage(scene, aim, PodPeer(namespace, target.selector), found, target)


def _pods(scene: Scene, view: View, declared: Declared[ReachEntry]) -> Iterator[Edge]:
    named = declared.entry.pods
    assert named is not None
    namespace = named.namespace or view.key.namespace
    selector = canonical(named.pod_selector)
    described = f"pods {namespace}: {selector}"
    if grants.needed(scene, namespace) and not grants.covers_pods(scene, view, namespace, selector):
        yield _ungranted(scene, declared, Target.PODS, described, namespace)
        return
    aim = Aim(declared, Target.PODS, described)
    yield from pods.edges(scene, view, aim, PodPeer(namespace, selector), ranges(declared.entry.ports))


def _destination(scene: Scene, view: View, declared: Declared[ReachEntry], name: str) -> Iterator[Edge]:
    described = f"destination {name}"
    found = services.destination(view.governing, name)
    if found is None:
        notes.no_destination(scene, view, declared, described, name)
        yield closed(declared, Target.DESTINATION, described)
        return
    if found.service is not None and found.service.name is not None:
        standing = Declared(
            declared.because, declared.entry.model_copy(update={"ports": declared.entry.ports or found.ports})
        )
        namespace = found.service.namespace or view.key.namespace
        yield from service(scene, view, standing, namespace, found.service.name, Target.DESTINATION)
    inside = found.service is not None and found.service.name is not None
    if found.fqdns and scene.network is Network.CILIUM:
        yield _named(scene, declared, Target.DESTINATION, described, found.fqdns, declared.entry.ports or found.ports)
    elif found.cidrs:
        yield _blocks(scene, declared, described, found)
    elif not inside:
        yield _named(scene, declared, Target.DESTINATION, described, found.fqdns, declared.entry.ports or found.ports)


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
    # An exception holds for every block: one that it contains is not meant at all. It is smaller than the largest.
    meant = [b for b in sorted(found.cidrs) if not any(_inside(b, e) for e in excepts)]
    peers = tuple(AddressPeer(block, tuple(e for e in excepts if _inside(e, block))) for block in meant)
    if all(addresses.is_empty(p.block, p.excepts) for p in peers):
        notes.nothing_left(scene, declared.because, described)
        return closed(declared, Target.DESTINATION, described)
    return _open(declared, Target.DESTINATION, described, peers, ports)


def _named(
    scene: Scene,
    declared: Declared[ReachEntry],
    target: Target,
    described: str,
    found: Sequence[str],
    ports: Sequence[Port],
) -> Edge:
    """Open host names; whether anybody can match them is the compilers' to say."""
    numbers = tuple(p for p in ranges(ports or (Port(port=443),)) if isinstance(p.port, int))
    if not numbers:
        return closed(declared, target, described)
    by_class = target is Target.DESTINATION
    meant = hostnames.Meaning(declared.because, described, tuple(found), by_class)
    return hostnames.opened(scene, meant, _open(declared, target, described, (), numbers))


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
    grants.note_ungranted(scene, declared.because, described, namespace, closed=True)
    return closed(declared, target, described)
