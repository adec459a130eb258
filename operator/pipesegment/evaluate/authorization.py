"""AuthorizationPolicy semantics at Istio's proxies: who may ask what of a workload, or of a Service behind a waypoint.

Sources of the rules: the reference of security.istio.io/v1 AuthorizationPolicy, and how istiod translates rules for TCP
(an ALLOW rule that holds anything of HTTP never matches there; a DENY rule loses those parts and so denies more).

What the question leaves open (the Host header, other headers, tokens, TLS server names) is the caller's to choose: it
satisfies an ALLOW and dodges a DENY. CUSTOM policies may only refuse further, so they are passed over, as are AUDIT and
those that the dry-run annotation keeps from acting. Policies with targetRefs belong to waypoints and gateways, all others
to sidecars and ztunnel. ztunnel reads no requests: it takes a policy as a sidecar does for bytes, except that a `from`, `to` or
`when` of a DENY of which nothing is left holds nobody there. istiod says that such a DENY refuses more (its condition
ZtunnelAccepted), but sends an empty match, and ztunnel never takes one to hold (its test `rbac_empty_policy`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import product
from typing import Any, Final

from pipesegment.evaluate import patterns
from pipesegment.evaluate.endpoints import PodEnd, address
from pipesegment.evaluate.verdict import Verdict

Raw = Mapping[str, Any]

KIND: Final = "AuthorizationPolicy"
DRY_RUN: Final = "istio.io/dry-run"
_BLOCKS: Final = ("ipBlocks", "notIpBlocks", "remoteIpBlocks", "notRemoteIpBlocks")
#: The conditions that ztunnel knows.
_AT_ZTUNNEL: Final = frozenset(
    {"source.ip", "source.namespace", "source.principal", "destination.ip", "destination.port"}
)
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})


@dataclass(frozen=True, slots=True)
class Request:
    """What reaches a workload's proxy.

    `principal` is the caller's identity as AuthorizationPolicies write it (`cluster.local/ns/a/sa/b`), None without
    mutual TLS. `port` is the workload's own, at a waypoint the Service's. `http` tells whether the proxy reads it as HTTP; a `method` or `path`
    that is None may be any, and the answer is whether any passes. `at_ztunnel`: the proxy is ztunnel.
    """

    principal: str | None
    port: int
    http: bool = False
    method: str | None = None
    path: str | None = None
    source_ip: str | None = None
    destination_ip: str | None = None
    at_ztunnel: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """An AuthorizationPolicy that acts."""

    name: str
    namespace: str
    labels: Mapping[str, str]
    deny: bool
    rules: Sequence[Raw]
    #: What it hangs on instead of selecting workloads, as (kind, name).
    targets: frozenset[tuple[str, str]] = frozenset()

    def selects(self, pod: PodEnd, root: str) -> bool:
        """Tell whether it is the workload's: its own namespace's or the root namespace's, by matchLabels."""
        here = self.namespace in {pod.namespace, root} and not self.targets
        return here and all(pod.labels.get(k) == v for k, v in self.labels.items())


def read(obj: Raw) -> Policy | None:
    """Read an AuthorizationPolicy; None when it does not act."""
    meta, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    action = spec.get("action") or "ALLOW"
    dry = (meta.get("annotations") or {}).get(DRY_RUN) in _TRUE
    if dry or action not in {"ALLOW", "DENY"}:
        return None
    refs = (*([spec["targetRef"]] if spec.get("targetRef") else ()), *(spec.get("targetRefs") or ()))
    targets = frozenset((str(ref.get("kind", "")), str(ref.get("name", ""))) for ref in refs)
    namespace = meta.get("namespace") or "default"
    labels = (spec.get("selector") or {}).get("matchLabels") or {}
    rules = tuple(rule or {} for rule in spec.get("rules") or ())
    return Policy(f"{namespace}/{meta.get('name', '')}", namespace, labels, action == "DENY", rules, targets)


