"""Pods of the namespace that no policy selects: whoever may label a pod steps outside of every stage."""

from collections.abc import Iterator

from pipesegment.facts.selectors import Selector
from pipesegment.findings import Finding
from pipesegment.reach.conformance.told import of_namespace
from pipesegment.reach.conformance.told import pods as some
from pipesegment.reach.graph import Mode
from pipesegment.reach.isolation import isolates
from pipesegment.reach.scene import Scene


def check(scene: Scene, closing: tuple[Selector, ...]) -> Iterator[Finding]:
    """Find pods that no policy selects, unless the class isolates the namespace."""
    namespace = scene.namespace
    if isolates(scene.governance.spec, namespace):
        return
    pods = scene.snapshot.pods.get(namespace, {})
    if not pods:
        return
    selectors = [p.selector for p in scene.snapshot.policies.get(namespace, {}).values() if not p.meta.deleting]
    for view in scene.views_in(namespace):
        if view.mode is Mode.ENFORCE:
            selectors += [s for s in (view.selector, view.placed.runner) if s is not None]
    selectors += closing
    open_pods = sorted(
        name
        for name, p in pods.items()
        if p.live and not p.host_network and not any(s.matches(p.labels) for s in selectors)
    )
    if open_pods:
        yield of_namespace(
            scene,
            "NamespaceOpen",
            f"{some(open_pods, f'of namespace {namespace}')} selected by no NetworkPolicy, so anybody who may label a pod steps outside",
            "have the platform team set network.isolation.mode: Namespace in the SegmentClass",
        )
