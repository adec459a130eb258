"""Would STS accept this token? A judge of trust policies that knows nothing of how ours are written.

It reads far more of the language than we write (patterns, negations, sets), so that a document with a hole is found open.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache


@dataclass(frozen=True)
class Token:
    """A web identity token whose signature is right; `account` is where the role lives, `partition` its partition."""

    issuer: str
    sub: str
    aud: str
    account: str = "111122223333"
    partition: str = "aws"
    action: str = "sts:AssumeRoleWithWebIdentity"

    @property
    def principal(self):
        host = self.issuer.removeprefix("https://")
        return "Federated", f"arn:{self.partition}:iam::{self.account}:oidc-provider/{host}"

    @property
    def context(self):
        host = self.issuer.removeprefix("https://")
        return {f"{host}:sub": self.sub, f"{host}:aud": self.aud}


@dataclass(frozen=True)
class ServiceCall:
    """A service that assumes the role, as Pod Identity does for a pod."""

    service: str = "pods.eks.amazonaws.com"
    source_account: str = "111122223333"
    tags: Mapping[str, str] = field(default_factory=dict)
    action: str = "sts:AssumeRole"

    @property
    def principal(self):
        return "Service", self.service

    @property
    def context(self):
        return {"aws:SourceAccount": self.source_account, **{f"aws:RequestTag/{k}": v for k, v in self.tags.items()}}


def accepts(trust, asked) -> bool:
    """Tell whether a role with this trust policy is given to who asks."""
    meant = [s for s in _list(trust["Statement"]) if _is_meant(s, asked)]
    return any(s["Effect"] == "Allow" for s in meant) and not any(s["Effect"] == "Deny" for s in meant)


def _is_meant(statement, asked) -> bool:
    actions = _list(statement.get("Action", []))
    if not any(matches(asked.action.lower(), pattern.lower()) for pattern in actions):
        return False
    return _is_principal(statement.get("Principal"), asked.principal) and holds(
        statement.get("Condition", {}), asked.context
    )


def _is_principal(principal, asked) -> bool:
    if principal == "*":
        return True
    kind, name = asked
    named = {*_list((principal or {}).get(kind, [])), *_list((principal or {}).get("AWS", []))}
    return bool(named & {name, "*"})


def holds(conditions, context) -> bool:
    """Tell whether every condition holds; keys are compared in lower case, as IAM does."""
    known = {key.lower(): value for key, value in context.items()}
    return all(
        _one(operator, known.get(key.lower()), [str(v) for v in _list(values)], context)
        for operator, keys in conditions.items()
        for key, values in keys.items()
    )


def _one(operator, value, wanted, context) -> bool:
    some_of = operator.partition(":")[2] or operator
    bare = some_of.removesuffix("IfExists")
    negated = "Not" in bare
    if bare == "Null":
        return (value is None) == (wanted == ["true"])
    if value is None:
        return negated or some_of.endswith("IfExists") or operator.startswith("ForAllValues:")
    wanted = [filled(each, context) for each in wanted]
    if "Like" in bare or bare.startswith("Arn"):
        found = any(matches(value, pattern) for pattern in wanted)
    elif bare.endswith("IgnoreCase") or bare == "Bool":
        found = value.lower() in {each.lower() for each in wanted}
    elif bare in {"StringEquals", "StringNotEquals"}:
        found = value in wanted
    elif bare.startswith("Date"):
        found = any(_compared(bare, datetime.fromisoformat(value), datetime.fromisoformat(each)) for each in wanted)
    else:
        raise AssertionError(f"the judge does not know the operator {operator}")
    return found is not negated


def _compared(operator, value, wanted) -> bool:
    less, same = value < wanted, value == wanted
    either = {"DateEquals": same, "DateNotEquals": same, "DateLessThan": less, "DateGreaterThan": not (less or same)}
    return {**either, "DateLessThanEquals": less or same, "DateGreaterThanEquals": not less}[operator]


def filled(text, context):
    """Put the values of variables in; one that is not known matches nothing."""
    known = {key.lower(): value for key, value in context.items()}
    return re.sub(r"\$\{([^}]*)\}", lambda m: known.get(m[1].lower(), "\x00"), text)


def matches(text, pattern) -> bool:
    return _meaning(pattern).fullmatch(text) is not None


@cache
def _meaning(pattern):
    return re.compile("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern), re.DOTALL)


def _list(value):
    return value if isinstance(value, list) else [value]
