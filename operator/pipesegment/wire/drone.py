"""Drone: a pipeline is one pod, so the segment has one stage; the pipeline names its account."""

from collections.abc import Iterator
from typing import Any

from pipesegment.findings import Finding
from pipesegment.wire.given import Given
from pipesegment.wire.values import Piece, Pods, Wiring, account_lacks, document, label_lacks, lack, mapping, under


def pieces(wiring: Wiring, stages: tuple[Pods, ...]) -> Iterator[Piece]:
    """Give the pipeline's account and namespace."""
    assert wiring.spec.engine is not None
    assert wiring.spec.engine.drone is not None
    events = wiring.spec.engine.drone.events
    for pods in stages:
        pipeline: dict[str, Any] = {
            "kind": "pipeline",
            "type": "kubernetes",
            "name": pods.stage,
            "metadata": {"namespace": pods.namespace, **({"labels": pods.labels} if pods.own else {})},
            "service_account_name": pods.account,
        }
        if events:
            pipeline["trigger"] = {"event": list(events)}
        notes = (
            "Merge into the pipeline; all its steps are one pod, and so one stage.",
            "Keep the runner's default namespace fixed: namespaces that are made for each build carry no segment.",
        )
        yield Piece(f"Pipeline of repository {wiring.spec.engine.drone.repo}", "yaml", document(pipeline), notes)


def lacks(_wiring: Wiring, stages: tuple[Pods, ...], given: Given) -> Iterator[Finding]:
    """Check every pipeline of a .drone.yml: each is a pod of the repository, and so of the one stage."""
    pipelines = [doc for doc in given.documents() if doc.get("kind") == "pipeline" and doc.get("type") == "kubernetes"]
    for pods in stages:
        if not pipelines:
            yield lack(pods, "kind", "the file has no pipeline of type kubernetes", "check the repository's .drone.yml")
        for pipeline in pipelines:
            where = f"(pipeline {pipeline.get('name')})"
            yield from account_lacks(pods, f"service_account_name {where}", pipeline.get("service_account_name"))
            yield from label_lacks(pods, f"metadata.labels {where}", under(pipeline, "metadata", "labels"))
            namespace = mapping(pipeline.get("metadata")).get("namespace")
            if namespace not in (None, pods.namespace):
                message = f"it runs in namespace {namespace}, the segment is in {pods.namespace}"
                yield lack(pods, f"metadata.namespace {where}", message, f"set it to {pods.namespace}")
