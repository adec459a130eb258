"""Every scenario: the declaration, the objects and the kernel each come to the matrix that its file expects.

`scenarios/<a sentence>.yaml` holds a world and what is open in it; `lab/network/scenario.py` says how it is written.
"""

from pathlib import Path

import pytest

from lab.network import judges, scenario
from lab.network.lab import NetworkLab
from lab.network.matrix import differences
from lab.network.play import play
from lab.network.world import World

pytest_plugins = ["lab.network.fixtures"]

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.yaml"))


def named(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", SCENARIOS, ids=named)
def test_declared_and_compiled(path: Path) -> None:
    for number, moment in enumerate(scenario.read(path)):
        compiled = judges.compiled(moment)
        found = differences(moment.expected | moment.withheld, compiled.declared, "the declaration")
        found += differences(moment.expected, compiled.enforced, "the walk's evaluator")
        found += differences(moment.expected, judges.evaluator(compiled.objects, moment), "the objects' evaluator")
        assert found == [], f"moment {number}"


@pytest.mark.enforcement
@pytest.mark.parametrize("path", SCENARIOS, ids=named)
async def test_enforced(path: Path, network_lab: NetworkLab, world: World) -> None:
    moments = scenario.read(path, network_lab.addresses)
    number = 0
    async for seen in play(world, moments):
        assert differences(seen.moment.expected, seen.kernel, "the kernel") == [], f"moment {number}"
        number += 1
    assert number == len(moments)
