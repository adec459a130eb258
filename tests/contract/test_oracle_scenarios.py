"""The hand-written scenarios, judged by cyclonus: a table that both engines contradict is wrong."""

import pytest

from lab.oracle import comparison
from lab.oracle.cyclonus import Judge
from tests.unit.evaluate.scenarios import SCENARIOS, Scenario

pytest_plugins = ["lab.oracle.fixtures"]


@pytest.mark.oracle
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: f"{s.title} {s.port}")
def test_cyclonus_agrees(judge: Judge, scenario: Scenario) -> None:
    """It finds no difference to our evaluator."""
    assert comparison.judge(judge, scenario.policies, scenario.ends, [scenario.port]) == []
