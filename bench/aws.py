"""What roles cost: calls of AWS for each role made and at rest, the budget kept, and the network no slower with AWS on.

The operator with its real client on moto (a process of its own); the cluster is the in-memory twin, so that what is measured
is our own work and AWS's part alone.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import boto3
from prometheus_client import CollectorRegistry

from pipesegment import names
from pipesegment.report.metrics import Metrics
from pipesegment.reporting import Reporter
from pipesegment.running import Operator
from pipesegment.settings import Settings
from pipesegment.world.aws.budget import Budget
from pipesegment.world.aws.client import Aws
from pipesegment.world.aws.port import Place
from pipesegment.world.memory import MemoryCluster

ACCOUNT = "123456789012"
STAGES = ("build", "deploy")
#: What every segment shares, and a role at rest does not cost.
SHARED = frozenset({"GetCallerIdentity", "ListRoles"})
PLACE = Place("default", ACCOUNT, "aws", "eu-west-1", 100)
KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "eu-west-1"}


@dataclass
class Row:
    """One size. Calls are for each role; `busiest` is the most attempts in any second."""

    segments: int
    roles: int
    made_seconds: float
    made_calls: float
    rest_calls: float
    rate: int
    busiest: int
    network_off: float
    network_on: float


class Watched(Budget):
    """The budget, with the moment of every attempt that it let through."""

    moments: list[float] = []  # noqa: RUF012 - one for the whole run: there is one class, and one budget

    def _left(self, turn: float, rate: float) -> float:
        left = super()._left(turn, rate)
        if left <= 0:
            self.moments.append(self._went[-1])
        return left


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segments", type=int, default=500)
    parser.add_argument("--rate", type=int, default=100, help="the class's callsPerSecond, at most 100")
    parser.add_argument(
        "--runs", type=int, default=3, help="how often the network's time is measured; the median counts"
    )
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    with moto() as url:
        os.environ["AWS_ENDPOINT_URL"] = url
        row = asyncio.run(measure(arguments.segments, arguments.rate, arguments.runs))
    for name, value in asdict(row).items():
        print(f"{name:14} {value:.2f}" if isinstance(value, float) else f"{name:14} {value}")
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(row), indent=2) + "\n")
    if row.busiest > row.rate or round(row.rest_calls, 1) > 2:
        sys.exit("bench.aws: above the budget, or more than two reads for a role at rest")


async def measure(segments: int, rate: int, runs: int) -> Row:
    """Make everything once and let it rest; then measure the network's part again and again, with AWS and without."""
    roles = segments * len(STAGES)
    calls: Counter[str] = Counter()
    # So long that every role is looked at within it, at two reads each and with as much again for what else is called.
    resync = max(10.0, 6 * roles / rate)
    async with running(segments, rate, calls, resync=resync) as (cluster, began):
        await until(lambda: ready(cluster) == segments)
        made_seconds, made_calls = time.monotonic() - began, sum(calls.values()) / roles
        say("made; the first look afterwards reads everything, so it is left out")
        await looked(calls, 2 * roles)
        before = calls.copy()
        await looked(calls, roles * 3)
        rest = calls - before
    reads = sum(n for action, n in rest.items() if action not in SHARED) / rest["GetRole"]
    busiest = max(sum(1 for other in Watched.moments if m <= other < m + 1) for m in Watched.moments)
    on, off = [], []
    for _ in range(runs):
        on.append(await network(segments, rate, on=True))
        off.append(await network(segments, rate, on=False))
    return Row(
        segments,
        roles,
        made_seconds,
        made_calls,
        reads,
        rate,
        busiest,
        statistics.median(off),
        statistics.median(on),
    )


async def network(segments: int, rate: int, *, on: bool) -> float:
    """Give the seconds until every NetworkPolicy is written."""
    async with running(segments, rate, Counter(), on=on) as (cluster, began):
        await until(lambda: len(cluster.objects("NetworkPolicy")) == segments * len(STAGES))
        return time.monotonic() - began


