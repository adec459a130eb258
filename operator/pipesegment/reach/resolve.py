"""Resolve: a segment and its surroundings become a Reach.

The order is the story: who governs, which pods each stage is, whether another segment was there first, what each stage
reaches and accepts, what that needs in other namespaces, and what around it undoes it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from pipesegment.errors import Refused
from pipesegment.facts.snapshot import Segment, Snapshot
from pipesegment.findings import Refusal
from pipesegment.reach import (
    calls,
    conformance,
    dns,
    endpoints,
    exceptions,
    governance,
    grants,
    guardrails,
    mesh,
    notes,
    overlap,
    pipeline,
    sealing,
    sources,
    targets,
    tunnels,
    undeclared,
)
from pipesegment.reach.aws import resolve as cloud
from pipesegment.reach.conformance import unwired
from pipesegment.reach.edges import Edge, Mesh, Mode, PortRange
from pipesegment.reach.fronts import byte_ports
from pipesegment.reach.graph import Account, GrantedCalls, GrantedIngress, Reach, RunnerReach, StageReach
from pipesegment.reach.rights import allowed
from pipesegment.reach.scene import Scene
from pipesegment.reach.stages import placements
from pipesegment.reach.view import View
from pipesegment.spec.segment import PipelineSegmentSpec, Stage

#: What an edge costs until it is compiled, in the steps of a Scene.
_EDGE_STEPS: Final = 150


def resolve(segment: Segment, snapshot: Snapshot) -> Reach:
    """Resolve one segment.

    Raises Refused when the segment's own words cannot be given a meaning (a preset without its field, a spec that was
    refused). What the class does not allow is in `refusals` instead, with its entries closed, so that a class that
    narrows closes what it no longer allows.

    Where the class asks for more while the segment does not conform, that is found out before anything opens: what the
    last status said may be over.
    """
    if segment.unfit is False and exceptions.is_asked_for_more(
        segment, snapshot, governance.of_segment(segment, snapshot)
    ):
        careful = _resolve(replace(segment, unfit=True), snapshot)
        if any(finding.reason in conformance.UNDOING for finding in careful.findings):
            return careful
    return _resolve(segment, snapshot)


def _resolve(segment: Segment, snapshot: Snapshot) -> Reach:
    scene = Scene(segment, snapshot)
    spec = _placed_spec(segment)
    governing = scene.governance
    views = scene.views(segment)
    overlap.within(scene, views)
    guardrails.check_segment(scene)
    _note_surroundings(scene)
    judged = scene.standings(segment)
    notes.idle(scene, judged)
    younger = overlap.between(scene, views)
    granted: list[GrantedIngress] = []
    held: list[GrantedCalls] = []
    stages = tuple(
        _sealed(scene, spec, view, overlapping=view.key.stage in younger)
        if view.sealed
        else _stage(scene, spec, view, view.key.stage in younger, granted, held)
        for view in views
    )
    stages, cloud_refusals = cloud.identified(scene, views, stages)
    closing = pipeline.closing(scene, spec)
    for finding in conformance.findings(scene, views, stages, closing, granted):
        scene.tell(finding)
    return Reach(
        segment=segment.meta.key,
        uid=segment.meta.uid,
        governance=governing,
        stages=stages,
        network=scene.network,
        closing=closing,
        granted=tuple(dict.fromkeys(granted)),
        calls=tuple(dict.fromkeys(held)),
        covered=tuple(dict.fromkeys(scene.covered)),
        ungranted=frozenset(scene.ungranted),
        suspended=governance.is_suspended(spec, governing),
        findings=tuple(scene.findings),
        refusals=tuple(scene.refusals),
        cloud_refusals=cloud_refusals,
        host_names=tuple(sorted(scene.followed.items())),
        exceptions=judged,
        reads=frozenset(scene.reads),
        watches=frozenset(scene.watches),
    )


def _placed_spec(segment: Segment) -> PipelineSegmentSpec:
    if segment.spec is None:
        raise Refused(segment.refusals)
    refusals = [p for p in placements(segment) if isinstance(p, Refusal)]
    if refusals:
        raise Refused(refusals)
    return segment.spec


def _note_surroundings(scene: Scene) -> None:
    stalled = governance.stalled_finding(scene.governance, scene.namespace, scene.snapshot)
    unknown = governance.unknown_finding(scene.governance, scene.namespace, scene.snapshot)
    unsupported = mesh.unsupported(scene.namespace, scene.governance, scene.snapshot)
    for found in (stalled, unknown, unsupported):
        if found is not None:
            scene.note(found.path, found.reason, found.target, found.message, found.fix)


def _sealed(scene: Scene, spec: PipelineSegmentSpec, view: View, *, overlapping: bool) -> StageReach:
    pods = tuple(scene.snapshot.pods_of(view.key.namespace, view.selector))
    return replace(
        sealing.cut_off(view, _account(view, spec.stages[view.index])),
        # The pods of one that overlaps are another stage's: that one has to be sealed.
        sealed="" if overlapping else view.sealed,
        pods=len(pods),
        wrong_account=unwired.count(view, pods),
        wired=unwired.is_wired(scene, view, pods),
    )


def _stage(
    scene: Scene,
    spec: PipelineSegmentSpec,
    view: View,
    closed: bool,
    granted: list[GrantedIngress],
    held: list[GrantedCalls],
) -> StageReach:
    pods = tuple(scene.snapshot.pods_of(view.key.namespace, view.selector))
    egress = list(_counted(scene, _egress(scene, view)))
    ingress = list(_counted(scene, sources.ingress(scene, view)))
    egress += undeclared.siblings(scene, view, "egress")
    ingress += undeclared.siblings(scene, view, "ingress")
    egress += cloud.agent(view)
    egress += _counted(scene, endpoints.derived(scene, view))
    sidecar = undeclared.sidecar_needs(view, egress, ingress)
    named = view.placed.needs.names or view.stage.aws.pods is not None or sidecar
    egress += dns.edges(scene, view, names_needed=named)
    egress += undeclared.control_plane(view, egress, ingress)
    if not closed and view.mode is Mode.ENFORCE:
        granted.extend(_granted(scene, view, egress))
        held.extend(calls.granted_calls(scene, view, egress))
        undeclared.note_idle_sidecar(scene, view, egress, ingress)
    return StageReach(
        key=view.key,
        path=view.path,
        selector=view.selector,
        mode=view.mode,
        mesh=view.mesh,
        account=_account(view, spec.stages[view.index]),
        egress=_sorted(egress),
        ingress=_sorted(ingress),
        closed=closed,
        runner=_runner(scene, view),
        fronts=tunnels.fronts(scene, view),
        opaque=byte_ports(scene, view) if view.mesh is Mesh.LINKERD else (),
        probes=tuple(sorted({p for pod in pods for p in pod.probes})) if view.mesh is Mesh.LINKERD else (),
        pods=len(pods),
        wrong_account=unwired.count(view, pods),
        wired=unwired.is_wired(scene, view, pods),
    )


def _counted(scene: Scene, edges: Iterator[Edge]) -> Iterator[Edge]:
    for edge in edges:
        scene.spend(_EDGE_STEPS)
        yield edge


def _egress(scene: Scene, view: View) -> Iterator[Edge]:
    for declared in view.reaches:
        yield from targets.egress(scene, view, declared)
    yield from undeclared.jenkins(scene, view)


def _granted(scene: Scene, view: View, egress: list[Edge]) -> Iterator[GrantedIngress]:
    """Give the other halves of edges to pods of no stage.

    They are told apart by what they point at, and by a number where several entries point at the same: their names must
    depend neither on the order of entries nor on their ports.
    """
    seen: Counter[str] = Counter()
    for edge in filter(calls.may_be_granted, _sorted(egress)):
        seen[edge.described] += 1
        apart = f"{edge.target}/{edge.described}/{seen[edge.described]}"
        for peer in calls.strangers(scene, edge):
            yield from grants.granted(scene, view, edge.because, peer, edge.ports, apart)


def _runner(scene: Scene, view: View) -> RunnerReach | None:
    """ARC in Kubernetes mode: the runner pods reach what the engine needs, the job pods what the stage declares."""
    placed = view.placed
    if placed.runner is None or placed.runner_needs is None:
        return None
    return RunnerReach(placed.runner, _sorted(undeclared.of_runners(scene, view, placed.runner_needs)))


def _account(view: View, stage: Stage) -> Account:
    declared = stage.service_account
    automount = declared.automount_token
    if automount is None:
        automount = any(d.entry.kubernetes_api is not None for d in view.reaches)
    return Account(
        name=view.account,
        create=declared.create,
        automount=automount,
        image_pull_secrets=tuple(declared.image_pull_secrets),
        annotations=tuple(sorted(declared.annotations.items())),
        roles=allowed(view),
    )


def _sorted(edges: Iterable[Edge]) -> tuple[Edge, ...]:
    """Order edges by what they are, not by where they were written: the order of input must not matter."""

    def ports_key(port: PortRange) -> tuple[str, str, int]:
        return (port.protocol, str(port.port), port.end or 0)

    return tuple(
        sorted(
            dict.fromkeys(edges),
            key=lambda e: (
                e.target,
                e.described,
                [ports_key(p) for p in e.ports],
                [str(p) for p in e.peers],
                [str(h) for h in e.http],
                e.because,
            ),
        )
    )
