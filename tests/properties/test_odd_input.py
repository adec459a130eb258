"""Whatever a file holds, every verb ends with an exit code of the contract, and never with an error of its own."""

import contextlib
import copy
import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from lab import yaml
from pipesegment.cli import program
from pipesegment.errors import Refused
from pipesegment.findings import Refusal
from pipesegment.spec import yamlfile
from tests.golden.walk import facts_of

pytestmark = pytest.mark.thorough
FILES = sorted((Path(__file__).parents[1] / "golden/cases").glob("*.in.yaml"))
CASES = [{**case, "facts": facts_of(case)} for case in (yaml.safe_load(p.read_text()) for p in FILES)]
VERBS = (
    *(
        ["compile"],
        ["compile", "-o", "json"],
        ["lint", "-o", "json"],
        ["reach"],
        ["wire"],
        ["plan", "--live", "f.json"],
    ),
    *(["graph", "-o", language] for language in ("mermaid", "dot", "svg", "json")),
)
ODD: tuple[Any, ...] = (
    *(None, 3, -1, 0, 1.5, True, 2**70, "", "x", "a/b", "\x1b[31m", "é\u202e", "x" * 300, 70000, "None", "*", "TCP"),
    *("10.0.0.0/8", "999.1.1.1", "fe80::1%e", "::/0", "2030-01-01T00:00:00Z", [], {}, [None], [[]], [3], ["x"]),
    *({"a": None}, {"a": "b"}, {"a": [1]}, {"matchLabels": {"a": "b"}}, {"matchExpressions": [{"operator": "In"}]}),
)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the place of every part of a value."""
    yield at
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in steps:
        yield from places(part, (*at, step))


def spoil(objects: list[Any], chance: random.Random) -> None:
    """Put something odd in the place of some part of some object, or take the part away."""
    *way, last = chance.choice([place for place in places(objects) if place])
    outer: Any = objects
    for step in way:
        outer = outer[step]
    if chance.random() < 0.2 and isinstance(outer, dict):
        del outer[last]
    else:
        outer[last] = copy.deepcopy(chance.choice(ODD))


@settings(max_examples=120, deadline=None)
@given(case=st.sampled_from(CASES), verb=st.sampled_from(VERBS), chance=st.randoms(use_true_random=False))
def test_no_object_trips_a_verb_up(case: Any, verb: list[str], chance: random.Random) -> None:
    case = copy.deepcopy(case)
    for _ in range(chance.choice((1, 1, 2, 4))):
        spoil(case["facts"] if case.get("facts") and chance.random() < 0.6 else case["given"], chance)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name, objects in (("g.json", case["given"]), ("f.json", case.get("facts") or [])):
            Path(name).write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

        result = CliRunner().invoke(program, [*verb, "-f", "g.json", "--facts", "f.json"], catch_exceptions=False)

    assert result.exit_code in ({0, 1, 2} if verb[0] == "graph" else {0, 1})
    assert not set(result.stderr) & set("\x1b\u202e")


@settings(max_examples=500, deadline=None)
@given(st.text("{}[]:,-&*!|>'\"#%@?~<=\\ \n\tab19.eExuTy", max_size=60))
def test_a_text_is_plain_json_values_or_refused(text: str) -> None:
    refusals: tuple[Refusal, ...] = ()
    values: list[Any] = []
    try:
        values = [value for _, value in yamlfile.read(text, "x.yaml")]
    except Refused as refused:
        refusals = refused.refusals

    assert all("\n" not in str(refusal) for refusal in refusals)
    assert json.loads(json.dumps(values, allow_nan=False)) == values
