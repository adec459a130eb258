"""From models to CRDs: pydantic's JSON schema rewritten as the structural schema that Kubernetes wants.

What must change is decided by k8s.io/apiextensions-apiserver, pkg/apiserver/schema/validation.go: no `$ref`, no null, no
const, no `additionalProperties` beside `properties`, list types said outright. Defaults are dropped on purpose: the model
fills them, and a server-side default would look like drift to Argo CD.

`python -m pipesegment.spec.crd DIR` writes one file for each kind.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from pipesegment import names
from pipesegment.spec.base import Model
from pipesegment.spec.exception import SegmentApprovalSpec, SegmentExceptionSpec
from pipesegment.spec.grant import SegmentGrantSpec
from pipesegment.spec.naming import value
from pipesegment.spec.segment import PipelineSegmentSpec
from pipesegment.spec.segmentclass import SegmentClassSpec
from pipesegment.spec.status import (
    PipelineSegmentStatus,
    SegmentApprovalStatus,
    SegmentClassStatus,
    SegmentExceptionStatus,
    SegmentGrantStatus,
)
from pipesegment.spec.units import LABEL_FIX, LABEL_PATTERN, LABEL_PROBLEM

Schema = dict[str, Any]

_DROPPED: Final = frozenset(
    {"title", "default", "$defs", "propertyNames", "patternProperties", "additionalProperties", "const"}
)
_READY, _CONFORMING, _CLOUD_READY = (
    f'.status.conditions[?(@.type=="{type_}")]' for type_ in ("Ready", "Conforming", "CloudReady")
)


class Models(NamedTuple):
    """What a kind is made of, and what it is for."""

    spec: type[Model]
    status: type[Model]
    description: str


MODELS: Final[dict[str, Models]] = {
    names.SEGMENT: Models(
        PipelineSegmentSpec,
        PipelineSegmentStatus,
        "A PipelineSegment fences in the stages of a pipeline: each reaches only what it declares.",
    ),
    names.GRANT: Models(
        SegmentGrantSpec,
        SegmentGrantStatus,
        "A SegmentGrant lets stages of other namespaces reach pods or a Service of its own namespace.",
    ),
    names.CLASS: Models(
        SegmentClassSpec,
        SegmentClassStatus,
        "A SegmentClass holds what the platform team decides for the namespaces that it selects.",
    ),
    names.EXCEPTION: Models(
        SegmentExceptionSpec,
        SegmentExceptionStatus,
        "A SegmentException opens more to a stage for a while once others have approved, or seals it at once.",
    ),
    names.APPROVAL: Models(
        SegmentApprovalSpec,
        SegmentApprovalStatus,
        "A SegmentApproval is one person's leave for one SegmentException.",
    ),
}

#: kind -> (heading, type, path, wide only).
_COLUMNS: Final[dict[str, tuple[tuple[str, str, str, bool], ...]]] = {
    names.SEGMENT: (
        ("Ready", "string", f"{_READY}.status", False),
        ("Status", "string", f"{_READY}.reason", False),
        ("Mode", "string", ".spec.mode", False),
        ("Stages", "integer", ".status.summary.stages", False),
        ("Open", "string", ".status.summary.open", False),
        ("Sealed", "integer", ".status.summary.sealed", False),
        ("Gaps", "integer", ".status.summary.gaps", False),
        ("Age", "date", ".metadata.creationTimestamp", False),
        ("Class", "string", ".status.class.name", True),
        ("Engine", "string", ".spec.engine.type", True),
        ("Conforming", "string", f"{_CONFORMING}.status", True),
        ("Cloud", "string", f"{_CLOUD_READY}.status", True),
        ("Message", "string", f"{_READY}.message", True),
    ),
    names.GRANT: (
        ("Ready", "string", f"{_READY}.status", False),
        ("Status", "string", f"{_READY}.reason", False),
        ("Service", "string", ".spec.to.service.name", False),
        ("Isolate", "string", ".spec.isolate", False),
        ("Covered", "integer", ".status.covered", False),
        ("Age", "date", ".metadata.creationTimestamp", False),
    ),
    names.CLASS: (
        ("Ready", "string", f"{_READY}.status", False),
        ("Priority", "integer", ".spec.priority", False),
        ("Namespaces", "integer", ".status.namespaces", False),
        ("Segments", "integer", ".status.segments", False),
        ("Age", "date", ".metadata.creationTimestamp", False),
    ),
    names.EXCEPTION: (
        ("Segment", "string", ".spec.segment", False),
        ("Stage", "string", ".spec.stage", False),
        ("Effect", "string", ".spec.effect", False),
        ("Phase", "string", ".status.phase", False),
        ("Status", "string", ".status.reason", False),
        ("Approvals", "integer", ".status.approvals", False),
        ("Needed", "integer", ".status.approvalsNeeded", False),
        # Not a date: kubectl shows a date in the future as <invalid>.
        ("Expires", "string", ".status.expiresAt", False),
        ("Age", "date", ".metadata.creationTimestamp", False),
        ("Requested-By", "string", ".spec.requestedBy.username", True),
        ("Ticket", "string", ".spec.ticket", True),
        ("Why", "string", ".spec.reason", True),
        ("Message", "string", f"{_READY}.message", True),
    ),
    names.APPROVAL: (
        ("Exception", "string", ".spec.exception.name", False),
        ("Approved-By", "string", ".spec.approvedBy.username", False),
        ("Ready", "string", f"{_READY}.status", False),
        ("Status", "string", f"{_READY}.reason", False),
        ("Age", "date", ".metadata.creationTimestamp", False),
        ("Message", "string", f"{_READY}.message", True),
    ),
}


def crds() -> list[dict[str, Any]]:
    """Give the CustomResourceDefinition of every kind."""
    return [_crd(kind) for kind in names.KINDS]


def structural(model: type[Model]) -> Schema:
    """Rewrite a model's JSON schema as a structural schema."""
    raw = model.model_json_schema()
    return _node(raw, raw.get("$defs", {}))


