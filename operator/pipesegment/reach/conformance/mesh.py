"""What undoes a stage in the mesh: pods without a sidecar, and foreign objects of Istio that say otherwise."""

from collections.abc import Iterator
from typing import Final

from pipesegment.facts.others import PROXY, Foreign
from pipesegment.facts.snapshot import Pod
from pipesegment.findings import Finding
from pipesegment.reach.conformance.told import of_stage, selects
from pipesegment.reach.conformance.told import pods as some
from pipesegment.reach.conformance.widened import widened
from pipesegment.reach.graph import Mesh, StageReach
from pipesegment.reach.scene import Scene, View

#: Policies there hold for the workloads of every namespace.
_ROOT: Final = "istio-system"


def check(scene: Scene, view: View, stage: StageReach, pods: tuple[Pod, ...]) -> Iterator[Finding]:
    """Find what undoes a stage that is in the mesh."""
    if view.mesh is not Mesh.ISTIO:
        return
    yield from _without_sidecar(scene, view, pods)
    for found in scene.snapshot.others.foreign:
        if found.opens and _is_about(found, view, pods):
            match found.kind:
                case "AuthorizationPolicy":
                    target = f"{found.namespace}/{found.name}"
                    yield widened(scene, view, str(found), target, "selector")
                case "PeerAuthentication":
                    yield from _lax(scene, view, stage, found)
                case "Sidecar":
                    yield _shared(scene, view, found)


def _without_sidecar(scene: Scene, view: View, pods: tuple[Pod, ...]) -> Iterator[Finding]:
    bare = sorted(p.meta.name for p in pods if PROXY not in p.containers)
    if bare:
        message = f"{some(bare, f'of stage {view.key.stage}')} without a sidecar, so no policy of the mesh holds there"
        fix = f"have Istio inject it (label namespace {view.key.namespace} istio-injection=enabled), or set the stage's mesh: None"
        yield of_stage(scene, view, "NoSidecar", bare[0], message, fix)


def _is_about(found: Foreign, view: View, pods: tuple[Pod, ...]) -> bool:
    here = found.namespace == view.key.namespace or (found.kind == "AuthorizationPolicy" and found.namespace == _ROOT)
    return here and any(selects(selector, view.selector, pods) for selector in found.selectors)


def _lax(scene: Scene, view: View, stage: StageReach, found: Foreign) -> Iterator[Finding]:
    """Tell of a PeerAuthentication that competes with the stage's: of two that select a workload the older one holds.

    One for the whole namespace gives way to the stage's own, unless the stage was refused and has none.
    """
    if all(selector.is_empty for selector in found.selectors) and not stage.closed:
        return
    modes = ", ".join(f"{place} {mode}" for place, mode in found.modes)
    message = (
        f"{found}, which is not ours, lets plaintext into stage {view.key.stage} ({modes}) where it is the older one"
    )
    target = f"{found.namespace}/{found.name}"
    yield of_stage(scene, view, "LaxMutualTLS", target, message, "delete it, narrow its selector, or set it to STRICT")


def _shared(scene: Scene, view: View, found: Foreign) -> Finding:
    message = f"{found}, which is not ours, selects pods of stage {view.key.stage} too, and Istio takes either of two"
    target = f"{found.namespace}/{found.name}"
    return of_stage(scene, view, "Widened", target, message, "delete it, or narrow its workloadSelector")
