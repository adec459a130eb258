"""The texts of a statement: resources, conditions, and the few variables that may stand in them."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from pipesegment.reach.aws import shapes
from pipesegment.reach.aws.judge import Judge

#: What Pod Identity says of a session, and the tags of a managed role say as well.
VARIABLES: Final = (
    "${aws:PrincipalTag/kubernetes-namespace}",
    "${aws:PrincipalTag/kubernetes-service-account}",
    "${aws:PrincipalTag/eks-cluster-name}",
)
#: Characters that policy documents do not take.
_UNWRITABLE: Final = re.compile("[^\t\n\r\x20-\xff]")
_OPERATOR: Final = re.compile(
    r"(ForAllValues:|ForAnyValue:)?"
    r"(String(Not)?Equals(IgnoreCase)?|String(Not)?Like|(Numeric|Date)((Not)?Equals|(Less|Greater)Than(Equals)?)"
    r"|Bool|BinaryEquals|(Not)?IpAddress|Arn(Not)?(Equals|Like))(IfExists)?"
    # Whether a key is there is one question, with nothing to be if it is not, and no set to be of.
    r"|Null",
    re.ASCII,
)
_KEY: Final = re.compile(r"[A-Za-z0-9._-]+:[!-#%-~ ]+", re.ASCII)
_PARTS: Final = 6


def judge_resource(judge: Judge, path: str, resource: str, of: str, variables: bool) -> None:
    """Refuse a resource that is neither `*` nor the ARN of something in an allowed account."""
    if not judge_text(judge, path, resource, of, variables) or resource == "*":
        return
    parts = resource.split(":", _PARTS - 1)
    aws = judge.aws
    accounts = ("", aws.account_id or "", *aws.allowed_accounts)
    if len(parts) < _PARTS or not parts[2] or not parts[5]:
        problem, fix = "is not a whole ARN:", "write its six parts, as `arn:aws:s3:::your-bucket`"
    elif parts[1] != aws.partition:
        problem, fix = f"is not of the partition {aws.partition}:", f"write it as `arn:{aws.partition}:…`"
    elif not re.fullmatch("[a-z0-9-]+", parts[2]):
        problem, fix = "has a wildcard where its service stands:", "write one resource for each service"
    elif parts[4] not in accounts:
        problem = f"is not of an account that {judge.who} allows:"
        fix = "name the account itself, or have the platform team add it to spec.aws.allowedAccounts"
    elif trouble := shapes.arn(*parts[1:]):
        problem, fix = trouble
    else:
        return
    judge.refuse(path, f"{of}{problem}", resource, fix)


def judge_conditions(
    judge: Judge, path: str, conditions: dict[str, dict[str, tuple[str, ...]]], of: str, variables: bool
) -> None:
    """Refuse conditions that IAM would not take, or that hold a variable of their own."""
    for operator, keys in conditions.items():
        if not _OPERATOR.fullmatch(operator):
            judge.refuse(
                path, f"{of}has an operator that IAM does not know:", operator, "use one such as `StringEquals`"
            )
        for key in sorted(keys):
            if any(key != other and key.lower() == other.lower() for other in keys):
                fix = "give all its values under one spelling"
                judge.refuse(path, f"{of}has a key twice, for IAM takes upper and lower case alike:", key, fix)
        for key, values in keys.items():
            if not _KEY.fullmatch(key):
                judge.refuse(path, f"{of}has a key that IAM does not know:", key, "write it as `aws:SourceVpc`")
            for value in values:
                trouble = shapes.value(operator, value) if judge_text(judge, path, value, of, variables) else None
                if trouble is not None:
                    problem = f"{of}has a value of {operator} that {trouble.problem}"
                    judge.refuse(path, problem, value, trouble.fix)


def judge_text(judge: Judge, path: str, text: str, of: str, variables: bool) -> bool:
    """Refuse variables that are not allowed, and characters that IAM does not take; tell whether neither was found."""
    if _UNWRITABLE.search(text):
        judge.refuse(path, f"{of}has characters that IAM does not take:", text, "use those of Latin-1")
        return False
    left = text
    for variable in VARIABLES if variables else ():
        left = left.replace(variable, "")
    if "${" in left:
        fix = f"use {VARIABLES[0]} or its like, or none" if variables else "leave it out"
        judge.refuse(path, f"{of}has a variable that may not be used here:", text, fix)
        return False
    return True


def filled(text: str, values: dict[str, str]) -> str:
    """Fill a permission set's own variables in; what they stand for are DNS labels."""
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    return text


def repeated(sids: Iterable[str]) -> Iterator[str]:
    """Give every name that stands there twice or more; no name is no repetition."""
    seen: set[str] = set()
    for sid in sids:
        if sid and sid in seen:
            yield sid
        seen.add(sid)
