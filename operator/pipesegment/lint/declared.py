"""Checks of what a segment declares, without its surroundings: they hold for a refused neighbourhood too."""

from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Final

from pipesegment.facts.selectors import canonical
from pipesegment.facts.snapshot import Segment
from pipesegment.findings import Finding, Refusal
from pipesegment.lint import identity
from pipesegment.reach import engines
from pipesegment.spec.phrases import path
from pipesegment.spec.segment import AcceptEntry, PipelineSegmentSpec, Port, ReachEntry, Stage

#: A block this wide or wider (its prefix is shorter) holds more than one service could.
_WIDE: Final = {4: 16, 6: 48}
_MANY_PORTS: Final = 1000

#: Targets that clients find by a name.
_NAMED: Final = frozenset({"stage", "service", "fqdn", "awsService", "destination"})

#: What a pipeline's author cannot set, by engine: the prefix of such label keys. Read in the engines' sources.
_UNFORGEABLE: Final = {
    "GitLabRunner": (".runner.gitlab.com/",),
    "ActionsRunnerController": ("actions.github.com/",),
    "Buildkite": ("buildkite.com/job-uuid", "buildkite.com/controller-id"),
    "Drone": ("io.drone",),
}

#: Presets whose own selector rests on labels that a pipeline's author can set: how, and what helps.
_FORGEABLE: Final = {
    "Tekton": (
        "the labels of a task are set in a PipelineRun's taskRunSpecs[].metadata, which wins over Tekton's own",
        "let only triggers that you trust create PipelineRuns here, or give each level of trust a namespace",
    ),
    "ArgoWorkflows": (
        "the labels of a pod are set in a template's metadata, which wins over Argo's own",
        "allow only WorkflowTemplates that you own (workflowRestrictions), or give each level of trust a namespace",
    ),
    "Jenkins": (
        "the label of an agent is set in the Jenkinsfile",
        "define the pod templates in the controller's configuration and restrict the cloud to folders, or give each level of trust a namespace",
    ),
    "Buildkite": (
        "a step chooses its queue in the pipeline",
        "set prohibit-kubernetes-plugin, and keep the queues of trusted stages in a cluster of their own",
    ),
    "Woodpecker": (
        "a step's name is chosen in the workflow, and with POD_LABELS_ALLOW_FROM_STEP every label",
        "keep WOODPECKER_BACKEND_K8S_POD_LABELS_ALLOW_FROM_STEP off, and give each level of trust a repository",
    ),
}


def check(segment: Segment) -> Iterator[Finding]:
    """Run every check over one segment's declaration."""
    assert segment.spec is not None
    for run in _CHECKS:
        for finding in run(segment.spec):
            yield Finding(
                finding.path, finding.reason, finding.target, finding.message, finding.fix, str(segment.meta.key)
            )


def _forgeable(spec: PipelineSegmentSpec) -> Iterator[Finding]:
    if spec.engine is None:
        return
    kind = spec.engine.type
    stages = [s for s in spec.stages if s.engine is None or s.engine.type != "None"]
    preset = [s.name for s in stages if s.pod_selector is None]
    own = [s.name for s in stages if s.pod_selector is not None and not _is_trusted(spec, s)]
    default = ("a job can set labels of its own", "select by labels that the engine's administrators set")
    how, fix = _FORGEABLE.get(kind, default)
    told = [*(preset if kind in _FORGEABLE else ()), *own]
    if told:
        who = f"stage {told[0]} is" if len(told) == 1 else f"stages {', '.join(told)} are"
        message = f"{who} told by labels that a pipeline can forge: {how}"
        yield Finding("spec.engine", "ForgeableLabels", kind, message, fix)


def _is_trusted(spec: PipelineSegmentSpec, stage: Stage) -> bool:
    """Tell whether a stage's own selector rests on labels that no pipeline can set."""
    assert spec.engine is not None
    assert stage.pod_selector is not None
    if _is_hook_template(spec):
        return True
    requirements = canonical(stage.pod_selector).requirements
    marks = _UNFORGEABLE.get(spec.engine.type, ())
    return any(mark in r.key for r in requirements if r.operator == "In" for mark in marks)


def _is_hook_template(spec: PipelineSegmentSpec) -> bool:
    """Tell whether job pods take their labels from ARC's hook template, which no workflow can change."""
    controller = spec.engine.actions_runner_controller if spec.engine else None
    return controller is not None and controller.container_mode == "Kubernetes"


