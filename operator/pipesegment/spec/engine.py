"""Presets for pipeline engines: what a segment and its stages say instead of selectors."""

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from pipesegment.spec.base import Model, Offence, Rule, Unique, api_name, unless
from pipesegment.spec.naming import stages
from pipesegment.spec.units import Bool, Label, LabelKey, LabelText, LabelValue, NumericID, size

EngineType = Literal[
    "Tekton",
    "ArgoWorkflows",
    "GitLabRunner",
    "ActionsRunnerController",
    "Jenkins",
    "Buildkite",
    "Woodpecker",
    "Drone",
]

_SERVER: Final = "The destination of the namespace's class that is the engine's server; added to what the stages reach."
Names = Annotated[tuple[LabelText, ...], size(64, 1), Unique()]


class Tekton(Model):
    """Pods of one Tekton Pipeline."""

    pipeline: LabelText = Field(description="The name of the Pipeline, as the label tekton.dev/pipeline has it.")


class ArgoWorkflows(Model):
    """Pods of Argo Workflows; every stage selects them by its own podSelector."""


class GitLabRunner(Model):
    """Job pods of the GitLab runner's Kubernetes executor."""

    project: NumericID | None = Field(None, description="The numeric id of the project; every project when absent.")
    server: Label | None = Field(None, description=_SERVER)


class ActionsRunnerController(Model):
    """Runners of GitHub's Actions Runner Controller, and the job pods that they start."""

    container_mode: Literal["DinD", "Kubernetes"] = Field(
        "DinD", description="DinD: jobs run in the runner pod; Kubernetes: each job gets a pod. DinD when absent."
    )
    server: Label | None = Field(None, description=_SERVER)


class JenkinsController(Model):
    """The Service of the Jenkins controller."""

    service: Label = Field(description="The name of the controller's Service.")
    namespace: Label | None = Field(None, description="The namespace of that Service; the segment's own when absent.")


class Jenkins(Model):
    """Agent pods of the Jenkins Kubernetes plugin."""

    controller: JenkinsController = Field(description="Where the agents find the controller.")
    web_socket: Bool = Field(
        False, description="The agents connect by WebSocket, so that the agent port is not opened. False when absent."
    )


class Buildkite(Model):
    """Job pods of Buildkite's agent-stack-k8s."""

    controller_id: LabelText | None = Field(
        None, description="The controller's id, as the label buildkite.com/controller-id has it; any when absent."
    )
    server: Label | None = Field(None, description=_SERVER)


class Woodpecker(Model):
    """Step pods of Woodpecker's Kubernetes backend."""

    repo_id: NumericID = Field(description="The id of the repository, as the label woodpecker-ci.org/repo-id has it.")
    server: Label | None = Field(None, description=_SERVER)


class Drone(Model):
    """Pipeline pods of Drone's Kubernetes runner: one pod is a whole pipeline."""

    repo: LabelText = Field(description="The name of the repository, as the label io.drone.repo.name has it.")
    events: Names = Field((), description="The build events that are meant; every event when absent.")
    server: Label | None = Field(None, description=_SERVER)


#: The attribute of a segment's engine that carries the settings of each type.
BLOCKS: Final[dict[EngineType, str]] = {
    "Tekton": "tekton",
    "ArgoWorkflows": "argo_workflows",
    "GitLabRunner": "git_lab_runner",
    "ActionsRunnerController": "actions_runner_controller",
    "Jenkins": "jenkins",
    "Buildkite": "buildkite",
    "Woodpecker": "woodpecker",
    "Drone": "drone",
}
_NEEDED: Final = ("Tekton", "Jenkins", "Woodpecker", "Drone")


def _foreign(kind: str, block: str) -> Rule:
    api = api_name(block)
    return Rule(
        cel=f"!has(self.{api}) || self.type == '{kind}'",
        problem="belongs to another engine type",
        fix=f"set type: {kind}, or remove this block",
        offences=unless(lambda e: not e.has(block) or e.type == kind, api),
        field=f".{api}",
    )


