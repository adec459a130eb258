"""Policies as fences: on which planes an object isolates which pods, and what it lets through.

A connection passes one pod on each plane: the caller's egress, the callee's ingress, the callee's mesh policies, the
callee's mutual TLS. On every plane a pod that no fence selects is open, and one that some fence selects is open exactly
for what any of them lets through. Objects that isolate nobody (a dry-run policy, a permissive mTLS mode) are no fences.
Istio's DENY policies would turn all of this around; nothing compiles them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pipesegment.compile.canonical import canonical_bytes, stamped
from pipesegment.compile.desired import Object
from pipesegment.facts.selectors import Selector
from pipesegment.plan.terms import ANYTHING, Fields, Ports, Term, covers, fields, peer, ports

_DRY_RUN: Final = "istio.io/dry-run"
_TRUE: Final = frozenset({"1", "t", "true"})

#: The most pairs of terms that one question may compare. Past it only equal terms count: sound, and never slow, whatever
#: an author declares.
_MAX_COMPARISONS: Final = 50_000


class Plane(StrEnum):
    """Where a fence stands."""

    EGRESS = "Egress"
    INGRESS = "Ingress"
    MESH = "Mesh"
    MTLS = "MTLS"


@dataclass(frozen=True, slots=True)
class Rule:
    """One allow: anything of `rows` together with anything of `columns`. `raw` renders it, the parts beside the terms."""

    raw: Mapping[str, Any]
    rows: tuple[Term, ...]
    columns: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Fence:
    """One policy object. `allows` has a key for every plane that it isolates on, however little it lets through there."""

    namespace: str
    selector: Selector
    allows: Mapping[Plane, tuple[Rule, ...]] = field(default_factory=dict)

    @property
    def planes(self) -> frozenset[Plane]:
        """The planes that it isolates on."""
        return frozenset(self.allows)

    @property
    def shut(self) -> bool:
        """Tell whether it lets nothing through."""
        return not any(self.allows.values())


#: The keys of a rule's rows and columns.
_NETWORK: Final = {Plane.INGRESS: ("from", "ports"), Plane.EGRESS: ("to", "ports")}
_MESH_KEYS: Final = ("from", "to")
FENCE_KINDS: Final = frozenset({"NetworkPolicy", "AuthorizationPolicy", "PeerAuthentication"})


def fence(obj: Object | None) -> Fence | None:
    """Read a policy object as a fence; None for everything that isolates nobody."""
    if obj is None:
        return None
    spec = obj.get("spec") or {}
    namespace = obj["metadata"].get("namespace", "")
    match obj["kind"]:
        case "NetworkPolicy":
            types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
            allows = {Plane(t): _network_rules(spec.get(t.lower()) or (), Plane(t), namespace) for t in types}
            return Fence(namespace, Selector.parse(spec.get("podSelector")), allows)
        case "AuthorizationPolicy" if _restricts_sidecars(obj, spec):
            rules = tuple(_mesh_rule(raw) for raw in spec.get("rules") or ())
            return Fence(namespace, _workloads(spec), {Plane.MESH: rules})
        case "PeerAuthentication" if (spec.get("mtls") or {}).get("mode") == "STRICT":
            lax = {p: m for p, m in (spec.get("portLevelMtls") or {}).items() if m.get("mode") != "STRICT"}
            rules = tuple(Rule({p: m}, (ANYTHING,), (Ports("TCP", int(p), int(p)),)) for p, m in sorted(lax.items()))
            return Fence(namespace, _workloads(spec), {Plane.MTLS: rules})
        case _:
            return None


def shut(obj: Object, name: str) -> dict[str, Any]:
    """Make a fence of another name that selects what a policy object selects, on the same planes, and allows nothing."""
    found = fence(obj)
    assert found is not None
    bare = with_rules(obj, dict.fromkeys(found.planes, ()))
    return stamped({**bare, "metadata": {**bare["metadata"], "name": name}})


def with_rules(obj: Object, allows: Mapping[Plane, Sequence[Rule]]) -> dict[str, Any]:
    """Give a policy object other rules; selector, labels and owner stay. It isolates on exactly these planes."""
    spec = {k: v for k, v in obj["spec"].items() if k not in {"ingress", "egress", "rules", "portLevelMtls"}}
    if obj["kind"] == "NetworkPolicy":
        spec["policyTypes"] = [plane.value for plane in (Plane.INGRESS, Plane.EGRESS) if plane in allows]
        spec |= {plane.lower(): [rule.raw for rule in rules] for plane, rules in allows.items()}
    elif obj["kind"] == "AuthorizationPolicy" and allows[Plane.MESH]:
        spec["rules"] = [rule.raw for rule in allows[Plane.MESH]]
    elif obj["kind"] == "PeerAuthentication" and allows[Plane.MTLS]:
        spec["portLevelMtls"] = {port: mode for rule in allows[Plane.MTLS] for port, mode in rule.raw.items()}
    return stamped({**obj, "spec": spec})


def within(rules: Iterable[Rule], limit: Sequence[Rule] | None) -> tuple[Rule, ...]:
    """Cut rules down to what `limit` provably allows too; None limits nothing. A rule left with nothing is dropped."""
    rules = tuple(rules)
    if limit is None:
        return rules
    proofs = _Proofs(rules, limit)
    return tuple(part for rule in rules for part in _cut(rule, limit, proofs))


def is_within(rules: Sequence[Rule], limit: Sequence[Rule] | None) -> bool:
    """Tell whether all that the rules allow is provably allowed by `limit` too."""
    return within(rules, limit) == tuple(rules)


class _Proofs:
    """Which term covers which, each pair asked once."""

    def __init__(self, rules: Sequence[Rule], limit: Sequence[Rule]) -> None:
        self._known: dict[tuple[Term, Term], bool] = {}
        effort = sum(len(r.rows) * len(o.rows) + len(r.columns) * len(o.columns) for r in rules for o in limit)
        self._deep = effort <= _MAX_COMPARISONS

    def covered(self, terms: Sequence[Term], limit: Sequence[Term]) -> list[bool]:
        """Tell of each term whether one of `limit` covers it."""
        equal = frozenset(limit)
        return [term in equal or (self._deep and any(self._covers(wide, term) for wide in limit)) for term in terms]

    def _covers(self, wide: Term, narrow: Term) -> bool:
        pair = (wide, narrow)
        if pair not in self._known:
            self._known[pair] = covers(wide, narrow)
        return self._known[pair]


def _cut(rule: Rule, limit: Sequence[Rule], proofs: _Proofs) -> tuple[Rule, ...]:
    allowed = [[False] * len(rule.columns) for _ in rule.rows]
    for other in limit:
        columns = proofs.covered(rule.columns, other.columns)
        if not any(columns):
            continue
        for r, row in enumerate(proofs.covered(rule.rows, other.rows)):
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


def _part(rule: Rule, rows: Sequence[int], columns: Sequence[int]) -> Rule:
    raw = dict(rule.raw)
    row_key, column_key = _keys(rule)
    for key, indexes in ((row_key, rows), (column_key, columns)):
        if rule.raw.get(key):
            raw[key] = [rule.raw[key][i] for i in indexes]
    return Rule(raw, tuple(rule.rows[r] for r in rows), tuple(rule.columns[c] for c in columns))


def _keys(rule: Rule) -> tuple[str, str]:
    if any(isinstance(term, Fields) for term in (*rule.rows, *rule.columns)):
        return _MESH_KEYS
    return ("to" if "to" in rule.raw else "from", "ports")


def _network_rules(raws: Iterable[Mapping[str, Any]], plane: Plane, namespace: str) -> tuple[Rule, ...]:
    row_key, column_key = _NETWORK[plane]
    return tuple(
        Rule(
            raw,
            tuple(peer(p, namespace) for p in raw.get(row_key) or ()) or (ANYTHING,),
            tuple(ports(p) for p in raw.get(column_key) or ()) or (ANYTHING,),
        )
        for raw in raws
    )


def _mesh_rule(raw: Mapping[str, Any]) -> Rule:
    # Conditions hold for the whole rule; kept with the callers, they are compared as one text.
    conditions = canonical_bytes(raw["when"]).decode() if raw.get("when") else ""
    callers = tuple(fields(f.get("source") or {}, conditions) for f in raw.get("from") or ())
    calls = tuple(fields(t.get("operation") or {}) for t in raw.get("to") or ())
    return Rule(raw, callers or (Fields((), conditions),), calls or (Fields(()),))


def _workloads(spec: Mapping[str, Any]) -> Selector:
    return Selector.of((spec.get("selector") or {}).get("matchLabels"))


def _restricts_sidecars(obj: Object, spec: Mapping[str, Any]) -> bool:
    """Tell whether it is an ALLOW that acts, on workloads and not on waypoints."""
    dry = str((obj["metadata"].get("annotations") or {}).get(_DRY_RUN, "")).lower() in _TRUE
    waypoint = spec.get("targetRef") or spec.get("targetRefs")
    return not dry and not waypoint and spec.get("action", "ALLOW") == "ALLOW"
