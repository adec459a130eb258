"""How soon the kernel enforces what the API server is told: a NetworkPolicy by Felix, a segment by the operator and Felix.

Needs the network lab (Linux, root). Every round moves one rule between two ports, and takes the time from the request to the
first new connection that comes through at the new port.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from lab.api import Api
from lab.demo.operator import Operator
from lab.network import objects
from lab.network.lab import NetworkLab, with_control_plane
from lab.network.traffic import Outcome, Probe
from lab.network.world import World

ROOT = Path(__file__).parent.parent
SPACE = "bench-enforce"
PORTS = (8080, 9090)
TRY = 0.005
LABELS = {
    name: {"pipesegment.dev/segment": "bench", "pipesegment.dev/stage": name, "name": name} for name in ("from", "to")
}
Tell = Callable[[Api, int], Awaitable[object]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    rounds = parser.parse_args().rounds
    with with_control_plane() as lab, Operator(lab.plane, ROOT) as operator:
        report("a NetworkPolicy, Felix alone", asyncio.run(measure(lab, tell_policy, rounds)))
        operator.install()
        operator.start()
        report("a segment, operator and Felix", asyncio.run(measure(lab, tell_segment, rounds)))


async def measure(lab: NetworkLab, tell: Tell, rounds: int) -> list[float]:
    async with lab.plane.api() as api, World(lab, api) as world:
        await world.namespace(SPACE)
        await world.add([objects.pod(SPACE, name, labels) for name, labels in LABELS.items()])
        await world.baseline([f"TCP/{port}" for port in PORTS])
        source, destination = (end.host for end in world.ends())
        times = []
        for number in range(rounds + 1):
            port = PORTS[number % 2]
            started = time.monotonic()
            await tell(api, port)
            probe = Probe(source.namespace, "TCP", destination.ips[0], port)
            while (await asyncio.to_thread(lab.agent.probe, [probe], TRY))[0].outcome is not Outcome.ANSWERED:
                pass
            times.append(time.monotonic() - started)
            # The other port is closed by now: one transaction moves the rule.
            await world.settled()
        await forget(api)
        # The first round starts from no policy at all, where both ports are open.
        return times[1:]


async def tell_policy(api: Api, port: int) -> None:
    rule = {"from": [{"podSelector": {"matchLabels": {"name": "from"}}}], "ports": [{"port": port, "protocol": "TCP"}]}
    await api.apply(objects.policy(SPACE, "bench", {"name": "to"}, policyTypes=["Ingress"], ingress=[rule]))


async def tell_segment(api: Api, port: int) -> None:
    reaches = [{"stage": {"name": "to"}, "ports": [{"port": port}]}]
    stages = [{"name": "from", "dns": "None", "reaches": reaches}, {"name": "to", "dns": "None"}]
    metadata = {"name": "bench", "namespace": SPACE}
    kind = {"apiVersion": "pipesegment.dev/v1alpha1", "kind": "PipelineSegment"}
    await api.apply({**kind, "metadata": metadata, "spec": {"stages": stages}})


async def forget(api: Api) -> None:
    if await api.objects(
        "apiextensions.k8s.io/v1", "CustomResourceDefinition", fields="metadata.name=pipelinesegments.pipesegment.dev"
    ):
        await api.delete("pipesegment.dev/v1alpha1", "PipelineSegment", "bench", SPACE)
    await api.delete(*objects.POLICY, "bench", SPACE)
    await api.wait_list(*objects.POLICY, SPACE, until=lambda found: not found)


def report(what: str, times: list[float]) -> None:
    ordered = sorted(1000 * t for t in times)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    print(f"{what}: p50 {statistics.median(ordered):.0f} ms, p99 {p99:.0f} ms, {len(ordered)} rounds", flush=True)


if __name__ == "__main__":
    main()