def _needed(kind: str, block: str) -> Rule:
    api = api_name(block)
    return Rule(
        cel=f"self.type != '{kind}' || has(self.{api})",
        problem=f"is required for the type {kind}",
        fix=f"add the block {api}",
        offences=unless(lambda e: e.type != kind or e.has(block), api, value=lambda _: api),
        field=f".{api}",
    )


class Engine(Model):
    """The pipeline engine whose pods the stages are, with the block of its type."""

    type: EngineType = Field(description="The engine.")
    tekton: Tekton | None = Field(None, description="Settings of the type Tekton.")
    argo_workflows: ArgoWorkflows | None = Field(None, description="Settings of the type ArgoWorkflows.")
    git_lab_runner: GitLabRunner | None = Field(None, description="Settings of the type GitLabRunner.")
    actions_runner_controller: ActionsRunnerController | None = Field(
        None, description="Settings of the type ActionsRunnerController."
    )
    jenkins: Jenkins | None = Field(None, description="Settings of the type Jenkins.")
    buildkite: Buildkite | None = Field(None, description="Settings of the type Buildkite.")
    woodpecker: Woodpecker | None = Field(None, description="Settings of the type Woodpecker.")
    drone: Drone | None = Field(None, description="Settings of the type Drone.")

    rules = (
        *(_foreign(kind, block) for kind, block in BLOCKS.items()),
        *(_needed(kind, BLOCKS[kind]) for kind in _NEEDED),
    )


class JobPods(Model):
    """Pods that ARC starts for jobs, by the labels of the hook template."""

    match_labels: Annotated[dict[LabelKey, LabelValue], size(32, 1)] = Field(
        description="Labels that the job pods carry with exactly these values."
    )


#: The fields of a stage's engine, and the engine type that each belongs to.
STAGE_FIELDS: Final[dict[str, EngineType]] = {
    "tasks": "Tekton",
    "managers": "GitLabRunner",
    "scale_sets": "ActionsRunnerController",
    "job_pods": "ActionsRunnerController",
    "labels": "Jenkins",
    "queues": "Buildkite",
    "steps": "Woodpecker",
}


class StageEngine(Model):
    """A stage's part of the preset."""

    type: Literal["None"] | None = Field(
        None, description="None: the stage's pods carry the canonical labels, not the engine's."
    )
    tasks: Names = Field(
        (), description="The Tekton tasks that are this stage; the one of the stage's name when absent."
    )
    managers: Names = Field((), description="The GitLab runner managers whose jobs are this stage.")
    scale_sets: Names = Field((), description="The runner scale sets that are this stage.")
    job_pods: JobPods | None = Field(None, description="The job pods of ARC's Kubernetes mode.")
    labels: Names = Field((), description="The Jenkins labels whose agents are this stage.")
    queues: Names = Field((), description="The Buildkite queues whose jobs are this stage.")
    steps: Names = Field(
        (), description="The Woodpecker steps that are this stage; the one of the stage's name when absent."
    )

    rules = (
        Rule(
            cel="!has(self.type) || !(" + " || ".join(f"has(self.{api_name(name)})" for name in STAGE_FIELDS) + ")",
            problem="takes the stage out of the preset, but part of the preset is given",
            fix="remove type: None, or everything beside it",
            offences=unless(lambda e: not e.has("type") or not any(e.has(name) for name in STAGE_FIELDS), "type"),
            field=".type",
        ),
    )


def _belongs(name: str, kind: EngineType) -> Rule:
    api = api_name(name)

    def offences(spec: Any) -> Iterable[Offence]:
        for index, stage in enumerate(spec.stages):
            if stage.engine and stage.engine.has(name) and (spec.engine is None or spec.engine.type != kind):
                yield ("stages", index, "engine", api), stage.engine.wire()[api]

    return Rule(
        cel=f"(has(self.engine) && self.engine.type == '{kind}')"
        f" || self.stages.all(s, !has(s.engine) || !has(s.engine.{api}))",
        problem=f"belongs to the engine {kind}, which this segment does not use",
        fix=f"set spec.engine.type: {kind}, or remove the field",
        offences=offences,
        field=".stages",
        naming=stages(f"has(s.engine) && has(s.engine.{api})"),
    )


