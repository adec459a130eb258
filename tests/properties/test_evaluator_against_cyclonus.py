"""Our NetworkPolicy evaluator and an engine that shares no line with it answer alike."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.oracle import comparison
from lab.oracle.cyclonus import Judge
from pipesegment.evaluate.endpoints import End
from tests.properties.strategies import PORTS, ends, network_policies

pytest_plugins = ["lab.oracle.fixtures"]


@pytest.mark.oracle
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policies=st.lists(network_policies(), min_size=1, max_size=6), pods=ends())
def test_agrees_with_cyclonus_on_random_worlds(judge: Judge, policies: list[dict], pods: list[End]) -> None:
    """300 worlds, every pair of ends at six ports: no difference but the known ones."""
    assert comparison.judge(judge, policies, pods, PORTS) == []
