"""No more calls in a second than the class allows, from whichever threads; time is handed in."""

import pytest

from pipesegment.errors import Unreachable
from pipesegment.world.aws.budget import Budget


class Watch:
    """A watch that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def test_calls_are_spaced_out_and_a_pause_saves_none_up() -> None:
    watch = Watch()
    budget = Budget(now=watch.now, sleep=watch.sleep)
    at = []
    for pause in (0, 0, 0, 10, 0):
        watch.time += pause
        budget.take(5)
        at.append(round(watch.time, 6))
    assert at == [100.0, 100.2, 100.4, 110.4, 110.6]


def test_whoever_wakes_late_does_not_go_together_with_the_others() -> None:
    watch = Watch()
    budget = Budget(now=watch.now, sleep=watch.sleep)
    went = []
    for _ in range(5):
        budget.take(5)
    late = iter([0.95])
    slow = Budget(now=watch.now, sleep=lambda seconds: watch.sleep(seconds + next(late, 0.0)))
    for _ in range(12):
        slow.take(5)
        went.append(watch.time)
    assert max(sum(1 for other in went if moment - 1e-9 <= other < moment + 1 - 1e-9) for moment in went) <= 5


def test_a_budget_that_is_closed_lets_nobody_through() -> None:
    watch = Watch()
    budget = Budget(now=watch.now, sleep=lambda seconds: (watch.sleep(seconds), budget.close()))
    budget.take(0.1)
    with pytest.raises(Unreachable):
        budget.take(0.1)
