"""The rights of a managed role: what the stage declares and the permission sets that it names, held to the class."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from pipesegment.reach.aws import words
from pipesegment.reach.aws.actions import judge_action
from pipesegment.reach.aws.judge import Judge
from pipesegment.reach.aws.values import ONLY_THROUGH, Statement
from pipesegment.reach.view import View
from pipesegment.spec.cloud import Permission, StageAws

#: Managed policies that a role may have, with every quota raised.
_MOST_MANAGED: Final = 20
#: How the statements of exceptions are called (`lent`); no two of a document's have one Sid.
_OF_EXCEPTIONS: Final = re.compile("Exception[A-Za-z0-9]*[0-9a-f]{16}")


def told(permissions: Iterable[Permission]) -> int:
    """Count the characters of actions and resources: the least that they take of a role's room."""
    return sum(len(text) for each in permissions for text in (*each.actions, *each.resources))


def statements(judge: Judge, view: View, aws: StageAws) -> tuple[Statement, ...]:
    """Give the statements of a stage, its own first; what is wrong with them is the judge's to know."""
    path = f"{view.path}.aws"
    variables = aws.identity != "ForgeOIDC"
    found: list[Statement] = []
    for index, permission in enumerate(aws.permissions):
        found.append(judged(judge, f"{path}.permissions[{index}]", permission, variables))
    for index, name in enumerate(aws.permission_sets):
        found += _of_set(judge, view, f"{path}.permissionSets[{index}]", name, variables)
    for sid in words.repeated(s.sid for s in found):
        place = next(s.because for s in reversed(found) if s.sid == sid)
        judge.refuse(place, "has a statement whose sid another one has too:", sid, "rename or remove one of them")
    for each in found:
        if _OF_EXCEPTIONS.fullmatch(each.sid) or (aws.require_vpc_endpoint and each.sid == ONLY_THROUGH):
            problem = "has a statement whose sid is kept for what is added to the stage's own:"
            judge.refuse(each.because, problem, each.sid, "rename it")
    return tuple(found)


def judged(judge: Judge, place: str, permission: Permission, variables: bool) -> Statement:
    """Give a statement that somebody wrote for a stage; what is wrong with it is the judge's to know."""
    for number, action in enumerate(permission.actions):
        judge_action(judge, f"{place}.actions[{number}]", action)
    for number, resource in enumerate(permission.resources):
        words.judge_resource(judge, f"{place}.resources[{number}]", resource, "", variables)
    words.judge_conditions(judge, f"{place}.conditions", permission.conditions, "", variables)
    return statement(place, permission)


def managed(judge: Judge, view: View, aws: StageAws) -> tuple[str, ...]:
    """Give the managed policies of a stage; each must be one that the class lists, as it is written there."""
    path = f"{view.path}.aws.managedPolicyARNs"
    for index, arn in enumerate(aws.managed_policy_arns):
        if arn not in judge.aws.allowed_managed_policy_arns:
            fix = "use permissions, or have the platform team add it to spec.aws.allowedManagedPolicyARNs"
            judge.refuse(f"{path}[{index}]", f"is not among the managed policies that {judge.who} allows:", arn, fix)
    if len(aws.managed_policy_arns) > _MOST_MANAGED:
        count = str(len(aws.managed_policy_arns))
        judge.refuse(path, f"is more than the {_MOST_MANAGED} policies that a role can have:", count, "attach fewer")
    return tuple(sorted(aws.managed_policy_arns))


def _of_set(judge: Judge, view: View, path: str, name: str, variables: bool) -> Iterator[Statement]:
    known = {each.name: each for each in judge.aws.permission_sets}
    if name not in known:
        instead = f"use one of {', '.join(sorted(known))}" if known else "declare permissions instead"
        judge.refuse(path, f"is not a permission set of {judge.who}:", name, instead)
        return
    values = {"namespace": view.key.namespace, "segment": view.key.segment, "stage": view.key.stage}
    of = f"is a permission set of {judge.who} that "
    for permission in known[name].permissions:
        resources = tuple(words.filled(resource, values) for resource in permission.resources)
        conditions = {
            operator: {key: tuple(words.filled(text, values) for text in texts) for key, texts in keys.items()}
            for operator, keys in permission.conditions.items()
        }
        for action in permission.actions:
            judge_action(judge, path, action, of=of, chosen=False)
        for resource in resources:
            words.judge_resource(judge, path, resource, of, variables)
        words.judge_conditions(judge, path, conditions, of, variables)
        yield statement(path, permission.model_copy(update={"resources": resources, "conditions": conditions}))


def statement(because: str, permission: Permission) -> Statement:
    """Write a statement in one way, in whatever order it was written."""
    conditions = tuple(
        (operator, tuple((key, tuple(sorted(values))) for key, values in sorted(keys.items())))
        for operator, keys in sorted(permission.conditions.items())
    )
    # In which order they are written means nothing, and must not look like a change of the role.
    actions, resources = tuple(sorted(permission.actions)), tuple(sorted(permission.resources))
    return Statement(because, permission.sid or "", actions, resources, conditions)
