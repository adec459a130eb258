"""Tekton: the labels are automatic; the account of a task is the PipelineRun's to name (`taskRunSpecs`)."""

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
    """Give the PipelineRun's taskRunSpecs."""
    runs = [
        {
            "pipelineTaskName": task,
            "serviceAccountName": pods.account,
            **({"metadata": {"labels": pods.labels}} if pods.own else {}),
        }
        for pods in stages
        for task in _tasks(pods)
    ]
    pipeline = _pipeline(wiring)
    run = {
        "apiVersion": "tekton.dev/v1",
        "kind": "PipelineRun",
        "metadata": {"generateName": f"{pipeline}-", "namespace": wiring.segment.namespace},
        "spec": {"pipelineRef": {"name": pipeline}, "taskRunSpecs": runs},
    }
    notes = (
        "Merge spec.taskRunSpecs into the PipelineRun, or into the one in your TriggerTemplate.",
        f"A task of pipeline {pipeline} that is not listed here is named by no stage, and its pods are closed.",
    )
    yield Piece(f"PipelineRun of pipeline {pipeline}", "yaml", document(run), notes)


def lacks(wiring: Wiring, stages: tuple[Pods, ...], given: Given) -> Iterator[Finding]:
    """Check every PipelineRun of a file (also inside a TriggerTemplate), and every Pipeline's list of tasks."""
    docs = given.documents()
    runs = [run for doc in docs for run in _of_kind(doc, "PipelineRun")]
    pipelines = [
        p for doc in docs for p in _of_kind(doc, "Pipeline") if under(p, "metadata", "name") == _pipeline(wiring)
    ]
    named = {task for pods in stages for task in _tasks(pods)}
    for run in runs:
        yield from _run_lacks(wiring, stages, run)
    for spec in [*(p.get("spec") for p in pipelines), *(under(r, "spec", "pipelineSpec") for r in runs)]:
        for field in ("tasks", "finally"):
            for number, task in enumerate(listing(under(spec, field))):
                name = mapping(task).get("name")
                if name not in named:
                    yield stranger(f"spec.{field}[{number}]", "task", str(name), closed=True)
    if not runs and not pipelines:
        for pods in stages:
            message = f"the file has no PipelineRun, so nothing gives stage {pods.stage} its account"
            yield lack(pods, "kind", message, "check the PipelineRun, or the TriggerTemplate that makes it")


def _run_lacks(wiring: Wiring, stages: tuple[Pods, ...], run: Mapping[str, Any]) -> Iterator[Finding]:
    pipeline = _pipeline(wiring)
    runs = under(run, "spec", "pipelineRef", "name")
    if runs is not None and runs != pipeline:
        for pods in stages:
            yield lack(
                pods,
                "spec.pipelineRef.name",
                f"it runs pipeline {runs}, the segment's engine names {pipeline}",
                f"run {pipeline}, or change spec.engine.tekton.pipeline of the segment",
            )
        return
    listed = {
        mapping(s).get("pipelineTaskName"): (number, mapping(s))
        for number, s in enumerate(listing(under(run, "spec", "taskRunSpecs")))
    }
    # The field had another name in v1beta1.
    beta = str(run.get("apiVersion", "")).endswith("/v1beta1")
    field = "taskServiceAccountName" if beta else "serviceAccountName"
    everybody = under(run, "spec", *(("serviceAccountName",) if beta else ("taskRunTemplate", "serviceAccountName")))
    for pods in stages:
        for task in _tasks(pods):
            number, spec = listed.get(task, (None, {}))
            path = "spec.taskRunSpecs" if number is None else f"spec.taskRunSpecs[{number}].{field}"
            yield from account_lacks(pods, f"{path} (task {task})", spec.get(field) or everybody)
            yield from label_lacks(
                pods, f"spec.taskRunSpecs (task {task}).metadata.labels", under(spec, "metadata", "labels")
            )


def _of_kind(value: Any, kind: str) -> Iterator[Mapping[str, Any]]:
    """Find objects of a kind at any depth: a TriggerTemplate holds its PipelineRun inside."""
    if isinstance(value, Mapping):
        if value.get("kind") == kind:
            yield value
            return
        for child in value.values():
            yield from _of_kind(child, kind)
    for child in listing(value):
        yield from _of_kind(child, kind)


def _tasks(pods: Pods) -> tuple[str, ...]:
    return (pods.engine.tasks if pods.engine else ()) or (pods.stage,)


def _pipeline(wiring: Wiring) -> str:
    assert wiring.spec.engine is not None
    assert wiring.spec.engine.tekton is not None
    return wiring.spec.engine.tekton.pipeline
