"""Label selectors as values: what they match, what they imply, how two of them meet.

Semantics: Kubernetes LabelSelector (meta/v1): `matchLabels` and `matchExpressions` are ANDed; `NotIn` and
`DoesNotExist` match pods without the key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from pipesegment.facts.allowed import Values
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

    @property
    def allowed(self) -> Values:
        """What it leaves of its label."""
        listed = frozenset(self.values)
        match self.operator:
            case "In":
                return Values(listed)
            case "NotIn":
                return Values(listed, others=True, absent=True)
            case "Exists":
                return Values(listed, others=True)
            case "DoesNotExist":
                return Values(listed, absent=True)


# Without slots, so that what follows from a selector is worked out once: each is compared with every other one.
@dataclass(frozen=True, order=True)
class Selector:
    """A canonical LabelSelector: labels sorted by key, expressions sorted and unique. Empty selects everything."""

    labels: tuple[tuple[str, str], ...] = ()
    expressions: tuple[Requirement, ...] = ()

    def __hash__(self) -> int:
        """Hash once: selectors are looked up far more often than they are made."""
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.labels, self.expressions))

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

    @cached_property
    def allowed(self) -> Mapping[str, Values]:
        """What is left of each label that it asks about."""
        found = {key: Values(frozenset((value,))) for key, value in self.labels}
        for requirement in self.expressions:
            key, left = requirement.key, requirement.allowed
            found[key] = found[key] & left if key in found else left
        return found

    @cached_property
    def selects_nobody(self) -> bool:
        """Tell whether it contradicts itself."""
        return any(values.nothing for values in self.allowed.values())

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether a pod with these labels is selected."""
        for key, values in self.allowed.items():  # noqa: SIM110 - asked for every pod: twice as fast as `all`
            if not values.admits(labels.get(key)):
                return False
        return True

    def implies(self, other: "Selector") -> bool:
        """Tell whether every pod that this selects is selected by `other` too; one that selects nobody need not say so."""
        mine = self.allowed
        for key, wanted in other.allowed.items():
            have = mine.get(key)
            if have is None or not have.within(wanted):
                return False
        return True

    def disjoint(self, other: "Selector") -> bool:
        """Tell whether no pod can be selected by both."""
        return self.selects_nobody or other.selects_nobody or not self._agrees(other)

    def overlaps(self, other: "Selector") -> bool:
        """Tell whether a pod with no labels but those that one of them asks about may be both's.

        `app=web` and `tier=x` do not overlap, though a pod may have both labels: only that pod shows it. `app=web` and
        `!tier` do: whoever labels a pod for the first makes it the second's.
        """
        makes = self.asked <= other.allowed.keys() or other.asked <= self.allowed.keys()
        return makes and not self.disjoint(other)

    @cached_property
    def asked(self) -> frozenset[str]:
        """The labels that a pod of it must have."""
        return frozenset(key for key, values in self.allowed.items() if not values.absent)

    def _agrees(self, other: "Selector") -> bool:
        mine, theirs = self.allowed, other.allowed
        if len(mine) > len(theirs):
            mine, theirs = theirs, mine
        for key, values in mine.items():
            those = theirs.get(key)
            if those is not None and not values.meets(those):
                return False
        return True

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