def judge(policies: Sequence[Policy], request: Request) -> Verdict:
    """Judge a request by the policies of its workload: any DENY refuses; where ALLOWs exist, one must match."""
    verdict = Verdict(False, "")
    for concrete in _concrete(policies, request):
        verdict = _judge(policies, concrete)
        if verdict.allowed:
            break
    return verdict


def mentioned(policy: Policy) -> Iterator[IPv4Network | IPv6Network]:
    """Give every block that a policy names."""
    for rule in policy.rules:
        sources = (f.get("source") or {} for f in rule.get("from") or ())
        texts = [text for s in sources for field in _BLOCKS for text in s.get(field) or ()]
        conditions = (when for when in rule.get("when") or () if str(when.get("key", "")).endswith(".ip"))
        texts += [text for when in conditions for field in ("values", "notValues") for text in when.get(field) or ()]
        yield from (ip_network(text, strict=False) for text in texts)


def _judge(policies: Sequence[Policy], request: Request) -> Verdict:
    allowing = [p for p in policies if not p.deny]
    for policy in policies:
        if policy.deny:
            for index, rule in enumerate(policy.rules):
                if _rule(rule, policy, request):
                    return Verdict(False, f"denied by {KIND} {policy.name} rules[{index}]")
    if not allowing:
        return Verdict(True, f"no {KIND} restricts it")
    for policy in allowing:
        for index, rule in enumerate(policy.rules):
            if _rule(rule, policy, request):
                return Verdict(True, f"allowed by {KIND} {policy.name} rules[{index}]")
    return Verdict(False, f"no rule of {KIND} {', '.join(p.name for p in allowing)} allows it")


def _concrete(policies: Sequence[Policy], request: Request) -> Iterator[Request]:
    """Give the requests that stand for all that an open method or path may be.

    Policies tell requests apart by the texts they name alone, so one request for each way to match them is enough.
    """
    if not request.http or (request.method is not None and request.path is not None):
        yield request
        return
    operations = [to.get("operation") or {} for p in policies for rule in p.rules for to in rule.get("to") or ()]
    methods = [request.method] if request.method is not None else _named(operations, "methods", "notMethods")
    paths = [request.path] if request.path is not None else _named(operations, "paths", "notPaths")
    for method, path in product(methods, paths):
        yield replace(request, method=method, path=path)


def _named(operations: Iterable[Raw], field: str, negated: str) -> list[str]:
    texts = {text for o in operations for f in (field, negated) for text in o.get(f) or ()}
    return patterns.examples(texts, "pipesegment-example")


_Answer = bool | None  # None: the caller may choose
_Test = Callable[[str], _Answer]


def _rule(rule: Raw, policy: Policy, request: Request) -> bool:
    """Tell whether a rule matches: some `from`, some `to`, and every `when`."""
    conditions = [_when(when, policy, request) for when in rule.get("when") or ()]
    froms = [_source(f.get("source") or {}, policy, request) for f in rule.get("from") or ()]
    tos = [_operation(t.get("operation") or {}, request) for t in rule.get("to") or ()]
    if not request.http:
        if not policy.deny and any(c.http for part in (conditions, *froms, *tos) for c in part):
            return False
        if request.at_ztunnel and (any(c.http for c in conditions) or _nothing(froms) or _nothing(tos)):
            return False
        conditions, froms, tos = _tcp(conditions), _left(froms, request), _left(tos, request)
    lenient = not policy.deny
    return (
        _all(conditions, lenient)
        and any(_all(source, lenient) for source in froms or [[]])
        and any(_all(operation, lenient) for operation in tos or [[]])
    )


def _nothing(items: Sequence[Sequence["_Condition"]]) -> bool:
    """Tell whether a part of a rule is there and nothing of it is for ztunnel."""
    return bool(items) and not any(map(_tcp, items))


def _left(items: Sequence[Sequence["_Condition"]], request: Request) -> list[list["_Condition"]]:
    """Give what is left of a part without requests; items of which that is nothing are for nobody at ztunnel."""
    return [left for left in map(_tcp, items) if left or not request.at_ztunnel]


