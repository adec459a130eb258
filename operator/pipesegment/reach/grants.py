"""Consent across namespaces: what a SegmentGrant covers, and the ingress half that it lets us write there.

A grant is bound to the UID of the namespace it names: one that was deleted and made again under the same name has to
be granted anew.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import reduce
from typing import Final

from pipesegment import names
from pipesegment.facts.selectors import Selector, canonical
from pipesegment.facts.snapshot import Grant, NetworkPolicy, Service, Snapshot
from pipesegment.reach import fenced, governance, notes, services
from pipesegment.reach.edges import PodPeer, PortRange, StageKey
from pipesegment.reach.graph import CoveredEdge, GrantedIngress
from pipesegment.reach.ports import intersect_ports, ranges, sort_key
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import Declared, View
from pipesegment.reach.ways import meet
from pipesegment.spec.grant import SegmentGrantSpec
from pipesegment.spec.segment import Port, ReachEntry

#: Tells the class's isolation apart from policies, none of whose names holds a slash.
_BY_CLASS: Final = "/class"


def needed(scene: Scene, namespace: str) -> bool:
    """Tell whether nothing of that namespace may be read before a grant covers it."""
    return namespace != scene.namespace and scene.governance.spec.network.require_grants


def covers_service(scene: Scene, view: View, namespace: str, name: str, found: Service | None) -> bool:
    """Tell whether a grant there names this Service, or gives all the pods that it selects.

    A Service that a grant for pods does not cover reads like one that does not exist.
    """
    return any(
        (g.spec is not None and g.spec.to.service is not None and g.spec.to.service.name == name)
        or (found is not None and found.selector is not None and covers(scene, g, found.selector))
        for g in naming(scene, view.key, namespace)
    )


def covers_pods(scene: Scene, view: View, namespace: str, selector: Selector) -> bool:
    """Tell whether a grant there gives all of these pods: what it does not give must not be looked at."""
    return any(covers(scene, g, selector) for g in naming(scene, view.key, namespace))


def granted_ports(
    scene: Scene,
    view: View,
    declared: Declared[ReachEntry],
    peer: PodPeer,
    ports: tuple[PortRange, ...],
    described: str,
) -> tuple[PortRange, ...]:
    """Give the ports to open on our side: all that were declared, or those that grants cover where they must.

    In another namespace they must with `requireGrants`, and where a grant holds its callers to other ports; in the own
    one where the class isolates pods of no stage.
    """
    own = peer.namespace == scene.namespace
    if own and not _closed_by_class(scene, peer):
        return ports
    common = _covered(scene, view, peer, ports)
    rest = [p for p in ports if p not in common]
    held = own or _is_held(scene, view, peer)
    if rest:
        told, otherwise = _at(described, rest, common), _otherwise(scene, view, peer, rest)
        if own:
            notes.closed_by_class(scene, declared.because, told, peer.namespace, otherwise)
        else:
            note_ungranted(scene, declared.because, told, peer.namespace, closed=held, fix=otherwise)
    return common if held else ports


def held_ports(scene: Scene, view: View, peer: PodPeer, ports: tuple[PortRange, ...]) -> tuple[PortRange, ...]:
    """Give the ports that may be open on our side where a stage of the other namespace has consented already."""
    if peer.namespace == scene.namespace or not _is_held(scene, view, peer):
        return ports
    return _covered(scene, view, peer, ports)


def holding(scene: Scene, view: View, peer: PodPeer) -> Iterator[tuple[SegmentGrantSpec, tuple[PortRange, ...]]]:
    """Give the grants that cover these pods, and their ports, where nothing but what grants cover may be open."""
    own = peer.namespace == scene.namespace
    if _closed_by_class(scene, peer) if own else _is_held(scene, view, peer):
        for grant in naming(scene, view.key, peer.namespace):
            if grant.spec is not None and covers(scene, grant, peer.selector):
                yield grant.spec, _ports(scene, grant)


def endpoint_ports(
    scene: Scene,
    view: View,
    because: str,
    found: Service,
    meant: Callable[[Sequence[Port]], tuple[PortRange, ...]],
    ports: tuple[PortRange, ...],
) -> tuple[PortRange, ...]:
    """Give the ports to open towards a Service without selector: as for pods, by grants that name it.

    `meant` gives the ports behind the Service's own: those of a slice's addresses, or of the host that it stands for.
    """
    namespace, name = found.meta.key
    if namespace == scene.namespace:
        return ports
    by_name = [
        g.spec
        for g in naming(scene, view.key, namespace)
        if g.spec is not None and g.spec.to.service is not None and g.spec.to.service.name == name
    ]
    # Nothing reads requests on their way to addresses.
    granted_here = {p for spec in by_name if not spec.http for p in meant(spec.ports)}
    common = tuple(p for p in ports if p in granted_here)
    held = needed(scene, namespace) or any(spec.isolate != "Nobody" for spec in by_name)
    rest = [p for p in ports if p not in common]
    if rest:
        note_ungranted(scene, because, _at(f"service {namespace}/{name}", rest, common), namespace, closed=held)
    return common if held else ports


def covers(scene: Scene, grant: Grant, selector: Selector) -> bool:
    """Tell whether every pod that an edge points at is provably one that the grant gives."""
    granted = _selector(scene, grant)
    return granted is not None and selector.implies(granted)


def covers_all(scene: Scene, grant: Grant, peer: PodPeer, ports: tuple[PortRange, ...]) -> bool:
    """Tell whether a grant gives these pods, and every one of these ports."""
    return covers(scene, grant, peer.selector) and intersect_ports(ports, _ports(scene, grant)) == ports


def gives_some(scene: Scene, grant: Grant, peer: PodPeer) -> bool:
    """Tell whether a grant may give some of these pods."""
    granted = _selector(scene, grant)
    return granted is not None and not granted.disjoint(peer.selector)


def granted(
    scene: Scene, view: View, because: str, peer: PodPeer, ports: tuple[PortRange, ...], apart: str
) -> Iterator[GrantedIngress]:
    """Give the ingress halves that grants let us write in the peer's namespace.

    With `isolate: Nobody` or `Callers` only pods that something isolates already are selected: one object for each
    isolating foreign policy, on the conjunction of both selectors. Our own objects never count as isolation, but the
    class's own does: it is declared, not observed (`governance.isolation_of`). `apart` tells the edge from the stage's others.
    """
    for grant in naming(scene, view.key, peer.namespace):
        spec = grant.spec
        if spec is None or not covers(scene, grant, peer.selector):
            continue
        common = intersect_ports(ports, _ports(scene, grant))
        if not common:
            continue
        scene.covered.append(CoveredEdge(grant.meta.key, view.key, because))
        for selector, discriminator in _isolated(scene, spec.isolate, peer):
            for number, part in enumerate(fenced.outside(scene, peer.namespace, selector)):
                yield GrantedIngress(
                    because=because,
                    stage=view.key,
                    grant=grant.meta.key,
                    grant_uid=grant.meta.uid,
                    selector=part,
                    peers=(PodPeer(view.key.namespace, view.selector),),
                    ports=common,
                    discriminator=f"{grant.meta.name}/{discriminator}/{apart}/{number}",
                )


def _at(described: str, rest: Iterable[PortRange], common: Collection[PortRange]) -> str:
    """Name a target, and the ports that are meant where others of it are granted."""
    if not common:
        return described
    ports = (f"{p.port}{f'-{p.end}' if p.end else ''}/{p.protocol}" for p in rest)
    return f"{described} at {', '.join(ports)}"


def _otherwise(scene: Scene, view: View, peer: PodPeer, rest: Sequence[PortRange]) -> str:
    """Say what helps where a grant gives these pods, and speaks of ports by number where the edge does by name, or so.

    '' where it is not that. Which number is behind a name, each pod says for itself.
    """
    for grant in naming(scene, view.key, peer.namespace):
        given = _ports(scene, grant) if covers(scene, grant, peer.selector) else ()
        for port in rest:
            by_name = isinstance(port.port, str)
            if any(g.protocol == port.protocol and isinstance(g.port, str) is not by_name for g in given):
                meant, said = ("name", "number") if by_name else ("number", "name")
                return (
                    f"add port {port.port} to SegmentGrant {grant.meta.key}: it gives these pods by {said}, and a {meant} is "
                    f"covered by the same {meant} alone, because the number behind a name differs from pod to pod"
                )
    return ""


def _covered(scene: Scene, view: View, peer: PodPeer, ports: tuple[PortRange, ...]) -> tuple[PortRange, ...]:
    covering = [g for g in naming(scene, view.key, peer.namespace) if covers(scene, g, peer.selector)]
    return tuple(sorted({p for g in covering for p in intersect_ports(ports, _ports(scene, g))}, key=sort_key))


def _is_held(scene: Scene, view: View, peer: PodPeer) -> bool:
    """Tell whether nothing but what grants cover may be open on our side.

    `isolate: Callers`, the default, holds the callers to the grant's ports: towards pods that nothing isolates their own
    egress is the only place where the network can.
    """
    if scene.governance.spec.network.require_grants:
        return True
    grants = (g for g in naming(scene, view.key, peer.namespace) if g.spec is not None and g.spec.isolate != "Nobody")
    return any(
        (granted := _selector(scene, g)) is not None and meet(scene, peer.namespace, peer.selector, granted)
        for g in grants
    )


def note_ungranted(scene: Scene, because: str, described: str, namespace: str, *, closed: bool, fix: str = "") -> None:
    """Say that nobody there granted the edge; the words are the same whether the target exists or not."""
    if closed:
        scene.ungranted.add(because)
    then = "it stays closed" if closed else "only the stage's own side is open"
    scene.note(
        because,
        "Ungranted",
        described,
        f"no SegmentGrant in namespace {namespace} covers {described}, so {then}",
        fix or f"have the owners of {namespace} create a SegmentGrant there",
    )


def _closed_by_class(scene: Scene, peer: PodPeer) -> bool:
    """Tell whether the class's isolation closes these pods of the own namespace."""
    if not governance.is_declared(scene.governance, peer.namespace, scene.snapshot):
        return False
    return not any(peer.selector.implies(e) for e in governance.isolation_exceptions(scene.governance))


