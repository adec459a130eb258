"""What the demo shows fits on a terminal of 80 columns, and what it leaves out it says."""

import json
import tempfile

import pytest
from rich.console import Console

from lab import progress, yaml
from lab.demo import stage
from lab.demo.__main__ import APPLICATION, PODS, SURROUNDINGS
from lab.demo.matrix import picture
from lab.demo.operator import Operator
from lab.errors import LabError


class Plane:
    """Answers with the sample's pods and surroundings, as kubectl would once they run."""

    def kubectl(self, *_arguments: str) -> str:
        found = [
            obj for path in (PODS, APPLICATION, SURROUNDINGS) for obj in yaml.safe_load_all(path.read_text()) if obj
        ]
        for number, obj in enumerate(found):
            if obj["kind"] == "Pod":
                obj["status"] = {"phase": "Running", "podIP": f"10.244.0.{number}"}
        return json.dumps({"items": found})


def test_the_matrix_fits_and_names_every_column_in_full():
    table, legend, opened, asked = picture(Plane())
    console = Console(width=80, record=True)
    with console.capture() as shown:
        console.print(table)
    lines = shown.get().splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in shown.get()
    assert len(legend.split(", ")) == len(lines[0].split()) - 3
    assert opened == asked > 0


def test_a_text_that_is_cut_says_so():
    assert stage.beginning(2)("a\nb\nc\nd") == "a\nb\n… and 2 more lines"
    assert stage.beginning(2)("a\nb") == "a\nb"


def test_a_wrong_line_is_shown_with_what_is_around_it(capsys):
    stage.excerpt("a\nb\nc\nd: [wrong]\ne\nf", "wrong")
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["2", "b"],
        ["3", "c"],
        ["4", "d:"],
        ["5", "e"],
    ]


def test_what_the_lab_tells_waits_until_the_story_pauses(capsys):
    with progress.silent():
        progress.say("building")
        assert capsys.readouterr().err == ""
    assert capsys.readouterr().err == "lab: building\n"


def test_long_work_shows_no_time_while_somebody_else_speaks(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LOG_INTERVAL", 0.001)
    with progress.silent(), progress.Progress("building") as work:
        work._over.wait(0.05)
    assert capsys.readouterr().err == "lab: building\nlab: done in 0 s\n"


@pytest.fixture
def operator(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Operator(Plane(), tmp_path)


@pytest.mark.parametrize("end", [None, KeyboardInterrupt()])
def test_the_operators_log_is_gone_when_the_demo_ended_well(operator, end):
    _ended(operator, end)
    assert not operator.log.exists()


def test_the_operators_log_is_kept_and_named_when_the_demo_failed(operator, capsys):
    _ended(operator, LabError("no"))
    assert operator.log.exists()
    assert str(operator.log) in capsys.readouterr().err


def _ended(operator, end):
    operator.__exit__(type(end) if end else None, end, None)
