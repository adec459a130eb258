"""A kubelet for pods whose program is ours: it runs in the pod's network, and the API server reads its log from here.

Played are the scheduler, the pod's network, variables of its status, its sysctls, readiness by a TCP port, its end, and
its log. Its program is this repository's, without capabilities; neither its image nor its user are looked at, and its
deadline is nobody's.
"""

import asyncio
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from lab.api import Api
from lab.controlplane.pki import Authority
from lab.network import links, netns, pods
from lab.network.lab import NetworkLab
from lab.network.links import Host
from lab.network.nodes import Node
from lab.network.objects import Object
from lab.process import popen

_ROOT: Final = Path(__file__).parents[2]
#: Without any capability, a port below 1024 is open to whom the pod's sysctls let have it, root or not.
_BARE: Final = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
_KNOCK: Final = 0.1
_READY: Final = ("Initialized", "ContainersReady", "Ready")


@dataclass
class _Running:
    pod: Object
    node: Node
    host: Host
    log: Path
    child: subprocess.Popen[str] | None = None
    work: asyncio.Task[None] | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.pod["metadata"]["namespace"], self.pod["metadata"]["name"]


class Kubelet:
    """Runs every pod that carries a label, on all nodes of the lab; an async context manager."""

    def __init__(self, lab: NetworkLab, api: Api, label: str) -> None:
        self._lab = lab
        self._api = api
        self._label = label
        self._running: dict[tuple[str, str], _Running] = {}
        self._logs: dict[tuple[str, str], Path] = {}
        self._server = web.AppRunner(self._application())
        self._follower: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._server.setup()
        site = web.TCPSite(self._server, "127.0.0.1", 0, ssl_context=self._tls())
        await site.start()
        port = self._server.addresses[0][1]
        for node in self._lab.nodes:
            await self._post(node, [{"type": "Hostname", "address": "127.0.0.1"}], port)
        self._follower = asyncio.create_task(self._follow())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._follower is not None
        self._follower.cancel()
        with suppress(asyncio.CancelledError):
            await self._follower
        await asyncio.gather(*(self._end(each) for each in list(self._running.values())))
        for node in self._lab.nodes:
            await self._post(node, [], 0)
        await self._server.cleanup()

    async def _follow(self) -> None:
        async for found in self._api.states("v1", "Pod", labels=self._label):
            for key in [key for key in self._running if key not in found]:
                await self._end(self._running[key])
            for key, pod in found.items():
                if key not in self._running and not pod["spec"].get("nodeName"):
                    await self._begin(pod)

    async def _begin(self, pod: Object) -> None:
        space, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        ips = self._lab.addresses.next()
        log = self._lab.plane.folder / f"{space}.{name}.log"
        made = _Running(pod, self._lab.addresses.node_of(ips), pods.host(ips), log)
        self._running[made.key] = made
        self._logs[made.key] = log
        path = f"/api/v1/namespaces/{space}/pods/{name}/binding"
        target = {"apiVersion": "v1", "kind": "Node", "name": made.node.name}
        await self._api.request("POST", path, {"metadata": {"name": name}, "target": target})
        await asyncio.to_thread(links.attach_pods, made.node.host.namespace, [(space, name, made.host)])
        for sysctl in (pod["spec"].get("securityContext") or {}).get("sysctls") or ():
            word = sysctl["name"].removeprefix("net.").replace(".", "__")
            await asyncio.to_thread(netns.sysctl, made.host.namespace, **{word: sysctl["value"]})
        made.work = asyncio.create_task(self._run(made))

    async def _run(self, made: _Running) -> None:
        """Run the one container, and say how it fares as it changes."""
        (container,) = made.pod["spec"]["containers"]
        await self._tell(made, "Pending")
        args = [arg.replace("$(POD_IPS)", ",".join(made.host.ips)) for arg in container["args"]]
        program = [sys.executable, "-P", "-m", "pipesegment", *args]
        command = ["ip", "netns", "exec", made.host.namespace, *_BARE, *program]
        with made.log.open("w") as log:
            made.child = popen(
                ["/usr/bin/env", *command],
                stdout=log.fileno(),
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(_ROOT / "operator")},
            )
        await self._tell(made, "Running")
        knock = container.get("readinessProbe")
        if knock and await self._ready(made, knock["tcpSocket"]["port"]):
            await self._tell(made, "Running", ready=True)
        code = await asyncio.to_thread(made.child.wait)
        await self._tell(made, "Failed" if code else "Succeeded", code=code)

    async def _ready(self, made: _Running, port: int) -> bool:
        """Knock at a port from the pod's node until somebody is there, or the program has ended."""
        assert made.child is not None
        while made.child.poll() is None:
            if await asyncio.to_thread(_answers, made.node.host.namespace, made.host.ips[0], port):
                return True
            await asyncio.sleep(_KNOCK)
        return False

    async def _tell(self, made: _Running, phase: str, *, ready: bool = False, code: int | None = None) -> None:
        ended = {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed"}}
        status = {
            "phase": phase,
            "podIP": made.host.ips[0],
            "podIPs": [{"ip": ip} for ip in made.host.ips],
            "conditions": [{"type": kind, "status": str(ready)} for kind in _READY],
            "containerStatuses": [
                {
                    "name": each["name"],
                    "image": each["image"],
                    "imageID": "",
                    "restartCount": 0,
                    "ready": ready,
                    "state": {"running": {}} if code is None else ended,
                }
                for each in made.pod["spec"]["containers"]
            ],
        }
        space, name = made.key
        await self._api.patch("v1", "Pod", name, {"status": status}, space, subresource="status")

    async def _end(self, made: _Running) -> None:
        del self._running[made.key]
        if made.work is not None:
            made.work.cancel()
        if made.child is not None:
            made.child.kill()
            await asyncio.to_thread(made.child.wait)
        if made.work is not None:
            with suppress(asyncio.CancelledError):
                await made.work
        await asyncio.to_thread(links.detach_pods, made.node.host.namespace, [made.key])
        await asyncio.to_thread(netns.delete, [made.host.namespace])

    async def _post(self, node: Node, beside: list[Mapping[str, str]], port: int) -> None:
        """Tell the API server where logs of this node's pods are read; port 0: nowhere."""
        status = node.status()
        status["addresses"] += beside
        status["daemonEndpoints"] = {"kubeletEndpoint": {"Port": port}}
        await self._api.patch("v1", "Node", node.name, {"status": status}, subresource="status")

    def _application(self) -> web.Application:
        made = web.Application()
        made.router.add_get("/containerLogs/{space}/{name}/{container}", self._log)
        return made

    async def _log(self, request: web.Request) -> web.Response:
        path = self._logs.get((request.match_info["space"], request.match_info["name"]))
        if path is None or not path.exists():
            return web.Response(status=404, text="no such pod")
        return web.Response(text=path.read_text(errors="replace"))

    def _tls(self) -> ssl.SSLContext:
        certificate, key = Authority(self._lab.plane.folder).issue("kubelet", "kubelet", names=["IP:127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context


def _answers(namespace: str, ip: str, port: int) -> bool:
    with netns.inside(namespace):
        sock = socket.socket()
    with sock:
        sock.settimeout(1.0)
        return sock.connect_ex((ip, port)) == 0
