"""What IAM takes by its shape: the ARNs of two services, and a condition's values by the type of their operator.

A role's rights are one document. One statement that IAM refuses keeps all of it as it was, whatever else was to go.
"""

import re
from datetime import datetime
from ipaddress import ip_network
from typing import Final, NamedTuple

#: What is in S3 by region or account; buckets and objects have neither.
_IN_S3: Final = ("accesspoint/", "access-grants/", "async-request/", "job/", "storage-lens/", "storage-lens-group/")
_IN_IAM: Final = (
    *("access-report/", "federated-user/", "group/", "instance-profile/", "mfa/", "oidc-provider/", "policy/"),
    *("report/", "role/", "saml-provider/", "server-certificate/", "sms-mfa/", "user/"),
)
_DATE: Final = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII)
#: A moment in seconds since 1970, as long as a number of 64 bits can be.
_EPOCH: Final = re.compile(r"\d{1,18}", re.ASCII)
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_BASE64: Final = re.compile("([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_BLOCK: Final = re.compile(r"[0-9A-Fa-f.:]+(/\d{1,3})?", re.ASCII)


class Trouble(NamedTuple):
    """What is wrong with a text, and what to do about it."""

    problem: str
    fix: str


def arn(partition: str, service: str, region: str, account: str, resource: str) -> Trouble | None:
    """Say why IAM would not take an ARN of S3 or IAM; of other services it takes any. None: it would."""
    match service:
        case "s3" if (region or account) and not resource.startswith(_IN_S3):
            fix = f"write a bucket as `arn:{partition}:s3:::your-bucket`, its objects as `arn:{partition}:s3:::your-bucket/*`"
            return Trouble("has a region or an account, as no bucket's ARN has:", fix)
        case "iam" if region:
            return Trouble("has a region, as no ARN of IAM has:", f"write it as `arn:{partition}:iam::{account}:…`")
        case "iam" if resource != "*" and not resource.startswith(_IN_IAM):
            fix = f"write it as `arn:{partition}:iam::{account}:role/your-role`, or its like"
            return Trouble("does not say which kind of thing in IAM is meant:", fix)
    return None


def value(operator: str, text: str) -> Trouble | None:
    """Say why a value is none for an operator: it is compared as the operator's type, or never. None: it is one."""
    kind = operator.rpartition(":")[2].removesuffix("IfExists")
    if kind.startswith("Date") and not _is_date(text):
        return Trouble("is no moment:", "write it as `2030-01-31T12:00:00Z`, or in seconds since 1970")
    if kind.startswith("Numeric") and not _NUMBER.fullmatch(text):
        return Trouble("is no number:", "write it as `10`")
    if kind in {"Bool", "Null"} and text.lower() not in {"true", "false"}:
        return Trouble("is neither true nor false:", "write `true` or `false`")
    if kind == "BinaryEquals" and not _BASE64.fullmatch(text):
        return Trouble("is not base64:", "encode it")
    if kind in {"IpAddress", "NotIpAddress"} and not _is_block(text):
        return Trouble("is no address and no block of addresses:", "write it as `192.0.2.0/24`")
    return None


def _is_date(text: str) -> bool:
    if _EPOCH.fullmatch(text):
        return True
    parts = _DATE.fullmatch(text)
    if parts is None:
        return False
    # What is not said of the day is its beginning; a fraction is no part of the calendar.
    day = f"{text[:10]}-01-01"[:10] if len(text) < len("2030-01-31") else text
    try:
        datetime.fromisoformat(re.sub(r"\.\d+", "", day))
    except ValueError:
        return False
    return True


def _is_block(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return _BLOCK.fullmatch(text) is not None
