"""Ports that pods of a stage take out of the mesh by their annotations, and callers of a stage that are not in it.

Sources: Istio's references of annotations; Linkerd's proxy configuration.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from pipesegment.facts.others import LINKERD_PROXY, PROXY, is_captured
from pipesegment.facts.snapshot import Pod
from pipesegment.findings import Finding
from pipesegment.reach.conformance.told import of_stage
from pipesegment.reach.conformance.told import pods as some
from pipesegment.reach.edges import Mesh, PodPeer, Target
from pipesegment.reach.graph import StageReach
from pipesegment.reach.mesh import annotation
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View

#: The only ports that Istio's sidecar stands in front of, unless it says `*`.
_INCLUDED: Final = "traffic.sidecar.istio.io/includeInboundPorts"
#: What takes inbound ports past the sidecar. Linkerd reads it off the namespace too.
_SKIP: Final = "config.linkerd.io/skip-inbound-ports"
_EXCLUDED: Final[Mapping[Mesh, str]] = {
    Mesh.ISTIO: "traffic.sidecar.istio.io/excludeInboundPorts",
    Mesh.AMBIENT: "ambient.istio.io/bypass-inbound-capture",
    Mesh.LINKERD: _SKIP,
}
_ALSO: Final[Mapping[Mesh, str]] = {Mesh.ISTIO: f" (or {_INCLUDED})", Mesh.LINKERD: " and off the namespace"}


def check(scene: Scene, view: View, stage: StageReach, pods: tuple[Pod, ...]) -> Iterator[Finding]:
    """Find what passes by the proxies of a stage in the mesh, and whom these never let in."""
    if view.mesh is Mesh.NONE:
        return
    found = sorted(p.meta.name for p in pods if _passes_by(scene, view, p))
    if found:
        label = _EXCLUDED[view.mesh]
        message = f"{some(found, f'of stage {view.key.stage}')} annotated to let ports past its proxy, so no policy of the mesh holds there"
        fix = f"take the annotation {label} off the pods' template{_ALSO.get(view.mesh, '')}"
        yield of_stage(scene, view, "Bypassed", found[0], message, fix)
    if not stage.closed:
        yield from _outsiders(scene, view, stage)


def _passes_by(scene: Scene, view: View, pod: Pod) -> bool:
    said = pod.meta.annotations
    match view.mesh:
        case Mesh.ISTIO:
            return bool(said.get(_EXCLUDED[Mesh.ISTIO])) or said.get(_INCLUDED, "*") != "*"
        case Mesh.LINKERD:
            return bool(said.get(_SKIP, annotation(_SKIP, view.key.namespace, scene.snapshot)))
        case _:
            return said.get(_EXCLUDED[Mesh.AMBIENT]) == "true"


def _outsiders(scene: Scene, view: View, stage: StageReach) -> Iterator[Finding]:
    """Find pods that an entry of `accepts` means and that no proxy gives an identity."""
    for edge in stage.ingress:
        if not edge.open or edge.target is not Target.PODS or not edge.principals:
            continue
        if not any(port.protocol == "TCP" for port in edge.ports):
            continue
        for peer in edge.peers:
            if not isinstance(peer, PodPeer):
                continue
            scene.watches.add((peer.namespace, peer.selector))
            bare = sorted(
                p.meta.name
                for p in scene.snapshot.pods_of(peer.namespace, peer.selector)
                if p.ips and not _has_identity(p)
            )
            if bare:
                message = (
                    f"{some(bare, f'of namespace {peer.namespace}')} meant by {edge.described} and not in the mesh, and stage "
                    f"{view.key.stage} lets in mesh identities alone"
                )
                fix = "bring them into the mesh, or set the stage's mesh: None"
                yield Finding(edge.because, "DeadEnd", edge.described, message, fix, scene.object)


def _has_identity(pod: Pod) -> bool:
    return PROXY in pod.containers or LINKERD_PROXY in pod.containers or is_captured(pod.meta.annotations)
