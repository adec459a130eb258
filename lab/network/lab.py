"""The lab itself: a control plane's pods get a network here, and Felix on every node of it."""

import asyncio
import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from lab.controlplane import ControlPlane, Options, start
from lab.errors import LabError
from lab.network import binaries, links, netns
from lab.network.agent import Agent
from lab.network.felix import Felix
from lab.network.nodes import Node
from lab.network.pods import Addresses
from lab.network.proxy import Proxy
from lab.network.sentinel import Sentinel

#: What the control plane of a network lab is started with: both families have services.
OPTIONS = Options(service_cidr="10.96.0.0/16,fd00:10:96::/112")
_CLUSTER_INFORMATION = {
    "apiVersion": "crd.projectcalico.org/v1",
    "kind": "ClusterInformation",
    "metadata": {"name": "default"},
    "spec": {"datastoreReady": True, "clusterGUID": "0" * 32, "calicoVersion": "lab", "clusterType": "k8s"},
}


class NetworkLab:
    """Nodes with Felix, the fabric between them, and the process that serves and probes; a context manager.

    Everything is gone after `stop`; what a killed lab left behind, the next one removes. Raises LabError when something
    is missing or does not become ready.
    """

    def __init__(self, plane: ControlPlane, *, nodes: int = 1) -> None:
        binaries.check_machine()
        netns.sweep_dead()
        if netns.own():
            raise LabError("this process has a network lab already: use that one, or stop it")
        self.plane = plane
        self.nodes = tuple(Node.number(number) for number in range(nodes))
        self.fabric = netns.named("fabric")
        self.engines: dict[str, Felix] = {}
        self.proxies: list[Proxy] = []
        self.addresses = Addresses(self.nodes)
        self.agent = Agent(plane.folder)
        self.sentinel = Sentinel(self.agent)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Raise LabError unless the control plane, the traffic process and every engine and proxy live."""
        self.plane.check()
        self.agent.check()
        for each in self._parts():
            each.check()

    def start_proxies(self) -> None:
        """Let the virtual addresses of Services lead to their pods, on every node, from now on."""
        if not self.proxies:
            self.proxies += [Proxy(node, self.plane.kubeconfig, self.plane.folder) for node in self.nodes]

    def restart_engine(self, node: str) -> None:
        """Start the engine of a node anew, however it fares, and wait until it is ready."""
        self.engines[node].stop()
        self._start_engine(node)
        self.engines[node].await_ready()

    def stop(self) -> None:
        """End the processes and remove the namespaces; safe to call again."""
        for each in self._parts():
            each.stop()
        self.engines.clear()
        self.proxies.clear()
        self.agent.stop()
        netns.delete(netns.own())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _parts(self) -> list[Felix | Proxy]:
        return [*self.engines.values(), *self.proxies]

    def _start(self) -> None:
        links.make_fabric(self.fabric)
        for number, node in enumerate(self.nodes):
            links.attach(self.fabric, node.host, f"node{number}", routed=node.pod_cidrs)
            links.make_router(node.host.namespace)
        asyncio.run(self._install())
        port = int(self.plane.server.rpartition(":")[2])
        for node in self.nodes:
            self.agent.forward(node.host.namespace, port, port)
            self._start_engine(node.name)
        for engine in self.engines.values():
            engine.await_ready()
        asyncio.run(self._post_sentinel())

    def _start_engine(self, name: str) -> None:
        (node,) = (node for node in self.nodes if node.name == name)
        self.engines[name] = Felix(name, node.host.namespace, self.plane.kubeconfig, self.plane.folder)

    async def _install(self) -> None:
        async with self.plane.api() as api:
            await api.install_crds(binaries.crds())
            await api.apply(_CLUSTER_INFORMATION)
            for node in self.nodes:
                await api.apply(node.object())
                await api.patch("v1", "Node", node.name, {"status": node.status()}, subresource="status")

    async def _post_sentinel(self) -> None:
        async with self.plane.api() as api:
            await self.sentinel.start(api, self.nodes, self.addresses)


@contextlib.contextmanager
def with_control_plane(*, nodes: int = 1) -> Iterator[NetworkLab]:
    """Start a lab with a control plane of its own."""
    binaries.check_machine()
    with start(OPTIONS) as plane, NetworkLab(plane, nodes=nodes) as lab:
        yield lab
