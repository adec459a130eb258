"""Events tell what changed, and nothing that stays the same."""

from typing import Any

from pipesegment.compile.desired import Desired, ObjectID
from pipesegment.plan.changes import plan
from pipesegment.plan.live import Entry
from pipesegment.report.conditions import segment_conditions
from pipesegment.report.events import Event, events
from pipesegment.report.outcome import Outcome
from tests.unit.report.outcomes import (
    LATER,
    NOW,
    SEGMENT,
    UID,
    condition,
    done,
    found,
    live,
    obj,
    outcome,
    planned,
    reach,
)

NOTHING = outcome().changes


def between(before: Outcome | None, after: Outcome) -> list[tuple[str, str]]:
    first = segment_conditions(before, (), NOW, (1, 1)) if before else ()
    second = segment_conditions(after, first, LATER, (1, 1))
    return [(e.type, e.reason) for e in events(first, second, NOTHING, {})]


GOOD = outcome()
GAP = outcome(reach=reach(findings=(found("Unresolved"),)))
WIDENED = outcome(reach=reach(findings=(found("Widened"),)))


def test_a_new_segment_that_is_enforced_is_one_event() -> None:
    assert between(None, GOOD) == [("Normal", "Enforced")]


def test_nothing_new_is_no_event() -> None:
    assert between(GOOD, GOOD) == []
    assert between(GAP, GAP) == []


def test_a_turn_to_the_worse_warns_and_one_to_the_better_does_not() -> None:
    assert between(GOOD, GAP) == [("Warning", "Unresolved")]
    assert between(GAP, GOOD) == [("Normal", "Enforced")]


def test_another_reason_with_the_same_status_is_news() -> None:
    assert between(GOOD, outcome(coarse=(found("X"),))) == [("Normal", "Coarse"), ("Warning", "Coarse")]


def test_another_message_alone_is_none() -> None:
    assert between(GAP, outcome(reach=reach(findings=(found("Unresolved", "spec.stages[0].reaches[7]"),)))) == []


def test_other_conditions_say_which_they_are() -> None:
    conditions = segment_conditions(GOOD, (), NOW, (1, 1))
    after = segment_conditions(WIDENED, conditions, LATER, (1, 1))
    (event,) = events(conditions, after, NOTHING, {})
    assert event.type == "Warning"
    assert event.message.startswith("Conforming: spec.stages[0].reaches[0]: ")


def test_stalled_comes_and_goes() -> None:
    stalled = (condition("Stalled", "True", "Conflict"),)
    assert [(e.type, e.reason) for e in events((), stalled, NOTHING, {})] == [("Warning", "Conflict")]
    assert events(stalled, (), NOTHING, {}) == (Event("Normal", "Resumed", "no longer Conflict"),)


def test_retries_are_no_news() -> None:
    retry = (condition("Reconciling", "True", "Progressing"),)
    assert events((), retry, NOTHING, {}) == ()
    assert events(retry, (), NOTHING, {}) == ()


class TestWrites:
    old = live(obj("ServiceAccount", "gone"))

    def told(self, *wanted: Any, remembered: bool = False, failed: bool = False) -> list[Event]:
        changes = planned(*wanted, existing=(self.old,))
        if remembered:
            recorded = [Entry(ObjectID.of(each), "uid") for each in wanted]
            changes = plan(Desired(SEGMENT, UID, wanted), {self.old.id: self.old}, recorded)
        return list(events((), (), changes, {} if failed else done(changes)))

    def test_what_was_written_is_counted(self) -> None:
        assert self.told(obj(), obj("Sidecar")) == [Event("Normal", "Applied", "3 objects: 2 created, 1 deleted")]

    def test_what_failed_is_not(self) -> None:
        assert self.told(obj(), failed=True) == []

    def test_a_repair_names_what_somebody_had_touched(self) -> None:
        repaired, applied = self.told(obj(), remembered=True)
        assert (repaired.type, repaired.reason) == ("Warning", "DriftRepaired")
        assert repaired.message.endswith("as declared again: NetworkPolicy ci/shop-build")
        assert applied.message == "1 object: 1 deleted"

    def test_many_repairs_are_one_bounded_event(self) -> None:
        many = [obj(name=f"shop-{'x' * 200}-{n}") for n in range(50)]
        repaired = self.told(*many, remembered=True)[0]
        assert len(repaired.message) <= 1024
        assert repaired.message.endswith("; and 42 more")
