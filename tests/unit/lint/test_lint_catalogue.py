"""The catalogue: every reason that any room gives has a code, and the page says what the catalogue says."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pipesegment
from pipesegment.lint.catalogue import CATALOGUE, entry
from pipesegment.lint.page import render

PACKAGE = Path(pipesegment.__file__).parent
ROOT = PACKAGE.parents[1]
#: Findings of `wire --check` are its own: they are about a file of the engine.
ROOMS = ("reach", "compile", "spec", "lint", "evaluate", "verify", "probe")


def reasons() -> Iterator[tuple[str, str]]:
    """Read every literal reason off the source: Finding(path, reason, …), note(path, reason, …), Problem(reason, …)…"""
    place = {"Finding": 1, "note": 1, "Problem": 0, "of_stage": 2, "of_namespace": 1}
    for room in ROOMS:
        for file in sorted((PACKAGE / room).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if not isinstance(node, ast.Call):
                    continue
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                at = place.get(name)
                if at is not None and len(node.args) > at and isinstance(node.args[at], ast.Constant):
                    yield f"{room}/{file.name}", node.args[at].value


def test_every_reason_in_the_source_has_an_entry() -> None:
    missing = {(file, reason) for file, reason in reasons() if reason not in CATALOGUE}

    assert missing == set()


def test_reasons_are_really_found_in_the_source() -> None:
    assert {"Unresolved", "Ungranted", "NoService", "ForgeableLabels", "BarePods"} <= {
        reason for _, reason in reasons()
    }


def test_codes_are_unique_and_in_order() -> None:
    codes = [e.code for e in CATALOGUE.values()]

    assert codes == sorted(set(codes))
    assert all(code.startswith("PS") and code[2:].isdigit() and len(code) == 5 for code in codes)


@pytest.mark.parametrize("found", CATALOGUE.values(), ids=lambda e: e.code)
def test_every_entry_says_what_why_and_what_helps_in_sentences(found) -> None:
    assert found.title
    assert not found.title.endswith(".")
    assert found.why.endswith(".")
    assert found.fix.endswith(".")


def test_an_unknown_gap_is_a_gap() -> None:
    assert entry("SomethingNew").reason == "Gap"


def test_the_page_is_the_catalogues() -> None:
    page = (ROOT / "docs" / "lint.md").read_text()

    assert page == render(), "write it anew: python -m pipesegment.lint.page > docs/lint.md"
