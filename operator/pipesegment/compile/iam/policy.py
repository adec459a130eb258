"""What a role may do: its statements as they were declared, and the denial of whatever comes from outside the VPC."""

from collections.abc import Mapping
from typing import Any, Final

from pipesegment.compile.iam.trust import VERSION
from pipesegment.compile.iam.values import Document
from pipesegment.reach.aws.values import ONLY_THROUGH, Rights, Statement

#: The one inline policy of a role: one document is put by one call, so that no half of it ever holds.
POLICY: Final = "pipesegment"
#: The inline policy that denies everything to sessions of before a moment (`plan.aws.revocation`).
REVOKED: Final = "pipesegment-revoked"


def inline(rights: Rights) -> Mapping[str, Document]:
    """Write the inline policies of a role; none when it has nothing to say."""
    statements = [allow(statement) for statement in (*rights.statements, *rights.lent)]
    if rights.endpoints is not None:
        statements.append(_deny_elsewhere(rights.endpoints))
    return {POLICY: {"Version": VERSION, "Statement": statements}} if statements else {}


def allow(statement: Statement) -> dict[str, Any]:
    """Write one statement."""
    written: dict[str, Any] = {"Sid": statement.sid} if statement.sid else {}
    written |= {"Effect": "Allow", "Action": list(statement.actions), "Resource": list(statement.resources)}
    if statement.conditions:
        written["Condition"] = {
            operator: {key: list(values) for key, values in keys} for operator, keys in statement.conditions
        }
    return written


def _deny_elsewhere(endpoints: tuple[str, ...]) -> dict[str, Any]:
    """Deny every call that came through none of these endpoints.

    A negated operator matches where the key is missing, as it is for a call over the internet. What a service of AWS calls
    in the role's name comes through no endpoint, and passes.
    """
    return {
        "Sid": ONLY_THROUGH,
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {
            "StringNotEquals": {"aws:SourceVpce": list(endpoints)},
            "BoolIfExists": {"aws:ViaAWSService": "false"},
        },
    }
