"""A cluster in memory where the operator has done its work, and `verify` as people run it on that cluster."""

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipesegment.cli import program
from pipesegment.cli.examine import examined
from pipesegment.compile.desired import ObjectID
from pipesegment.world.memory import MemoryCluster
from tests.unit.running.twin import leading, seeded, segment, segment_class, stage, surroundings, to

POLICY = ObjectID("networking.k8s.io/v1", "NetworkPolicy", "ci", "shop-a")
SHOP = segment(stage("a", to("b", 80), app="a"), stage("b", app="b"), stage("c", app="c"))
PAY = segment(stage("x", app="x"), name="pay")
ISOLATING = segment_class(network={"isolation": {"mode": "Namespace"}})


def daemon_set(name: str, container: str, *, ready: int = 2) -> dict[str, Any]:
    """An engine's agent, on two nodes."""
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": "kube-system"},
        "spec": {"template": {"spec": {"containers": [{"name": container}]}}},
        "status": {"desiredNumberScheduled": 2, "numberReady": ready},
    }


CALICO = daemon_set("calico-node", "calico-node")


def allow_all(name: str = "allow-all") -> dict[str, Any]:
    """A policy of somebody else that opens everything."""
    spec = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}
    metadata = {"name": name, "namespace": "ci"}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


async def enforced(*more: dict[str, Any]) -> MemoryCluster:
    """Make a cluster with a segment, an isolating class and an engine, and let the operator work until it rests."""
    cluster = seeded([*surroundings(), ISOLATING, SHOP, CALICO, *more])
    async with leading(cluster):
        pass
    return cluster


Verify = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, tuple[str, ...]], Result]:
    """Run `verify` on what was read of a cluster."""

    def started(seen: Any, args: tuple[str, ...]) -> Result:
        monkeypatch.setattr("pipesegment.cli.examine.examine", lambda _: seen)
        return CliRunner().invoke(program, ["verify", *args], prog_name="pipesegment", catch_exceptions=False)

    return started


@pytest.fixture
def verify(run: Callable[[Any, tuple[str, ...]], Result]) -> Callable[..., Any]:
    """Await `verify(cluster, "-o", "json")` for the result of the program."""

    async def verified(cluster: MemoryCluster, *args: str) -> Result:
        return run(await examined(cluster), args)

    return verified
