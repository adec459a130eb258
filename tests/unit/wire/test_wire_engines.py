"""Every engine: what is printed is what the check accepts, and what is missing is named."""

import tomllib
from collections.abc import Callable

import pytest

from lab import yaml
from pipesegment.errors import Refused
from pipesegment.wire.engines import lacks, pieces
from pipesegment.wire.given import Given
from pipesegment.wire.values import Wiring, render

Wire = Callable[[str], Wiring]

SPECS = {
    "Tekton": """
engine: {type: Tekton, tekton: {pipeline: shop}}
stages: [{name: build, engine: {tasks: [compile, package]}}, {name: deploy}]
""",
    "ArgoWorkflows": """
engine: {type: ArgoWorkflows}
stages:
  - {name: build, podSelector: {matchLabels: {pipeline: shop, stage: build}}}
  - {name: deploy, podSelector: {matchLabels: {pipeline: shop, stage: deploy}}, serviceAccount: {automountToken: true}}
""",
    "GitLabRunner": """
engine: {type: GitLabRunner, gitLabRunner: {project: "42"}}
stages: [{name: build, engine: {managers: [build-1, build-2]}}, {name: deploy, engine: {managers: [deploy-1]}}]
""",
    "ARC DinD": """
engine: {type: ActionsRunnerController}
stages: [{name: build, engine: {scaleSets: [linux, linux-arm]}}]
""",
    "ARC Kubernetes": """
engine: {type: ActionsRunnerController, actionsRunnerController: {containerMode: Kubernetes}}
stages:
  - {name: build, engine: {scaleSets: [linux], jobPods: {matchLabels: {ci.example.com/stage: build}}}}
  - {name: deploy, engine: {scaleSets: [trusted], jobPods: {matchLabels: {ci.example.com/stage: deploy}}}}
""",
    "Jenkins": """
engine: {type: Jenkins, jenkins: {controller: {service: jenkins, namespace: jenkins}}}
stages: [{name: build, engine: {labels: [linux]}}, {name: deploy, engine: {labels: [trusted, rollback]}}]
""",
    "Buildkite": """
engine: {type: Buildkite}
stages: [{name: build, engine: {queues: [build]}}, {name: deploy, engine: {queues: [deploy, rollback]}}]
""",
    "Woodpecker": """
engine: {type: Woodpecker, woodpecker: {repoID: "7"}}
stages: [{name: build, engine: {steps: [clone, compile]}}, {name: deploy}]
""",
    "Drone": """
engine: {type: Drone, drone: {repo: shop, events: [push, tag]}}
stages: [{name: ci}]
""",
    "no engine": """
stages: [{name: build}, {name: deploy, podSelector: {matchExpressions: [{key: app, operator: In, values: [a, b]}]}}]
""",
}

EVERY = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())


@EVERY
def test_what_is_printed_lacks_nothing(wire: Wire, spec: str) -> None:
    wiring = wire(spec)

    assert lacks(wiring, Given("printed", render(pieces(wiring)))) == ()


@EVERY
def test_what_is_printed_is_valid_in_its_language(wire: Wire, spec: str) -> None:
    found = pieces(wire(spec))

    text = render(found)
    language = found[0].language
    if language == "yaml":
        assert all(isinstance(doc, dict) for doc in yaml.safe_load_all(text))
    elif language == "toml":
        assert tomllib.loads(text)
    else:
        assert text.count("{") == text.count("}")


@EVERY
def test_an_empty_file_lacks_every_stage(wire: Wire, spec: str) -> None:
    wiring = wire(spec)

    found = lacks(wiring, Given("empty", ""))

    assert {f.target for f in found if f.reason == "Unwired"} == {f"stage {p.stage}" for p in wiring.stages}


@EVERY
def test_another_account_is_told(wire: Wire, spec: str) -> None:
    wiring = wire(spec)
    account = wiring.stages[0].account

    found = lacks(wiring, Given("printed", render(pieces(wiring)).replace(account, "somebody")))

    assert found
    assert all("somebody" in f.message and f.fix.endswith(account) for f in found if f.target.startswith("stage "))


