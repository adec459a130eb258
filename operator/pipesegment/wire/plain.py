"""Pods that no engine preset makes: their template carries the stage's labels and account."""

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
    lack,
    listing,
    mapping,
    satisfying,
    under,
)


def pieces(_wiring: Wiring, stages: tuple[Pods, ...]) -> Iterator[Piece]:
    """Give each stage's pod template."""
    for pods in stages:
        template = {"metadata": {"labels": satisfying(pods.selector)}, "spec": pods.spec()}
        yield Piece(
            f"Pod template of stage {pods.stage}, in namespace {pods.namespace}",
            "yaml",
            document({"template": template}),
        )


def lacks(_wiring: Wiring, stages: tuple[Pods, ...], given: Given) -> Iterator[Finding]:
    """Look for a pod, or a pod template at any depth, that is the stage's by its labels."""
    found = [item for number, doc in enumerate(given.documents()) for item in _templates(doc, f"[{number}]")]
    for pods in stages:
        mine = [(path, t) for path, t in found if pods.selector.matches(_labels(t))]
        if not mine:
            wanted = ", ".join(f"{k}: {v}" for k, v in satisfying(pods.selector).items())
            yield lack(
                pods, "metadata.labels", f"no pod template carries the labels of stage {pods.stage}", f"add {wanted}"
            )
        for path, template in mine:
            yield from account_lacks(
                pods, f"{path}.spec.serviceAccountName", under(template, "spec", "serviceAccountName")
            )


def _labels(template: Mapping[str, Any]) -> dict[str, str]:
    return {k: str(v) for k, v in mapping(under(template, "metadata", "labels")).items()}


def _templates(value: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Find everything that has the shape of a pod: labels, and a spec with containers or an account."""
    spec = mapping(under(value, "spec"))
    if "containers" in spec or "serviceAccountName" in spec or (mapping(value).keys() <= {"metadata", "spec"} and spec):
        yield path, mapping(value)
    for key, child in mapping(value).items():
        yield from _templates(child, f"{path}.{key}")
    for number, child in enumerate(listing(value)):
        yield from _templates(child, f"{path}[{number}]")
