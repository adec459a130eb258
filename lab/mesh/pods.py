"""Pod objects as the lab reads them: what runs in each, and what its object says once it runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

Object = Mapping[str, Any]

#: The container by whose presence everybody knows a pod with a sidecar.
PROXY: Final = "istio-proxy"
NODE: Final = "mesh"


class Listening(NamedTuple):
    """A port that an application listens on; `name` may be empty."""

    protocol: str
    port: int
    name: str = ""


@dataclass(frozen=True)
class PodPlan:
    """One pod: who it is, whether it has a sidecar, and what its application listens on.

    A port that a Service targets and no container lists is an application that is not there.
    """

    namespace: str
    name: str
    account: str
    labels: Mapping[str, str]
    sidecar: bool
    serves: tuple[Listening, ...]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    def number(self, port: int | str, protocol: str) -> int:
        """Resolve a Service's target port; a number is one already."""
        return next((each.port for each in self.serves if (each.name, each.protocol) == (port, protocol)), 0) or int(
            port
        )


def plan(pod: Object) -> PodPlan:
    """Read a Pod object."""
    meta, containers = pod["metadata"], pod["spec"]["containers"]
    ports = [port for c in containers if c["name"] != PROXY for port in c.get("ports") or ()]
    return PodPlan(
        meta["namespace"],
        meta["name"],
        pod["spec"].get("serviceAccountName") or "default",
        meta.get("labels") or {},
        any(c["name"] == PROXY for c in containers),
        tuple(Listening(p.get("protocol", "TCP"), p["containerPort"], p.get("name", "")) for p in ports),
    )


def scheduled(pod: Object) -> dict[str, Any]:
    """Give the object to create: on the lab's node, and marked as what a sidecar makes of it."""
    labels = dict(pod["metadata"].get("labels") or {})
    if plan(pod).sidecar:
        labels["security.istio.io/tlsMode"] = "istio"
    metadata = {**pod["metadata"], "labels": labels}
    return {**pod, "metadata": metadata, "spec": {**pod["spec"], "nodeName": NODE, "terminationGracePeriodSeconds": 0}}


def running(address: str) -> dict[str, Any]:
    """Give the change that makes a pod Running and Ready at its address."""
    conditions = [{"type": kind, "status": "True"} for kind in ("Initialized", "ContainersReady", "Ready")]
    return {
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": conditions},
    }


def node() -> dict[str, Any]:
    """Give the node that all pods are on."""
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
