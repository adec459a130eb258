"""Policies as fences: on which planes an object isolates which pods, and what it lets through.

A connection passes one pod on each plane: the caller's egress, the callee's ingress, the callee's mesh policies, the
callee's mutual TLS; on its way through a waypoint also the policies of the Service that it calls, which stands for a pod
there. In Linkerd a Server stands for the pods at one of their ports: it isolates them, and its AuthorizationPolicies let
callers through, one each, everywhere or at one of its routes. On every plane a pod that no fence selects is open, and one that some fence selects is open exactly
for what any of them lets through. Objects that isolate nobody (a dry-run policy, a permissive mTLS mode) are no fences.
Istio's DENY policies would turn all of this around: `order` keeps them apart.

Cilium's own policies stand on the planes of NetworkPolicies, and in one union with them. They never stand alone: the
stage's NetworkPolicy isolates the same pods, with any engine.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pipesegment import names
from pipesegment.compile import linkerd
from pipesegment.compile.canonical import canonical_bytes, stamped
from pipesegment.compile.desired import Object
from pipesegment.facts.selectors import Requirement, Selector
from pipesegment.plan import cilium
from pipesegment.plan.terms import ANYTHING, Fields, Ports, Text, Words, fields, peer, ports

_DRY_RUN: Final = "istio.io/dry-run"
_TRUE: Final = frozenset({"1", "t", "true"})

#: The most pairs of terms that one question may compare; past it only equal terms count.
_MAX_COMPARISONS: Final = 50_000
#: What a pair of rules costs when only equal terms count.
_SHALLOW: Final = 8


class Plane(StrEnum):
    """Where a fence stands."""

    EGRESS = "Egress"
    INGRESS = "Ingress"
    MESH = "Mesh"
    MTLS = "MTLS"
    WAYPOINT = "Waypoint"
    SERVER = "Server"


@dataclass(frozen=True, slots=True)
class Rule:
    """One allow: anything of `rows` together with anything of `columns`, terms by their number. `raw` renders it.

    `keys` are where `raw` has the terms.
    """

    raw: Mapping[str, Any]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    keys: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Fence:
    """One policy object. `allows` has a key for every plane that it isolates on, however little it lets through there."""

    namespace: str
    selector: Selector
    allows: Mapping[Plane, tuple[Rule, ...]] = field(default_factory=dict)
    #: Whether others of its kind may stand there that nobody has listed.
    among_others: bool = False

    @property
    def planes(self) -> frozenset[Plane]:
        """The planes that it isolates on."""
        return frozenset(self.allows)

    @property
    def shut(self) -> bool:
        """Tell whether it lets nothing through."""
        return not any(self.allows.values())


#: The keys of a rule's rows and columns.
_KEYS: Final = {
    Plane.INGRESS: ("from", "ports"),
    Plane.EGRESS: ("to", "ports"),
    Plane.MESH: ("from", "to"),
    Plane.MTLS: ("", ""),
    Plane.WAYPOINT: ("from", "to"),
    Plane.SERVER: ("requiredAuthenticationRefs", ""),
}
FENCE_KINDS: Final = frozenset(
    {"NetworkPolicy", cilium.KIND, "AuthorizationPolicy", "PeerAuthentication", linkerd.SERVER}
)


def fence(obj: Object | None, words: Words) -> Fence | None:
    """Read a policy object as a fence; None for everything that isolates nobody.

    Fences can be compared when they were read with the same `words`.
    """
    if obj is None:
        return None
    spec = obj.get("spec") or {}
    namespace = obj["metadata"].get("namespace", "")
    match obj["kind"]:
        case "NetworkPolicy":
            types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
            allows = {Plane(t): _network_rules(spec.get(t.lower()) or (), Plane(t), namespace, words) for t in types}
            return Fence(namespace, Selector.parse(spec.get("podSelector")), allows)
        case cilium.KIND if (pods := cilium.selector(spec)) is not None:
            sides = [plane for plane in (Plane.INGRESS, Plane.EGRESS) if plane.lower() in spec]
            found = {plane: _cilium_rules(spec, plane, namespace, words) for plane in sides}
            return Fence(namespace, pods, found, among_others=True)
        case linkerd.SERVER if spec.get("accessPolicy", "deny") == "deny":
            return Fence(namespace, _server(obj["metadata"]["name"]), {Plane.SERVER: ()})
        case linkerd.POLICY if is_whole(obj):
            caller = words.number(Text(str(spec.get("requiredAuthenticationRefs"))))
            rule = Rule(spec, (caller,), (words.number(ANYTHING),), _KEYS[Plane.SERVER])
            return Fence(namespace, _target(obj), {Plane.SERVER: (rule,)})
        case "AuthorizationPolicy" if _restricts(obj, spec):
            rules = tuple(_mesh_rule(raw, words) for raw in spec.get("rules") or ())
            if spec.get("targetRefs"):
                return Fence(namespace, _called(spec["targetRefs"]), {Plane.WAYPOINT: rules})
            return Fence(namespace, _workloads(spec), {Plane.MESH: rules})
        case "PeerAuthentication" if (spec.get("mtls") or {}).get("mode") == "STRICT":
            lax = {p: m for p, m in (spec.get("portLevelMtls") or {}).items() if m.get("mode") != "STRICT"}
            rules = tuple(_lax_port(port, mode, words) for port, mode in sorted(lax.items()))
            return Fence(namespace, _workloads(spec), {Plane.MTLS: rules})
        case _:
            return None


def is_whole(obj: Object) -> bool:
    """Tell whether a policy is there or not, and nothing between: one of Linkerd's lets one caller through."""
    return obj["kind"] == linkerd.POLICY and str(obj["apiVersion"]).startswith(linkerd.GROUP)


