"""Actions Runner Controller: a stage is a set of runner scale sets.

With DinD the runner pod is the job: the chart's values name its account. In Kubernetes mode the job pods take labels
and account from the hook template alone, and the runner keeps the chart's own account (naming one in the values would
take the chart's Role away).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from pipesegment.findings import Finding
from pipesegment.wire.given import Given
from pipesegment.wire.values import (
    Piece,
    Pods,
    Wiring,
    account_lacks,
    document,
    lack,
    listing,
    mapping,
    satisfying,
    under,
)

_FOLDER: Final = "/home/runner/pipesegment"
_HOOK: Final = "ACTIONS_RUNNER_CONTAINER_HOOK_TEMPLATE"
_REQUIRE: Final = "ACTIONS_RUNNER_REQUIRE_JOB_CONTAINER"
_FILE: Final = "template.yaml"


def pieces(wiring: Wiring, stages: tuple[Pods, ...]) -> Iterator[Piece]:
    """Give each scale set's values, and in Kubernetes mode each stage's hook template."""
    for pods in stages:
        if not _in_kubernetes(wiring):
            for name in _sets(pods):
                yield Piece(
                    f"Helm values of scale set {name} (stage {pods.stage})", "yaml", document(_dind(name, pods))
                )
            continue
        config = _config_name(wiring, pods)
        template = {"metadata": {"labels": _job_labels(pods)}, "spec": {**pods.spec(), "containers": []}}
        config_map = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": config, "namespace": pods.namespace},
            "data": {_FILE: document(template)},
        }
        yield Piece(f"Hook template of stage {pods.stage}: what its job pods carry", "yaml", document(config_map))
        for name in _sets(pods):
            notes = ("Set the image to your runner's; leave template.spec.serviceAccountName to the chart.",)
            yield Piece(
                f"Helm values of scale set {name} (stage {pods.stage})",
                "yaml",
                document(_kubernetes(name, config)),
                notes,
            )


def lacks(wiring: Wiring, stages: tuple[Pods, ...], given: Given) -> Iterator[Finding]:
    """Check values files by their `runnerScaleSetName`, and hook templates by what is in a ConfigMap."""
    docs = given.documents()
    values = {str(d["runnerScaleSetName"]): d for d in docs if "runnerScaleSetName" in d}
    templates = [t for d in docs for t in _hook_templates(d)]
    for pods in stages:
        for name in _sets(pods):
            if name not in values:
                message = f"there are no values of scale set {name}"
                yield lack(
                    pods, "runnerScaleSetName", message, f"add a values document with runnerScaleSetName: {name}"
                )
            elif _in_kubernetes(wiring):
                yield from _kubernetes_lacks(pods, name, values[name])
            else:
                account = under(values[name], "template", "spec", "serviceAccountName")
                yield from account_lacks(pods, f"template.spec.serviceAccountName (scale set {name})", account)
        if _in_kubernetes(wiring):
            yield from _hook_lacks(pods, templates)


def _kubernetes_lacks(pods: Pods, name: str, values: Mapping[str, Any]) -> Iterator[Finding]:
    mode = str(under(values, "containerMode", "type"))
    if not mode.startswith("kubernetes"):
        yield lack(pods, f"containerMode.type (scale set {name})", f"the mode is {mode}", "set it to kubernetes")
    containers = listing(under(values, "template", "spec", "containers"))
    env = {
        e.get("name"): e.get("value") for c in containers for e in listing(mapping(c).get("env")) if isinstance(e, dict)
    }
    path = f"template.spec.containers[].env (scale set {name})"
    if _HOOK not in env:
        yield lack(
            pods,
            path,
            f"{_HOOK} is not set, so job pods run as `default` and unlabelled",
            f"set it to {_FOLDER}/{_FILE}",
        )
    if str(env.get(_REQUIRE, "true")).lower() != "true":
        yield lack(pods, path, f"{_REQUIRE} lets jobs run in the runner pod itself", f'set {_REQUIRE} to "true"')


def _hook_lacks(pods: Pods, templates: list[Mapping[str, Any]]) -> Iterator[Finding]:
    mine = [
        t
        for t in templates
        if pods.selector.matches({k: str(v) for k, v in mapping(under(t, "metadata", "labels")).items()})
    ]
    if not mine:
        wanted = ", ".join(f"{k}: {v}" for k, v in _job_labels(pods).items())
        yield lack(pods, "data", f"no hook template carries the labels of stage {pods.stage}", f"add {wanted}")
    for template in mine:
        yield from account_lacks(pods, "data: spec.serviceAccountName", under(template, "spec", "serviceAccountName"))


def _hook_templates(doc: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if doc.get("kind") == "ConfigMap":
        for text in mapping(doc.get("data")).values():
            try:
                inner = yaml.safe_load(str(text))
            except yaml.YAMLError:
                # Not every file in a ConfigMap is a template; one that is none cannot be the stage's.
                continue
            yield mapping(inner)
    elif "runnerScaleSetName" not in doc:
        yield doc


def _dind(name: str, pods: Pods) -> dict[str, Any]:
    spec = pods.spec()
    metadata = {"metadata": {"labels": pods.labels}} if pods.own else {}
    return {"runnerScaleSetName": name, "containerMode": {"type": "dind"}, "template": {**metadata, "spec": spec}}


def _kubernetes(name: str, config: str) -> dict[str, Any]:
    runner = {
        "name": "runner",
        "image": "registry.example.com/actions-runner:latest",
        "command": ["/home/runner/run.sh"],
        "env": [{"name": _HOOK, "value": f"{_FOLDER}/{_FILE}"}, {"name": _REQUIRE, "value": "true"}],
        "volumeMounts": [{"name": "pipesegment", "mountPath": _FOLDER, "readOnly": True}],
    }
    volumes = [{"name": "pipesegment", "configMap": {"name": config}}]
    template = {"spec": {"containers": [runner], "volumes": volumes}}
    return {"runnerScaleSetName": name, "containerMode": {"type": "kubernetes"}, "template": template}


def _job_labels(pods: Pods) -> dict[str, str]:
    return satisfying(pods.selector)


def _sets(pods: Pods) -> tuple[str, ...]:
    return (pods.engine.scale_sets if pods.engine else ()) or (pods.stage,)


def _config_name(wiring: Wiring, pods: Pods) -> str:
    return f"{wiring.segment.name}-{pods.stage}-hook"


def _in_kubernetes(wiring: Wiring) -> bool:
    controller = wiring.spec.engine.actions_runner_controller if wiring.spec.engine else None
    return controller is not None and controller.container_mode == "Kubernetes"
