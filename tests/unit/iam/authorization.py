"""May this role do that? Identity policy, permissions boundary and denials, as IAM puts them together in one account."""

from tests.unit.iam.sts import filled, holds, matches


def allows(spec, boundary, action, resource, context=None) -> bool:
    """Tell whether a role (the `spec` of an IAMRole) may: nothing denies it, and policy and boundary both allow it."""
    policies = list(spec["inlinePolicies"].values())
    request = (action, resource, _known(spec, context or {}))
    if any(_says("Deny", document, *request) for document in (*policies, boundary)):
        return False
    return any(_says("Allow", document, *request) for document in policies) and _says("Allow", boundary, *request)


def _known(spec, context):
    """A role's tags are its sessions' tags, where the session brings none of that name."""
    own = {f"aws:PrincipalTag/{key}": value for key, value in spec["tags"].items()}
    return {**own, "aws:ViaAWSService": "false", **context}


def _says(effect, document, action, resource, context) -> bool:
    return any(s["Effect"] == effect and _is_meant(s, action, resource, context) for s in _list(document["Statement"]))


def _is_meant(statement, action, resource, context) -> bool:
    assert not {"NotAction", "NotResource", "Principal"} & statement.keys()
    return (
        any(matches(action.lower(), pattern.lower()) for pattern in _list(statement["Action"]))
        and any(matches(resource, filled(pattern, context)) for pattern in _list(statement["Resource"]))
        and holds(statement.get("Condition", {}), context)
    )


def _list(value):
    return value if isinstance(value, list) else [value]
