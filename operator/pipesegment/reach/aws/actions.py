"""Which actions a stage may have: within what the class allows, and never meeting what is denied."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from pipesegment.reach.aws.judge import Judge
from pipesegment.reach.aws.wildcards import meet, within

#: Never given, whatever a class says: each of them makes more rights, or lends somebody else's (semantics, § AWS).
DENIED: Final = (
    "iam:*",
    "organizations:*",
    "account:*",
    "sts:AssumeRole*",
    "sts:GetFederationToken",
    "ec2:*InstanceProfile*",
    "lambda:AddPermission",
    "kms:PutKeyPolicy",
    "kms:CreateGrant",
    "s3:PutBucketPolicy",
    "secretsmanager:PutResourcePolicy",
    "ssm:SendCommand",
    "ssm:StartSession",
    "eks:*AccessEntry*",
    "eks:*PodIdentity*",
    "cloudformation:*",
)
_SHOWN: Final = 5


def judge_action(judge: Judge, path: str, action: str, *, of: str = "", chosen: bool = True) -> None:
    """Refuse an action that is denied, or not allowed.

    `of` names the permission set that it stands in. `chosen`: by the segment's author, who is held to `allowedActions`; a
    permission set is the platform team's own choice.
    """
    found = denied(action)
    if found:
        judge.refuse(
            path,
            f"{of}meets {found}, which no stage may have, in",
            action,
            "name the actions that are used, none of them among those",
        )
        return
    found = _first(judge.aws.denied_actions, action)
    if found:
        judge.refuse(
            path,
            f"{of}meets {found}, which {judge.who} denies, in",
            action,
            "name the actions that are used, one by one",
        )
    elif chosen and not any(within(action, allowed) for allowed in judge.aws.allowed_actions):
        judge.refuse(path, f"is not among the actions that {judge.who} allows:", action, _instead(judge))


@lru_cache(maxsize=4096)
def denied(action: str) -> str:
    """Name the built-in denial that an action meets; '' when it meets none."""
    return _first(DENIED, action)


def _first(patterns: Iterable[str], action: str) -> str:
    return next((pattern for pattern in patterns if meet(action, pattern)), "")


def _instead(judge: Judge) -> str:
    allowed = judge.aws.allowed_actions
    if not allowed:
        return "use a permission set, or have the platform team add it to spec.aws.allowedActions"
    more = ", …" if len(allowed) > _SHOWN else ""
    return f"use some of {', '.join(allowed[:_SHOWN])}{more}"
