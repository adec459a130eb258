"""What is open though nobody declares it: what a stage's engine needs, and what its mesh does."""

from collections.abc import Iterator
from typing import Final, Literal

from pipesegment.reach import dns, engines, grants, mesh, targets, tunnels
from pipesegment.reach.edges import Edge, Mesh, PodPeer, Principal, Target
from pipesegment.reach.fronts import parts
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import Declared, View
from pipesegment.spec.segment import ReachEntry

_JENKINS_AGENT: Final = (50000, "TCP")


def jenkins(scene: Scene, view: View) -> Iterator[Edge]:
    """Reach the controller: every port of its Service, or with WebSocket every one but the agents' TCP port 50000."""
    controller = view.placed.needs.jenkins
    if controller is None:
        return
    namespace, name, web_socket = controller[0] or view.key.namespace, controller[1], controller[2]
    entry: dict[str, object] = {"service": {"name": name, "namespace": namespace}}
    service = scene.service(namespace, name)
    hidden = grants.needed(scene, namespace) and not grants.covers_service(scene, view, namespace, name, service)
    if web_socket and service is not None and not hidden:
        own = ((p.port, p.protocol) for p in service.ports)
        kept = [{"port": port, "protocol": protocol} for port, protocol in own if (port, protocol) != _JENKINS_AGENT]
        entry["ports"] = kept or [{"port": 80}]
    yield from targets.egress(scene, view, Declared(engines.BECAUSE, ReachEntry.model_validate(entry)))


def siblings(scene: Scene, view: View, direction: Literal["egress", "ingress"]) -> Iterator[Edge]:
    """Open the engine's own pods to each other, at every port: steps reach the services of their workflow."""
    selector = view.placed.needs.siblings
    if selector is not None:
        inbound = direction == "ingress"
        yield Edge(
            because=engines.BECAUSE,
            direction=direction,
            target=Target.PODS,
            described=f"pods {view.key.namespace}: {selector}",
            open=True,
            peers=(PodPeer(view.key.namespace, selector),),
            principals=(Principal(view.key.namespace, None),) if inbound else (),
            hosts=next(parts(scene, view, ())).hosts if inbound else (),
            tunnel=tunnels.to_stage(scene, view),
        )


def sidecar_needs(view: View, egress: list[Edge], ingress: list[Edge]) -> bool:
    """Tell whether a sidecar must find its control plane; a stage that declares nothing stays without."""
    return view.mesh in mesh.CONTROL_PLANES and any(e.open for e in (*egress, *ingress))


def note_idle_sidecar(scene: Scene, view: View, egress: list[Edge], ingress: list[Edge]) -> None:
    """Say that a stage's pods do not become ready: no way is opened for a sidecar that has nothing to carry."""
    if view.mesh in mesh.CONTROL_PLANES and not sidecar_needs(view, egress, ingress):
        stage = f"stage {view.key.stage}"
        scene.note(
            f"{view.path}.mesh",
            "MeshIdle",
            stage,
            f"nothing of {stage} is open, so its sidecar cannot reach its control plane, and its pods do not become ready",
            "give it `mesh: None`, or declare what it reaches or accepts",
        )


def control_plane(view: View, egress: list[Edge], ingress: list[Edge]) -> Iterator[Edge]:
    """Let a stage's sidecars find their control plane, where they must."""
    if sidecar_needs(view, egress, ingress):
        yield from _control_planes(view.mesh)


def _control_planes(found: Mesh) -> Iterator[Edge]:
    for part in mesh.CONTROL_PLANES.get(found, ()):
        yield Edge(
            because="mesh",
            direction="egress",
            target=Target.SERVICE,
            described=f"service {part.service}",
            open=True,
            peers=(part.pods,),
            ports=part.ports,
            hosts=part.hosts,
        )


def of_runners(scene: Scene, view: View, needs: engines.Needs) -> Iterator[Edge]:
    """Give ARC's runner pods what the engine needs; in the mesh their own sidecars need their control plane as any other."""
    for entry in needs.reaches:
        yield from targets.egress(scene, view, Declared(engines.BECAUSE, entry))
    yield from dns.edges(scene, view, names_needed=True)
    yield from _control_planes(view.mesh)
