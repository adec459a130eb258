"""Events: what changed since the last look, and nothing that stays the same."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal, NamedTuple

from pipesegment.compile.desired import ObjectID
from pipesegment.plan.changes import Action, ChangeSet, Why
from pipesegment.report.text import counted, fitted, listing
from pipesegment.spec.status import Condition, ConditionType, Reason

#: Bad news when True; every other condition is bad news when False.
_BAD_WHEN_TRUE: Final = frozenset({ConditionType.STALLED, ConditionType.RECONCILING})
#: Comes and goes with every retry; Ready tells it.
_SILENT: Final = frozenset({ConditionType.RECONCILING})
#: Said of a new segment, these are no news.
_NOTHING_NEW: Final = frozenset({Reason.APPLIED, Reason.NOT_DECLARED, Reason.CONFORMS, Reason.AS_DECLARED})


class Event(NamedTuple):
    """One Event of a segment; `message` holds at most 1024 bytes, on one line."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def events(
    before: Iterable[Condition], after: Iterable[Condition], changes: ChangeSet, done: Mapping[ObjectID, str]
) -> tuple[Event, ...]:
    """Tell conditions that changed and objects that were written; `done` holds the writes that succeeded."""
    return (*_transitions(before, after), *_written(changes, done))


def _transitions(before: Iterable[Condition], after: Iterable[Condition]) -> Iterator[Event]:
    had = {condition.type: condition for condition in before}
    for condition in after:
        old = had.pop(condition.type, None)
        if condition.type in _SILENT or (old and (old.status, old.reason) == (condition.status, condition.reason)):
            continue
        if old is None and condition.reason in _NOTHING_NEW:
            continue
        yield _event(condition)
    gone = had.get(ConditionType.STALLED)
    if gone is not None:
        yield Event("Normal", "Resumed", f"no longer {gone.reason}")


def _event(condition: Condition) -> Event:
    bad = (condition.status == "True") is (condition.type in _BAD_WHEN_TRUE)
    message = condition.message if condition.type == ConditionType.READY else f"{condition.type}: {condition.message}"
    return Event("Warning" if bad else "Normal", condition.reason, fitted(message))


def _written(changes: ChangeSet, done: Mapping[ObjectID, str]) -> Iterator[Event]:
    written = [change for change in changes.writes if change.id in done]
    drifted = [change for change in written if change.why is Why.DRIFT]
    if drifted:
        lead = "changed or deleted by somebody else, and as declared again: "
        yield Event(
            "Warning",
            "DriftRepaired",
            fitted(listing((str(change.id) for change in drifted), lead, limit=1000, most=8)),
        )
    meant = [change for change in written if change.why is not Why.DRIFT]
    if meant:
        counts = {action: sum(1 for c in meant if c.action is action) for action in Action}
        said = ", ".join(f"{number} {action}" for action, number in counts.items() if number)
        yield Event("Normal", "Applied", f"{counted(len(meant), 'object')}: {said}")
