"""Ingress: who may come to a stage, from its own accepts and from the stages that reach it."""

from collections.abc import Container, Iterator, Mapping

from pipesegment.facts.selectors import canonical
from pipesegment.reach import guardrails
from pipesegment.reach.graph import AddressPeer, Edge, Mesh, PodPeer, Principal, StageKey, Target
from pipesegment.reach.ports import http_rules, ranges
from pipesegment.reach.scene import Declared, Scene, View
from pipesegment.reach.ways import Refused, admits, sources, ways
from pipesegment.spec.segment import AcceptEntry


def ingress(scene: Scene, view: View) -> Iterator[Edge]:
    """Give a stage's ingress edges: from other stages' reaches, then from its own pods and cidr entries."""
    reached: set[StageKey] = set()
    refused: dict[StageKey, Refused] = {}
    for source in sources(scene, view):
        own = (source.key.namespace, source.key.segment) == (view.key.namespace, view.key.segment)
        for declared in source.reaches:
            if own and not guardrails.allows(scene, declared):
                continue
            found = ways(scene, source, declared, view)
            if found is None:
                continue
            if isinstance(found, Refused):
                refused.setdefault(source.key, found)
                continue
            reached.add(source.key)
            for way in found:
                yield Edge(
                    because=way.because if own else _because(view, source),
                    direction="ingress",
                    target=Target.STAGE,
                    described=f"stage {source.key.stage}" if own else f"stage {source.key}",
                    open=True,
                    peers=(PodPeer(source.key.namespace, source.selector),),
                    ports=way.ports,
                    http=way.http,
                    principals=(Principal(source.key.namespace, source.account),),
                    other_meshed=source.mesh is not Mesh.NONE,
                )
    for accept in view.accepts:
        if accept.entry.stage is not None:
            _note_half_open(scene, view, accept, reached, refused)
        elif guardrails.accepts_allowed(scene, accept):
            yield from _declared(view, accept)


def _because(view: View, source: View) -> str:
    """Between segments the own entry is what lets the source in."""
    return next((d.because for d in view.accepts if admits(d.entry, view, source)), view.path)


def _declared(view: View, accept: Declared[AcceptEntry]) -> Iterator[Edge]:
    entry = accept.entry
    ports, http = ranges(entry.ports), http_rules(entry.http)
    if entry.pods is not None:
        namespace = entry.pods.namespace or view.key.namespace
        accounts = entry.pods.service_accounts
        selector = canonical(entry.pods.pod_selector)
        yield Edge(
            because=accept.because,
            direction="ingress",
            target=Target.PODS,
            described=f"pods {namespace}: {selector}",
            open=True,
            peers=(PodPeer(namespace, selector),),
            ports=ports,
            http=http,
            principals=tuple(Principal(namespace, a) for a in sorted(accounts)) or (Principal(namespace, None),),
        )
    elif entry.cidr is not None:
        peer = AddressPeer(entry.cidr.block, tuple(sorted(entry.cidr.except_)))
        described = f"cidr {entry.cidr.block}"
        yield Edge(accept.because, "ingress", Target.CIDR, described, open=True, peers=(peer,), ports=ports, http=http)


def _note_half_open(
    scene: Scene,
    view: View,
    accept: Declared[AcceptEntry],
    reached: Container[StageKey],
    refused: Mapping[StageKey, Refused],
) -> None:
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
    described = f"stage {key}"
    if key in refused:
        scene.note(accept.because, "NothingInCommon", described, *nothing_in_common(f"stage {key}", f"stage {view.key.stage}"))
        return
    scene.note(
        accept.because,
        "HalfOpen",
        described,
        f"{described} declares no reaches to stage {view.key.stage} of segment {view.key.namespace}/{view.key.segment}, or does not exist yet",
        f"declare reaches: [{{stage: {{name: {view.key.stage}, segment: {view.key.segment}, namespace: {view.key.namespace}}}, ports: […]}}] there",
    )
