"""What a judge is asked about: pods, externals, and the ways between them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from pipesegment.evaluate.endpoints import AddressEnd, End, PodEnd


@dataclass(frozen=True, slots=True)
class External:
    """An end that is no pod, by a name of the asker's choice.

    `names` are the host names that pods look it up under. `entities` are what else Cilium knows it as: `host`,
    `remote-node`, `kube-apiserver`.
    """

    name: str
    ips: tuple[str, ...]
    names: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Render as its name."""
        return self.name


class Way(NamedTuple):
    """One connection, by the names of its ends: `namespace/pod` or an external's; the port as in `TCP/443`."""

    source: str
    destination: str
    port: str


@dataclass(frozen=True)
class World:
    """Every end that is asked about. Namespaces are known by the labels that their pods carry along."""

    pods: tuple[PodEnd, ...]
    externals: tuple[External, ...] = ()

    @classmethod
    def of(cls, ends: Iterable[End]) -> "World":
        """Take the ends of our evaluators: an address becomes an external of that name."""
        pods, externals = [], []
        for end in ends:
            if isinstance(end, AddressEnd):
                externals.append(External(str(end), end.ips, end.names, end.entities))
            else:
                pods.append(end)
        return cls(tuple(pods), tuple(externals))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all ends, in the order in which judges answer."""
        return tuple(map(str, (*self.pods, *self.externals)))

    def wire(self) -> Mapping[str, Any]:
        """Write it as the contract has it."""
        return {
            "namespaces": {pod.namespace: dict(pod.namespace_labels) for pod in self.pods},
            "pods": [_pod(pod) for pod in self.pods],
            "externals": [
                {"ips": list(e.ips), "names": list(e.names), "entities": list(e.entities)} for e in self.externals
            ],
        }


def _pod(pod: PodEnd) -> dict[str, Any]:
    return {
        "namespace": pod.namespace,
        "name": pod.name,
        "labels": dict(pod.labels),
        "serviceAccount": pod.service_account,
        "ips": list(pod.ips),
        "ports": [{"name": p.name, "port": p.port, "protocol": p.protocol} for p in pod.ports],
        "hostNetwork": pod.host_network,
    }
