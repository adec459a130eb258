"""What the demo shows fits on a terminal of 80 columns, and what it leaves out it says."""

import json

from rich.console import Console

from lab import yaml
from lab.demo import stage
from lab.demo.__main__ import PODS, SURROUNDINGS
from lab.demo.matrix import picture


class Plane:
    """Answers with the sample's pods and surroundings, as kubectl would once they run."""

    def kubectl(self, *_arguments: str) -> str:
        found = [obj for path in (PODS, SURROUNDINGS) for obj in yaml.safe_load_all(path.read_text()) if obj]
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
