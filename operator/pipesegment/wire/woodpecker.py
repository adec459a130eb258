"""Woodpecker: the labels are automatic; a step names its account when the agent lets it."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipesegment.findings import Finding
from pipesegment.wire.given import Given
from pipesegment.wire.values import (
    Piece,
    Pods,
    Wiring,
    account_lacks,
    document,
    label_lacks,
    lack,
    listing,
    mapping,
    stranger,
    under,
)


def pieces(wiring: Wiring, stages: tuple[Pods, ...]) -> Iterator[Piece]:
    """Give the steps' backend options, and the agent's settings that they need."""
    steps = [
        {
            "name": step,
            "backend_options": {
                "kubernetes": {
                    **({"labels": pods.labels} if pods.own else {}),
                    "serviceAccountName": pods.account,
                }
            },
        }
        for pods in stages
        for step in _steps(pods)
    ]
    notes = ["Merge into the steps of the workflow."]
    if "clone" not in {step for pods in stages for step in _steps(pods)}:
        notes.append("Woodpecker adds a step `clone`, which no stage names: give it a stage, or set skip_clone.")
    yield Piece("Workflow", "yaml", document({"steps": steps}), tuple(notes))
    own = any(pods.own for pods in stages)
    env = {
        "WOODPECKER_BACKEND_K8S_NAMESPACE": wiring.segment.namespace,
        "WOODPECKER_BACKEND_K8S_NAMESPACE_PER_ORGANIZATION": "false",
        "WOODPECKER_BACKEND_K8S_SERVICE_ACCOUNT_NAME_ALLOW_FROM_STEP": "true",
        "WOODPECKER_BACKEND_K8S_POD_LABELS_ALLOW_FROM_STEP": "true" if own else "false",
    }
    yield Piece("Helm values of the agent", "yaml", document({"agent": {"env": env}}))


def lacks(_wiring: Wiring, stages: tuple[Pods, ...], given: Given) -> Iterator[Finding]:
    """Check a workflow's steps, and name those that no stage names."""
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    cloned = False
    for doc in given.documents():
        found |= dict(_listed(doc))
        cloned = cloned or ("steps" in doc and not doc.get("skip_clone"))
    named = {step for pods in stages for step in _steps(pods)}
    for pods in stages:
        for step in _steps(pods):
            if step == "clone" and cloned and step not in found:
                message = "Woodpecker's own clone step runs as the account `default`"
                yield lack(pods, "clone", message, f"write the step out, with serviceAccountName {pods.account}")
                continue
            if step not in found:
                yield lack(
                    pods,
                    "steps",
                    f"there is no step {step}",
                    f"add it, or change the engine.steps of stage {pods.stage}",
                )
                continue
            path, options = found[step][0], under(found[step][1], "backend_options", "kubernetes")
            yield from account_lacks(
                pods, f"{path}.backend_options.kubernetes.serviceAccountName", under(options, "serviceAccountName")
            )
            yield from label_lacks(pods, f"{path}.backend_options.kubernetes.labels", under(options, "labels"))
    for step, (path, _) in found.items():
        if step not in named:
            yield stranger(path, "step", step, closed=True)
    if cloned and "clone" not in named | found.keys():
        yield stranger("clone", "step", "clone", closed=True)


def _listed(doc: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, Mapping[str, Any]]]]:
    for field in ("clone", "steps", "services"):
        entries = doc.get(field)
        for number, entry in enumerate(listing(entries)):
            yield str(mapping(entry).get("name")), (f"{field}[{number}]", mapping(entry))
        for name, entry in mapping(entries).items():
            yield str(name), (f"{field}.{name}", mapping(entry))


def _steps(pods: Pods) -> tuple[str, ...]:
    return (pods.engine.steps if pods.engine else ()) or (pods.stage,)
