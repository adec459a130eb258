"""News of policies of others: which of them widen a segment that did not before."""

from collections.abc import Iterator
from typing import Final

from pipesegment.facts.meta import Key
from pipesegment.report.events import Event
from pipesegment.report.findings import sentence, sorted_out
from pipesegment.report.outcome import Outcome
from pipesegment.report.text import fitted, listing
from pipesegment.spec.status import Condition, ConditionType, Reason

_MOST: Final = 8


class Widening:
    """Remembers what each segment was widened by at the last look, since the condition alone does not change with a second one."""

    def __init__(self) -> None:
        self._known: dict[Key, frozenset[str]] = {}

    def news(self, outcome: Outcome, before: tuple[Condition, ...]) -> Iterator[Event]:
        """Tell of those that came while there were others; the first one turns the condition, which is an Event already.

        What a segment was widened by before we began is not known, and not told again.
        """
        if outcome.reach is None:
            return
        key = outcome.reach.segment
        found = frozenset(map(sentence, sorted_out(outcome).get(Reason.WIDENED, ())))
        known = self._known.pop(key, found)
        if found:
            self._known[key] = found
        was = any(c.type == ConditionType.CONFORMING and c.reason == Reason.WIDENED for c in before)
        fresh = sorted(found - known)
        if was and fresh:
            yield Event("Warning", Reason.WIDENED.value, fitted(listing(fresh, "", limit=1000, most=_MOST)))

    def forget(self, key: Key) -> None:
        """Forget a segment that is gone."""
        self._known.pop(key, None)