def _isolated(scene: Scene, isolate: str, peer: PodPeer) -> Iterator[tuple[Selector, str]]:
    if isolate == "Everyone":
        yield peer.selector, "everyone"
        return
    scene.reads.add(("NetworkPolicy", peer.namespace, "*"))
    scene.reads.add(("NetworkPolicy", peer.namespace, names.DEFAULT_DENY))
    excepted = governance.isolation_of(peer.namespace, scene.snapshot)
    if excepted is not None:
        # Pods that the isolation leaves out are not selected: a policy of ours would be the first to isolate them.
        if not any(peer.selector.implies(exception) for exception in excepted):
            meeting = (e for e in excepted if not peer.selector.disjoint(e))
            yield reduce(_without, meeting, peer.selector), _BY_CLASS
        if not excepted:
            return
    for policy in isolating(scene.snapshot, peer.namespace):
        if not policy.selector.disjoint(peer.selector):
            yield policy.selector & peer.selector, policy.meta.name


def isolating(snapshot: Snapshot, namespace: str) -> Iterator[NetworkPolicy]:
    """Give the policies of others that isolate pods of a namespace, sorted by name."""
    return (p for p in snapshot.foreign_policies(namespace) if "Ingress" in p.policy_types)


def _without(selector: Selector, exception: Selector) -> Selector:
    """Leave the pods of an exception, which is one requirement, out of a selector."""
    (requirement,) = exception.requirements
    return selector & Selector.of({}, requirement.opposite)


