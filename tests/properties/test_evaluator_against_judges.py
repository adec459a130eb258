"""Our NetworkPolicy evaluator and engines that share no line with it answer alike."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.oracle import comparison
from lab.oracle.judges import Engine
from lab.oracle.world import World
from pipesegment.evaluate.endpoints import End
from pipesegment.evaluate.networkpolicy import NetworkPolicies
from tests.properties.soak import examples
from tests.properties.strategies import PORTS, ends, network_policies

pytestmark = pytest.mark.thorough
pytest_plugins = ["lab.oracle.fixtures"]


@pytest.mark.oracle
def test_agrees_with_each_judge_on_random_worlds(judge: Engine) -> None:
    """300 worlds, every pair of ends at six ports: no difference but the known ones, and neither answer is rare."""
    met: Counter[bool] = Counter()

    @settings(max_examples=examples(300), deadline=None)
    @given(policies=st.lists(network_policies(), min_size=1, max_size=6), pods=ends())
    def agree(policies: list[dict], pods: list[End]) -> None:
        assert comparison.judge(judge, policies, pods, PORTS) == []
        ours = NetworkPolicies(policies, cidr_matches_pods=judge.program.block_holds_pods)
        met.update(ours.verdict(a, b, port).allowed for a in pods for b in pods for port in PORTS)

    agree()
    assert min(met[True], met[False]) > met.total() / 10


@pytest.mark.oracle
def test_ciliums_own_two_evaluators_agree(cilium: Engine) -> None:
    """60 worlds: LookupFlow, asked flow by flow, and IteratePolicy say what the judge says; it would be an error."""

    @settings(max_examples=examples(60), deadline=None)
    @given(policies=st.lists(network_policies(), min_size=1, max_size=6), pods=ends(most=4))
    def agree(policies: list[dict], pods: list[End]) -> None:
        cilium.matrix(policies, World.of(pods), PORTS, thorough=True)

    agree()