def test_a_tekton_task_that_no_stage_names_is_closed(wire: Wire) -> None:
    wiring = wire(SPECS["Tekton"])
    pipeline = """
kind: Pipeline
metadata: {name: shop}
spec:
  tasks: [{name: compile}, {name: package}, {name: deploy}, {name: scan}]
  finally: [{name: notify}]
"""

    found = lacks(wiring, Given("pipeline.yaml", pipeline))

    assert [(f.path, f.reason, f.target) for f in found] == [
        ("spec.tasks[3]", "NoStage", "task scan"),
        ("spec.finally[0]", "NoStage", "task notify"),
    ]
    assert "closed" in found[0].message


def test_tekton_runs_inside_a_trigger_template_and_of_v1beta1_are_read(wire: Wire) -> None:
    wiring = wire("engine: {type: Tekton, tekton: {pipeline: shop}}\nstages: [{name: build}]")
    template = """
kind: TriggerTemplate
spec:
  resourcetemplates:
    - apiVersion: tekton.dev/v1beta1
      kind: PipelineRun
      spec:
        pipelineRef: {name: shop}
        taskRunSpecs: [{pipelineTaskName: build, taskServiceAccountName: shop-build}]
"""

    assert lacks(wiring, Given("trigger.yaml", template)) == ()


def test_a_tekton_run_of_another_pipeline_is_told_apart(wire: Wire) -> None:
    wiring = wire("engine: {type: Tekton, tekton: {pipeline: shop}}\nstages: [{name: build}]")

    found = lacks(wiring, Given("run.yaml", "kind: PipelineRun\nspec: {pipelineRef: {name: other}}"))

    assert [f.path for f in found] == ["spec.pipelineRef.name"]


def test_gitlab_settings_that_let_a_job_choose_are_told(wire: Wire) -> None:
    wiring = wire(SPECS["GitLabRunner"])
    text = render(pieces(wiring)).replace(
        'service_account_overwrite_allowed = ""', 'service_account_overwrite_allowed = ".*"', 1
    )
    text = text.replace("namespace_per_job = false", "namespace_per_job = true", 1)

    paths = [f.path for f in lacks(wiring, Given("config.toml", text))]

    assert paths == [
        "runners[0].kubernetes.service_account_overwrite_allowed",
        "runners[0].kubernetes.namespace_per_job",
    ]


def test_gitlab_configuration_inside_helm_values_is_read(wire: Wire) -> None:
    wiring = wire(SPECS["GitLabRunner"])
    values = yaml.safe_dump({"runners": {"config": render(pieces(wiring))}})

    assert lacks(wiring, Given("values.yaml", values)) == ()


def test_a_gitlab_manager_that_no_stage_names_is_told(wire: Wire) -> None:
    wiring = wire(SPECS["GitLabRunner"])
    text = render(pieces(wiring)) + '\n[[runners]]\n  name = "old"\n  executor = "kubernetes"\n'

    assert [f.target for f in lacks(wiring, Given("config.toml", text))] == ["manager old"]


def test_arc_runners_in_kubernetes_mode_keep_the_charts_account(wire: Wire) -> None:
    found = pieces(wire(SPECS["ARC Kubernetes"]))

    documents = list(yaml.safe_load_all(render(found)))
    values = [d for d in documents if "runnerScaleSetName" in d]
    templates = [yaml.safe_load(d["data"]["template.yaml"]) for d in documents if d.get("kind") == "ConfigMap"]
    assert [v["template"]["spec"].get("serviceAccountName") for v in values] == [None, None]
    assert [t["spec"]["serviceAccountName"] for t in templates] == ["shop-build", "shop-deploy"]
    assert templates[0]["metadata"]["labels"] == {"ci.example.com/stage": "build"}


def test_arc_runners_without_the_hook_template_are_told(wire: Wire) -> None:
    wiring = wire(SPECS["ARC Kubernetes"])
    text = render(pieces(wiring)).replace("ACTIONS_RUNNER_CONTAINER_HOOK_TEMPLATE", "OTHER")

    messages = [f.message for f in lacks(wiring, Given("values.yaml", text))]

    assert len(messages) == 2
    assert all("ACTIONS_RUNNER_CONTAINER_HOOK_TEMPLATE" in m for m in messages)


def test_a_jenkins_agent_that_no_stage_names_is_told(wire: Wire) -> None:
    wiring = wire(SPECS["Jenkins"])
    text = render(pieces(wiring)) + "\npipeline { agent { kubernetes { label 'scan' } } }"

    assert [f.target for f in lacks(wiring, Given("Jenkinsfile", text))] == ["agent scan"]