_IN_KUBERNETES_MODE: Final = (
    "(self.engine.type == 'ActionsRunnerController' && has(self.engine.actionsRunnerController)"
    " && has(self.engine.actionsRunnerController.containerMode)"
    " && self.engine.actionsRunnerController.containerMode == 'Kubernetes')"
)


def _in_kubernetes_mode(engine: Engine) -> bool:
    block = engine.actions_runner_controller
    return block is not None and block.container_mode == "Kubernetes"


def _selected(kind: EngineType, name: str = "") -> Rule:
    """Demand that every stage says which pods are its own: by `name` of its engine, or by a podSelector."""
    api = api_name(name)
    by_engine = f"has(s.engine.type) || has(s.engine.{api})" if name else "has(s.engine.type)"
    when = _IN_KUBERNETES_MODE if name == "job_pods" else f"self.engine.type == '{kind}'"

    def offences(spec: Any) -> Iterable[Offence]:
        if spec.engine is None or spec.engine.type != kind:
            return
        if name == "job_pods" and not _in_kubernetes_mode(spec.engine):
            return
        for index, stage in enumerate(spec.stages):
            own = stage.engine is not None and (stage.engine.has("type") or (bool(name) and stage.engine.has(name)))
            if stage.pod_selector is None and not own:
                yield ("stages", index, *(("engine", api) if name else ("podSelector",))), stage.name

    is_said = f"has(s.podSelector) || (has(s.engine) && ({by_engine}))"
    return Rule(
        cel=f"!has(self.engine) || !({when}) || self.stages.all(s, {is_said})",
        problem=f"is missing, and nothing else tells which pods of {kind} the stage is",
        fix=f"give each stage engine.{api} or a podSelector" if name else "give each stage a podSelector",
        offences=offences,
        field=".stages",
        naming=stages(f"!({is_said})", "s.name", ""),
    )


def _job_pods_in_vain(spec: Any) -> Iterable[Offence]:
    if spec.engine is None or spec.engine.type != "ActionsRunnerController" or _in_kubernetes_mode(spec.engine):
        return
    for index, stage in enumerate(spec.stages):
        if stage.engine and stage.engine.has("job_pods"):
            yield ("stages", index, "engine", "jobPods"), stage.engine.job_pods


def _more_than_one(spec: Any) -> Iterable[Offence]:
    if spec.engine and spec.engine.type == "Drone" and len(spec.stages) > 1:
        yield ("stages",), f"{len(spec.stages)} stages"


#: The rules between a segment's engine and its stages; they belong to the segment's spec.
ENGINE_RULES: Final = (
    *(_belongs(name, kind) for name, kind in STAGE_FIELDS.items()),
    _selected("ArgoWorkflows"),
    _selected("GitLabRunner", "managers"),
    _selected("ActionsRunnerController", "scale_sets"),
    _selected("ActionsRunnerController", "job_pods"),
    _selected("Jenkins", "labels"),
    _selected("Buildkite", "queues"),
    Rule(
        cel="!has(self.engine) || self.engine.type != 'ActionsRunnerController'"
        f" || {_IN_KUBERNETES_MODE} || self.stages.all(s, !has(s.engine) || !has(s.engine.jobPods))",
        problem="needs ARC's Kubernetes mode, for in DinD mode jobs run in the runner pod",
        fix="set actionsRunnerController.containerMode: Kubernetes, or remove jobPods",
        offences=_job_pods_in_vain,
        field=".stages",
        naming=stages("has(s.engine) && has(s.engine.jobPods)"),
    ),
    Rule(
        cel="!has(self.engine) || self.engine.type != 'Drone' || size(self.stages) <= 1",
        problem="has several stages, but a pipeline of Drone is one pod",
        fix="keep one stage for each pipeline",
        offences=_more_than_one,
        field=".stages",
    ),
)
