"""How fast N segments become what enforces them, beside a bare writer of the same objects, in one run."""

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from bench.adapter import Adapter, Object
from lab import crds
from lab.api import Api
from lab.controlplane import ControlPlane, Options, start

ROOT = Path(__file__).parent.parent
OWNED = (
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("v1", "ServiceAccount"),
    ("security.istio.io/v1", "AuthorizationPolicy"),
    ("security.istio.io/v1", "PeerAuthentication"),
    ("networking.istio.io/v1", "Sidecar"),
)
IN_FLIGHT = 32
REST = 30.0
CHANGES = 100
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Row:
    """One size: seconds, CPU milliseconds for each object, per cent of a core, milliseconds, MiB."""

    segments: int
    objects: int
    floor_wall: float
    operator_wall: float
    floor_cpu: float
    operator_cpu: float
    rest_cpu: float
    change_p50: float
    change_p99: float
    rss: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="100,500,1000", help="numbers of segments, each on a fresh control plane")
    parser.add_argument("--adapter", type=Path, default=ROOT / "bench/adapters/pipesegment.yaml")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    adapter = Adapter.read(arguments.adapter)
    rows = [asyncio.run(measure(adapter, int(size))) for size in arguments.sizes.split(",")]
    print(table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


async def measure(adapter: Adapter, size: int) -> Row:
    """Measure one size: the operator first, then the floor writes what the operator had made, on a fresh plane.

    The operator runs and rests before the first segment is created, so that its start is nobody's cost.
    """
    say(f"{size} segments: the operator")
    with start(Options()) as plane:
        async with plane.api() as api:
            await prepare(api, adapter, size)
            with operator(adapter, plane) as process:
                await watching(adapter, plane)
                await quiet(plane)
                started, since = cpu_of(process), plane.audit_position()
                await create_all(api, [adapter.make(adapter.resource, n) for n in range(size)])
                objects = await converged(api, adapter, size)
                cpu = cpu_of(process) - started
                wall = writing_time(plane, since)
                rss = rss_of(process)
                await quiet(plane)
                rest = await at_rest(process)
                changes = await change_times(api, adapter, size)
                rss = max(rss, rss_of(process))
            made = await owned(api, adapter)
    say(f"{size} segments: the floor, {len(made)} objects")
    with start(Options()) as plane:
        async with plane.api() as api:
            await prepare(api, adapter, size)
            since = plane.audit_position()
            floor = run_floor(plane, [stripped(obj) for obj in made])
            floor_wall = writing_time(plane, since)
    return Row(
        segments=size,
        objects=objects,
        floor_wall=floor_wall,
        operator_wall=wall,
        floor_cpu=1000 * floor / objects,
        operator_cpu=1000 * cpu / objects,
        rest_cpu=rest,
        change_p50=1000 * statistics.median(changes),
        change_p99=1000 * sorted(changes)[int(len(changes) * 0.99) - 1],
        rss=rss,
    )


async def prepare(api: Api, adapter: Adapter, size: int) -> None:
    await api.install_crds([*adapter.definitions(), *(crds.istio() if adapter.istio else [])])
    names = sorted({adapter.namespace(n) for n in range(size)})
    await create_all(api, [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n}} for n in names])
    await create_all(api, adapter.setup)
    around = [adapter.make(obj, n) for n in range(size) for obj in adapter.surroundings]
    await create_all(api, around)


async def create_all(api: Api, objects: list[Object]) -> None:
    waiting = iter(objects)

    async def worker() -> None:
        for obj in waiting:
            await api.create(obj)

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))


