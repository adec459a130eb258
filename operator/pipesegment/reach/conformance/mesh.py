"""What undoes a stage in the mesh: pods without a proxy, and foreign objects of Istio that say otherwise."""

from collections.abc import Iterator
from typing import Final

from pipesegment.facts.others import (
    ISTIO_AUTHENTICATION,
    ISTIO_AUTHORIZATION,
    ISTIO_SIDECAR,
    PROXY,
    Foreign,
    is_captured,
)
from pipesegment.facts.snapshot import Pod
from pipesegment.findings import Finding
from pipesegment.reach.conformance import linkerd
from pipesegment.reach.conformance.told import NO_SIDECAR, foreign, of_stage, selects, unheld
from pipesegment.reach.conformance.told import pods as some
from pipesegment.reach.conformance.widened import widened
from pipesegment.reach.edges import Mesh
from pipesegment.reach.graph import StageReach
from pipesegment.reach.mesh import DATA_PLANE
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View

#: Policies there hold for the workloads of every namespace.
_ROOT: Final = "istio-system"


def check(scene: Scene, view: View, stage: StageReach, pods: tuple[Pod, ...]) -> Iterator[Finding]:
    """Find what undoes a stage that is in the mesh, and pods of one that is not whose calls the mesh takes all the same."""
    match view.mesh:
        case Mesh.ISTIO:
            yield from _without_sidecar(scene, view, pods)
        case Mesh.AMBIENT:
            yield from _not_captured(scene, view, pods)
        case Mesh.LINKERD:
            yield from linkerd.check(scene, view, pods)
            return
        case _:
            yield from _captured(scene, view, pods)
            return
    yield from _foreign(scene, view, stage, pods)


def _foreign(scene: Scene, view: View, stage: StageReach, pods: tuple[Pod, ...]) -> Iterator[Finding]:
    namespace = view.key.namespace
    for found in (f for where in sorted({namespace, _ROOT}) for f in foreign(scene, ISTIO_AUTHORIZATION, where)):
        if found.opens and (_is_about(found, view, pods) or _hangs_before(found, stage)):
            target = f"{found.namespace}/{found.name}"
            yield widened(scene, view, str(found), target, "targetRefs" if found.targets else "selector")
    for found in foreign(scene, ISTIO_AUTHENTICATION, namespace):
        if found.opens and _is_about(found, view, pods):
            yield from _lax(scene, view, stage, found)
    if view.mesh is Mesh.ISTIO:
        for found in foreign(scene, ISTIO_SIDECAR, namespace):
            if found.opens and _is_about(found, view, pods):
                yield _shared(scene, view, found)


def _without_sidecar(scene: Scene, view: View, pods: tuple[Pod, ...]) -> Iterator[Finding]:
    bare = (p for p in pods if PROXY not in p.containers)
    mend = f"have Istio inject it (label namespace {view.key.namespace} istio-injection=enabled)"
    yield from unheld(scene, view, bare, NO_SIDECAR, mend)


def _not_captured(scene: Scene, view: View, pods: tuple[Pod, ...]) -> Iterator[Finding]:
    bare = (p for p in pods if not is_captured(p.meta.annotations))
    mend = (
        f"label namespace {view.key.namespace} {DATA_PLANE}=ambient and take a label that says otherwise off the pods"
    )
    yield from unheld(scene, view, bare, ("NotCaptured", "not captured by ztunnel"), mend)


def _captured(scene: Scene, view: View, pods: tuple[Pod, ...]) -> Iterator[Finding]:
    found = sorted(p.meta.name for p in pods if is_captured(p.meta.annotations))
    if found:
        message = (
            f"{some(found, f'of stage {view.key.stage}')} captured by ztunnel although the stage is not in the mesh, "
            "so calls to pods in the mesh go to a port that is closed"
        )
        yield of_stage(scene, view, "Captured", found[0], message, f"label these pods {DATA_PLANE}: none")


def _hangs_before(found: Foreign, stage: StageReach) -> bool:
    """Tell whether it hangs on a Service of the stage's that a waypoint stands in front of, or on that waypoint."""
    if found.namespace != stage.key.namespace:
        return False
    mine = {("Service", front.service) for front in stage.fronts}
    return not mine.union(("Gateway", front.waypoint.name) for front in stage.fronts).isdisjoint(found.targets)


def _is_about(found: Foreign, view: View, pods: tuple[Pod, ...]) -> bool:
    return any(selects(selector, view.selector, pods) for selector in found.selectors)


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
