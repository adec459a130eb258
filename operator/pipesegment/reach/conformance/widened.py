"""Foreign policies that select a stage's pods and open something: allows add up, and nobody takes them away again."""

from collections.abc import Iterator, Mapping
from typing import Final

from pipesegment.facts.others import CILIUM_CLUSTERWIDE, CILIUM_POLICY, Foreign
from pipesegment.facts.selectors import Requirement, Selector
from pipesegment.facts.snapshot import NetworkPolicy, Pod
from pipesegment.findings import Finding
from pipesegment.reach.conformance.told import foreign, of_stage, selects
from pipesegment.reach.governance import namespace_labels
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View

_FIX: Final = "delete it, narrow its {}, or declare what it opens"
#: Labels that Cilium gives a pod's endpoint beside the pod's own.
_NAMESPACE: Final = "io.kubernetes.pod.namespace"
_NAMESPACE_LABELS: Final = "io.cilium.k8s.namespace.labels."
_ACCOUNT: Final = "io.cilium.k8s.policy.serviceaccount"
_CLUSTER: Final = "io.cilium.k8s.policy.cluster"


def check(scene: Scene, view: View, pods: tuple[Pod, ...]) -> Iterator[Finding]:
    """Find the NetworkPolicies of others and of Cilium that widen a stage."""
    namespace = view.key.namespace
    scene.reads.add(("NetworkPolicy", namespace, "*"))
    for policy in scene.snapshot.foreign_policies(namespace):
        if _allows_anything(policy) and selects(policy.selector, view.selector, pods):
            yield widened(scene, view, f"NetworkPolicy {policy.meta.key}", str(policy.meta.key), "podSelector")
    for found in (*foreign(scene, CILIUM_POLICY, namespace), *foreign(scene, CILIUM_CLUSTERWIDE, "")):
        if found.opens and _cilium_selects(scene, view, found, pods):
            target = f"{found.namespace}/{found.name}".lstrip("/")
            yield widened(scene, view, str(found), target, "endpointSelector")


def widened(scene: Scene, view: View, policy: str, target: str, selector: str) -> Finding:
    """Tell that a foreign policy widens a stage."""
    message = f"stage {view.key.stage} is widened by {policy}, which is not ours"
    return of_stage(scene, view, "Widened", target, message, _FIX.format(selector))


def _allows_anything(policy: NetworkPolicy) -> bool:
    directions = (("Ingress", "ingress"), ("Egress", "egress"))
    return any(kind in policy.policy_types and policy.spec.get(rules) for kind, rules in directions)


def _cilium_selects(scene: Scene, view: View, found: Foreign, pods: tuple[Pod, ...]) -> bool:
    known = {
        _NAMESPACE: view.key.namespace,
        _ACCOUNT: view.account,
        **{f"{_NAMESPACE_LABELS}{k}": v for k, v in namespace_labels(view.key.namespace, scene.snapshot).items()},
    }
    for selector in found.selectors:
        rest = _beside(selector, known)
        if rest is not None and selects(rest, view.selector, pods):
            return True
    return False


def _beside(selector: Selector, known: Mapping[str, str]) -> Selector | None:
    """Take out of a selector what is known to hold of the stage's endpoints; None when it excludes them.

    Which cluster is meant cannot be told from here, so a selector of one counts as meaning this one.
    """
    left: list[Requirement] = []
    for requirement in selector.requirements:
        if requirement.key in known or requirement.key.startswith(_NAMESPACE_LABELS):
            if not requirement.matches(known):
                return None
        elif requirement.key != _CLUSTER:
            left.append(requirement)
    return Selector.of(
        {r.key: r.values[0] for r in left if r.operator == "In" and len(r.values) == 1},
        *(r for r in left if r.operator != "In" or len(r.values) != 1),
    )