@asynccontextmanager
async def running(segments: int, rate: int, calls: Counter[str], *, on: bool = True, resync: float = 3600.0) -> Any:
    """Run an operator that leads, give it all segments at once, and tell when that was."""
    reset()
    cluster = MemoryCluster()
    for obj in surroundings(rate):
        cluster.seed(obj)
    count = lambda _service, action, _status, _seconds: calls.update([action])  # noqa: E731 - any thread
    aws = Aws(session=boto3.Session(**KEYS), observe=count, budget=Watched) if on else None
    settings = Settings(identity="bench", namespace="pipesegment-system", aws_resync=resync, drain_timeout=1)
    reporter = Reporter(cluster, Metrics(CollectorRegistry()), "bench")
    operator = Operator(cluster, settings, reporter, cloud=aws)
    reporter.start()
    operator.start()
    await operator.lead()
    if aws is not None:
        # boto3 reads what it knows of a service when a client is made: a third of a second, once in a process's life.
        for service in ("iam", "sts"):
            aws.client(service, PLACE._replace(calls_per_second=rate))
    began = time.monotonic()
    try:
        for number in range(segments):
            cluster.seed(segment(number))
            found = next(o for o in [cluster.peek(target(number))] if o is not None)
            operator.put_segment(found)
        yield cluster, began
    finally:
        if aws is not None:
            aws.close()
        await operator.stop()
        await reporter.stop()


def target(number: int) -> Any:
    from pipesegment.compile.desired import ObjectID  # noqa: PLC0415 - beside its only use

    return ObjectID(names.API_VERSION, names.SEGMENT, "ci", f"shop-{number}")


async def looked(calls: Counter[str], times: int) -> None:
    """Wait until roles were looked at so often."""
    before = calls["GetRole"]
    await until(lambda: calls["GetRole"] - before >= times)


async def until(holds: Any) -> None:
    """Wait for what has no event of its own; a hundredth of a second is nothing beside what is measured."""
    while not holds():  # noqa: ASYNC110 - the twin and the counters are looked at, nobody there sets an event
        await asyncio.sleep(0.01)


def ready(cluster: MemoryCluster) -> int:
    conditions = (c for o in cluster.objects(names.SEGMENT) for c in (o.get("status") or {}).get("conditions", ()))
    return sum(1 for c in conditions if c["type"] == "CloudReady" and c["reason"] == "Applied")


def surroundings(rate: int) -> Iterator[dict[str, Any]]:
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ci", "uid": "u-ci"}}
    crd = f"pipelinesegments.{names.GROUP}"
    version = "apiextensions.k8s.io/v1"
    yield {"apiVersion": version, "kind": "CustomResourceDefinition", "metadata": {"name": crd}}
    aws = {
        "accountID": ACCOUNT,
        "region": "eu-west-1",
        "clusterName": "prod",
        "oidcIssuer": "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
        "permissionsBoundaryARN": f"arn:aws:iam::{ACCOUNT}:policy/boundary",
        "callsPerSecond": rate,
        "allowedActions": ["s3:*"],
    }
    meta = {"name": "default", "uid": "u-class"}
    yield {"apiVersion": names.API_VERSION, "kind": names.CLASS, "metadata": meta, "spec": {"aws": aws}}


def segment(number: int) -> dict[str, Any]:
    right = {"actions": ["s3:GetObject"], "resources": [f"arn:aws:s3:::bucket-{number}/*"]}
    stages = [
        {
            "name": name,
            "aws": {"permissions": [right], "reachServices": "Declared"},
            "reaches": [{"cidr": {"block": "198.51.100.0/24"}, "ports": [{"port": 443}]}],
        }
        for name in STAGES
    ]
    meta = {"name": f"shop-{number}", "namespace": "ci", "uid": f"u-{number}", "generation": 1}
    return {"apiVersion": names.API_VERSION, "kind": names.SEGMENT, "metadata": meta, "spec": {"stages": stages}}


@contextmanager
def moto() -> Iterator[str]:
    """Run moto in a process of its own: it must not share the interpreter with what is measured."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        while not answers(url):
            time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait()


def reset() -> None:
    """Empty moto: every run begins in an account without roles."""
    request = urllib.request.Request(f"{os.environ['AWS_ENDPOINT_URL']}/moto-api/reset", method="POST")
    urllib.request.urlopen(request, timeout=30).close()


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except OSError:
        return False
    return True


def say(text: str) -> None:
    print(f"bench.aws: {text}", file=sys.stderr)


if __name__ == "__main__":
    main()
