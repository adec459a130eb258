"""The CRDs: what Kubernetes demands of a structural schema, and that the files in crds/ are the models' own."""

from pathlib import Path

import yaml

from pipesegment.spec import crd

ROOT = Path(__file__).parents[3]
CRDS = {definition["spec"]["names"]["kind"]: definition for definition in crd.crds()}
#: The words of JSON Schema that a structural schema may hold.
KNOWN = {
    "type",
    "format",
    "description",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "properties",
    "additionalProperties",
    "items",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
}


def root(definition):
    return definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def nodes(node, path=""):
    yield path, node
    for name, part in node.get("properties", {}).items():
        yield from nodes(part, f"{path}.{name}")
    for key, step in (("items", "[]"), ("additionalProperties", "{}")):
        if key in node:
            yield from nodes(node[key], path + step)


ALL = {
    f"{kind}{path}": node
    for kind, definition in CRDS.items()
    for part in ("spec", "status")
    for path, node in nodes(root(definition)["properties"][part], f".{part}")
}


def breaking(holds):
    """The nodes for which a predicate does not hold."""
    return [path for path, node in ALL.items() if not holds(node)]


def test_the_files_are_what_the_models_say(tmp_path):
    crd.write(tmp_path)

    assert sorted(path.name for path in (ROOT / "crds").glob("*.yaml")) == sorted(
        path.name for path in tmp_path.iterdir()
    )
    for fresh in tmp_path.iterdir():
        assert (ROOT / "crds" / fresh.name).read_text() == fresh.read_text(), (
            f"{fresh.name} is stale: run `python -m pipesegment.spec.crd crds`"
        )


def test_the_files_read_back_as_the_crds():
    assert [yaml.safe_load(crd.render(definition)) for definition in crd.crds()] == crd.crds()


def test_a_node_holds_only_what_a_structural_schema_may_hold():
    def holds(node):
        if node.get("x-kubernetes-int-or-string"):
            return "type" not in node and node["anyOf"] == [{"type": "integer"}, {"type": "string"}]
        return (
            set(node) <= KNOWN
            and node["type"] in {"object", "array", "string", "integer", "boolean"}
            and not {"properties", "additionalProperties"} <= set(node)
        )

    assert breaking(holds) == []


def test_every_list_string_map_and_number_is_bounded():
    def holds(node):
        match node.get("type", "int-or-string"):
            case "string":
                return "maxLength" in node or "enum" in node
            case "array":
                return "maxItems" in node
            case "integer":
                return "minimum" in node
            case "object":
                return "additionalProperties" not in node or "maxProperties" in node
            case "int-or-string":
                return {"minimum", "maxLength"} <= set(node)
            case _:
                return node["type"] == "boolean"

    assert breaking(holds) == []


def test_every_field_is_described_by_a_sentence():
    def holds(node):
        return all(part.get("description", "").endswith(".") for part in node.get("properties", {}).values())

    assert breaking(holds) == []


def test_a_list_says_how_it_merges():
    def holds(node):
        match node.get("x-kubernetes-list-type"):
            case "map":
                return set(node["x-kubernetes-list-map-keys"]) <= set(node["items"]["required"])
            case "set":
                return node["items"]["type"] == "string"
            case kind:
                return kind == ("atomic" if node.get("type") == "array" else None)

    assert breaking(holds) == []


def test_lists_with_names_are_keyed_by_them():
    keyed = {
        f"{kind}{path}": node["x-kubernetes-list-map-keys"][0]
        for kind, definition in CRDS.items()
        for path, node in nodes(root(definition))
        if "x-kubernetes-list-map-keys" in node
    }

    assert keyed == {
        "PipelineSegment.spec.stages": "name",
        "PipelineSegment.spec.stages[].gates": "name",
        "PipelineSegment.status.stages": "name",
        "PipelineSegment.status.hostNames": "name",
        "PipelineSegment.status.stages[].exceptions": "name",
        "PipelineSegment.status.conditions": "type",
        "SegmentGrant.status.namespaces": "namespace",
        "SegmentGrant.status.conditions": "type",
        "SegmentClass.spec.aws.permissionSets": "name",
        "SegmentClass.spec.destinations": "name",
        "SegmentClass.spec.gates.ignore": "id",
        "SegmentClass.spec.evidenceKeys": "name",
        "SegmentClass.status.conditions": "type",
        "SegmentException.status.conditions": "type",
        "SegmentApproval.status.conditions": "type",
    }


def test_the_bounds_are_those_of_the_api():
    found = {
        path: node["maxItems"]
        for path, node in nodes(root(CRDS["PipelineSegment"])["properties"]["spec"])
        if node.get("type") == "array"
    }

    assert {
        path: found[path]
        for path in (
            ".stages",
            ".stages[].reaches",
            ".stages[].accepts",
            ".stages[].reaches[].ports",
            ".stages[].reaches[].cidr.except",
            ".stages[].reaches[].fqdn.names",
            ".common.reaches",
            ".common.accepts",
        )
    } == {
        ".stages": 64,
        ".stages[].reaches": 64,
        ".stages[].accepts": 64,
        ".stages[].reaches[].ports": 32,
        ".stages[].reaches[].cidr.except": 64,
        ".stages[].reaches[].fqdn.names": 64,
        ".common.reaches": 64,
        ".common.accepts": 64,
    }


def test_names_scopes_and_subresources():
    assert {
        kind: (
            d["metadata"]["name"],
            d["spec"]["scope"],
            d["spec"]["names"]["shortNames"],
            d["spec"]["names"]["categories"],
        )
        for kind, d in CRDS.items()
    } == {
        "PipelineSegment": ("pipelinesegments.pipesegment.dev", "Namespaced", ["pseg"], ["pipesegment"]),
        "SegmentGrant": ("segmentgrants.pipesegment.dev", "Namespaced", ["psgrant"], ["pipesegment"]),
        "SegmentClass": ("segmentclasses.pipesegment.dev", "Cluster", ["psclass"], ["pipesegment"]),
        "SegmentException": ("segmentexceptions.pipesegment.dev", "Namespaced", ["psexc"], ["pipesegment"]),
        "SegmentApproval": ("segmentapprovals.pipesegment.dev", "Namespaced", ["psappr"], ["pipesegment"]),
    }
    assert all(d["spec"]["versions"][0]["subresources"] == {"status": {}} for d in CRDS.values())


def test_the_columns_of_a_segment():
    columns = CRDS["PipelineSegment"]["spec"]["versions"][0]["additionalPrinterColumns"]

    assert [c["name"] for c in columns if "priority" not in c] == [
        "Ready",
        "Status",
        "Mode",
        "Stages",
        "Open",
        "Sealed",
        "Gaps",
        "Age",
    ]
    assert [c["name"] for c in columns if c.get("priority") == 1] == [
        "Class",
        "Engine",
        "Conforming",
        "Cloud",
        "Message",
    ]
