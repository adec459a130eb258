"""Kubernetes' own conformance scenarios for NetworkPolicy, judged by our evaluator."""

import pytest

from pipesegment.evaluate.networkpolicy import NetworkPolicies
from tests.unit.evaluate.scenarios import SCENARIOS, Scenario


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: f"{s.title} {s.port}")
def test_matrix(scenario: Scenario) -> None:
    """Every pair of the scenario is open or closed as the table says."""
    judged = NetworkPolicies(scenario.policies, cidr_matches_pods=scenario.cidr_matches_pods)
    ends = {str(end): end for end in scenario.ends}
    verdicts = {(a, b): judged.verdict(ends[a], ends[b], scenario.port) for a, b in scenario.expected}
    found = {pair: verdict.allowed for pair, verdict in verdicts.items()}
    assert found == scenario.expected, {pair: verdict.because for pair, verdict in verdicts.items()}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: f"{s.title} {s.port}")
def test_a_pod_always_reaches_itself(scenario: Scenario) -> None:
    """No policy stands between a pod and itself."""
    judged = NetworkPolicies(scenario.policies)
    assert all(judged.verdict(end, end, scenario.port).allowed for end in scenario.ends)