@contextmanager
def operator(adapter: Adapter, plane: ControlPlane) -> Iterator[subprocess.Popen[bytes]]:
    log = tempfile.NamedTemporaryFile(suffix=".log", delete=False)  # noqa: SIM115 - kept for whoever asks why it ended
    environment = {**os.environ, **adapter.environment}
    process = subprocess.Popen(adapter.argv(plane.kubeconfig), cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        yield process
        if process.poll() is not None:
            raise SystemExit(f"the operator ended by itself; its log is {log.name}")
    finally:
        process.terminate()
        process.wait(30)


async def watching(adapter: Adapter, plane: ControlPlane) -> None:
    """Wait until the operator has listed its resources."""
    group = adapter.resource["apiVersion"].partition("/")[0]
    while not any(e.verb == "list" and e.resource.endswith(group) for e in plane.audit_events()):  # noqa: ASYNC110 - a file
        await asyncio.sleep(0.2)


async def converged(api: Api, adapter: Adapter, size: int) -> int:
    """Wait until every resource says that it is ready; give how many objects were made."""
    meta = adapter.resource

    def ready(objects: dict[tuple[str, str], Object]) -> bool:
        return all(is_ready(obj) for obj in objects.values())

    await api.wait_list(meta["apiVersion"], meta["kind"], until=ready, within=60 + size * 0.5)
    return len(await owned(api, adapter))


def is_ready(obj: Object) -> bool:
    conditions = obj.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


async def owned(api: Api, adapter: Adapter) -> list[Object]:
    found = [await api.objects(version, kind, labels=adapter.selector) for version, kind in OWNED]
    return [
        {"apiVersion": v, "kind": k, **obj} for (v, k), objects in zip(OWNED, found, strict=True) for obj in objects
    ]


def stripped(obj: Object) -> Object:
    """Give the object as it was applied: without what the server added, and without owners of another plane."""
    meta = obj["metadata"]
    kept = {key: meta[key] for key in ("name", "namespace", "labels", "annotations") if key in meta}
    return {**{k: v for k, v in obj.items() if k != "status"}, "metadata": kept}


def run_floor(plane: ControlPlane, objects: list[Object]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        random.Random(0).shuffle(objects)
        given, access = Path(folder) / "objects.json", Path(folder) / "access.json"
        given.write_text(json.dumps(objects))
        admin = plane.admin
        known = {"server": admin.server, "ca": str(admin.ca), "token": admin.token}
        files = {"certificate": admin.certificate and str(admin.certificate), "key": admin.key and str(admin.key)}
        access.write_text(json.dumps(known | files))
        command = [sys.executable, "-m", "bench.floor", str(given), str(access)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["cpu"])


def writing_time(plane: ControlPlane, since: int) -> float:
    """Give the seconds from the first request for an owned object to the last one's answer, by the audit log."""
    kinds = {"networkpolicies", "serviceaccounts", "authorizationpolicies", "peerauthentications", "sidecars"}
    events = [
        e.raw
        for e in plane.audit_events(since=since)
        if e.write and e.resource.partition(".")[0] in kinds and "kube-" not in e.user
    ]
    begun = min(moment(e["requestReceivedTimestamp"]) for e in events)
    ended = max(moment(e["stageTimestamp"]) for e in events)
    return ended - begun


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def cpu_of(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_of(process: subprocess.Popen[bytes]) -> float:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


async def quiet(plane: ControlPlane) -> None:
    """Wait until nothing has been written for three seconds: Events may come after the last status."""
    while True:
        since = plane.audit_position()
        await asyncio.sleep(3)
        if not any(e.write and "leases" not in e.resource for e in plane.audit_events(since=since)):
            return


async def at_rest(process: subprocess.Popen[bytes]) -> float:
    before = cpu_of(process)
    await asyncio.sleep(REST)
    return 100 * (cpu_of(process) - before) / REST


async def change_times(api: Api, adapter: Adapter, size: int) -> list[float]:
    """Change one resource after another; time from the answer of the change to the event of its object."""
    resource, change = adapter.resource, adapter.change
    times = []
    for attempt in range(CHANGES):
        number, value = random.Random(attempt).randrange(size), 10_000 + attempt
        name, namespace = adapter.make(change["name"], number), adapter.namespace(number)
        target = adapter.make(resource["metadata"]["name"], number)
        patch = adapter.make(change["patch"], number, value=value)
        watching = asyncio.create_task(
            api.wait(
                change["apiVersion"], change["kind"], name, namespace, until=lambda o, v=value: str(v) in json.dumps(o)
            )
        )
        await asyncio.sleep(0.05)
        begun = time.monotonic()
        await api.patch(resource["apiVersion"], resource["kind"], target, patch, namespace)
        await watching
        times.append(time.monotonic() - begun)
    return times


def table(rows: list[Row]) -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    head = f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    lines = [
        head,
        "",
        "| segments | objects | floor s | operator s | wall ratio | floor ms CPU/object | operator ms CPU/object | CPU ratio | CPU at rest % | change p50 ms | p99 ms | RSS MiB |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.segments} | {r.objects} | {r.floor_wall:.1f} | {r.operator_wall:.1f} | **{r.operator_wall / r.floor_wall:.2f}** "
        f"| {r.floor_cpu:.2f} | {r.operator_cpu:.2f} | **{r.operator_cpu / r.floor_cpu:.2f}** | {r.rest_cpu:.2f} "
        f"| {r.change_p50:.0f} | {r.change_p99:.0f} | {r.rss:.0f} |"
        for r in rows
    ]
    return "\n".join(lines)


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
