"""What the admission policies cost a pod's creation, by how many stages its namespace has; and whether CEL's budget holds.

`python -m bench.admission` fills namespaces with stages' NetworkPolicies, the parameters of the policies, and creates pods
one after the other, without the policies and with them. `--namespaces 200` is 1000 segments of 64 stages each.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from bench.adapter import Object
from lab.api import Api, ApiError
from lab.controlplane import ControlPlane, Options, start

ROOT = Path(__file__).parent.parent
POLICIES = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
STAGES = 64
SEGMENTS = 5
IN_FLIGHT = 32


@dataclass
class Row:
    """One kind of pod in a namespace with so many stages: milliseconds without the policies and with them."""

    stages: int
    pod: str
    without_p50: float
    without_p99: float
    with_p50: float
    with_p99: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stages", default="0,5,64,320", help="how many stages a measured namespace has")
    parser.add_argument("--pods", type=int, default=200, help="how many pods are created for each figure")
    parser.add_argument(
        "--namespaces", type=int, default=2, help=f"how many namespaces of {SEGMENTS} segments there are beside them"
    )
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.stages.split(",")]
    with start(Options()) as plane:
        rows = asyncio.run(measure(plane, sizes, arguments.pods, arguments.namespaces))
    print(table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


async def measure(plane: ControlPlane, sizes: list[int], pods: int, namespaces: int) -> list[Row]:
    async with plane.api() as api:
        await fill(api, sizes, namespaces)
        without = {key: await times(api, *key, pods) for key in keys(sizes)}
        say("the policies")
        await create_all(api, policies())
        await in_force(api, max(sizes))
        rows = []
        for size, kind in keys(sizes):
            found = await times(api, size, kind, pods)
            rows.append(Row(size, kind, *quantiles(without[size, kind]), *quantiles(found)))
    return rows


async def fill(api: Api, sizes: list[int], namespaces: int) -> None:
    """Make the namespaces, first the stages of those that nobody measures."""
    rooms = [(f"crowd-{n}", SEGMENTS * STAGES) for n in range(namespaces)] + [(room(size), size) for size in sizes]
    say(f"{sum(stages for _, stages in rooms)} stages in {len(rooms)} namespaces")
    await create_all(api, [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name, _ in rooms])
    await create_all(api, (policy(name, number) for name, stages in rooms for number in range(stages)))
    for size in sizes:
        await api.wait("v1", "ServiceAccount", "default", room(size))
        account = {"namespace": room(size), "name": "segment-0-stage-0"}
        await api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})


async def in_force(api: Api, size: int) -> None:
    """Wait until a borrowed label is refused; the API server tells nobody when it has taken notice."""
    borrowed = pod(room(size), "borrowed", "stage") | {"spec": pod(room(size), "", "stranger")["spec"]}
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            made = await api.create(borrowed)
        except ApiError as error:
            if "not yet synced" not in str(error):
                return
        else:
            await api.delete("v1", "Pod", made["metadata"]["name"], room(size))
        await asyncio.sleep(0.2)
    raise SystemExit("the policies are not in force after 300 s")


async def times(api: Api, size: int, kind: str, pods: int) -> list[float]:
    """Create pods, one after the other; an expression that costs too much would refuse one, and end this."""
    found = []
    for _ in range(pods):
        wanted = pod(room(size), f"p-{next(_NUMBERS)}", kind if size else "stranger")
        began = time.perf_counter()
        await api.create(wanted)
        found.append(1000 * (time.perf_counter() - began))
    return found


def keys(sizes: list[int]) -> list[tuple[int, str]]:
    return [(size, kind) for size in sizes for kind in (("stranger", "stage") if size else ("stranger",))]


def room(size: int) -> str:
    return f"measured-{size}"


def policies() -> list[Object]:
    documents = yaml.safe_load_all((ROOT / "manifests/install.yaml").read_text())
    return [obj for obj in documents if obj and obj["kind"] in POLICIES]


def policy(namespace: str, number: int) -> Object:
    """Write a stage's NetworkPolicy as the operator does, with a handful of rules."""
    segment, stage = f"segment-{number // STAGES}", f"stage-{number % STAGES}"
    marks = {"pipesegment.dev/segment": segment, "pipesegment.dev/stage": stage}
    owned = {"app.kubernetes.io/managed-by": "pipesegment", "pipesegment.dev/wired": "true"}
    ports = [{"port": 443, "protocol": "TCP"}]
    peers = [{"ipBlock": {"cidr": f"203.0.113.{n}/32"}} for n in range(4)]
    dns = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "namespace": namespace,
            "name": f"{segment}-{stage}",
            "labels": marks | owned,
            "annotations": {"pipesegment.dev/hash": "0" * 64},
        },
        "spec": {
            "podSelector": {"matchLabels": marks},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": marks}}], "ports": ports}],
            "egress": [{"to": peers, "ports": ports}, {"to": [{"podSelector": {"matchLabels": marks}}], "ports": dns}],
        },
    }


def pod(namespace: str, name: str, kind: str) -> Object:
    """Write a pod of a pipeline: two containers with some environment; the stage's own, or a stranger's."""
    stage = {"pipesegment.dev/segment": "segment-0", "pipesegment.dev/stage": "stage-0"}
    container = {
        "image": "registry.example.com/work",
        "env": [{"name": f"VARIABLE_{n}", "value": "x" * 40} for n in range(20)],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": stage if kind == "stage" else {"app": "web"}},
        "spec": {
            "containers": [{"name": "work", **container}, {"name": "beside", **container}],
            **({"serviceAccountName": "segment-0-stage-0"} if kind == "stage" else {}),
        },
    }


async def create_all(api: Api, objects: Iterator[Object] | list[Object]) -> None:
    waiting = iter(objects)

    async def worker() -> None:
        for obj in waiting:
            await api.create(obj)

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))


def quantiles(found: list[float]) -> tuple[float, float]:
    return statistics.median(found), sorted(found)[max(0, int(len(found) * 0.99) - 1)]


def table(rows: list[Row]) -> str:
    lines = [
        "stages in the namespace | pod | without p50/p99 ms | with p50/p99 ms | added p50 ms",
        "---|---|---|---|---",
    ]
    lines += [
        f"{row.stages} | {row.pod} | {row.without_p50:.1f} / {row.without_p99:.1f} | {row.with_p50:.1f} / {row.with_p99:.1f} "
        f"| {row.with_p50 - row.without_p50:.1f}"
        for row in rows
    ]
    return "\n".join(lines)


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


_NUMBERS = itertools.count()

if __name__ == "__main__":
    main()
