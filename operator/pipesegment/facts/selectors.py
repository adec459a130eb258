"""Label selectors as values: what they match, what they imply, how two of them meet.

Semantics: Kubernetes LabelSelector (meta/v1): `matchLabels` and `matchExpressions` are ANDed; `NotIn` and
`DoesNotExist` match pods without the key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pipesegment.spec.selector import LabelSelector

Operator = Literal["In", "NotIn", "Exists", "DoesNotExist"]

_OPPOSITE: Final[Mapping[Operator, Operator]] = {
    "In": "NotIn",
    "NotIn": "In",
    "Exists": "DoesNotExist",
    "DoesNotExist": "Exists",
}


@dataclass(frozen=True, slots=True, order=True)
class Requirement:
    """One `matchExpressions` item; `values` sorted and unique."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels satisfy this requirement."""
        present = self.key in labels
        match self.operator:
            case "In":
                return present and labels[self.key] in self.values
            case "NotIn":
                return not present or labels[self.key] not in self.values
            case "Exists":
                return present
            case "DoesNotExist":
                return not present

    @property
    def opposite(self) -> "Requirement":
        """Give the requirement that exactly the other pods meet."""
        return Requirement(self.key, _OPPOSITE[self.operator], self.values)


@dataclass(frozen=True, slots=True, order=True)
class Selector:
    """A canonical LabelSelector: labels sorted by key, expressions sorted and unique. Empty selects everything."""

    labels: tuple[tuple[str, str], ...] = ()
    expressions: tuple[Requirement, ...] = ()

    @classmethod
    def of(cls, labels: Mapping[str, str] | None = None, *expressions: Requirement) -> "Selector":
        """Build from plain labels and requirements."""
        return cls(tuple(sorted((labels or {}).items())), tuple(sorted(set(expressions))))

    @classmethod
    def parse(cls, raw: Mapping[str, Any] | None) -> "Selector":
        """Read a LabelSelector as the API prints it; None and {} select everything."""
        raw = raw or {}
        expressions = (
            Requirement(e["key"], e["operator"], tuple(sorted(set(e.get("values") or ()))))
            for e in raw.get("matchExpressions") or ()
        )
        return cls.of(raw.get("matchLabels"), *expressions)

    @property
    def is_empty(self) -> bool:
        """Tell whether it selects everything."""
        return not self.labels and not self.expressions

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """Give labels and expressions alike, as requirements."""
        return tuple(Requirement(k, "In", (v,)) for k, v in self.labels) + self.expressions

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a pod with these labels is selected."""
        return all(labels.get(k) == v for k, v in self.labels) and all(e.matches(labels) for e in self.expressions)

    def implies(self, other: "Selector") -> bool:
        """Tell whether every pod that this selects is provably selected by `other` too (sound, not complete)."""
        if not self.expressions and not other.expressions:
            # The common case by far, asked for every pair of stages of a namespace.
            return all(pair in self.labels for pair in other.labels)
        mine = self.requirements
        return all(any(_implies(have, want) for have in mine) for want in other.requirements)

    def disjoint(self, other: "Selector") -> bool:
        """Tell whether no pod can provably be selected by both (sound, not complete)."""
        if not self.expressions and not other.expressions:
            theirs = dict(other.labels)
            return any(theirs.get(key, value) != value for key, value in self.labels)
        return any(_excludes(a, b) for a in self.requirements for b in other.requirements)

    def __and__(self, other: "Selector") -> "Selector":
        """Conjunction: the pods that both select. A key with two values becomes an expression that nothing meets."""
        labels = dict(self.labels)
        expressions = {*self.expressions, *other.expressions}
        for key, value in other.labels:
            if labels.setdefault(key, value) != value:
                expressions.add(Requirement(key, "In", (value,)))
        return Selector.of(labels, *expressions)

    def render(self) -> dict[str, Any]:
        """Give the LabelSelector as the API takes it."""
        out: dict[str, Any] = {}
        if self.labels:
            out["matchLabels"] = dict(self.labels)
        if self.expressions:
            out["matchExpressions"] = [
                {"key": e.key, "operator": e.operator, **({"values": list(e.values)} if e.values else {})}
                for e in self.expressions
            ]
        return out

    def __str__(self) -> str:
        """Render as kubectl's `-l` takes it."""
        texts = [f"{k}={v}" for k, v in self.labels]
        forms = {"In": "{} in ({})", "NotIn": "{} notin ({})", "Exists": "{}", "DoesNotExist": "!{}"}
        texts += [forms[e.operator].format(e.key, ",".join(e.values)) for e in self.expressions]
        return ",".join(texts) or "every pod"


def canonical(declared: LabelSelector) -> Selector:
    """Give a declared label selector its canonical form."""
    expressions = (Requirement(e.key, e.operator, tuple(sorted(set(e.values)))) for e in declared.match_expressions)
    return Selector.of(declared.match_labels, *expressions)


def _implies(have: Requirement, want: Requirement) -> bool:
    if have.key != want.key:
        return False
    match want.operator:
        case "In":
            return have.operator == "In" and set(have.values) <= set(want.values)
        case "NotIn":
            return (
                (have.operator == "In" and not set(have.values) & set(want.values))
                or (have.operator == "NotIn" and set(want.values) <= set(have.values))
                or have.operator == "DoesNotExist"
            )
        case "Exists":
            return have.operator in {"In", "Exists"}
        case "DoesNotExist":
            return have.operator == "DoesNotExist"


def _excludes(a: Requirement, b: Requirement) -> bool:
    if a.key != b.key:
        return False
    if a.operator == "DoesNotExist":
        return b.operator in {"In", "Exists"}
    if b.operator == "DoesNotExist":
        return a.operator in {"In", "Exists"}
    if a.operator == "In" and b.operator == "In":
        return not set(a.values) & set(b.values)
    if a.operator == "In" and b.operator == "NotIn":
        return set(a.values) <= set(b.values)
    if a.operator == "NotIn" and b.operator == "In":
        return set(b.values) <= set(a.values)
    return False
