"""What undoes a stage in Linkerd: pods without a sidecar, and policies of others that let in more at its ports."""

from collections.abc import Iterator
from typing import Final

from pipesegment import names
from pipesegment.facts.others import (
    LINKERD_AUTHORIZATION,
    LINKERD_PROXY,
    LINKERD_ROUTE,
    LINKERD_SERVER,
    LINKERD_SERVER_AUTHORIZATION,
    Foreign,
)
from pipesegment.facts.snapshot import Pod
from pipesegment.findings import Finding
from pipesegment.reach.conformance.told import NO_SIDECAR, foreign, of_stage, selects, unheld
from pipesegment.reach.conformance.told import pods as some
from pipesegment.reach.conformance.widened import widened
from pipesegment.reach.mesh import DEFAULT_POLICY, annotation
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View

_FIELDS: Final = {"Server": "podSelector", "HTTPRoute": "parentRefs", "ServerAuthorization": "server"}


def check(scene: Scene, view: View, pods: tuple[Pod, ...]) -> Iterator[Finding]:
    """Find what undoes a stage that is in Linkerd."""
    bare = (p for p in pods if LINKERD_PROXY not in p.containers)
    mend = f"have Linkerd inject it (annotate namespace {view.key.namespace} linkerd.io/inject: enabled)"
    yield from unheld(scene, view, bare, NO_SIDECAR, mend)
    lax = sorted(p.meta.name for p in pods if p.meta.annotations.get(DEFAULT_POLICY, "deny") != "deny")
    if lax and annotation(DEFAULT_POLICY, view.key.namespace, scene.snapshot) == "deny":
        message = f"{some(lax, f'of stage {view.key.stage}')} annotated to let in more at ports that no Server names than its namespace does"
        yield of_stage(scene, view, "Widened", lax[0], message, f"take the annotation {DEFAULT_POLICY} off the pods")
    kinds = (LINKERD_SERVER, LINKERD_ROUTE, LINKERD_AUTHORIZATION, LINKERD_SERVER_AUTHORIZATION)
    for found in (f for kind in kinds for f in foreign(scene, kind, view.key.namespace)):
        if found.opens and _lets_in(found, view, pods):
            field = _FIELDS.get(found.kind, "targetRef")
            yield widened(scene, view, str(found), f"{found.namespace}/{found.name}", field)


def _lets_in(found: Foreign, view: View, pods: tuple[Pod, ...]) -> bool:
    """Tell whether it is about a Server of the stage's or a route there, or a Server of its own at the stage's pods."""
    if found.kind == "Server":
        return any(selects(selector, view.selector, pods) for selector in found.selectors)
    # Routes are named as the Server is that they are of.
    server = f"{view.key.segment}-{view.key.stage}-port-"[: names.MAX_NAME - 9]
    return any(
        kind == "Namespace" or (kind in {"Server", "HTTPRoute"} and name.startswith(server))
        for kind, name in found.targets
    )
