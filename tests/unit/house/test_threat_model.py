"""docs/threat-model.md: thirty rows, each with a promise, tests that exist, and what is not covered."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "threat-model.md"
ROWS = 30
_ROW = re.compile(r"^## (\d+)\. (.+?)\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_FILE = re.compile(r"`(tests/[\w/]+\.py)`")
_CASE = re.compile(r"\]\(\.\./(tests/golden/cases/[\w-]+\.in\.yaml)\)")


def rows(text: str) -> dict[int, str]:
    return {int(number): body for number, _, body in _ROW.findall(text)}


def line(body: str, kind: str) -> str:
    found = re.search(rf"^- {kind}: (.+)$", body, re.MULTILINE)
    return found[1] if found else ""


def missing(body: str) -> list[str]:
    """Name what a row lacks: a line, or the tests that it names and nobody has."""
    found = [f"no {kind}" for kind in ("Promise", "Proof", "Not covered") if not line(body, kind)]
    proof = line(body, "Proof")
    tests, cases = _TEST.findall(proof), _CASE.findall(proof)
    if not tests and not cases:
        found.append("names no test")
    for path, name in tests:
        source = (ROOT / path).read_text() if (ROOT / path).is_file() else ""
        if not re.search(rf"^ *(?:async )?def {name}\(", source, re.MULTILINE):
            found.append(f"{path}::{name}")
    return found + [path for path in (*cases, *_FILE.findall(body)) if not (ROOT / path).is_file()]


@pytest.mark.parametrize("number", range(1, ROWS + 1))
def test_each_threat_names_what_proves_its_promise(number):
    assert missing(rows(PAGE.read_text())[number]) == []


def test_there_are_these_threats_and_no_others():
    assert list(rows(PAGE.read_text())) == list(range(1, ROWS + 1))


@pytest.mark.parametrize(
    ("proof", "lacks"),
    [
        ("trust us", ["names no test"]),
        (
            "`tests/unit/house/test_threat_model.py::test_nobody_wrote`",
            ["tests/unit/house/test_threat_model.py::test_nobody_wrote"],
        ),
        ("`tests/gone.py::test_x`", ["tests/gone.py::test_x"]),
        ("[x](../tests/golden/cases/gone.in.yaml)", ["tests/golden/cases/gone.in.yaml"]),
        ("`tests/unit/house/test_threat_model.py::test_there_are_these_threats_and_no_others`", []),
    ],
)
def test_a_row_without_an_existing_test_is_noticed(proof, lacks):
    assert missing(f"- Promise: all is well.\n- Proof: {proof}\n- Not covered: nothing known.\n") == lacks