def naming(scene: Scene, stage: StageKey, namespace: str) -> Iterator[Grant]:
    """Give the grants of a namespace that name this stage and are bound to its namespace as it is."""
    scene.reads.add((names.GRANT, namespace, "*"))
    own = scene.snapshot.namespaces.get(stage.namespace)
    uid = own.meta.uid if own else ""
    grants = scene.snapshot.grants.get(namespace, {})
    for name in sorted(grants):
        grant = grants[name]
        if grant.spec is None or grant.meta.deleting:
            continue
        bound = grant.bound.get(stage.namespace)
        if bound is not None and uid and bound != uid:
            continue
        if any(_names(source, stage) for source in grant.spec.from_):
            yield grant


def _names(source: object, key: StageKey) -> bool:
    namespace, segment, stage = (getattr(source, field) for field in ("namespace", "segment", "stage"))
    return namespace == key.namespace and segment in (None, key.segment) and stage in (None, key.stage)


def _selector(scene: Scene, grant: Grant) -> Selector | None:
    assert grant.spec is not None
    to = grant.spec.to
    if to.pod_selector is not None:
        return canonical(to.pod_selector)
    assert to.service is not None
    service = scene.service(grant.meta.namespace, to.service.name)
    return service.selector if service else None


def _ports(scene: Scene, grant: Grant) -> tuple[PortRange, ...]:
    assert grant.spec is not None
    to = grant.spec.to
    if to.service is None:
        return ranges(grant.spec.ports)
    service = scene.service(grant.meta.namespace, to.service.name)
    return services.pod_ports(service, grant.spec.ports)[0] if service else ()
