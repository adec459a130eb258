"""Engine presets: which pods a stage is, which pods the whole pipeline is, and what the engine itself needs.

Label names were read in the engines' sources; `docs/engines.md` says where each comes from and who can forge it.
A stage's own `podSelector` always wins. What an engine needs carries `because: engine`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from pipesegment import names
from pipesegment.facts.selectors import Requirement, Selector, canonical
from pipesegment.findings import Refusal
from pipesegment.spec.engine import ActionsRunnerController, Engine
from pipesegment.spec.segment import PipelineSegmentSpec, ReachEntry, Stage

BECAUSE: Final = "engine"

_RUNNER: Final = Requirement("app.kubernetes.io/component", "In", ("runner",))
_SCALE_SET: Final = "actions.github.com/scale-set-name"


@dataclass(frozen=True, slots=True)
class Needs:
    """What a stage's pods need of their engine, in the words of a segment.

    `siblings` are pods of the own namespace with which every port is open, both ways. `jenkins` is the controller's
    (namespace or None for the own one, Service, HTTP alone).
    """

    reaches: tuple[ReachEntry, ...] = ()
    siblings: Selector | None = None
    names: bool = False
    jenkins: tuple[str | None, str, bool] | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a stage's pods are: `selector`, what they need; for ARC's Kubernetes mode the runner pods apart."""

    selector: Selector
    needs: Needs
    runner: Selector | None = None
    runner_needs: Needs | None = None


def place(segment: str, index: int, spec: PipelineSegmentSpec) -> Placed | Refusal:
    """Find a stage's pods; a Refusal tells which field the preset lacks."""
    stage = spec.stages[index]
    own = stage.engine
    canonical_labels = Selector.of({names.SEGMENT_LABEL: segment, names.STAGE_LABEL: stage.name})
    declared = canonical(stage.pod_selector) if stage.pod_selector else None
    if spec.engine is None or (own is not None and own.type == "None"):
        return Placed(declared or canonical_labels, Needs())
    kind = spec.engine.type
    needs = _needs(spec)
    if kind == "ActionsRunnerController":
        return _place_runner(index, spec, stage, declared)
    if declared is not None:
        return Placed(declared, needs)
    preset = _PRESETS[kind]
    found = preset(spec, stage)
    if isinstance(found, str):
        path = f"spec.stages[{index}].{found}"
        return Refusal(
            path,
            f"{kind} pods cannot be told apart without it, and it is",
            "absent",
            f"name it for stage {stage.name}, or give the stage a podSelector",
        )
    return Placed(found, needs)


def closing(spec: PipelineSegmentSpec) -> tuple[Selector, ...]:
    """Give the pods of the whole pipeline, stage or not: each selector is closed by a policy of its own.

    The first belongs to the policy `<segment>`. Empty without a preset, and where the stages' own selectors have
    nothing in common that would tell the pipeline from its neighbours.
    """
    return _CLOSING[spec.engine.type](spec, spec.engine) if spec.engine is not None else ()


def is_told_by_stages(spec: PipelineSegmentSpec) -> bool:
    """Tell whether the engine gives its pods no label of the pipeline, so that only the stages' own labels tell it."""
    return spec.engine is not None and spec.engine.type == "ArgoWorkflows"


def _needs(spec: PipelineSegmentSpec) -> Needs:
    engine = spec.engine
    assert engine is not None
    match engine.type:
        case "ArgoWorkflows":
            return Needs(reaches=(_api_server(),))
        case "GitLabRunner":
            return _server(engine.git_lab_runner.server if engine.git_lab_runner else None)
        case "Buildkite":
            return _server(engine.buildkite.server if engine.buildkite else None)
        case "Drone":
            assert engine.drone is not None
            return _server(engine.drone.server)
        case "Woodpecker":
            assert engine.woodpecker is not None
            server = _server(engine.woodpecker.server)
            siblings = Selector.of({"woodpecker-ci.org/repo-id": str(engine.woodpecker.repo_id)})
            return Needs(server.reaches, siblings=siblings, names=True)
        case "Jenkins":
            assert engine.jenkins is not None
            controller = engine.jenkins.controller
            return Needs(jenkins=(controller.namespace, controller.service, engine.jenkins.web_socket), names=True)
        case _:
            return Needs()


