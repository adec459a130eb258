"""SecurityGroupPolicies: which security groups of AWS the pods of a stage are given, when they are scheduled.

Pods are selected by the labels of their service account, and never by an empty selector, which would mean every pod of the
namespace. Sources: the types and the CRD of amazon-vpc-resource-controller-k8s; the EKS user guide on security groups for
Pods.
"""

from typing import Any, Final

from pipesegment import names
from pipesegment.compile.objects import owned
from pipesegment.reach.graph import Reach, StageReach

VERSION: Final = "vpcresources.k8s.aws/v1beta1"
KIND: Final = "SecurityGroupPolicy"


def security_groups(reach: Reach) -> list[dict[str, Any]]:
    """Render one policy for each stage that has groups."""
    return [_policy(reach, stage) for stage in reach.stages if stage.groups]


def _policy(reach: Reach, stage: StageReach) -> dict[str, Any]:
    name = names.object_name(stage.key.segment, stage.key.stage)
    made = owned(reach, VERSION, KIND, name, stage)
    # The labels of the account that the stage has for itself: `compile.identity` writes the same.
    made["spec"] = {
        "serviceAccountSelector": {"matchLabels": dict(made["metadata"]["labels"])},
        "securityGroups": {"groupIds": list(stage.groups)},
    }
    return made