def test_braces_inside_jenkins_texts_do_not_end_an_agent(wire: Wire) -> None:
    wiring = wire(
        "engine: {type: Jenkins, jenkins: {controller: {service: j}}}\nstages: [{name: build, engine: {labels: [b]}}]"
    )
    text = "agent { kubernetes { label 'b'; defaultContainer '}'; yaml '''\nspec: {serviceAccountName: shop-build}\n''' } }"

    assert lacks(wiring, Given("Jenkinsfile", text)) == ()


def test_buildkite_steps_that_may_change_their_pod_are_told(wire: Wire) -> None:
    wiring = wire(SPECS["Buildkite"])
    text = render(pieces(wiring)).replace("prohibit-kubernetes-plugin: true", "prohibit-kubernetes-plugin: false", 1)

    assert [f.path for f in lacks(wiring, Given("values.yaml", text))] == [
        "config.prohibit-kubernetes-plugin (queue build)"
    ]


def test_woodpeckers_own_clone_step_is_named_when_no_stage_does(wire: Wire) -> None:
    wiring = wire("engine: {type: Woodpecker, woodpecker: {repoID: '7'}}\nstages: [{name: build}]")

    text = render(pieces(wiring))
    found = lacks(wiring, Given("workflow.yaml", text))

    assert "skip_clone" in text
    assert [f.target for f in found] == ["step clone"]
    assert lacks(wiring, Given("workflow.yaml", text.replace("steps:", "skip_clone: true\nsteps:", 1))) == ()


def test_drone_is_told_the_events_and_the_account(wire: Wire) -> None:
    pipeline = yaml.safe_load(render(pieces(wire(SPECS["Drone"]))))

    assert pipeline["service_account_name"] == "shop-ci"
    assert pipeline["trigger"] == {"event": ["push", "tag"]}


def test_a_stage_outside_the_preset_gets_a_pod_template(wire: Wire) -> None:
    wiring = wire(
        "engine: {type: Tekton, tekton: {pipeline: shop}}\nstages: [{name: build}, {name: db, engine: {type: None}}]"
    )

    documents = list(yaml.safe_load_all(render(pieces(wiring))))

    assert documents[1]["template"] == {
        "metadata": {"labels": {"pipesegment.dev/segment": "shop", "pipesegment.dev/stage": "db"}},
        "spec": {"serviceAccountName": "shop-db", "automountServiceAccountToken": False},
    }


def test_a_stage_with_a_selector_and_no_task_is_no_task(wire: Wire) -> None:
    text = "engine: {type: Tekton, tekton: {pipeline: p}}\nstages: [{name: a}, {name: db, podSelector: {matchLabels: {app: db}}}]"

    run, template = yaml.safe_load_all(render(pieces(wire(text))))

    assert [r["pipelineTaskName"] for r in run["spec"]["taskRunSpecs"]] == ["a"]
    assert template["template"]["metadata"] == {"labels": {"app": "db"}}


def test_own_selectors_are_written_as_labels(wire: Wire) -> None:
    text = """
engine: {type: Tekton, tekton: {pipeline: shop}}
stages:
  - name: build
    engine: {tasks: [build]}
    podSelector: {matchLabels: {team: a}, matchExpressions: [{key: tier, operator: Exists}]}
"""
    run = yaml.safe_load(render(pieces(wire(text))))

    assert run["spec"]["taskRunSpecs"][0]["metadata"] == {"labels": {"team": "a", "tier": "present"}}


def test_a_file_in_no_known_language_is_refused_with_its_name(wire: Wire) -> None:
    with pytest.raises(Refused) as refused:
        lacks(wire(SPECS["Tekton"]), Given("run.yaml", "a: [b"))

    assert str(refused.value).startswith("run.yaml: it is not YAML: '")


@pytest.mark.parametrize(
    "text", ["[]", "- a\n- b", "steps: 3", "spec: {taskRunSpecs: {a: b}}", "kind: PipelineRun\nspec: null"]
)
@EVERY
def test_odd_files_never_break_the_check(wire: Wire, spec: str, text: str) -> None:
    wiring = wire(spec)
    if wiring.spec.engine is not None and wiring.spec.engine.type == "GitLabRunner":
        with pytest.raises(Refused):
            lacks(wiring, Given("odd", text))
        return

    assert lacks(wiring, Given("odd", text))