def _server(destination: str | None) -> Needs:
    if destination is None:
        return Needs()
    return Needs(reaches=(ReachEntry.model_validate({"destination": {"name": destination}}),), names=True)


def _api_server() -> ReachEntry:
    return ReachEntry.model_validate({"kubernetesAPI": {}})


def _place_runner(index: int, spec: PipelineSegmentSpec, stage: Stage, declared: Selector | None) -> Placed | Refusal:
    """Place a stage of ARC: one set of pods with DinD, runner and job pods apart in Kubernetes mode."""
    assert spec.engine is not None
    controller = spec.engine.actions_runner_controller or ActionsRunnerController()
    own = stage.engine
    sets = own.scale_sets if own else ()
    server = _server(controller.server)
    runners = Selector.of({}, Requirement(_SCALE_SET, "In", tuple(sorted(sets))), _RUNNER) if sets else None
    if controller.container_mode == "DinD":
        selector = declared or runners
        if selector is None:
            return _lacks(index, stage, "engine.scaleSets")
        return Placed(_single(selector), server)
    jobs = declared
    if jobs is None and own is not None and own.job_pods is not None:
        jobs = Selector.of(own.job_pods.match_labels)
    if jobs is None:
        return _lacks(index, stage, "engine.jobPods")
    if runners is None:
        return _lacks(index, stage, "engine.scaleSets")
    runner_needs = Needs((*server.reaches, _api_server()), names=True)
    return Placed(jobs, Needs(), _single(runners), runner_needs)


def _lacks(index: int, stage: Stage, field: str) -> Refusal:
    return Refusal(
        f"spec.stages[{index}].{field}",
        "ActionsRunnerController pods cannot be told apart without it, and it is",
        "absent",
        f"name it for stage {stage.name}",
    )


def _single(selector: Selector) -> Selector:
    """Write `In` with one value as a label: engines that know only matchLabels can take it then."""
    labels = dict(selector.labels)
    rest = []
    for requirement in selector.expressions:
        if requirement.operator == "In" and len(requirement.values) == 1 and requirement.key not in labels:
            labels[requirement.key] = requirement.values[0]
        else:
            rest.append(requirement)
    return Selector.of(labels, *rest)


def _common_labels(spec: PipelineSegmentSpec) -> Mapping[str, str]:
    sets = [set(canonical(s.pod_selector).labels) for s in spec.stages if s.pod_selector]
    return dict(set.intersection(*sets)) if sets else {}


def _in(key: str, values: tuple[str, ...], labels: Mapping[str, str]) -> Selector:
    return _single(Selector.of(labels, Requirement(key, "In", tuple(sorted(set(values))))))


def _tekton(spec: PipelineSegmentSpec, stage: Stage) -> Selector | str:
    assert spec.engine is not None
    assert spec.engine.tekton is not None
    tasks = (stage.engine.tasks if stage.engine else ()) or (stage.name,)
    return _in("tekton.dev/pipelineTask", tasks, {"tekton.dev/pipeline": spec.engine.tekton.pipeline})


def _argo(_spec: PipelineSegmentSpec, _stage: Stage) -> Selector | str:
    return "podSelector"


def _gitlab(spec: PipelineSegmentSpec, stage: Stage) -> Selector | str:
    assert spec.engine is not None
    managers = stage.engine.managers if stage.engine else ()
    project = spec.engine.git_lab_runner.project if spec.engine.git_lab_runner else None
    labels = {"project.runner.gitlab.com/id": str(project)} if project is not None else {}
    return _in("manager.runner.gitlab.com/name", managers, labels) if managers else "engine.managers"


def _jenkins(_spec: PipelineSegmentSpec, stage: Stage) -> Selector | str:
    labels = stage.engine.labels if stage.engine else ()
    return _in("jenkins/label", labels, {}) if labels else "engine.labels"


def _buildkite(spec: PipelineSegmentSpec, stage: Stage) -> Selector | str:
    assert spec.engine is not None
    queues = stage.engine.queues if stage.engine else ()
    controller = spec.engine.buildkite.controller_id if spec.engine.buildkite else None
    labels = {"buildkite.com/controller-id": controller} if controller else {}
    return _in("tag.buildkite.com/queue", queues, labels) if queues else "engine.queues"


