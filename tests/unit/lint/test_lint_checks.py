"""lint's own checks: each is seen to speak, and to stay silent."""

from typing import Any

import pytest

from lab import yaml
from pipesegment.facts.parse import snapshot
from pipesegment.findings import Finding, Refusal
from pipesegment.lint import declared, surroundings
from pipesegment.lint.results import of_finding, of_refusal, ordered
from pipesegment.reach.resolve import resolve


def objects(text: str) -> list[dict[str, Any]]:
    return [doc for doc in yaml.safe_load_all(text) if doc]


def segment(spec: str) -> dict[str, Any]:
    meta = {"name": "shop", "namespace": "ci"}
    return {
        "apiVersion": "pipesegment.dev/v1alpha1",
        "kind": "PipelineSegment",
        "metadata": meta,
        "spec": yaml.safe_load(spec),
    }


def found(spec: str, facts: str = "") -> dict[str, Finding]:
    """Give lint's own findings about one segment, by their reason."""
    world = snapshot([*objects(facts), segment(spec)])
    mine = world.segment("ci", "shop")
    assert mine is not None
    assert mine.spec is not None, "the segment of the test is refused"
    told = [*declared.check(mine), *surroundings.check(mine, resolve(mine, world), world)]
    return {finding.reason: finding for finding in told}


def stages(body: str) -> str:
    return f"stages: [{{name: a, {body}}}, {{name: b}}]"


CLASS = """
apiVersion: pipesegment.dev/v1alpha1
kind: SegmentClass
metadata: {name: default}
spec: {network: %s}
"""


