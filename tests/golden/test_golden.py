"""Segments and their surroundings come to exactly these objects, messages and conditions.

An input holds `given` (documents of our kinds), `facts` (plain Kubernetes objects) and, where several segments are given,
the walk is taken for each. The output holds the lines that people see as well: they are reviewed like code.
"""

from pathlib import Path

import pytest

from lab import yaml
from tests.golden.walk import walk
from tests.golden.written import written

CASES = sorted((Path(__file__).parent / "cases").glob("*.in.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.name.removesuffix(".in.yaml"))
def test_case(case, request):
    found = written(walk(yaml.safe_load(case.read_text())))
    golden = case.with_name(case.name.replace(".in.yaml", ".out.yaml"))
    if request.config.getoption("--update-golden"):
        golden.write_text(found)
    assert golden.exists(), "run `make golden` and review what it wrote"
    assert found == golden.read_text()


def test_every_output_has_an_input():
    outputs = {p.name.removesuffix(".out.yaml") for p in (Path(__file__).parent / "cases").glob("*.out.yaml")}
    assert outputs == {p.name.removesuffix(".in.yaml") for p in CASES}


def test_there_are_enough_cases():
    assert len(CASES) >= 60
