"""No two objects of a segment have one name: what would be lost is refused before anything is written."""

import pytest

from pipesegment import names
from pipesegment.compile.segment import compile_segment
from pipesegment.errors import Refused
from pipesegment.facts.selectors import Requirement, Selector
from pipesegment.reach.edges import Mode
from pipesegment.reach.graph import RunnerReach
from tests.unit.compile.building import NAMESPACE, egress, grant, meshed, reach, stage

RUNNER = RunnerReach(Selector.of({"app": "runner"}), (egress(because="engine"),))
LIKE_A_RUNNER = names.suffixed_name("shop", "build", "runner").removeprefix("shop-")


def refused(given):
    with pytest.raises(Refused) as found:
        compile_segment(given)
    return [(r.path, r.value, r.reason, r.object) for r in found.value.refusals]


@pytest.mark.parametrize("turned", [False, True])
def test_a_stage_that_takes_the_name_of_anothers_runner_policy_is_refused_whatever_the_order(turned):
    stages = [stage("build", 0, runner=RUNNER), stage(LIKE_A_RUNNER, 1)]
    name = f"shop-{LIKE_A_RUNNER}"
    told = refused(reach(*(reversed(stages) if turned else stages)))
    assert told == [(f"spec.stages[{n}].name", name, "Invalid", f"{NAMESPACE}/shop") for n in (0, 1)]


def test_names_that_differ_in_kind_are_different():
    observing = stage("build", runner=RUNNER, mode=Mode.OBSERVE)
    assert compile_segment(reach(observing, stage(LIKE_A_RUNNER, 1)))


def test_a_part_of_a_fan_out_has_no_namesake():
    parted = meshed("build", selector=Selector.of({}, Requirement("app", "In", ("a", "b"))))
    made = compile_segment(reach(parted)).objects
    part = next(o["metadata"]["name"] for o in made if o["kind"] == "Sidecar")
    told = refused(reach(parted, meshed(part.removeprefix("shop-"), 1)))
    assert [(path, name) for path, name, *_ in told] == [("spec.stages[0].name", part), ("spec.stages[1].name", part)]


def test_two_objects_of_one_stage_are_told_at_that_stage():
    twice = reach(stage("build", egress=(egress(),)), granted=(grant(), grant(selector=Selector.of({"app": "db"}))))
    ((path, *_),) = refused(twice)
    assert path == "spec.stages[0].name"


def test_the_pipelines_own_policy_has_no_namesake():
    closing = (Selector.of({"a": "b"}), Selector.of({"c": "d"}))
    made = compile_segment(reach(stage("build"), closing=closing)).objects
    name = next(o["metadata"]["name"] for o in made if "-closing-" in o["metadata"]["name"])
    told = refused(reach(stage(name.removeprefix("shop-")), closing=closing))
    assert [(path, found) for path, found, *_ in told] == [("spec.engine", name), ("spec.stages[0].name", name)]
