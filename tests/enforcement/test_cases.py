"""The cases that Kubernetes holds every network plugin to, in our own words: our evaluator and the kernel agree on them.

Each of `cases/<a sentence>.yaml` is one of the 43 NetworkPolicy cases of Kubernetes' end-to-end tests or of the three each
for UDP and SCTP, told again as policies and the whole matrix; all of them are in the world of `cases/world.yaml`. Where
those look at one protocol and port, all six are looked at here, and both families. Blocks of addresses are tried at
hosts outside of the cluster, because engines differ about pods in them.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from lab.network import judges, scenario
from lab.network.lab import NetworkLab
from lab.network.matrix import differences
from lab.network.play import build, labelled, through
from lab.network.pods import Addresses
from lab.network.world import World

pytest_plugins = ["lab.network.fixtures"]

FOLDER = Path(__file__).parent / "cases"
WORLD = FOLDER / "world.yaml"
CASES = sorted(set(FOLDER.glob("*.yaml")) - {WORLD})


def named(path: Path) -> str:
    return path.stem


def test_every_case_is_told() -> None:
    assert len(CASES) == 43 + 3 + 3


@pytest.mark.parametrize("path", CASES, ids=named)
def test_our_evaluator(path: Path) -> None:
    for number, moment in enumerate(scenario.read(path, world=WORLD)):
        found = judges.evaluator(judges.foreign(moment), moment)
        assert differences(moment.expected, found, "our evaluator") == [], f"moment {number}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def built(network_lab: NetworkLab) -> AsyncIterator[World]:
    """The world of all cases, made once."""
    async with network_lab.plane.api() as api, World(network_lab, api) as made:
        await build(made, moments(CASES[0], network_lab)[0])
        yield made


def moments(path: Path, lab: NetworkLab) -> list[scenario.Moment]:
    # The same addresses for every case, so that they are one world.
    return scenario.read(path, Addresses(lab.nodes, first=150), world=WORLD)


@pytest.mark.enforcement
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", CASES, ids=named)
async def test_enforced(path: Path, network_lab: NetworkLab, built: World) -> None:
    case = moments(path, network_lab)
    await built.baseline(case[0].ports)
    try:
        async for seen in through(built, case):
            assert differences(seen.moment.expected, seen.kernel, "the kernel") == []
    finally:
        await built.withdraw()
        await labelled(built, case[0])
