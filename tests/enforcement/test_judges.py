"""Every scenario and every case, judged by engines of others: they see in the objects what the kernel enforces."""

from pathlib import Path

import pytest

from lab.network import judges, scenario
from lab.oracle import comparison
from lab.oracle.judges import Engine

pytestmark = pytest.mark.oracle
pytest_plugins = ["lab.oracle.fixtures"]

FOLDER = Path(__file__).parent
WORLD = FOLDER / "cases" / "world.yaml"
FILES = sorted({*FOLDER.glob("scenarios/*.yaml"), *FOLDER.glob("cases/*.yaml")} - {WORLD})


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_judge_agrees(path: Path, judge: Engine) -> None:
    for moment in scenario.read(path, world=WORLD if path.parent == WORLD.parent else None):
        ends, ports = judges.asked(moment)
        assert comparison.judge(judge, judges.compiled(moment).objects, ends, ports) == []
