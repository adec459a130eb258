"""Pods: an object of the API and a namespace with an address each, made and removed together."""

import asyncio
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from lab.api import Api
from lab.errors import LabError
from lab.network import links, netns, objects
from lab.network.agent import Agent
from lab.network.links import Host
from lab.network.nodes import Node
from lab.network.objects import Object

_numbers = itertools.count(1)
_FIRST, _LAST = 2, 254


@dataclass(frozen=True)
class Pod:
    """A pod of the lab: its name in the API, its host, and the node that it is on."""

    space: str
    name: str
    host: Host
    node: Node

    def __str__(self) -> str:
        """Render as `namespace/name`."""
        return f"{self.space}/{self.name}"


class Addresses:
    """Hands out pods' addresses, from one node after the other, round and round: an address rests before it is used again."""

    def __init__(self, nodes: Sequence[Node], first: int = _FIRST) -> None:
        self.nodes = tuple(nodes)
        self._node = itertools.cycle(self.nodes)
        self._next = {node.name: itertools.cycle(range(first, _LAST)) for node in self.nodes}

    def next(self) -> tuple[str, ...]:
        """Take an address of each family on the next node."""
        return self.of(next(self._node))

    def of(self, node: Node) -> tuple[str, ...]:
        """Take the next address of each family on a node."""
        number = next(self._next[node.name])
        return tuple(str(ip_network(block)[number]) for block in node.pod_cidrs)

    def node_of(self, ips: Sequence[str]) -> Node:
        """Tell on which node an address is."""
        for node in self.nodes:
            if any(ip_address(ips[0]) in ip_network(block) for block in node.pod_cidrs):
                return node
        raise LabError(f"no node of the lab has {ips[0]} among its pods' addresses")


def host(ips: tuple[str, ...]) -> Host:
    """Name the namespace that a pod of these addresses will have."""
    return Host(netns.named(f"pod{next(_numbers)}"), ips)


async def make(api: Api, placed: Sequence[tuple[Object, Node, tuple[str, ...]]]) -> list[Pod]:
    """Make pods, each given by its object, its node and its addresses. Raises LabError.

    The network is there before the object, as in a cluster: an engine finds the link that it is told of.
    """
    pods = [
        Pod(
            obj["metadata"]["namespace"],
            obj["metadata"]["name"],
            host(ips),
            node,
        )
        for obj, node, ips in placed
    ]
    for node in dict.fromkeys(pod.node for pod in pods):
        here = [(pod.space, pod.name, pod.host) for pod in pods if pod.node == node]
        await asyncio.to_thread(links.attach_pods, node.host.namespace, here)
    await _accounts(api, [obj for obj, _, _ in placed])
    await asyncio.gather(*(_create(api, pod, obj) for pod, (obj, _, _) in zip(pods, placed, strict=True)))
    return pods


async def remove(api: Api, agent: Agent, pods: Sequence[Pod]) -> None:
    """Remove pods and what serves in them."""
    await asyncio.gather(*(api.delete("v1", "Pod", pod.name, pod.space) for pod in pods))
    namespaces = [pod.host.namespace for pod in pods]
    await asyncio.to_thread(agent.close, namespaces)
    for node in dict.fromkeys(pod.node for pod in pods):
        here = [(pod.space, pod.name) for pod in pods if pod.node == node]
        await asyncio.to_thread(links.detach_pods, node.host.namespace, here)
    await asyncio.to_thread(netns.delete, namespaces)


async def _accounts(api: Api, given: Iterable[Object]) -> None:
    wanted = {(obj["metadata"]["namespace"], obj["spec"].get("serviceAccountName")) for obj in given}
    await asyncio.gather(*(api.apply(objects.account(space, name)) for space, name in wanted if name))


async def _create(api: Api, pod: Pod, obj: Object) -> None:
    spec = {"terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False, **obj["spec"]}
    await api.create({**obj, "spec": {**spec, "nodeName": pod.node.name}})
    status = {"status": objects.running(pod.host.ips)}
    found = await api.patch("v1", "Pod", pod.name, status, pod.space, subresource="status")
    if found["spec"].get("hostNetwork"):
        raise LabError(f"{pod} is on the host network: a pod of the lab has a network of its own")
