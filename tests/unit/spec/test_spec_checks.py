"""Names that meet: what one segment, and several together, would call their objects."""

import pytest

from pipesegment.errors import Refused
from pipesegment.spec.documents import load


def segment(name, *stages, namespace="ci", **spec):
    return {
        "apiVersion": "pipesegment.dev/v1alpha1",
        "kind": "PipelineSegment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"stages": [stage if isinstance(stage, dict) else {"name": stage} for stage in stages], **spec},
    }


def refused(*objects):
    with pytest.raises(Refused) as error:
        load(objects)
    return [(r.object, str(r), r.reason) for r in error.value.refusals]


def test_two_segments_that_need_one_name_are_both_refused():
    assert refused(segment("a", "b-c"), segment("a-b", "c")) == [
        (
            "ci/a",
            "spec.stages[0].name: needs objects (NetworkPolicy, ServiceAccount) whose name another segment (ci/a-b) needs too 'a-b-c': rename the stage or the segment",
            "Conflict",
        ),
        (
            "ci/a-b",
            "spec.stages[0].name: needs objects (NetworkPolicy, ServiceAccount) whose name another segment (ci/a) needs too 'a-b-c': rename the stage or the segment",
            "Conflict",
        ),
    ]


def test_the_policy_of_an_engine_meets_the_stage_of_another_segment():
    engine = {"type": "Drone", "drone": {"repo": "shop"}}

    found = refused(segment("a-b", "x", engine=engine), segment("a", "b"))

    assert [(where, line.split(":")[0]) for where, line, _ in found] == [
        ("ci/a-b", "spec.engine"),
        ("ci/a", "spec.stages[0].name"),
    ]


def test_two_segments_may_not_share_an_account_even_one_that_exists():
    account = {"name": "shared", "create": False}
    stages = ({"name": "build", "serviceAccount": account},)

    found = refused(segment("a", *stages), segment("b", *stages))

    assert [(where, line.split(":")[0]) for where, line, _ in found] == [
        ("ci/a", "spec.stages[0].serviceAccount.name"),
        ("ci/b", "spec.stages[0].serviceAccount.name"),
    ]


def test_equal_names_in_different_namespaces_do_not_meet():
    assert len(load([segment("a", "b-c"), segment("a-b", "c", namespace="other")]).segments) == 2


def test_the_order_of_documents_does_not_matter():
    one, two = segment("a", "b-c"), segment("a-b", "c")

    assert sorted(refused(one, two)) == sorted(refused(two, one))


def test_a_stage_may_reach_itself_for_a_stage_can_have_several_pods():
    ports = [{"port": 8080}]
    stage = {"name": "build", "reaches": [{"stage": {"name": "build"}, "ports": ports}]}

    assert load([segment("shop", stage)]).segments[0].spec.stages[0].reaches[0].kind == "stage"


def test_stages_of_other_segments_need_not_be_declared_here():
    ports = [{"port": 8080}]
    reaches = [
        {"stage": {"name": "x", "segment": "pay"}, "ports": ports},
        {"stage": {"name": "x", "namespace": "other"}, "ports": ports},
        {"stage": {"name": "x", "segment": "shop", "namespace": "other"}, "ports": ports},
        {"stage": {"name": "build", "segment": "shop", "namespace": "ci"}, "ports": ports},
    ]
    accepts = [
        {"stage": {"name": "x", "anySegment": True}, "ports": ports},
        {"stage": {"anyStage": True}, "ports": ports},
    ]

    assert load([segment("shop", {"name": "build", "reaches": reaches, "accepts": accepts})]).segments


def test_gates_may_meet_again_without_a_circle():
    def gate(name):
        return {"name": f"after-{name}", "stage": {"name": name}}

    stages = (
        {"name": "build"},
        {"name": "scan", "gates": [gate("build")]},
        {"name": "test", "gates": [gate("build")]},
        {"name": "deploy", "gates": [gate("scan"), gate("test")]},
    )

    assert {reason for _, _, reason in refused(segment("shop", *stages))} == {"NotYetSupported"}