def pod(name: str, **spec: Any) -> str:
    labels = {"pipesegment.dev/segment": "shop", "pipesegment.dev/stage": "a"}
    meta = {"name": name, "namespace": "ci", "labels": labels}
    status = {"podIP": "10.0.0.1"}
    return "---\n" + yaml.safe_dump(
        {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": status}
    )


FORGEABLE = [
    ("{type: Tekton, tekton: {pipeline: p}}", "", True),
    ("{type: ArgoWorkflows}", "podSelector: {matchLabels: {stage: x}}", True),
    ("{type: Jenkins, jenkins: {controller: {service: j}}}", "engine: {labels: [x]}", True),
    ("{type: Buildkite}", "engine: {queues: [x]}", True),
    ("{type: Buildkite}", "podSelector: {matchLabels: {buildkite.com/controller-id: x}}", False),
    ("{type: Woodpecker, woodpecker: {repoID: '1'}}", "", True),
    ("{type: GitLabRunner}", "engine: {managers: [x]}", False),
    ("{type: GitLabRunner}", "podSelector: {matchLabels: {stage: x}}", True),
    ("{type: GitLabRunner}", "podSelector: {matchLabels: {manager.runner.gitlab.com/name: x}}", False),
    ("{type: ActionsRunnerController}", "engine: {scaleSets: [x]}", False),
    ("{type: ActionsRunnerController}", "podSelector: {matchLabels: {stage: x}}", True),
    (
        "{type: ActionsRunnerController, actionsRunnerController: {containerMode: Kubernetes}}",
        "engine: {scaleSets: [x], jobPods: {matchLabels: {stage: x}}}",
        False,
    ),
    (
        "{type: ActionsRunnerController, actionsRunnerController: {containerMode: Kubernetes}}",
        "engine: {scaleSets: [x]}, podSelector: {matchLabels: {stage: x}}",
        False,
    ),
    ("{type: Drone, drone: {repo: r}}", "", False),
    ("{type: Tekton, tekton: {pipeline: p}}", "engine: {type: None}", False),
]


@pytest.mark.parametrize(("engine", "stage", "told"), FORGEABLE)
def test_labels_that_a_pipeline_can_forge_are_told_by_engine(engine: str, stage: str, told: bool) -> None:
    findings = found(f"{{engine: {engine}, stages: [{{name: a{', ' if stage else ''}{stage}}}]}}")

    assert ("ForgeableLabels" in findings) is told
    if told:
        assert findings["ForgeableLabels"].path == "spec.engine"
        assert "a" in findings["ForgeableLabels"].message
        assert findings["ForgeableLabels"].fix


def test_without_an_engine_nothing_is_said_of_labels() -> None:
    assert "ForgeableLabels" not in found(stages(""))


@pytest.mark.parametrize(
    ("block", "told"), [("11.0.0.0/15", True), ("11.0.0.0/16", False), ("2a00::/40", True), ("2a00::/48", False)]
)
def test_wide_blocks_are_told(block: str, told: bool) -> None:
    reaches = found(stages(f"reaches: [{{cidr: {{block: '{block}'}}, ports: [{{port: 443}}]}}]"))
    accepts = found(stages(f"accepts: [{{cidr: {{block: '{block}'}}, ports: [{{port: 443}}]}}]"))

    assert ("WideCidr" in reaches, "WideCidr" in accepts) == (told, told)
    if told:
        assert reaches["WideCidr"].path == "spec.stages[0].reaches[0].cidr.block"


@pytest.mark.parametrize(("ports", "told"), [("{port: 1, endPort: 65535}", True), ("{port: 443}", False)])
def test_the_internet_at_many_ports_is_told(ports: str, told: bool) -> None:
    findings = found(f"{{common: {{reaches: [{{internet: {{}}, ports: [{ports}]}}]}}, stages: [{{name: a}}]}}")

    assert ("WidePorts" in findings) is told
    if told:
        assert findings["WidePorts"].path == "spec.common.reaches[0].ports[0]"


def test_the_metadata_service_is_told() -> None:
    assert found(stages("reaches: [{imds: {}}]"), CLASS % "{allowIMDS: true}")["MetadataOpen"].path.endswith(
        "reaches[0].imds"
    )


@pytest.mark.parametrize(
    ("stage", "told"),
    [
        ("dns: None, reaches: [{service: {name: x}}]", True),
        ("dns: None, reaches: [{stage: {name: b}, ports: [{port: 1}]}]", True),
        ("dns: None, reaches: [{cidr: {block: 11.0.0.1/32}, ports: [{port: 1}]}]", False),
        ("reaches: [{service: {name: x}}]", False),
    ],
)
def test_names_without_dns_are_told(stage: str, told: bool) -> None:
    assert ("NamesWithoutDNS" in found(stages(stage))) is told


def test_an_idle_stage_is_told_unless_somebody_reaches_it() -> None:
    assert found("stages: [{name: a}]")["IdleStage"].path == "spec.stages[0]"
    reached = "stages: [{name: a}, {name: b, reaches: [{stage: {name: a}, ports: [{port: 1}]}]}]"
    assert "IdleStage" not in found(reached)


@pytest.mark.parametrize(
    ("spec", "closed"),
    [
        ("stages: [{name: a}]", "it is closed, DNS included"),
        ("stages: [{name: a, dns: Cluster}]", "it is closed, but for DNS"),
        ("{engine: {type: Tekton, tekton: {pipeline: p}}, stages: [{name: a}]}", "it is closed, DNS included"),
        (
            "{engine: {type: ArgoWorkflows}, stages: [{name: a, podSelector: {matchLabels: {app: a}}}]}",
            "it is closed, but for what ArgoWorkflows needs",
        ),
        (
            "{engine: {type: ArgoWorkflows}, stages: [{name: a, engine: {type: None}}]}",
            "it is closed, DNS included",
        ),
        (
            "{engine: {type: Jenkins, jenkins: {controller: {service: j}}}, stages: [{name: a, engine: {labels: [l]}}]}",
            "it is closed, but for what Jenkins needs",
        ),
    ],
)
def test_an_idle_stage_is_not_called_closed_to_what_its_engine_needs(spec: str, closed: str) -> None:
    assert found(spec)["IdleStage"].message.endswith(closed)


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        ("{type: GitLabRunner}, stages: [{name: a, engine: {managers: [m]}}]", True),
        ("{type: Drone, drone: {repo: r}}, stages: [{name: a}]", True),
        ("{type: Tekton, tekton: {pipeline: p}}, stages: [{name: a}]", False),
    ],
)
def test_namespaces_made_per_job_are_told_as_not_supported(engine: str, told: bool) -> None:
    assert ("NamespacePerJob" in found(f"{{engine: {engine}}}")) is told