def shut(obj: Object, name: str) -> dict[str, Any]:
    """Make a fence of another name that selects what a policy object selects, on the same planes, and allows nothing."""
    found = fence(obj, Words())
    assert found is not None
    bare = with_rules(obj, dict.fromkeys(found.planes, ()))
    return stamped({**bare, "metadata": {**bare["metadata"], "name": name}})


def with_rules(obj: Object, allows: Mapping[Plane, Sequence[Rule]]) -> dict[str, Any]:
    """Give a policy object other rules; selector, labels and owner stay. It isolates on exactly these planes."""
    spec = {k: v for k, v in obj["spec"].items() if k not in {"ingress", "egress", "rules", "portLevelMtls"}}
    if obj["kind"] == "NetworkPolicy":
        spec["policyTypes"] = [plane.value for plane in (Plane.INGRESS, Plane.EGRESS) if plane in allows]
        spec |= {plane.lower(): [rule.raw for rule in rules] for plane, rules in allows.items()}
    elif obj["kind"] == cilium.KIND:
        spec = cilium.with_rules(spec, {plane.lower(): [rule.raw for rule in allows[plane]] for plane in allows})
    elif obj["kind"] == "AuthorizationPolicy":
        if rules := [rule.raw for plane in allows for rule in allows[plane]]:
            spec["rules"] = rules
    elif obj["kind"] == "PeerAuthentication" and allows[Plane.MTLS]:
        spec["portLevelMtls"] = {port: mode for rule in allows[Plane.MTLS] for port, mode in rule.raw.items()}
    return stamped({**obj, "spec": spec})


def within(rules: Iterable[Rule], limit: Sequence[Rule] | None, words: Words) -> tuple[Rule, ...]:
    """Cut rules down to what `limit` provably allows too; None limits nothing. A rule left with nothing is dropped."""
    rules = tuple(rules)
    if limit is None or not rules:
        return rules
    (mine, my_columns), (theirs, their_columns) = _size(rules), _size(limit)
    pairs = mine * theirs + my_columns * their_columns
    deep = pairs <= _MAX_COMPARISONS
    words.left -= pairs if deep else _SHALLOW * len(rules) * len(limit)
    if words.left < 0:
        return ()
    return tuple(part for rule in rules for part in _cut(rule, limit, words if deep else None))


def _size(rules: Sequence[Rule]) -> tuple[int, int]:
    return sum(len(rule.rows) for rule in rules), sum(len(rule.columns) for rule in rules)


def _cut(rule: Rule, limit: Sequence[Rule], words: Words | None) -> tuple[Rule, ...]:
    allowed = [[False] * len(rule.columns) for _ in rule.rows]
    for other in limit:
        columns = _covered(rule.columns, other.columns, words)
        rows = _covered(rule.rows, other.rows, words) if any(columns) else ()
        for r, row in enumerate(rows):
            if row:
                allowed[r] = [had or column for had, column in zip(allowed[r], columns, strict=True)]
    if all(map(all, allowed)):
        return (rule,)
    # Rows that keep the same columns stay one rule, so that a policy does not grow on its way.
    by_columns: dict[tuple[bool, ...], list[int]] = {}
    for r, kept in enumerate(allowed):
        if any(kept):
            by_columns.setdefault(tuple(kept), []).append(r)
    return tuple(_part(rule, rows, [c for c, kept in enumerate(kept) if kept]) for kept, rows in by_columns.items())


