"""Presets: which pods a stage is, what a stage may say of its own, and what closes the rest of the pipeline."""

import pytest

from pipesegment.errors import Refused
from pipesegment.facts.selectors import Requirement, Selector
from pipesegment.reach.edges import PortRange, Target
from tests.unit.reach.reaching import reach, reasons, segment, segment_class, service, stage

TEKTON = {"type": "Tekton", "tekton": {"pipeline": "shop"}}


def test_one_value_is_a_label_and_several_are_an_expression():
    found = reach(segment([{"name": "build"}, {"name": "test", "engine": {"tasks": ["unit", "e2e"]}}], engine=TEKTON))
    assert stage(found, "build").selector == Selector.of(
        {"tekton.dev/pipeline": "shop", "tekton.dev/pipelineTask": "build"}
    )
    assert stage(found, "test").selector == Selector.of(
        {"tekton.dev/pipeline": "shop"}, Requirement("tekton.dev/pipelineTask", "In", ("e2e", "unit"))
    )


def test_a_stages_own_selector_wins_and_none_takes_the_canonical_labels():
    stages = [
        {"name": "own", "podSelector": {"matchLabels": {"app": "own"}}},
        {"name": "plain", "engine": {"type": "None"}},
        {"name": "both", "engine": {"type": "None"}, "podSelector": {"matchLabels": {"app": "both"}}},
    ]
    found = reach(segment(stages, engine=TEKTON))
    assert stage(found, "own").selector == Selector.of({"app": "own"})
    assert stage(found, "plain").selector == Selector.of(
        {"pipesegment.dev/segment": "shop", "pipesegment.dev/stage": "plain"}
    )
    assert stage(found, "both").selector == Selector.of({"app": "both"})


def test_a_stage_out_of_the_preset_gets_nothing_of_it():
    stages = [{"name": "build", "engine": {"type": "None"}}, {"name": "test"}]
    found = reach(segment(stages, engine={"type": "Woodpecker", "woodpecker": {"repoID": 7}}))
    assert stage(found, "build").egress == stage(found, "build").ingress == ()
    assert [e.because for e in stage(found, "test").ingress] == ["engine"]


def test_without_an_engine_nothing_closes_a_pipeline():
    assert reach(segment([{"name": "build"}])).closing == ()


@pytest.mark.parametrize(("web_socket", "ports"), [(False, [8080, 50000]), (True, [8080])])
def test_agents_by_web_socket_do_not_need_the_agents_port(web_socket, ports):
    engine = {"type": "Jenkins", "jenkins": {"controller": {"service": "jenkins"}, "webSocket": web_socket}}
    jenkins = service(
        "ci",
        "jenkins",
        {"app": "jenkins"},
        [{"name": "h", "port": 80, "targetPort": 8080}, {"name": "a", "port": 50000}],
    )
    found = reach(segment([{"name": "build", "engine": {"labels": ["x"]}}], engine=engine), jenkins)
    (edge,) = [e for e in stage(found, "build").egress if e.target is Target.SERVICE]
    assert (edge.because, [p.port for p in edge.ports]) == ("engine", ports)


def test_a_port_50000_of_another_protocol_is_not_the_agents():
    engine = {"type": "Jenkins", "jenkins": {"controller": {"service": "jenkins"}, "webSocket": True}}
    jenkins = service("ci", "jenkins", {"app": "jenkins"}, [{"name": "u", "port": 50000, "protocol": "UDP"}])
    found = reach(segment([{"name": "build", "engine": {"labels": ["x"]}}], engine=engine), jenkins)
    (edge,) = [e for e in stage(found, "build").egress if e.target is Target.SERVICE]
    assert edge.ports == (PortRange("UDP", 50000),)


@pytest.mark.parametrize("web_socket", [False, True])
def test_a_controller_that_nobody_granted_reads_like_one_that_is_absent(web_socket):
    controller = {"service": "jenkins", "namespace": "jenkins"}
    mine = segment(
        [{"name": "build", "engine": {"labels": ["x"]}}],
        engine={"type": "Jenkins", "jenkins": {"controller": controller, "webSocket": web_socket}},
    )
    required = segment_class(network={"requireGrants": True})
    there = service("jenkins", "jenkins", {"app": "jenkins"}, [{"name": "h", "port": 80}, {"name": "a", "port": 50000}])
    assert reach(mine, required) == reach(mine, required, there)


