"""Pods that no policy reaches: on the host's network, or on a node where no engine runs."""

from collections.abc import Iterator
from typing import Final

from pipesegment.facts.snapshot import Pod
from pipesegment.findings import Finding
from pipesegment.reach.conformance.told import of_stage
from pipesegment.reach.conformance.told import pods as some
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View

#: EKS on Fargate runs no DaemonSet, so none of an engine's, and the VPC CNI has no engine of its own there.
FARGATE: Final = ("eks.amazonaws.com/compute-type", "fargate")


def check(scene: Scene, view: View, pods: tuple[Pod, ...]) -> Iterator[Finding]:
    """Find a stage's pods that escape."""
    whose = f"of stage {view.key.stage}"
    escaped = sorted(p.meta.name for p in pods if p.host_network)
    if escaped:
        message = f"{some(escaped, whose)} on the host's network, which no NetworkPolicy covers"
        yield of_stage(scene, view, "HostNetwork", escaped[0], message, "take hostNetwork out of the pod's template")
    unfenced = sorted(p.meta.name for p in pods if is_on(scene, p, FARGATE))
    if unfenced:
        message = f"{some(unfenced, whose)} on Fargate, where nothing enforces NetworkPolicies"
        fix = f"run the stage on nodes of EC2: take namespace {view.key.namespace} out of the Fargate profile"
        yield of_stage(scene, view, "UnfencedNode", unfenced[0], message, fix)


def is_on(scene: Scene, pod: Pod, label: tuple[str, str]) -> bool:
    """Tell whether a pod is on a node with a label; one that is not known has none."""
    node = scene.snapshot.nodes.get(pod.node)
    return node is not None and node.meta.labels.get(label[0]) == label[1]