def _covered(terms: Sequence[int], limit: Sequence[int], words: Words | None) -> list[bool]:
    equal = frozenset(limit)
    if words is None:
        # Mostly nothing is in common, and that is known at once.
        return [] if equal.isdisjoint(terms) else [term in equal for term in terms]
    return [term in equal or any(words.covers(wide, term) for wide in limit) for term in terms]


def _part(rule: Rule, rows: Sequence[int], columns: Sequence[int]) -> Rule:
    raw = dict(rule.raw)
    for key, indexes in zip(rule.keys, (rows, columns), strict=True):
        if rule.raw.get(key):
            raw[key] = [rule.raw[key][i] for i in indexes]
    return Rule(raw, tuple(rule.rows[r] for r in rows), tuple(rule.columns[c] for c in columns), rule.keys)


def _network_rules(raws: Iterable[Mapping[str, Any]], plane: Plane, namespace: str, words: Words) -> tuple[Rule, ...]:
    keys = _KEYS[plane]
    anything = (words.number(ANYTHING),)
    return tuple(
        Rule(
            raw,
            tuple(words.number(peer(p, namespace)) for p in raw.get(keys[0]) or ()) or anything,
            tuple(words.number(ports(p)) for p in raw.get(keys[1]) or ()) or anything,
            keys,
        )
        for raw in raws
    )


def _cilium_rules(spec: Mapping[str, Any], plane: Plane, namespace: str, words: Words) -> tuple[Rule, ...]:
    anything = (words.number(ANYTHING),)
    found = []
    for raw in cilium.rules(spec, plane.lower()):
        peers, columns = cilium.terms(raw, namespace)
        keys = (cilium.peers_key(raw), "toPorts")
        found.append(Rule(raw, tuple(map(words.number, peers)), tuple(map(words.number, columns)) or anything, keys))
    return tuple(found)


def _mesh_rule(raw: Mapping[str, Any], words: Words) -> Rule:
    # Conditions hold for the whole rule; kept with the callers, they are compared as one text.
    conditions = canonical_bytes(raw["when"]).decode() if raw.get("when") else ""
    callers = [fields(f.get("source") or {}, conditions) for f in raw.get("from") or ()] or [Fields((), conditions)]
    calls = [fields(t.get("operation") or {}) for t in raw.get("to") or ()] or [Fields(())]
    return Rule(raw, tuple(map(words.number, callers)), tuple(map(words.number, calls)), _KEYS[Plane.MESH])


def _lax_port(port: str, mode: Mapping[str, Any], words: Words) -> Rule:
    number = words.number(Ports("TCP", int(port), int(port)))
    return Rule({port: mode}, (words.number(ANYTHING),), (number,), _KEYS[Plane.MTLS])


def _workloads(spec: Mapping[str, Any]) -> Selector:
    return Selector.of((spec.get("selector") or {}).get("matchLabels"))


def _server(name: str) -> Selector:
    return Selector.of({"Server": name})


def _target(policy: Object) -> Selector:
    """Read what one of Linkerd's policies hangs on: a Server, or of what comes there the requests of a route."""
    target = policy["spec"].get("targetRef") or {}
    if target.get("kind") != linkerd.ROUTE:
        return _server(target.get("name", ""))
    server = (policy["metadata"].get("annotations") or {}).get(names.SERVER_ANNOTATION, "")
    return Selector.of({"Server": server, linkerd.ROUTE: target.get("name", "")})


def _called(targets: Sequence[Mapping[str, Any]]) -> Selector:
    """Read the Services that a waypoint's policy hangs on as pods would be selected: nothing else compiles to one."""
    named = sorted(str(target.get("name")) for target in targets)
    return Selector.of({}, Requirement("Service", "In", tuple(named)))


def _restricts(obj: Object, spec: Mapping[str, Any]) -> bool:
    """Tell whether it is an ALLOW that acts, on workloads or on Services behind waypoints, not on Gateways."""
    dry = str((obj["metadata"].get("annotations") or {}).get(_DRY_RUN, "")).lower() in _TRUE
    targets = spec.get("targetRefs") or ([spec["targetRef"]] if spec.get("targetRef") else [])
    services = all(target.get("kind") == "Service" for target in targets) and not spec.get("targetRef")
    return not dry and services and spec.get("action", "ALLOW") == "ALLOW"