def _wide(spec: PipelineSegmentSpec) -> Iterator[Finding]:
    for where, entry in _entries(spec):
        if entry.cidr is None:
            continue
        network = ip_network(entry.cidr.block)
        if network.prefixlen < _WIDE[network.version]:
            message = f"the block {network} holds {_count(network.num_addresses)} addresses"
            fix = "name the addresses that are meant, or a service or destination"
            yield Finding(f"{where}.cidr.block", "WideCidr", f"cidr {network}", message, fix)


def _wide_ports(spec: PipelineSegmentSpec) -> Iterator[Finding]:
    for where, entry in _entries(spec):
        internet = isinstance(entry, ReachEntry) and entry.internet is not None
        block = ip_network(entry.cidr.block) if entry.cidr is not None else None
        if not internet and (block is None or block.prefixlen >= _WIDE[block.version]):
            continue
        for number, port in enumerate(entry.ports):
            if _span(port) >= _MANY_PORTS:
                target = "internet" if internet else f"cidr {block}"
                message = f"{target} is open at {_count(_span(port))} {port.protocol} ports"
                yield Finding(f"{where}.ports[{number}]", "WidePorts", target, message, "name the ports that are used")


def _metadata(spec: PipelineSegmentSpec) -> Iterator[Finding]:
    for where, entry in _entries(spec):
        if isinstance(entry, ReachEntry) and entry.imds is not None:
            message = "the metadata service gives the node's own credentials to whoever asks"
            fix = "give the stage an identity of its own, and remove this entry"
            yield Finding(f"{where}.imds", "MetadataOpen", "imds", message, fix)


def _names_without_dns(spec: PipelineSegmentSpec) -> Iterator[Finding]:
    for index, stage in enumerate(spec.stages):
        if stage.dns != "None":
            continue
        named = sorted({e.kind for e in (*stage.reaches, *spec.common.reaches) if e.kind in _NAMED})
        if named:
            message = f"stage {stage.name} reaches {', '.join(named)} targets, whose names it cannot look up"
            yield Finding(
                f"spec.stages[{index}].dns", "NamesWithoutDNS", f"stage {stage.name}", message, "set dns: Auto"
            )


def _idle(spec: PipelineSegmentSpec) -> Iterator[Finding]:
    if spec.common.reaches or spec.common.accepts:
        return
    reached = {e.stage.name for s in spec.stages for e in s.reaches if e.stage is not None}
    for index, stage in enumerate(spec.stages):
        if not stage.reaches and not stage.accepts and stage.name not in reached:
            message = f"stage {stage.name} reaches nothing and accepts nothing; it is closed{_but(spec, stage)}"
            fix = "declare what it reaches, if it should reach anything"
            yield Finding(f"spec.stages[{index}]", "IdleStage", f"stage {stage.name}", message, fix)


def _but(spec: PipelineSegmentSpec, stage: Stage) -> str:
    """Say what a stage that declares nothing has all the same."""
    placed = engines.place("", spec.stages.index(stage), spec)
    # ARC's runner pods have their needs beside the job pods, which are the stage.
    if spec.engine is not None and not isinstance(placed, Refusal) and placed.needs != engines.Needs():
        return f", but for what {spec.engine.type} needs"
    return ", but for DNS" if stage.dns == "Cluster" else ", DNS included"


def _namespace_per_job(spec: PipelineSegmentSpec) -> Iterator[Finding]:
    settings = {
        "GitLabRunner": "namespace_per_job = false",
        "Drone": "a fixed default namespace in the runner's settings",
    }
    if spec.engine is not None and spec.engine.type in settings:
        message = f"namespaces that {spec.engine.type} makes for each job are not supported"
        yield Finding(
            "spec.engine.type", "NamespacePerJob", spec.engine.type, message, f"keep {settings[spec.engine.type]}"
        )


def _entries(spec: PipelineSegmentSpec) -> Iterator[tuple[str, ReachEntry | AcceptEntry]]:
    for place, reach in spec.each_reach():
        yield path("spec", place), reach
    for place, accept in spec.each_accept():
        yield path("spec", place), accept


def _span(port: Port) -> int:
    return (port.end_port or port.port) - port.port + 1 if isinstance(port.port, int) else 1


def _count(number: int) -> str:
    return f"{number:,}" if number < 10**9 else f"2^{number.bit_length() - 1}"


_CHECKS: Final[tuple[Callable[[PipelineSegmentSpec], Iterator[Finding]], ...]] = (
    _forgeable,
    _wide,
    _wide_ports,
    _metadata,
    _names_without_dns,
    _idle,
    _namespace_per_job,
    identity.check,
)
