"""The cases that Kubernetes holds every network plugin to, in our own words: our evaluator and the kernel agree on them.

Each of `cases/<a sentence>.yaml` is one of the 43 NetworkPolicy cases of Kubernetes' end-to-end tests or of the three each
for UDP and SCTP, told again as policies and the whole matrix; all of them are in the world of `cases/world.yaml`. Where
those look at one protocol and port, all six are looked at here, and both families. Blocks of addresses are tried at
hosts outside of the cluster, because engines differ about pods in them.
"""

from pathlib import Path

import pytest

from lab.network import judges, scenario
from lab.network.lab import NetworkLab
from lab.network.matrix import differences
from lab.network.play import play
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


@pytest.mark.enforcement
@pytest.mark.parametrize("path", CASES, ids=named)
async def test_enforced(path: Path, network_lab: NetworkLab, world: World) -> None:
    async for seen in play(world, scenario.read(path, network_lab.addresses, world=WORLD)):
        assert differences(seen.moment.expected, seen.kernel, "the kernel") == []
