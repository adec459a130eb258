"""Argo Workflows: every template that makes pods names its labels and its account."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

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
    stranger,
    under,
)

_KINDS: Final = frozenset({"Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow"})
#: The template types that run as pods; `steps`, `dag` and `suspend` make none.
_POD_TYPES: Final = frozenset({"container", "script", "resource", "data", "containerSet", "http", "plugin"})


def pieces(wiring: Wiring, stages: tuple[Pods, ...]) -> Iterator[Piece]:
    """Give one template per stage, of the stage's name."""
    templates = [
        {"name": pods.stage, "metadata": {"labels": pods.labels}, "serviceAccountName": pods.account} for pods in stages
    ]
    notes = [
        "Merge into the templates of your Workflow or WorkflowTemplate; several templates may be one stage's.",
        "The executor reports to the API server: the account needs create and patch on workflowtaskresults.",
    ]
    tokenless = [pods.stage for pods in stages if not pods.automount]
    if tokenless:
        notes.append(
            f"Stages without a token ({', '.join(tokenless)}): set executor.serviceAccountName on their templates, "
            "or serviceAccount.automountToken in the segment."
        )
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": wiring.segment.name, "namespace": wiring.segment.namespace},
        "spec": {"templates": templates},
    }
    yield Piece("Workflow templates", "yaml", document(workflow), tuple(notes))


def lacks(_wiring: Wiring, stages: tuple[Pods, ...], given: Given) -> Iterator[Finding]:
    """Check that each stage has a template with its labels, and that every such template has its account."""
    specs = [_spec(doc) for doc in given.documents() if doc.get("kind") in _KINDS]
    templates = [
        (f"spec.templates[{number}]", spec, mapping(template))
        for spec in specs
        for number, template in enumerate(listing(spec.get("templates")))
    ]
    taken: set[str] = set()
    for pods in stages:
        mine = [(path, spec, t) for path, spec, t in templates if pods.selector.matches(_labels(spec, t))]
        taken |= {path for path, _, _ in mine}
        if not mine:
            wanted = ", ".join(f"{k}: {v}" for k, v in pods.labels.items())
            message = f"no template carries the labels of stage {pods.stage}"
            yield lack(pods, "spec.templates", message, f"add {wanted} to the metadata.labels of its template")
        for path, spec, template in mine:
            account = template.get("serviceAccountName") or spec.get("serviceAccountName")
            yield from account_lacks(pods, f"{path}.serviceAccountName", account)
    for path, _, template in templates:
        if path not in taken and _POD_TYPES & template.keys():
            yield stranger(path, "template", str(template.get("name")), closed=False)


def _labels(spec: Mapping[str, Any], template: Mapping[str, Any]) -> dict[str, str]:
    common, own = under(spec, "podMetadata", "labels"), under(template, "metadata", "labels")
    # The controller adds this label to every pod; a stage's selector may ask for it.
    labels = {"workflows.argoproj.io/workflow": "any", **mapping(common), **mapping(own)}
    return {k: str(v) for k, v in labels.items()}


def _spec(doc: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(under(doc, "spec", "workflowSpec") or under(doc, "spec"))
