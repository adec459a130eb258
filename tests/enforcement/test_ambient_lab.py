"""What istiod itself makes of our policies for ztunnel, and whom ztunnel would let in by it.

No ztunnel runs: its rules are read from istiod and judged as its own code does (`lab/mesh/ztunnel.py`). Nor does a waypoint:
that istiod binds a policy to one is seen, what the waypoint makes of it is not.
"""

from collections.abc import Iterator, Mapping

import pytest

from lab.mesh import missing
from lab.mesh.ambient import AmbientLab
from lab.mesh.ztunnel import Call, Told
from pipesegment.evaluate.authorization import Request
from pipesegment.evaluate.endpoints import of_pod
from pipesegment.evaluate.istio import Istio
from pipesegment.facts import parse
from tests.enforcement.ambient_world import Asked, Case, golden, principal, scenarios
from tests.planes import give_up

pytestmark = pytest.mark.enforcement

SCENARIOS = list(scenarios())
GOLDEN = list(golden())
AT_WAYPOINTS = [case for case in (*SCENARIOS, *GOLDEN) if case.bound]


@pytest.fixture(scope="module")
def lab(request):
    """istiod in ambient mode, on a machine where the mesh lab can run."""
    lacking = missing()
    if lacking:
        give_up(request.config, f"NOTHING WAS TOLD TO ZTUNNEL HERE, the mesh lab cannot run: {lacking}")
    with AmbientLab() as lab:
        yield lab


def as_istiod_tells(case: Case, told: Told) -> Iterator[tuple[str, bool]]:
    for pod in case.pods:
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        for call in case.calls():
            yield f"{call} of {name}", told.allows(name, call)


def as_we_say(case: Case) -> Iterator[tuple[str, bool]]:
    istio = Istio(case.istio)
    for pod in case.pods:
        end = of_pod(parse.snapshot([pod]).pods[pod["metadata"]["namespace"]][pod["metadata"]["name"]], {})
        for call in case.calls():
            request = Request(call.principal, call.port, source_ip=call.source)
            yield f"{call} of {end}", istio.verdict(end, request).allowed


def answer(asked: Asked, case: Case, told: Told) -> bool:
    source = next(o for o in case.objects if o["kind"] == "Pod" and named(o) == asked.source)
    return told.allows(asked.target, Call(principal(source), asked.port))


def named(obj: Mapping) -> str:
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_ztunnel_is_told_to_let_in_whom_the_scenario_says(lab: AmbientLab, scenario: Case):
    with lab.told(scenario.objects) as told:
        assert {str(asked): answer(asked, scenario, told) for asked in scenario.asked} == {
            str(asked): asked.open for asked in scenario.asked
        }
        assert dict(as_istiod_tells(scenario, told)) == dict(as_we_say(scenario))


@pytest.mark.parametrize("case", GOLDEN, ids=str)
def test_ztunnel_is_told_what_our_evaluator_reads_in_every_golden_case(lab: AmbientLab, case: Case):
    with lab.told(case.objects) as told:
        ours = dict(as_we_say(case))
        assert dict(as_istiod_tells(case, told)) == ours
        at_waypoints = {named(policy) for policy in case.policies if "targetRefs" in policy["spec"]}
        assert not at_waypoints & told.policies.keys()
    assert len(ours) >= 20


@pytest.mark.parametrize("case", AT_WAYPOINTS, ids=str)
def test_istiod_binds_policies_at_services_to_their_waypoint(lab: AmbientLab, case: Case):
    with lab.told(case.objects):
        bound = [lab.at_waypoint(policy) for policy in case.at_services]
    assert bound
    assert all(message.startswith("bound to ") for message in bound)


def test_there_are_enough_cases():
    assert len(SCENARIOS) >= 8
    assert len(GOLDEN) >= 40
    assert len(AT_WAYPOINTS) >= 4