def write(folder: Path) -> None:
    """Write each CRD to `<group>_<plural>.yaml` in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for crd in crds():
        (folder / filename(crd)).write_text(render(crd), encoding="utf-8")


def filename(crd: Mapping[str, Any]) -> str:
    """Name the file of a CRD."""
    return f"{names.GROUP}_{crd['spec']['names']['plural']}.yaml"


def render(crd: Mapping[str, Any]) -> str:
    """Render a CRD as YAML, byte-stable."""
    text: str = yaml.dump(crd, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)
    return f"# Generated from the models by `python -m pipesegment.spec.crd`; do not edit.\n{text}"


class _Plain(yaml.CSafeDumper):
    """YAML without anchors: they are legal, and nobody likes to read them."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def _crd(kind: str) -> dict[str, Any]:
    plural, short, namespaced = names.KINDS[kind]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "names": {
                "categories": [names.MANAGED_BY],
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "shortNames": [short],
                "singular": kind.lower(),
            },
            "scope": "Namespaced" if namespaced else "Cluster",
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _root(kind)},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": name, "type": type_, "jsonPath": path, **({"priority": 1} if wide else {})}
                        for name, type_, path, wide in _COLUMNS[kind]
                    ],
                }
            ],
        },
    }


def _root(kind: str) -> Schema:
    models = MODELS[kind]
    return {
        "type": "object",
        "description": models.description,
        # A class without a spec is the default class; a segment or a grant without one says nothing.
        **({} if kind == names.CLASS else {"required": ["spec"]}),
        "properties": {
            "apiVersion": {"type": "string", "description": "The version of the API."},
            "kind": {"type": "string", "description": "The kind of the object."},
            "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": names.MAX_NAME}}},
            "spec": structural(models.spec),
            "status": structural(models.status),
        },
        "x-kubernetes-validations": [
            {
                "rule": f"self.metadata.name.matches('^{LABEL_PATTERN}$')",
                "message": f"{LABEL_PROBLEM}: {LABEL_FIX}",
                "messageExpression": value("self.metadata.name").message(LABEL_PROBLEM, LABEL_FIX),
                "fieldPath": ".metadata.name",
            }
        ],
    }


def _node(raw: Schema, defs: Schema) -> Schema:
    node = _resolved(raw, defs)
    if node.get("x-kubernetes-int-or-string"):
        return {key: value for key, value in node.items() if key not in _DROPPED}
    found: Schema = {"type": node["type"]}
    found |= {key: value for key, value in node.items() if key not in _DROPPED | {"type", "properties", "items"}}
    if "const" in node:
        found["enum"] = [node["const"]]
    if "properties" in node:
        found["properties"] = {name: _node(part, defs) for name, part in node["properties"].items()}
    values = _map_values(node)
    if values:
        found["additionalProperties"] = _node(values, defs)
    if "items" in node:
        found["items"] = _items(found, _node(node["items"], defs))
    return found


def _map_values(node: Schema) -> Schema | None:
    """Give the schema of a map's values; Kubernetes cannot judge keys, so a pattern for them is left to the model."""
    by_pattern: list[Schema] = list(node.get("patternProperties", {}).values())
    values: Schema | bool | None = by_pattern[0] if by_pattern else node.get("additionalProperties")
    return values if isinstance(values, dict) else None


def _items(owner: Schema, items: Schema) -> Schema:
    if owner.get("x-kubernetes-list-type") == "set" and items.get("type") == "object":
        # Server-side apply and CEL know no sets of objects.
        owner["x-kubernetes-list-type"] = "atomic"
    owner.setdefault("x-kubernetes-list-type", "atomic")
    return items


def _resolved(raw: Schema, defs: Schema) -> Schema:
    """Follow `$ref` and drop null; what stands beside them (descriptions, bounds) wins."""
    if "$ref" in raw:
        target = defs[raw["$ref"].rsplit("/", 1)[1]]
        return _resolved({**target, **{key: value for key, value in raw.items() if key != "$ref"}}, defs)
    if "anyOf" in raw and "x-kubernetes-int-or-string" not in raw:
        (only,) = (option for option in raw["anyOf"] if option.get("type") != "null")
        return _resolved({**only, **{key: value for key, value in raw.items() if key != "anyOf"}}, defs)
    return raw


if __name__ == "__main__":
    write(Path(sys.argv[1]))