def test_the_executor_gets_the_api_server_and_a_token_but_no_dns():
    found = reach(
        segment([{"name": "build", "podSelector": {"matchLabels": {"a": "b"}}}], engine={"type": "ArgoWorkflows"})
    )
    build = stage(found, "build")
    assert [e.target for e in build.egress] == [Target.KUBERNETES_API]
    assert build.account.automount


def arc(**stage_engine):
    engine = {"type": "ActionsRunnerController", "actionsRunnerController": {"containerMode": "Kubernetes"}}
    return segment(
        [
            {
                "name": "build",
                "engine": stage_engine,
                "reaches": [{"cidr": {"block": "192.0.2.0/24"}, "ports": [{"port": 443}]}],
            }
        ],
        engine=engine,
    )


def test_runner_pods_have_the_engines_needs_and_job_pods_what_is_declared():
    build = stage(reach(arc(scaleSets=["a"], jobPods={"matchLabels": {"job": "build"}})), "build")
    assert build.runner is not None
    assert {e.target for e in build.runner.egress} == {Target.KUBERNETES_API, Target.DNS}
    assert [e.target for e in build.egress] == [Target.CIDR]
    assert not build.account.automount
    assert not build.selector.matches(dict(build.runner.selector.labels))


def test_a_job_without_its_runners_is_refused_with_the_missing_field():
    stages = [{"name": "build", "podSelector": {"matchLabels": {"job": "build"}}}]
    engine = {"type": "ActionsRunnerController", "actionsRunnerController": {"containerMode": "Kubernetes"}}
    with pytest.raises(Refused, match=r"spec.stages\[0\].engine.scaleSets: "):
        reach(segment(stages, engine=engine))


def test_the_pipeline_stays_unclosed_while_a_stage_of_it_only_observes():
    found = reach(segment([{"name": "build"}, {"name": "test", "mode": "Observe"}], engine=TEKTON))
    assert found.closing == ()
    assert ("spec.engine", "PipelineUnclosed") in reasons(found)


def test_a_neighbour_that_only_observes_keeps_no_pipeline_open():
    """Whoever may create a segment could create one that observes."""
    jenkins = {"type": "Jenkins", "jenkins": {"controller": {"service": "jenkins"}}}
    mine = segment([{"name": "build", "engine": {"labels": ["mine"]}}], engine=jenkins)
    other = segment([{"name": "build", "engine": {"labels": ["other"]}}], "pay", engine=jenkins, mode="Observe")
    assert reach(mine, other).closing == reach(mine).closing != ()


def test_an_engines_server_is_a_destination_of_the_class():
    engine = {"type": "GitLabRunner", "gitLabRunner": {"server": "gitlab"}}
    stages = [{"name": "build", "engine": {"managers": ["m"]}}]
    governed = segment_class(destinations=[{"name": "gitlab", "cidrs": ["203.0.113.5/32"]}])
    (edge,) = [
        e
        for e in stage(reach(segment(stages, engine=engine), governed), "build").egress
        if e.target is Target.DESTINATION
    ]
    assert (edge.open, edge.because) == (True, "engine")
    assert ("engine", "Unresolved") in reasons(reach(segment(stages, engine=engine)))


def test_what_an_engine_needs_opens_the_other_half_too():
    """The server is a stage of the same segment: both sides come from one entry."""
    engine = {"type": "GitLabRunner", "gitLabRunner": {"server": "gitlab"}}
    stages = [
        {"name": "build", "engine": {"managers": ["m"]}},
        {"name": "server", "engine": {"type": "None"}, "podSelector": {"matchLabels": {"app": "gitlab"}}},
    ]
    governed = segment_class(destinations=[{"name": "gitlab", "service": {"name": "gitlab", "namespace": "ci"}}])
    found = reach(segment(stages, engine=engine), governed, service("ci", "gitlab", {"app": "gitlab"}))
    assert [e.open for e in stage(found, "build").egress if e.target is Target.DESTINATION] == [True]
    assert [e.because for e in stage(found, "server").ingress] == ["engine"]
