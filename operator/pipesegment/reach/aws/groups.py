"""Which security groups of AWS a stage's pods are given, held to the class's list (docs/adr/0054)."""

from typing import Final

from pipesegment.reach import governance
from pipesegment.reach.aws.judge import Judge
from pipesegment.reach.edges import Mode
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View

#: Whose controllers give pods their groups; EKS brings the kind with it.
CRD: Final = "securitygrouppolicies.vpcresources.k8s.aws"


def groups(scene: Scene, judge: Judge, view: View, *, withdrawn: bool) -> tuple[str, ...]:
    """Give a stage's groups; none when any of them is refused, the stage was, or nothing may block yet."""
    asked = view.stage.aws.security_group_ids
    path = f"{view.path}.aws.securityGroupIDs"
    if not asked or (scene.governance.stalled and not scene.governance.name):
        return ()
    if not scene.governance.name:
        said, fix = governance.ungoverned(
            scene.governance, scene.namespace, scene.snapshot, "aws.allowedSecurityGroupIDs"
        )
        judge.refuse(path, f"asks for security groups, and {said}", scene.namespace, fix)
    else:
        _judge(judge, view, path)
    if withdrawn or view.mode is Mode.OBSERVE or judge.refusals:
        return ()
    if CRD not in scene.snapshot.crds:
        scene.note(
            path,
            "GroupsUnserved",
            f"stage {view.key.stage}",
            f"the kind SecurityGroupPolicy is not installed, so the pods of stage {view.key.stage} have the groups of their node",
            f"run the pipeline on EKS, which brings {CRD}; offline give that CustomResourceDefinition by --facts",
        )
        return ()
    return tuple(sorted(asked))


def _judge(judge: Judge, view: View, path: str) -> None:
    allowed = judge.aws.allowed_security_group_ids
    for index, group in enumerate(view.stage.aws.security_group_ids):
        if group not in allowed:
            fix = f"use some of {', '.join(allowed[:5])}{', …' if len(allowed) > 5 else ''}" if allowed else ""
            fix = fix or "have the platform team add it to spec.aws.allowedSecurityGroupIDs"
            judge.refuse(f"{path}[{index}]", f"is not among the security groups that {judge.who} allows:", group, fix)
    if not view.stage.service_account.create:
        # Pods are selected by their account's labels, and an account that is only used is never changed.
        judge.refuse(
            path,
            "are given by the labels of the account, which is not made here:",
            view.account,
            "set serviceAccount.create: true",
        )
