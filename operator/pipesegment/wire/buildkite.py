"""Buildkite: one controller per queue; its values fix the account, and forbid steps to change their pods."""

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
    under,
)


def pieces(wiring: Wiring, stages: tuple[Pods, ...]) -> Iterator[Piece]:
    """Give each queue's controller values, and the steps' queues."""
    for pods in stages:
        for queue in _queues(pods):
            labels = {"default-metadata": {"labels": pods.labels}} if pods.own else {}
            config = {
                "tags": [f"queue={queue}"],
                "namespace": pods.namespace,
                "prohibit-kubernetes-plugin": True,
                "pod-spec-patch": pods.spec(),
                **labels,
            }
            yield Piece(
                f"Helm values of the controller of queue {queue} (stage {pods.stage})",
                "yaml",
                document({"config": config}),
            )
    steps = [{"label": p.stage, "agents": {"queue": q}} for p in stages for q in _queues(p)[:1]]
    notes = (
        "Whoever writes the pipeline chooses the queue: keep trusted queues in a cluster of their own.",
        f"A step in a queue that is not listed here is named by no stage of {wiring.segment.name}, and its pods are closed.",
    )
    yield Piece("Steps of the pipeline", "yaml", document({"steps": steps}), notes)


def lacks(_wiring: Wiring, stages: tuple[Pods, ...], given: Given) -> Iterator[Finding]:
    """Check controllers' values by their queue tag."""
    configs = [mapping(doc.get("config")) for doc in given.documents() if "config" in doc]
    by_queue = {queue: config for config in configs for queue in _tags(config)}
    for pods in stages:
        for queue in _queues(pods):
            if queue not in by_queue:
                message = f"there are no values of a controller for queue {queue}"
                yield lack(pods, "config.tags", message, f"add a values document with config.tags: [queue={queue}]")
                continue
            yield from _config_lacks(pods, queue, by_queue[queue])


def _config_lacks(pods: Pods, queue: str, config: Mapping[str, Any]) -> Iterator[Finding]:
    where = f"(queue {queue})"
    account = under(config, "pod-spec-patch", "serviceAccountName")
    yield from account_lacks(pods, f"config.pod-spec-patch.serviceAccountName {where}", account)
    yield from label_lacks(pods, f"config.default-metadata.labels {where}", under(config, "default-metadata", "labels"))
    if config.get("prohibit-kubernetes-plugin") is not True:
        message = "a step may change its pod's account and labels"
        yield lack(pods, f"config.prohibit-kubernetes-plugin {where}", message, "set it to true")
    if config.get("namespace") not in (None, pods.namespace):
        message = f"jobs run in namespace {config['namespace']}, the segment is in {pods.namespace}"
        yield lack(pods, f"config.namespace {where}", message, f"set it to {pods.namespace}")


def _tags(config: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(config.get("queue"), str):
        yield config["queue"]
    tags = config.get("tags")
    texts = tags.split(",") if isinstance(tags, str) else [str(t) for t in listing(tags)]
    yield from (t.strip().removeprefix("queue=") for t in texts if t.strip().startswith("queue="))


def _queues(pods: Pods) -> tuple[str, ...]:
    return (pods.engine.queues if pods.engine else ()) or (pods.stage,)
