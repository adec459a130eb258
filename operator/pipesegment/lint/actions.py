"""Checks of what a stage may do in AWS, against what AWS itself says of its actions. The reference comes from outside."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipesegment.findings import Finding
from pipesegment.reach.aws.wildcards import meet
from pipesegment.spec.cloud import Permission
from pipesegment.spec.phrases import nearest
from pipesegment.spec.segment import PipelineSegmentSpec

#: Actions by which code of one's own comes to run as a role that is there already. Where a role must be passed the
#: built-in denials are in the way (`reach.aws.actions`).
_ESCALATING: Final = (
    "codebuild:StartBuild",
    "codebuild:StartBuildBatch",
    "codepipeline:PutJobSuccessResult",
    "datapipeline:PutPipelineDefinition",
    "ec2:ModifyInstanceAttribute",
    "ecs:ExecuteCommand",
    "ecs:RunTask",
    "glue:UpdateDevEndpoint",
    "glue:UpdateJob",
    "lambda:UpdateFunctionCode",
    "lambda:UpdateFunctionConfiguration",
    "sagemaker:CreatePresignedNotebookInstanceUrl",
    "states:UpdateStateMachine",
)
#: Actions that read what is kept.
_READING: Final = (
    "dynamodb:Scan",
    "ecr:BatchGetImage",
    "rds-data:ExecuteStatement",
    "s3:GetObject",
    "secretsmanager:GetSecretValue",
    "ssm:GetParameter",
    "ssm:GetParameters",
    "ssm:GetParametersByPath",
)
_PERMISSIONS: Final = "Permissions management"
_SHOWN: Final = 3
#: What an ARN consists of.
_PARTS: Final = 6


@dataclass(frozen=True, slots=True)
class Known:
    """An action that AWS has. `arns` are the resources that it works on, placeholders as `*`; empty: it knows `*` alone."""

    name: str
    level: str
    arns: tuple[str, ...] = ()


#: The actions of a service by their name in lower case; None for a service that AWS does not have.
Reference = Callable[[str], Mapping[str, Known] | None]


def check(spec: PipelineSegmentSpec, reference: Reference) -> Iterator[Finding]:
    """Check every statement of every stage."""
    for index, stage in enumerate(spec.stages):
        yield from of(f"spec.stages[{index}].aws.permissions", stage.aws.permissions, reference)


def of(path: str, permissions: Sequence[Permission], reference: Reference) -> Iterator[Finding]:
    """Check statements; `path` is where they stand."""
    for number, permission in enumerate(permissions):
        for position, action in enumerate(permission.actions):
            yield from _action(f"{path}[{number}].actions[{position}]", action, permission, reference)


def _action(path: str, action: str, permission: Permission, reference: Reference) -> Iterator[Finding]:
    service, _, name = action.partition(":")
    known = reference(service)
    found = [each for each in (known or {}).values() if meet(each.name, name)]
    if not found:
        meant = nearest(name, (each.name for each in known.values())) if known else None
        said = f"no action of {service} is" if known else f"AWS has no service {service}, and so no action"
        fix = f"write {service}:{meant}" if meant else "look it up in the service authorization reference"
        yield Finding(path, "UnknownAction", action, f"{said} called {action}", fix)
        return
    yield from _fitting(path, action, permission, found)
    for reason, actions, what, fix in (
        (
            "PrivilegeEscalation",
            _ESCALATING,
            "runs code as a role that exists",
            "hold it to resources of the stage's own",
        ),
        ("Exfiltration", _READING if "*" in permission.resources else (), "reads everything", "name the resources"),
    ):
        met = [each for each in actions if meet(action, each)]
        if met:
            yield Finding(path, reason, action, f"{action} {what} ({_listed(met)})", fix)
    managing = [f"{service}:{each.name}" for each in found if each.level == _PERMISSIONS]
    if managing:
        message = f"{action} changes who may do what ({_listed(managing)})"
        yield Finding(path, "PermissionsManagement", action, message, "name the actions that are used, without these")


def _fitting(path: str, action: str, permission: Permission, found: list[Known]) -> Iterator[Finding]:
    """Find an action that no resource of its statement is made for; of a pattern, all that it means."""
    if "*" in permission.resources:
        return
    arns = sorted({arn for each in found for arn in each.arns})
    if any(_fits(resource, arn) for resource in permission.resources for arn in arns):
        return
    if arns:
        message, fix = f"{action} works on none of the resources", f"name resources such as {_listed(arns)}"
    else:
        message, fix = (
            f"{action} knows no resources of its own",
            "put it into a statement of its own, with the resource `*`",
        )
    yield Finding(path, "ResourceDoesNotFit", action, message, fix)


def _fits(resource: str, arn: str) -> bool:
    if arn.endswith(":s3:::*") and "/" in resource.partition("*")[0]:
        return False  # a bucket's name has no slash, and nothing else tells a bucket from its objects
    # Part by part: no placeholder stands for more than its own part.
    pairs = zip(resource.split(":", _PARTS - 1), arn.split(":", _PARTS - 1), strict=False)
    return all(meet(mine, theirs) for mine, theirs in pairs)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
