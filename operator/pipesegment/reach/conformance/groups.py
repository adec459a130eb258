"""Pods that do not have their stage's security groups, and a VPC CNI with which groups and NetworkPolicies do not go together.

A pod has the groups that it was scheduled with. Those that were given any carry an annotation with their own network
interface; which groups it has, nobody says in the cluster. Sources: amazon-vpc-resource-controller-k8s, docs/sgp; the
EKS best practices, 'Security Groups Per Pod'; amazon-vpc-cni-k8s' README on POD_SECURITY_GROUP_ENFORCING_MODE.
"""

from collections.abc import Iterator
from typing import Final

from pipesegment.facts.snapshot import Pod
from pipesegment.findings import Finding
from pipesegment.reach.conformance.engine import AMAZON, AUTO_MODE, Agent
from pipesegment.reach.conformance.escaped import FARGATE, is_on
from pipesegment.reach.conformance.told import of_stage
from pipesegment.reach.conformance.told import pods as some
from pipesegment.reach.graph import StageReach
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View

#: On a pod that has a network interface of its own.
_INTERFACE: Final = "vpc.amazonaws.com/pod-eni"
#: Nodes whose pods get their groups in another way, which pods do not show.
_OTHERWISE: Final = (FARGATE, AUTO_MODE)


def check(
    scene: Scene, agents: tuple[Agent, ...] | None, view: View, stage: StageReach, pods: tuple[Pod, ...]
) -> Iterator[Finding]:
    """Find what keeps a stage's groups, or its policies beside them, from holding."""
    if not stage.groups:
        return
    without = sorted(p.meta.name for p in pods if _lacks(scene, p))
    if without:
        message = f"{some(without, f'of stage {view.key.stage}')} there since before the stage's security groups, and still in the node's"
        yield of_stage(
            scene,
            view,
            "GroupsPending",
            without[0],
            message,
            "delete these pods, or let them end: only new ones get groups",
        )
    nodes = [a for a in agents or () if a.engine == AMAZON and a.env]
    if any(a.variable("ENABLE_POD_ENI") != "true" for a in nodes):
        message = (
            f"the {AMAZON} gives no pod an interface of its own, so the pods of stage {view.key.stage} stay Pending"
        )
        fix = "set ENABLE_POD_ENI=true in DaemonSet aws-node, or take securityGroupIDs out"
        yield of_stage(scene, view, "GroupsOff", view.key.stage, message, fix)
    elif any(a.variable("POD_SECURITY_GROUP_ENFORCING_MODE") != "standard" for a in nodes):
        message = (
            f"NetworkPolicies are not relied on for pods with security groups in the {AMAZON}'s strict mode: "
            f"whether those of stage {view.key.stage} hold is not known"
        )
        fix = "set POD_SECURITY_GROUP_ENFORCING_MODE=standard in DaemonSet aws-node"
        yield of_stage(scene, view, "GroupsStrict", view.key.stage, message, fix)


def _lacks(scene: Scene, pod: Pod) -> bool:
    """Tell whether a pod runs without an interface of its own, where it would show one."""
    if not pod.node or pod.host_network or _INTERFACE in pod.meta.annotations:
        return False
    return not any(is_on(scene, pod, label) for label in _OTHERWISE)
