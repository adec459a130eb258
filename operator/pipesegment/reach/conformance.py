"""What around a segment undoes it: foreign policies that widen, pods that escape, pods that nobody selects."""

from collections.abc import Iterator

from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import NetworkPolicy, Pod
from pipesegment.findings import Finding
from pipesegment.reach.graph import Mode
from pipesegment.reach.scene import Scene, View


def findings(scene: Scene, views: tuple[View, ...], closing: tuple[Selector, ...]) -> Iterator[Finding]:
    """Give every finding of the condition `Conforming` that facts alone can show.

    `closing` are the pods that the pipeline's own policies close.
    """
    for view in views:
        pods = tuple(scene.snapshot.pods_of(view.key.namespace, view.selector))
        if view.mode is Mode.ENFORCE:
            yield from _widened(scene, view, pods)
            yield from _host_network(scene, view, pods)
        yield from _unwired(scene, view, pods)
    yield from _open_pods(scene, closing)


def wrong_account(view: View, pods: tuple[Pod, ...]) -> int:
    """Count a stage's pods that run as another account than the stage's."""
    return sum(1 for p in pods if p.service_account != view.account)


def _widened(scene: Scene, view: View, pods: tuple[Pod, ...]) -> Iterator[Finding]:
    namespace = view.key.namespace
    scene.reads.add(("NetworkPolicy", namespace, "*"))
    for name, policy in sorted(scene.snapshot.policies.get(namespace, {}).items()):
        if (
            policy.owned
            or policy.meta.deleting
            or not _allows_anything(policy)
            or not _selects(policy.selector, view.selector, pods)
        ):
            continue
        yield Finding(
            view.path,
            "Widened",
            f"{namespace}/{name}",
            f"stage {view.key.stage} is widened by NetworkPolicy {namespace}/{name}, which is not ours",
            "delete it, narrow its podSelector, or declare what it opens",
            scene.object,
        )


def _selects(theirs: Selector, mine: Selector, pods: tuple[Pod, ...]) -> bool:
    if mine.implies(theirs) or theirs.implies(mine):
        return True
    return any(theirs.matches(p.labels) for p in pods)


def _allows_anything(policy: NetworkPolicy) -> bool:
    directions = (("Ingress", "ingress"), ("Egress", "egress"))
    return any(kind in policy.policy_types and policy.spec.get(rules) for kind, rules in directions)


def _host_network(scene: Scene, view: View, pods: tuple[Pod, ...]) -> Iterator[Finding]:
    escaped = sorted(p.meta.name for p in pods if p.host_network)
    if escaped:
        yield Finding(
            view.path,
            "HostNetwork",
            escaped[0],
            f"{_pods(escaped, f'of stage {view.key.stage}')} on the host's network, which no NetworkPolicy covers",
            "take hostNetwork out of the pod's template",
            scene.object,
        )


def _unwired(scene: Scene, view: View, pods: tuple[Pod, ...]) -> Iterator[Finding]:
    wrong = sorted(p.meta.name for p in pods if p.service_account != view.account)
    if wrong:
        yield Finding(
            view.path,
            "Unwired",
            wrong[0],
            f"{_pods(wrong, f'of stage {view.key.stage}')} not running as service account {view.account}",
            "set the account in the engine; `pipesegment wire` prints how",
            scene.object,
        )


def _open_pods(scene: Scene, closing: tuple[Selector, ...]) -> Iterator[Finding]:
    """Find pods that no policy selects, unless the class isolates the namespace."""
    namespace = scene.namespace
    if scene.governance.spec.network.isolation.mode == "Namespace":
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
        yield Finding(
            "metadata.namespace",
            "NamespaceOpen",
            namespace,
            f"{_pods(open_pods, f'of namespace {namespace}')} selected by no NetworkPolicy, so anybody who may label a pod steps outside",
            "have the platform team set network.isolation.mode: Namespace in the SegmentClass",
            scene.object,
        )


def _pods(names: list[str], whose: str) -> str:
    """Name some pods as the subject of a sentence, with its verb."""
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    return f"{len(names)} pod{'s' if len(names) > 1 else ''} {whose} ({shown}) {'are' if len(names) > 1 else 'is'}"
