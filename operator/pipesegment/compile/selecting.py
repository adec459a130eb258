"""Selectors in languages that say less than a LabelSelector: Istio's matchLabels, and 'every pod but these'."""

from itertools import product
from math import prod
from typing import Final

from pipesegment.facts.selectors import Requirement, Selector

#: The most matchLabels objects that one selector may become (semantics, § Mesh).
MAX_COMBINATIONS: Final = 16


def combinations(selector: Selector) -> tuple[dict[str, str], ...] | None:
    """Give disjoint matchLabels that together select exactly what `selector` does, sorted.

    Every key needs a finite set of values (a label or `In`); other requirements on such a key only narrow the set. None
    when a key has no such set, when nothing is required at all, or past `MAX_COMBINATIONS`; empty when the selector
    contradicts itself.
    """
    requirements = selector.requirements
    values: dict[str, list[str]] = {}
    for key in sorted({r.key for r in requirements}):
        about = [r for r in requirements if r.key == key]
        finite = next((r for r in about if r.operator == "In"), None)
        if finite is None:
            return None
        values[key] = [v for v in finite.values if all(r.matches({key: v}) for r in about)]
    if not values or prod(map(len, values.values())) > MAX_COMBINATIONS:
        return None
    return tuple(dict(zip(values, combination, strict=True)) for combination in product(*values.values()))


def negation(selector: Selector, among: Selector) -> Requirement | None:
    """Give the one requirement that pods of `among` meet exactly when `selector` does not select them.

    A LabelSelector is a conjunction, and the negation of a conjunction is none: only a selector that adds exactly one
    requirement to `among` has one. None otherwise.
    """
    added = [r for r in selector.requirements if not among.implies(Selector(expressions=(r,)))]
    return added[0].opposite if len(added) == 1 else None
