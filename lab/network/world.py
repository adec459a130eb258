"""A world in the lab: namespaces, pods, objects and outside hosts of one scenario, made, changed, swept and removed."""

import asyncio
import itertools
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

from lab.api import JSON_PATCH, Api
from lab.errors import LabError
from lab.network import links, matrix, netns, objects, pods
from lab.network.flow import Flow, flowing
from lab.network.lab import NetworkLab
from lab.network.links import Host
from lab.network.matrix import Matrix, Way
from lab.network.objects import Object
from lab.network.pods import Pod
from lab.network.sweep import TIMEOUT, End, sweep
from lab.network.traffic import Answer, Probe, Server

_WIRED_WITHIN = 15.0
_CONNECTED_WITHIN = 2.0
#: No server has a longer name.
_NAME = 512
_outside_numbers = itertools.count(1)


class World:
    """What a scenario has in the lab; an async context manager that removes it in the end.

    Namespaces stay, without their labels: they would take seconds to go. All calls raise LabError or ApiError.
    """

    def __init__(self, lab: NetworkLab, api: Api) -> None:
        self._lab = lab
        self._api = api
        self._pods: dict[str, Pod] = {}
        self._outside: dict[str, Host] = {}
        self._served: set[tuple[str, str]] = set()
        self._applied: dict[tuple[str, str, str, str], None] = {}
        self._spaces: dict[str, dict[str, str]] = {}
        self._labels: dict[str, dict[str, str]] = {}

    async def namespace(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """Make a namespace, or give one that is there exactly these labels."""
        if self._spaces.get(name) == dict(labels or {}):
            return
        await self._api.apply(objects.namespace(name, labels))
        self._spaces[name] = dict(labels or {})
        await self._api.wait("v1", "ServiceAccount", "default", name)

    async def add(self, given: Iterable[Object]) -> list[Pod]:
        """Make pods from Pod objects: those of a status with podIPs at these addresses, others on the next node."""
        addresses = self._lab.addresses
        placed = [({**obj, "status": {}}, _ips(obj) or addresses.next()) for obj in given]
        made = await pods.make(self._api, [(obj, addresses.node_of(ips), ips) for obj, ips in placed])
        self._pods |= {str(pod): pod for pod in made}
        self._labels |= {str(pod): dict(obj["metadata"]["labels"]) for pod, (obj, _) in zip(made, placed, strict=True)}
        return made

    async def remove(self, *names: str) -> None:
        """Remove pods, each named as `namespace/name`."""
        await pods.remove(self._api, self._lab.agent, [self._pods.pop(name) for name in names])

    async def label(self, name: str, labels: Mapping[str, str]) -> None:
        """Give a pod exactly these labels."""
        if self._labels[name] == dict(labels):
            return
        pod = self._pods[name]
        change = [{"op": "add", "path": "/metadata/labels", "value": dict(labels)}]
        await self._api.patch("v1", "Pod", pod.name, change, pod.space, content_type=JSON_PATCH)
        self._labels[name] = dict(labels)

    def outside(self, name: str, *ips: str) -> None:
        """Make a host outside of the cluster."""
        number = next(_outside_numbers)
        host = Host(netns.named(f"outside{number}"), ips)
        links.attach(self._lab.fabric, host, f"out{number}")
        self._outside[name] = host

    async def apply(self, given: Iterable[Object]) -> None:
        """Create or change objects of the API, in their order; they are deleted in the end."""
        for obj in given:
            await self._api.apply(obj)
            meta = obj["metadata"]
            self._applied[obj["apiVersion"], obj["kind"], meta["name"], meta.get("namespace", "")] = None

    async def delete(self, api_version: str, kind: str, name: str, namespace: str) -> None:
        """Delete an object that was applied."""
        await self._api.delete(api_version, kind, name, namespace)
        self._applied.pop((api_version, kind, name, namespace), None)

    async def withdraw(self) -> None:
        """Delete everything that was applied, the last first."""
        for version, kind, name, namespace in reversed(self._applied):
            await self._api.delete(version, kind, name, namespace or None)
        self._applied.clear()

    async def settled(self) -> None:
        """Wait until the engines enforce everything that the API server was told until now; no engine is waited for in vain."""
        await asyncio.to_thread(self._lab.check)
        await self._lab.sentinel.settled(self._api)

    async def baseline(self, ports: Sequence[str]) -> None:
        """Wait until everybody reaches everybody at these ports: before the first policy, so that a block is one."""
        self._serve(ports)
        await self.settled()
        wanted = frozenset(matrix.every([end.member for end in self.ends()], ports))
        deadline = time.monotonic() + _WIRED_WITHIN
        while (found := await self._sweep(ports)) != wanted:
            if time.monotonic() > deadline:
                missing = sorted(wanted - found)
                raise LabError(f"{len(missing)} ways are closed although no policy is there, the first: {missing[0]}")

    async def sweep(self, ports: Sequence[str]) -> Matrix:
        """Find out who reaches whom now, everything before enforced. Raises LabError unless the engines live and keep up."""
        self._serve(ports)
        await self.settled()
        return await self._sweep(ports)

    def traffic(self, *ways: Way) -> AbstractAsyncContextManager[Flow]:
        """Let traffic flow on these ways during a block, over the first address of each destination."""
        ends = {end.name: end.host for end in self.ends()}

        def probe(way: Way) -> Probe:
            protocol, _, number = way.port.partition("/")
            return Probe(ends[way.source].namespace, protocol, ends[way.destination].ips[0], int(number))

        self._serve(sorted({way.port for way in ways}))
        return flowing(self._lab.agent, ways, probe)

    async def ask(self, source: str, address: str, port: str) -> Answer:
        """Let a pod or outside host try an address, which may be a Service's, at a port."""
        ends = {end.name: end.host for end in self.ends()}
        protocol, _, number = port.partition("/")
        probe = Probe(ends[source].namespace, protocol, address, int(number))
        (answer,) = await asyncio.to_thread(self._lab.agent.probe, [probe], TIMEOUT)
        return answer

    def connect(self, way: Way) -> socket.socket:
        """Open a TCP connection that stays, over the destination's first address; the other end repeats what it is told."""
        self._serve([way.port])
        ends = {end.name: end.host for end in self.ends()}
        with netns.inside(ends[way.source].namespace):
            sock = socket.socket()
        sock.settimeout(_CONNECTED_WITHIN)
        sock.connect((ends[way.destination].ips[0], int(way.port.partition("/")[2])))
        sock.recv(_NAME)
        return sock

    def ends(self) -> list[End]:
        """Give everybody who takes part, pods first."""
        inside = [End(name, pod.host, pod.node.host.namespace, pod=True) for name, pod in self._pods.items()]
        return inside + [End(name, host, self._lab.fabric, pod=False) for name, host in self._outside.items()]

    async def clear(self) -> None:
        """Remove what was made."""
        await self.withdraw()
        await self.remove(*self._pods)
        namespaces = [host.namespace for host in self._outside.values()]
        self._lab.agent.close(namespaces)
        netns.delete(namespaces)
        self._outside.clear()
        for name in self._spaces:
            await self.namespace(name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.clear()

    async def _sweep(self, ports: Sequence[str]) -> Matrix:
        def swept() -> Matrix:
            self._lab.check()
            for namespace in (*(node.host.namespace for node in self._lab.nodes), self._lab.fabric):
                netns.forget_flows(namespace)
            found = sweep(self._lab.agent, self.ends(), ports, self._lab.sentinel.controls())
            self._lab.check()
            return found

        return await asyncio.to_thread(swept)

    def _serve(self, ports: Sequence[str]) -> None:
        wanted = [
            (end, port) for end in self.ends() for port in ports if (end.host.namespace, port) not in self._served
        ]
        self._lab.agent.serve(
            Server(end.host.namespace, port.partition("/")[0], ip, int(port.partition("/")[2]), end.name)
            for end, port in wanted
            for ip in end.host.ips
        )
        self._served |= {(end.host.namespace, port) for end, port in wanted}


def _ips(obj: Object) -> tuple[str, ...]:
    return tuple(found["ip"] for found in obj.get("status", {}).get("podIPs", ()))
