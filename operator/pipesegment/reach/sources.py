"""Ingress: who may come to a stage, from its own accepts and from the stages that reach it."""

from collections.abc import Container, Iterator, Mapping

from pipesegment.facts.selectors import canonical
from pipesegment.reach import addresses, guardrails, notes, services, tunnels
from pipesegment.reach.edges import AddressPeer, Edge, PodPeer, Principal, StageKey, Target
from pipesegment.reach.fronts import parts, unread_ports
from pipesegment.reach.ports import http_rules, ranges
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import Declared, View
from pipesegment.reach.ways import Refused, leading, sources
from pipesegment.spec.segment import AcceptEntry


def ingress(scene: Scene, view: View) -> Iterator[Edge]:
    """Give a stage's ingress edges: from other stages' reaches, then from its own pods and cidr entries."""
    reached: set[StageKey] = set()
    refused: dict[StageKey, Refused] = {}
    for source in sources(scene, view):
        own = (source.key.namespace, source.key.segment) == (view.key.namespace, view.key.segment)
        for declared, found in leading(scene, source, view):
            if own and not guardrails.allows(scene, declared):
                continue
            if isinstance(found, Refused):
                refused.setdefault(source.key, found)
                continue
            reached.add(source.key)
            through = services.named(source.key.namespace, source.governing, declared.entry)
            parted = [(way, part) for way in found for part in parts(scene, view, way.ports, through)]
            for way, part in parted:
                yield Edge(
                    # Between segments the own entry is what lets the source in.
                    because=way.because if own else way.admitted,
                    direction="ingress",
                    target=Target.STAGE,
                    described=f"stage {source.key.stage}" if own else f"stage {source.key}",
                    open=True,
                    peers=(PodPeer(source.key.namespace, source.selector),),
                    ports=part.ports,
                    http=way.http,
                    principals=(Principal(source.key.namespace, source.account),),
                    hosts=part.hosts,
                    fronts=part.fronts,
                    other_mesh=source.mesh,
                    tunnel=tunnels.to_stage(scene, view),
                    unread=unread_ports(scene, view, part.ports, way.http),
                )
    for accept in view.accepts:
        if accept.entry.stage is not None:
            yield from _half_open(scene, view, accept, reached, refused)
        elif guardrails.accepts_allowed(scene, accept):
            yield from _declared(scene, view, accept)


def _declared(scene: Scene, view: View, accept: Declared[AcceptEntry]) -> Iterator[Edge]:
    entry = accept.entry
    ports, http = ranges(entry.ports), http_rules(entry.http)
    if entry.pods is not None:
        namespace = entry.pods.namespace or view.key.namespace
        accounts = entry.pods.service_accounts
        selector = canonical(entry.pods.pod_selector)
        for part in parts(scene, view, ports):
            yield Edge(
                because=accept.because,
                direction="ingress",
                target=Target.PODS,
                described=f"pods {namespace}: {selector}",
                open=True,
                peers=(PodPeer(namespace, selector),),
                ports=part.ports,
                http=http,
                principals=tuple(Principal(namespace, a) for a in sorted(accounts)) or (Principal(namespace, None),),
                hosts=part.hosts,
                fronts=part.fronts,
                unread=unread_ports(scene, view, part.ports, http),
                tunnel=tunnels.to_stage(scene, view),
            )
    elif entry.cidr is not None:
        peer = AddressPeer(entry.cidr.block, tuple(sorted(entry.cidr.except_)))
        described = f"cidr {entry.cidr.block}"
        if addresses.is_empty(entry.cidr.block, entry.cidr.except_):
            notes.nothing_left(scene, accept.because, described)
            yield Edge(accept.because, "ingress", Target.CIDR, described, open=False, ports=ports)
            return
        yield Edge(accept.because, "ingress", Target.CIDR, described, open=True, peers=(peer,), ports=ports, http=http)


def _half_open(
    scene: Scene,
    view: View,
    accept: Declared[AcceptEntry],
    reached: Container[StageKey],
    refused: Mapping[StageKey, Refused],
) -> Iterator[Edge]:
    """Say when a stage that is named does not reach here; `anyStage` and `anySegment` wait for whoever comes."""
    named = accept.entry.stage
    assert named is not None
    if named.any_stage or named.any_segment or named.name is None or not accept.because.startswith(view.path):
        return
    namespace, segment = named.namespace or view.key.namespace, named.segment or view.key.segment
    key = StageKey(namespace, segment, named.name)
    own = (namespace, segment) == (view.key.namespace, view.key.segment)
    # Within the segment the entry that reaches says it already.
    if key in reached or (own and key in refused):
        return
    if key in refused:
        notes.nothing_in_common(scene, accept.because, f"stage {key}", f"stage {key}", f"stage {view.key.stage}")
    else:
        notes.unreached(scene, view, accept.because, key)
    yield Edge(accept.because, "ingress", Target.STAGE, f"stage {key}", open=False, ports=ranges(accept.entry.ports))
