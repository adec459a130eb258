"""`verify --probe` on the twin, with a node that plays what is in the pods."""

import click
import pytest
from click.testing import CliRunner

from pipesegment.cli import program
from pipesegment.cli.examine import examined
from pipesegment.cli.options import Options
from pipesegment.cli.probing import Limits, probe_all
from pipesegment.cli.verify import verify as verified_by
from pipesegment.cli.walk import surroundings, walk
from tests.unit.probe.kubelet import Kubelet, probes, running

IMAGE = "registry.example.com/pipesegment:test"
LIMITS = Limits(probes=16, seconds=5)
EVERYBODY = Options((), (), "", cluster=True, context="", kubeconfig="", named=False)


@pytest.fixture
def look(monkeypatch):
    """Await `look(cluster)` for the walk and what objects alone tell."""

    async def looked(cluster):
        seen = await examined(cluster)
        monkeypatch.setattr("pipesegment.cli.examine.examine", lambda _: seen)
        with click.Context(program).scope(), CliRunner().isolation():
            walked = walk(surroundings(EVERYBODY, optional=True, whole=True), taken=False)
        assert walked.problems == ()
        return walked, verified_by(walked)

    return looked


@pytest.fixture
def probe(look):
    """Await `probe(cluster, …)` for what is told of the one segment."""

    async def probed(cluster, *, limits=LIMITS, **kubelet):
        walked, verified = await look(cluster)
        async with running(Kubelet(cluster, **kubelet)) as node:
            (one,) = await probe_all(cluster, walked, verified, IMAGE, limits)
        assert probes(cluster) == []
        return one, node

    return probed


def shown(one) -> dict[tuple[str, str], tuple[bool, bool | None]]:
    """Every edge, as (from → to at port): declared, probed."""
    return {(f"{e.source} → {e.destination}", e.port): (e.declared, e.probed) for e in one.edges}


def reasons(one) -> list[str]:
    return sorted(f.reason for f in one.findings)