def test_pods_of_the_engine_in_another_namespace_are_told() -> None:
    spec = "{engine: {type: Drone, drone: {repo: r}}, stages: [{name: a}]}"
    meta = "{name: x, namespace: drone-1, labels: {io.drone.repo.name: r}}"

    assert "drone-1" in found(spec, f"{{apiVersion: v1, kind: Pod, metadata: {meta}}}")["PodsElsewhere"].message
    assert "PodsElsewhere" not in found(
        spec, f"{{apiVersion: v1, kind: Pod, metadata: {meta.replace('drone-1', 'ci')}}}"
    )


def test_pods_that_run_as_default_are_told() -> None:
    assert found(stages(""), pod("x"))["DefaultAccount"].path == "spec.stages[0].serviceAccount"
    assert "DefaultAccount" not in found(stages(""), pod("x", serviceAccountName="shop-a"))


DUAL = "{apiVersion: v1, kind: Node, metadata: {name: n}, status: {addresses: [{type: InternalIP, address: 10.0.0.1}, {type: InternalIP, address: 'fd00::1'}]}}"


def test_everywhere_in_one_family_is_told_on_a_dual_stack_cluster() -> None:
    excepts = "{block: 0.0.0.0/0, except: [169.254.0.0/16, 10.0.0.0/8, 168.63.129.16/32, 100.100.100.200/32]}"
    spec = stages(f"reaches: [{{cidr: {excepts}, ports: [{{port: 443}}]}}]")

    assert "add ::/0" in found(spec, DUAL)["OneFamily"].fix
    assert "OneFamily" not in found(spec, DUAL.replace("fd00::1", "10.0.0.2"))


def test_the_class_and_its_isolation_are_told() -> None:
    assert "NoClass" in found(stages(""))
    assert "NoIsolation" in found(stages(""), CLASS % "{}")
    isolating = found(stages(""), CLASS % "{isolation: {mode: Namespace}}")
    assert not {"NoClass", "NoIsolation"} & isolating.keys()


def test_that_no_class_governs_is_not_said_where_labels_that_are_not_known_decide() -> None:
    by_label = CLASS.replace("{network: %s}", "{namespaceSelector: {matchLabels: {fenced: 'yes'}}}")
    namespace = "---\n{apiVersion: v1, kind: Namespace, metadata: {name: ci, labels: {fenced: 'no'}}}"

    assert "NoClass" not in found(stages(""), by_label)
    assert "NoClass" in found(stages(""), by_label + namespace)


def test_results_are_ordered_by_gravity_and_told_once() -> None:
    warning = Finding("spec", "Unresolved", "x", "m", "f", "ci/shop")
    info = Finding("spec", "NoClass", "x", "m", "f", "ci/shop")
    refusal = Refusal("spec.x", "is wrong", "v", "mend it", object="ci/shop")

    results = ordered([of_finding(info), of_finding(warning), of_refusal(refusal, ""), of_finding(warning)])

    assert [r.severity for r in results] == ["error", "warning", "info"]
    assert results[0].data() == {
        "code": "PS101",
        "severity": "error",
        "path": "spec.x",
        "message": "is wrong 'v'",
        "fix": "mend it",
        "object": "ci/shop",
    }


@pytest.mark.parametrize(
    ("reason", "code"), [("Invalid", "PS101"), ("NotYetSupported", "PS102"), ("Conflict", "PS103"), ("New", "PS101")]
)
def test_refusals_keep_their_reasons_code(reason: str, code: str) -> None:
    assert of_refusal(Refusal("p", "x", "v", "f", reason), "ci/shop").code == code
