"""The hand-written scenarios, judged by each engine: a table that our evaluator and a judge contradict is wrong."""

import pytest

from lab.oracle import comparison
from lab.oracle.judges import Engine
from tests.unit.evaluate.scenarios import SCENARIOS, Scenario

pytest_plugins = ["lab.oracle.fixtures"]


@pytest.mark.oracle
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: f"{s.title} {s.port}")
def test_the_judge_agrees(judge: Engine, scenario: Scenario) -> None:
    """It finds no difference to our evaluator."""
    assert comparison.judge(judge, scenario.policies, scenario.ends, [scenario.port], thorough=True) == []
