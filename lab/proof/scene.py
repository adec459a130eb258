"""What every judge is asked about: the sample with its sidecars, and the objects that are compiled for it."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from lab.mesh.pods import PROXY
from lab.network import judges, matrix, scenario
from lab.network.judges import Compiled
from lab.network.matrix import Way
from lab.network.nodes import Node
from lab.network.objects import Object
from lab.network.pods import Addresses
from lab.network.scenario import Moment
from pipesegment import names

SAMPLE: Final = Path(__file__).with_name("sample.yaml")
NODES: Final = 2
#: The lab's own pods have the first addresses of each node.
_FIRST_ADDRESS: Final = 100
#: How the compiler learns that Istio is there.
_ISTIO_IS_THERE: Final[Object] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "authorizationpolicies.security.istio.io"},
}


@dataclass(frozen=True)
class Scene:
    """A world, and what the walk of `pipesegment compile` and `pipesegment reach` makes of it."""

    moment: Moment
    compiled: Compiled

    @cached_property
    def ways(self) -> list[Way]:
        """Every way that a policy can have a say in."""
        return matrix.every(self.moment.members, self.moment.ports)

    @property
    def stages(self) -> dict[str, str]:
        """The pods that are stages, and which."""
        labels = {name: pod["metadata"]["labels"] for name, pod in self.moment.pods.items()}
        return {name: found[names.STAGE_LABEL] for name, found in labels.items() if names.STAGE_LABEL in found}

    @property
    def meshed(self) -> set[str]:
        """The pods with a sidecar."""
        return {name for name, pod in self.moment.pods.items() if _has_sidecar(pod)}

    @property
    def for_the_network(self) -> list[Object]:
        """The compiled objects but for Istio's."""
        return [obj for obj in self.compiled.objects if not _is_istio(obj)]

    @property
    def for_the_mesh(self) -> list[Object]:
        """Istio's among the compiled objects."""
        return [obj for obj in self.compiled.objects if _is_istio(obj)]


def read(path: Path = SAMPLE) -> Scene:
    """Read a scenario's first moment. Raises LabError when the file contradicts itself or a document is refused."""
    nodes = [Node.number(number) for number in range(NODES)]
    moment = scenario.read(path, Addresses(nodes, _FIRST_ADDRESS))[0]
    moment = replace(moment, pods={name: _injected(moment, pod) for name, pod in moment.pods.items()})
    facts = (*moment.facts, _ISTIO_IS_THERE)
    return Scene(moment, judges.compiled(replace(moment, facts=facts)))


def _injected(moment: Moment, pod: Object) -> Object:
    """Give the pod as Istio's webhook admits it."""
    if moment.namespaces[pod["metadata"]["namespace"]].get("istio-injection") != "enabled":
        return pod
    sidecar: dict[str, Any] = {"name": PROXY, "image": "registry.example.com/proxy"}
    return {**pod, "spec": {**pod["spec"], "containers": [*pod["spec"]["containers"], sidecar]}}


def _has_sidecar(pod: Object) -> bool:
    return any(container["name"] == PROXY for container in pod["spec"]["containers"])


def _is_istio(obj: Object) -> bool:
    return ".istio.io/" in obj["apiVersion"]