def _woodpecker(spec: PipelineSegmentSpec, stage: Stage) -> Selector | str:
    assert spec.engine is not None
    assert spec.engine.woodpecker is not None
    steps = (stage.engine.steps if stage.engine else ()) or (stage.name,)
    return _in("woodpecker-ci.org/step", steps, {"woodpecker-ci.org/repo-id": str(spec.engine.woodpecker.repo_id)})


def _drone(spec: PipelineSegmentSpec, _stage: Stage) -> Selector | str:
    assert spec.engine is not None
    assert spec.engine.drone is not None
    drone = spec.engine.drone
    labels = {"io.drone.repo.name": drone.repo}
    return _in("io.drone.build.event", drone.events, labels) if drone.events else Selector.of(labels)


_PRESETS: Final[Mapping[str, Callable[[PipelineSegmentSpec, Stage], Selector | str]]] = {
    "Tekton": _tekton,
    "ArgoWorkflows": _argo,
    "GitLabRunner": _gitlab,
    "Jenkins": _jenkins,
    "Buildkite": _buildkite,
    "Woodpecker": _woodpecker,
    "Drone": _drone,
}


def _close_tekton(_spec: PipelineSegmentSpec, engine: Engine) -> tuple[Selector, ...]:
    assert engine.tekton is not None
    return (Selector.of({"tekton.dev/pipeline": engine.tekton.pipeline}),)


def _close_argo(spec: PipelineSegmentSpec, _engine: Engine) -> tuple[Selector, ...]:
    common = _common_labels(spec)
    return (Selector.of(common, Requirement("workflows.argoproj.io/workflow", "Exists")),) if common else ()


def _close_gitlab(_spec: PipelineSegmentSpec, engine: Engine) -> tuple[Selector, ...]:
    if engine.git_lab_runner is not None and engine.git_lab_runner.project is not None:
        return (Selector.of({"project.runner.gitlab.com/id": str(engine.git_lab_runner.project)}),)
    return (Selector.of({}, Requirement("manager.runner.gitlab.com/name", "Exists")),)


def _close_runners(_spec: PipelineSegmentSpec, engine: Engine) -> tuple[Selector, ...]:
    runners = Selector.of({}, Requirement(_SCALE_SET, "Exists"), _RUNNER)
    if engine.actions_runner_controller and engine.actions_runner_controller.container_mode == "Kubernetes":
        return (Selector.of({}, Requirement("runner-pod", "Exists")), runners)
    return (runners,)


def _close_jenkins(_spec: PipelineSegmentSpec, _engine: Engine) -> tuple[Selector, ...]:
    return (Selector.of({}, Requirement("jenkins/label", "Exists")),)


def _close_buildkite(_spec: PipelineSegmentSpec, engine: Engine) -> tuple[Selector, ...]:
    if engine.buildkite is not None and engine.buildkite.controller_id:
        return (Selector.of({"buildkite.com/controller-id": engine.buildkite.controller_id}),)
    return (Selector.of({}, Requirement("buildkite.com/job-uuid", "Exists")),)


def _close_woodpecker(_spec: PipelineSegmentSpec, engine: Engine) -> tuple[Selector, ...]:
    assert engine.woodpecker is not None
    return (Selector.of({"woodpecker-ci.org/repo-id": str(engine.woodpecker.repo_id)}),)


def _close_drone(_spec: PipelineSegmentSpec, engine: Engine) -> tuple[Selector, ...]:
    assert engine.drone is not None
    return (Selector.of({"io.drone.repo.name": engine.drone.repo}),)


_CLOSING: Final[Mapping[str, Callable[[PipelineSegmentSpec, Engine], tuple[Selector, ...]]]] = {
    "Tekton": _close_tekton,
    "ArgoWorkflows": _close_argo,
    "GitLabRunner": _close_gitlab,
    "ActionsRunnerController": _close_runners,
    "Jenkins": _close_jenkins,
    "Buildkite": _close_buildkite,
    "Woodpecker": _close_woodpecker,
    "Drone": _close_drone,
}
