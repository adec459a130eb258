"""The mesh scenarios as data: the world that they share, what a segment becomes there, and what is then asked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import yaml
from lab.mesh import Listening, MeshLab, Probe
from tests.golden.walk import compiled

FOLDER = Path(__file__).with_name("mesh")
WORLD: Mapping[str, Any] = yaml.safe_load((FOLDER / "world.yaml").read_text())
#: How the compiler learns that Istio is there.
ISTIO_CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "authorizationpolicies.security.istio.io"},
}
#: What the apiVersion of our kinds begins with.
OURS = "pipesegment.dev/"


@dataclass(frozen=True)
class Asked:
    """A probe and what must be said to it; `though` tells by which other way the same would pass."""

    probe: Probe
    says: str
    though: str = ""

    def __str__(self) -> str:
        return str(self.probe)


@dataclass(frozen=True)
class Scenario:
    """A sentence; objects of our kinds, which are compiled; others' objects, which are there first; what is asked."""

    name: str
    ours: Sequence[Mapping[str, Any]]
    foreign: Sequence[dict[str, Any]]
    asked: Sequence[Asked]

    def __str__(self) -> str:
        return self.name

    def objects(self) -> list[dict[str, Any]]:
        """Give the mesh objects of this scenario: foreign ones first, then what our compiler makes.

        Accounts are left to the world, for its pods need them, and no engine for NetworkPolicies is here.
        """
        facts = [obj for obj in WORLD["objects"] if obj["kind"] != "ServiceAccount"]
        out, messages, code = compiled({"given": self.ours, "facts": [*facts, ISTIO_CRD, *self.foreign]})
        assert code == 0, messages
        made = [obj for obj in yaml.safe_load_all(out) if obj and ".istio.io/" in obj["apiVersion"]]
        return [*self.foreign, *made]


def scenarios() -> Iterator[Scenario]:
    """Read every scenario, by name."""
    for path in sorted((FOLDER / "scenarios").glob("*.yaml")):
        raw = yaml.safe_load(path.read_text())
        ours = [obj for obj in raw["objects"] if obj["apiVersion"].startswith(OURS)]
        foreign = [obj for obj in raw["objects"] if obj not in ours]
        yield Scenario(path.stem, ours, foreign, [_asked(each) for each in raw["asked"]])


def create_world(lab: MeshLab) -> None:
    """Make the shared world in a lab."""
    for name, host in WORLD["outside"].items():
        lab.outside(name, host["address"], [Listening(protocol, port) for protocol, port in host["listens"]])
    lab.create(WORLD["objects"], WORLD["observer"])


def _asked(raw: Mapping[str, Any]) -> Asked:
    kind = next(kind for kind in ("service", "pod", "host") if kind in raw)
    given = {key: raw[key] for key in ("port", "protocol", "method", "path", "named") if key in raw}
    return Asked(Probe(raw["from"], kind, raw[kind], **given), str(raw["says"]), raw.get("though", ""))