@dataclass(frozen=True, slots=True)
class _Condition:
    """One field with its negation: some value must match (if any is given), and no negated one may."""

    values: Sequence[str]
    negated: Sequence[str]
    test: _Test
    http: bool = False

    def holds(self, lenient: bool) -> bool:
        answers = [self._any(self.values)] if self.values else []
        if self.negated:
            found = self._any(self.negated)
            answers.append(None if found is None else not found)
        return all(lenient if answer is None else answer for answer in answers)

    def _any(self, values: Sequence[str]) -> _Answer:
        answers = [self.test(v) for v in values]
        if True in answers:
            return True
        return None if None in answers else False


def _all(conditions: Iterable[_Condition], lenient: bool) -> bool:
    return all(c.holds(lenient) for c in conditions)


def _tcp(conditions: Iterable[_Condition]) -> list[_Condition]:
    return [c for c in conditions if not c.http]


def _source(source: Raw, policy: Policy, request: Request) -> list[_Condition]:
    tests: list[tuple[str, str, _Test, bool]] = [
        ("principals", "notPrincipals", _principal(request), False),
        ("namespaces", "notNamespaces", _namespace(request), False),
        ("serviceAccounts", "notServiceAccounts", _account(policy, request), False),
        ("ipBlocks", "notIpBlocks", _within(request.source_ip), False),
        ("remoteIpBlocks", "notRemoteIpBlocks", _within(request.source_ip), request.at_ztunnel),
        ("requestPrincipals", "notRequestPrincipals", _open, True),
    ]
    return _conditions(source, tests)


def _operation(operation: Raw, request: Request) -> list[_Condition]:
    tests: list[tuple[str, str, _Test, bool]] = [
        ("ports", "notPorts", _port(request), False),
        ("methods", "notMethods", _text(request.method), True),
        ("paths", "notPaths", _path(request), True),
        ("hosts", "notHosts", _open, True),
    ]
    return _conditions(operation, tests)


def _conditions(raw: Raw, tests: Iterable[tuple[str, str, _Test, bool]]) -> list[_Condition]:
    return [
        _Condition(raw.get(field) or (), raw.get(negated) or (), test, http)
        for field, negated, test, http in tests
        if raw.get(field) or raw.get(negated)
    ]


def _when(when: Raw, policy: Policy, request: Request) -> _Condition:
    key = str(when.get("key", ""))
    tests: Mapping[str, _Test] = {
        "source.principal": _principal(request),
        "source.namespace": _namespace(request),
        "source.serviceAccount": _account(policy, request),
        "source.ip": _within(request.source_ip),
        "remote.ip": _within(request.source_ip),
        "destination.ip": _within(request.destination_ip),
        "destination.port": _port(request),
    }
    http = key not in _AT_ZTUNNEL if request.at_ztunnel else key.startswith("request.")
    return _Condition(when.get("values") or (), when.get("notValues") or (), tests.get(key, _open), http)


def _open(_value: str) -> _Answer:
    return None


def _text(text: str | None) -> _Test:
    return lambda value: text is not None and patterns.matches(value, text)


def _principal(request: Request) -> _Test:
    return _text(request.principal)


def _namespace(request: Request) -> _Test:
    """Match the namespace inside the principal: without mutual TLS there is none."""
    parts = (request.principal or "").split("/")
    return _text(parts[2] if len(parts) == 5 else None)


def _account(policy: Policy, request: Request) -> _Test:
    """Match `namespace/name`, or a name in the policy's own namespace."""
    parts = (request.principal or "").split("/")
    mine = (parts[2], parts[4]) if len(parts) == 5 else None
    return lambda value: mine == tuple(value.split("/", 1) if "/" in value else (policy.namespace, value))


def _port(request: Request) -> _Test:
    return lambda value: value == str(request.port)


def _path(request: Request) -> _Test:
    path = patterns.normalized(request.path or "")
    return lambda value: None if patterns.is_template(value) else patterns.matches(value, path)


def _within(ip: str | None) -> _Test:
    if ip is None:
        return _open
    found = address(ip)
    return lambda value: found in ip_network(value, strict=False)
