"""How the API server names what breaks a rule: CEL for its message, where the path it gives ends above the culprit.

A rule between items of lists stands at the object that holds them all, and the API server shows neither item nor value.

What a message may cost is estimated before it is ever told, by the sizes that the schema bounds: so each text is put together
while a list of the schema itself is walked, for of what `filter` leaves or an index picks no bound is known.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Naming:
    """Names the first culprit. `texts` is CEL for a list of texts, one for each, given `told(value, where)` for one text.

    `value` is CEL for what is wrong, told where a Refusal tells its value ('' for nothing), `where` leads to it, in front of all.
    """

    texts: Callable[[Callable[..., str]], str]

    def message(self, problem: str, fix: str) -> str:
        """Give the `messageExpression`: the Refusal's words, behind where it is."""

        def told(value: str, where: str = "") -> str:
            parts = [where, _text(": ")] if where else []
            valued = [_text(f"{problem} '"), value, _text(f"': {fix}")]
            return " + ".join([*parts, *(valued if value else [_text(f"{problem}: {fix}")])])

        return f"{self.texts(told)}[0]"


def value(cel: str) -> Naming:
    """Name a single value."""
    return Naming(lambda told: f"[{told(cel)}]")


def items(field: str, offending: str) -> Naming:
    """Name the first item `e` of a list of which a condition holds, or the first key of a map."""
    return Naming(lambda told: f"self.{field}.map(e, {offending}, {told('e')})")


def stages(offending: str, value: str = "", where: str = "'stage ' + s.name") -> Naming:
    """Name the first stage `s` of a segment of which a condition holds."""
    return Naming(lambda told: f"self.stages.map(s, {offending}, {told(value, where)})")


def _text(words: str) -> str:
    return json.dumps(words)
