"""Pods of the namespace that no policy selects: whoever may label a pod steps outside of every stage."""

from collections.abc import Iterator

from pipesegment import names
from pipesegment.facts.byselector import BySelector
from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import Pod
from pipesegment.findings import Finding
from pipesegment.reach.conformance.told import of_namespace
from pipesegment.reach.conformance.told import pods as some
from pipesegment.reach.governance import is_isolated
from pipesegment.reach.isolation import isolates
from pipesegment.reach.scene import Scene


def check(scene: Scene, closing: tuple[Selector, ...]) -> Iterator[Finding]:
    """Find pods that no policy selects, unless the class isolates the namespace."""
    namespace = scene.namespace
    scene.reads.add(("NetworkPolicy", namespace, names.DEFAULT_DENY))
    if is_isolated(scene.governance, namespace, scene.snapshot):
        return
    pods = scene.snapshot.pods.get(namespace, {})
    if not pods:
        return
    foreign = _policies(scene, namespace)
    open_pods = sorted(
        name
        for name, pod in pods.items()
        if pod.live and not pod.host_network and not _is_closed(scene, pod, closing, foreign)
    )
    if open_pods:
        yield of_namespace(
            scene,
            "NamespaceOpen",
            f"{some(open_pods, f'of namespace {namespace}')} selected by no NetworkPolicy, so anybody who may label a pod steps outside",
            _fix(scene),
        )


def _fix(scene: Scene) -> str:
    held = f"NetworkPolicy {scene.namespace}/{names.DEFAULT_DENY}"
    if scene.governance.stalled:
        return "see to it that a class governs the namespace"
    if isolates(scene.governance.spec, scene.namespace):
        return f"delete {held}, which is not the SegmentClass's, so that the class can make its own"
    return "have the platform team set network.isolation.mode: Namespace in the SegmentClass"


def _is_closed(scene: Scene, pod: Pod, closing: tuple[Selector, ...], policies: BySelector[None]) -> bool:
    return (
        pod.meta.name in scene.enforcing(pod.meta.namespace)
        or any(selector.matches(pod.labels) for selector in closing)
        or any(True for _ in policies.matching(pod.labels))
    )


def _policies(scene: Scene, namespace: str) -> BySelector[None]:
    """Give the NetworkPolicies of a namespace, whoever wrote them, by the pods that they select."""
    memo = scene.snapshot.memo
    if ("policies", namespace) not in memo:
        memo["policies", namespace] = BySelector()
    found: BySelector[None] = memo["policies", namespace]
    held = scene.snapshot.policies.get(namespace, {})
    found.follow(held, lambda policy: () if policy.meta.deleting else ((policy.selector, None),))
    return found
