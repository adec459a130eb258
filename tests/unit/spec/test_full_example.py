"""A document that uses every field of every kind is right, and nothing of the API is missing from it."""

from pathlib import Path

import pytest
import yaml

from pipesegment.spec.crd import MODELS, crds
from pipesegment.spec.documents import validate
from pipesegment.spec.unsupported import not_yet_supported

DOCUMENTS = list(yaml.load_all(Path(__file__).with_name("full_example.yaml").read_text(), yaml.BaseLoader))
TYPED = list(
    yaml.safe_load_all(Path(__file__).with_name("full_example.yaml").read_text().replace("2030-01-31", "'2030-01-31'"))
)


def schema_paths(node, path=""):
    """Every field of a schema, lists and maps passed through."""
    for name, part in node.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from schema_paths(part, f"{path}.{name}")
    for part in (node.get("items"), node.get("additionalProperties")):
        if part:
            yield from schema_paths(part, path)


def value_paths(value, path=""):
    if isinstance(value, dict):
        for name, part in value.items():
            yield f"{path}.{name}"
            yield from value_paths(part, f"{path}.{name}")
    elif isinstance(value, list):
        for part in value:
            yield from value_paths(part, path)


@pytest.mark.parametrize("kind", MODELS)
def test_the_example_uses_every_field(kind):
    (crd,) = (crd for crd in crds() if crd["spec"]["names"]["kind"] == kind)
    root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    used = {path for document in DOCUMENTS if document["kind"] == kind for path in value_paths(document["spec"])}

    assert set(schema_paths(root["properties"]["spec"])) - used == set()


@pytest.mark.parametrize("document", TYPED, ids=lambda document: document["metadata"]["name"])
def test_the_example_is_right_and_comes_back_as_it_was_given(document):
    spec = validate(document["spec"], MODELS[document["kind"]].spec)

    wire = spec.wire()
    # The ids that engines count by are kept as the text that their labels hold.
    if document["metadata"]["name"] == "gitlab":
        assert wire["engine"]["gitLabRunner"].pop("project") == "42"
        assert document["spec"]["engine"]["gitLabRunner"]["project"] == 42
        wire["engine"]["gitLabRunner"]["project"] = 42
    assert wire == document["spec"]


def test_what_this_version_does_not_do_is_refused_by_path_and_everything_else_passes():
    refused = {
        document["metadata"]["name"]: [
            refusal.path
            for refusal in not_yet_supported(
                document["kind"], validate(document["spec"], MODELS[document["kind"]].spec)
            )
        ]
        for document in TYPED
    }

    assert {name: paths for name, paths in refused.items() if paths} == {
        "shop": [
            "spec.stages[0].gates",
        ],
        "default": [
            "spec.gates",
            "spec.evidenceKeys",
        ],
    }
