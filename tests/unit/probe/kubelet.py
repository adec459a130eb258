"""A node in memory: probe pods run, and reach what the policies of their cluster leave open, or everything.

No program runs and no packet flows: what a pod's log says is computed from its arguments and the live policies.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from pipesegment.compile.desired import ObjectID
from pipesegment.evaluate.endpoints import AddressEnd, End, PodEnd, Port, of_pod
from pipesegment.evaluate.world import World
from pipesegment.facts import parse
from pipesegment.probe.pods import LABEL
from pipesegment.world import kinds
from pipesegment.world.memory import MemoryCluster
from pipesegment.world.port import Json, Selection

OURS = Selection(labels=LABEL)


class Kubelet:
    """Runs probes. `enforces` False: no engine acts on the policies; `window`: tries that pass before one does.

    `sick` decides what becomes of a pod instead: it is given the pod, and gives a status or None.
    """

    def __init__(
        self,
        cluster: MemoryCluster,
        *,
        enforces: bool = True,
        window: int = 0,
        sick: Callable[[Json], dict[str, Any] | None] = lambda _: None,
    ) -> None:
        self.cluster = cluster
        self.made: list[Json] = []
        self._enforces = enforces
        self._window = window
        self._sick = sick

    async def run(self) -> None:
        """Follow the pods."""
        page = await self.cluster.list(kinds.POD, OURS)
        async for event in self.cluster.watch(kinds.POD, page.resource_version, OURS):
            if event.type == "ADDED":
                self.made.append(event.object)
                self._begin(event.object)

    def _begin(self, pod: Json) -> None:
        target = ObjectID.of(pod)
        ip = f"10.244.9.{len(self.made)}"
        args = pod["spec"]["containers"][0]["args"]
        status: dict[str, Any] = {"phase": "Running", "podIPs": [{"ip": ip}], "podIP": ip}
        sick = self._sick(pod)
        if sick is not None:
            status = sick
        elif "--listen" in args:
            status["conditions"] = [{"type": "Ready", "status": "True"}]
        else:
            self.cluster.logs[target.namespace, target.name] = json.dumps({"answers": self._answers(pod, ip, args)})
            status["phase"] = "Succeeded"
        self.cluster.edit(target, lambda obj: obj.update(status=status), "kubelet")

    def _answers(self, pod: Json, ip: str, args: list[str]) -> list[list[str]]:
        source = _end({**pod, "status": {"podIPs": [{"ip": ip}]}})
        targets = json.loads(args[args.index("--targets") + 1])
        objects = self.cluster.objects("NetworkPolicy") if self._enforces else []
        world = World(objects)
        ends = {found.ips[0]: found for found in map(_end, self.cluster.objects("Pod")) if found.ips}
        answers = []
        for target in targets:
            end: End = ends.get(target["address"]) or AddressEnd(target["address"])
            port = Port("TCP", target["port"])
            passes = world.judge(source, end, port).enforced
            open_now = "open" if self._listens(end, target) else "silent"
            tries = ["open"] * self._window + [open_now if passes else "silent"] * (4 - self._window)
            answers.append(tries)
        return answers

    def _listens(self, end: End, target: Json) -> bool:
        """Who is there at all: pods, and the API server."""
        return isinstance(end, PodEnd) or target["port"] in {443, 6443}


def _end(obj: Json) -> PodEnd:
    return of_pod(parse.pod(obj), {})


@asynccontextmanager
async def running(kubelet: Kubelet) -> AsyncIterator[Kubelet]:
    """Let it run for a block."""
    task = asyncio.create_task(kubelet.run())
    await asyncio.sleep(0)
    try:
        yield kubelet
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def probes(cluster: MemoryCluster) -> list[str]:
    """Name the probe pods that exist."""
    return [p["metadata"]["name"] for p in cluster.objects("Pod") if LABEL in (p["metadata"].get("labels") or {})]


def roles(made: Iterable[Json]) -> list[str]:
    """Tell what each probe was for, in the order of their making."""
    return [p["metadata"]["name"].split("-", 3)[3] for p in made]
