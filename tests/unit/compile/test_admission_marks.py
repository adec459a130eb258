"""What a stage's NetworkPolicy tells the admission policies; what is a default is not written."""

from dataclasses import replace
from typing import Any

import pytest

from pipesegment import names
from pipesegment.compile.segment import compile_segment
from pipesegment.findings import Finding
from pipesegment.reach.edges import Mode
from pipesegment.reach.graph import Account, RunnerReach
from tests.unit.compile.building import governed, meshed, only, reach, selector_of, stage

EXEMPT = {
    "guardrails": {"exemptions": [{"allow": ["Privileged", "HostPath"], "stages": ["build"], "reason": "images"}]}
}


def marks(*stages: Any, policy: str = "shop-build", **fields: Any) -> dict[str, str]:
    """What is on a policy beside what every object of a stage has."""
    meta = only(compile_segment(reach(*stages, **fields)), "NetworkPolicy", policy)["metadata"]
    usual = {names.MANAGED_BY_LABEL, names.SEGMENT_LABEL, names.STAGE_LABEL, names.HASH_ANNOTATION}
    return {key: value for key, value in (meta["labels"] | meta["annotations"]).items() if key not in usual}


def test_a_stage_of_which_nothing_is_known_has_none():
    assert marks(stage("build")) == {}


def test_an_account_of_another_name_is_named():
    account = Account("deployer", create=False, automount=False)

    assert marks(stage("build", account=account)) == {names.ACCOUNT_ANNOTATION: "deployer"}


def test_pods_that_run_as_the_stage_make_it_wired():
    assert marks(stage("build", wired=True)) == {names.WIRED_LABEL: "true"}


def test_a_stage_that_shares_its_pods_with_another_segment_is_never_wired():
    shared = Finding("spec.stages[0].podSelector", "OverlapUnion", "stage x", "both", "part them", "ci-shop/shop")
    first, second = stage("build", wired=True), stage("test", 1, wired=True)

    assert marks(first, second, findings=(shared,)) == {}
    assert marks(first, second, findings=(shared,), policy="shop-test") == {names.WIRED_LABEL: "true"}


def test_a_stage_that_was_refused_has_no_say_about_its_pods():
    assert marks(stage("build", closed=True)) == {names.PART_LABEL: "closed"}


def test_runner_pods_have_an_account_of_their_own():
    both = stage("build", wired=True, runner=RunnerReach(selector_of("runner"), ()))
    name = names.suffixed_name("shop", "build", "runner")

    assert marks(both, policy=name) == {names.PART_LABEL: "runner"}
    assert names.PART_LABEL not in marks(both)


@pytest.mark.parametrize(
    ("controllers", "users"),
    [
        (["tekton-pipelines/controller"], "system:serviceaccount:tekton-pipelines:controller"),
        (["zoe@example.com", "ci/a.b"], "system:serviceaccount:ci:a.b\nzoe@example.com"),
        (["system:serviceaccount:ci:runner"], "system:serviceaccount:ci:runner"),
        (["CN=runner of ci/cd"], "CN=runner of ci/cd"),
    ],
)
def test_controllers_are_named_as_the_api_server_knows_them(controllers, users):
    governance = governed(guardrails={"controllers": controllers})

    meta = only(compile_segment(reach(stage("build"), governance=governance)), "NetworkPolicy")["metadata"]
    assert meta["annotations"][names.CONTROLLERS_ANNOTATION] == users
    assert meta["labels"][names.CONTROLLERS_LABEL] == "named"


def test_a_class_that_locks_down_marks_every_stage():
    governance = governed(guardrails={"lockdown": True})

    assert marks(stage("build"), governance=governance) == {names.LOCKDOWN_LABEL: "true"}


def test_exemptions_are_for_the_stages_that_they_name():
    both = (stage("build"), stage("test", 1))

    assert marks(*both, governance=governed(**EXEMPT)) == {names.EXEMPT_ANNOTATION: "HostPath Privileged"}
    assert marks(*both, governance=governed(**EXEMPT), policy="shop-test") == {}


def test_a_stage_in_a_mesh_says_so():
    assert marks(meshed("build")) == {names.MESH_ANNOTATION: "Istio"}


def test_a_stage_that_is_observed_has_no_policy_to_mark():
    observed = replace(stage("build", wired=True), mode=Mode.OBSERVE)

    assert not [obj for obj in compile_segment(reach(observed)).objects if obj["kind"] == "NetworkPolicy"]
