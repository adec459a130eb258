"""What istiod tells ztunnel, read as ztunnel reads it: no ztunnel runs here, its rules do, in as few words as they have.

istiod shows at /debug/ambientz what it would send: workloads with the names of their policies, and policies in the form of
the workload API (`pkg/workloadapi/security/authorization.proto` of istio/istio). How ztunnel judges a connection by them is
`assert_rbac` in its `src/state.rs` and `Authorization::matches` in `src/rbac.rs`: a policy matches by any of its groups, a
group by all of its rules, a rule by any of its matches, a match by all of its fields; a match without fields never holds, a
rule without matches always does. Any DENY that matches refuses; where there are ALLOWs one must match.
"""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, Final, Literal

from lab.errors import LabError

Raw = Mapping[str, Any]
Scope = Literal["GLOBAL", "NAMESPACE", "WORKLOAD_SELECTOR"]

_POLICY: Final = frozenset({"name", "namespace", "scope", "action", "groups"})
_TUNNEL: Final = "HBONE"


@dataclass(frozen=True)
class Call:
    """A connection as it comes to a workload: who calls (None: in plaintext), the workload's port, and from where."""

    principal: str | None
    port: int
    source: str = "192.0.2.1"

    def __str__(self) -> str:
        return f"{self.principal or 'plaintext'} from {self.source} at {self.port}"

    @property
    def account(self) -> tuple[str, str] | None:
        """The caller's namespace and service account."""
        parts = (self.principal or "").split("/")
        return (parts[2], parts[4]) if len(parts) == 5 else None


@dataclass(frozen=True)
class Policy:
    """A policy as ztunnel gets it."""

    name: str
    namespace: str
    scope: Scope
    deny: bool
    groups: Sequence[Raw]

    def matches(self, call: Call) -> bool:
        """Tell whether a call is one that the policy is about."""
        return any(all(_rule(rule, call) for rule in group.get("rules", ())) for group in self.groups)


@dataclass(frozen=True)
class Workload:
    """A pod as ztunnel knows it: whether it is called through the tunnel, which policies are its own."""

    captured: bool
    policies: frozenset[str]


@dataclass(frozen=True)
class Told:
    """All that istiod would tell; pods and policies by `namespace/name`."""

    workloads: Mapping[str, Workload]
    policies: Mapping[str, Policy]

    def allows(self, pod: str, call: Call) -> bool:
        """Judge a call to a pod. Raises LabError where its ztunnel would not stand in the way, or knows no such pod."""
        workload = self.workloads.get(pod)
        if workload is None or not workload.captured:
            raise LabError(f"ztunnel does not stand in front of {pod}, as istiod tells it")
        found = list(self._of(pod, workload))
        if any(policy.deny and policy.matches(call) for policy in found):
            return False
        allowing = [policy for policy in found if not policy.deny]
        return not allowing or any(policy.matches(call) for policy in allowing)

    def _of(self, pod: str, workload: Workload) -> Iterator[Policy]:
        namespace = pod.partition("/")[0]
        for name, policy in self.policies.items():
            everywhere = policy.scope == "GLOBAL" or (policy.scope == "NAMESPACE" and policy.namespace == namespace)
            if everywhere or name in workload.policies:
                yield policy


def read(dump: Raw) -> Told:
    """Read istiod's dump. Raises LabError at anything that is not known: what is passed over would be a rule less."""
    workloads = {}
    for raw in dump.get("workloads") or ():
        if "/Pod/" in raw["uid"]:
            policies = frozenset(raw.get("authorizationPolicies") or ())
            captured = raw.get("tunnelProtocol") == _TUNNEL
            workloads[f"{raw['namespace']}/{raw['name']}"] = Workload(captured, policies)
    read_policies = map(_policy, dump.get("policies") or ())
    return Told(workloads, {f"{policy.namespace}/{policy.name}": policy for policy in read_policies})


def _policy(raw: Raw) -> Policy:
    _known(raw, _POLICY)
    groups = raw.get("groups") or ()
    for group in groups:
        _known(group, {"rules"})
        for rule in group.get("rules") or ():
            _known(rule, {"matches"})
            for match in rule.get("matches") or ():
                _known(match, _FIELDS.keys() | {_negated(field) for field in _FIELDS})
    # Fields that have their first value are left out.
    return Policy(
        raw["name"], raw["namespace"], raw.get("scope", "GLOBAL"), raw.get("action", "ALLOW") == "DENY", groups
    )


def _known(raw: Raw, fields: Any) -> None:
    unknown = sorted(raw.keys() - fields)
    if unknown:
        raise LabError(f"istiod tells ztunnel something that is not known here: {', '.join(unknown)} in {dict(raw)}")


def _rule(rule: Raw, call: Call) -> bool:
    matches = rule.get("matches") or ()
    return not matches or any(_match(match, call) for match in matches)


def _match(match: Raw, call: Call) -> bool:
    if not any(match.values()):
        return False
    for field, holds in _FIELDS.items():
        wanted, unwanted = match.get(field) or (), match.get(_negated(field)) or ()
        if wanted and not any(holds(value, call) for value in wanted):
            return False
        if any(holds(value, call) for value in unwanted):
            return False
    return True


def _negated(field: str) -> str:
    return f"not{field[0].upper()}{field[1:]}"


def _text(wanted: Raw, text: str) -> bool:
    (how, value), *more = wanted.items()
    if more or how not in _TEXTS:
        raise LabError(f"istiod tells ztunnel to match texts in a way that is not known here: {dict(wanted)}")
    return _TEXTS[how](text, value)


def _block(block: Raw, address: str) -> bool:
    base = ip_address(base64.b64decode(block["address"]))
    return ip_address(address) in ip_network(f"{base}/{block.get('length', 0)}")


def _account(wanted: Raw, call: Call) -> bool:
    return call.account == (wanted.get("namespace", ""), wanted.get("serviceAccount", ""))


_TEXTS: Final[Mapping[str, Callable[[str, Any], bool]]] = {
    "exact": lambda text, value: text == value,
    "prefix": lambda text, value: text.startswith(value),
    "suffix": lambda text, value: text.endswith(value),
    "presence": lambda text, _: bool(text),
}
_FIELDS: Final[Mapping[str, Callable[[Any, Call], bool]]] = {
    # An unknown caller has no principal that could be compared, not even by a suffix; its namespace is the empty text.
    "principals": lambda wanted, call: call.principal is not None and _text(wanted, call.principal),
    "namespaces": lambda wanted, call: _text(wanted, call.account[0] if call.account else ""),
    "serviceAccounts": _account,
    "sourceIps": lambda wanted, call: _block(wanted, call.source),
    "destinationPorts": lambda wanted, call: wanted == call.port,
}
