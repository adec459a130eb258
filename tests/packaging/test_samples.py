"""The samples can be applied to a cluster as they stand: in the order of their names, and nothing that a cluster has anyway."""

from pathlib import Path

from lab import yaml
from pipesegment import names

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"


def test_the_folder_makes_each_namespace_before_what_is_in_it():
    made = set()
    for obj in _applied(SAMPLES):
        if obj["kind"] == "Namespace":
            made.add(obj["metadata"]["name"])
        else:
            assert obj["metadata"].get("namespace") in {None, *made}, obj["metadata"]["name"]


def test_the_folder_holds_declarations_and_what_they_name_alone():
    kinds = {obj["kind"] for obj in _applied(SAMPLES)}

    assert kinds == {"Namespace", "Service", names.CLASS, names.SEGMENT, names.GRANT}


def _applied(folder: Path) -> list[dict]:
    """What `kubectl apply -f` takes of a folder: its own files, by name."""
    files = sorted(path for path in folder.iterdir() if path.suffix in {".yaml", ".yml", ".json"})
    return [obj for file in files for obj in yaml.safe_load_all(file.read_text())]
