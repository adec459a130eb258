"""`make proof` says so where a judge differs, and nobody takes for agreement that somebody was missing."""

import json
import re

import pytest

from lab.errors import LabError, UnsupportedError
from lab.network import scenario
from lab.network.matrix import Way, differences
from lab.proof import scene
from lab.proof.__main__ import main
from lab.proof.envoy import asked
from lab.proof.hearing import Answer
from lab.proof.show import NOT_ASKED

SAMPLE = scene.read()
OPEN = Way("ci/build", "ci/cache", "TCP/8080")
METADATA = Way("ci/test", "metadata", "TCP/80")
#: Between two that are no stages, and therefore shown only where it differs.
ASIDE = Way("prod/api", "ci/stray", "TCP/443")


class Stand:
    """A judge that says what is declared, but for some ways, and knows nothing about others."""

    about = "a stand-in"

    def __init__(self, name="kernel", *, wrong=(), blind=(), error=None):
        self.name, self._wrong, self._blind, self._error = name, wrong, blind, error

    def ask(self, asked_about):
        if self._error:
            raise self._error
        declared = asked_about.compiled.declared
        return {
            way: Answer((way in declared) != (way in self._wrong), "403" if way in self._wrong else "")
            for way in asked_about.ways
            if way not in self._blind
        }


@pytest.fixture
def proof(capsys, monkeypatch):
    monkeypatch.setattr(scene, "read", lambda: SAMPLE)

    def run(*judges, arguments=()):
        code = main(arguments, judges)
        return code, capsys.readouterr().out

    return run


def line(text, way):
    start = f"  {way.source} → {way.destination} : {way.port.removeprefix('TCP/')} "
    return next((found.removeprefix(start).split() for found in text.splitlines() if found.startswith(start)), None)


def test_where_all_agree_it_ends_well(proof):
    code, text = proof(Stand("one"), Stand("two", blind={METADATA}))

    assert code == 0
    assert line(text, OPEN) == ["✓", "✓", "✓"]
    assert line(text, METADATA) == ["✗", "✗", NOT_ASKED]
    assert "No difference" in text
    assert "differs" not in text


@pytest.mark.parametrize(("way", "cells"), [(OPEN, ["✓", "✓", "✗", "403"]), (METADATA, ["✗", "✗", "✓", "403"])])
def test_a_difference_is_shown_and_ends_with_1(proof, way, cells):
    code, text = proof(Stand("one"), Stand("two", wrong={way}))

    assert code == 1
    assert line(text, way) == [*cells, "←", "differs"]
    assert text.count("differs") == 1
    assert "1 of the ways" in text
    assert "No difference" not in text


def test_a_difference_aside_is_no_less_one(proof):
    assert line(proof(Stand())[1], ASIDE) is None

    code, text = proof(Stand(wrong={ASIDE}))

    assert code == 1
    assert line(text, ASIDE)[-1] == "differs"


def test_a_judge_that_the_machine_cannot_have_is_named_and_the_others_are_shown(proof):
    code, text = proof(Stand("one"), Stand("two", error=UnsupportedError("only root may")))

    assert code == 0
    assert "two IS MISSING: only root may" in text
    assert line(text, OPEN) == ["✓", "✓"]


def test_a_judge_that_fails_ends_with_1(proof):
    code, text = proof(Stand("one"), Stand("two", error=LabError("it is dead")))

    assert code == 1
    assert "two FAILED: it is dead" in text


def test_without_any_judge_nothing_is_proved(proof):
    code, text = proof(Stand(error=UnsupportedError("only root may")))

    assert code == 1
    assert "Nothing is proved" in text


def test_all_ways_are_shown_when_asked_for(proof):
    _, text = proof(Stand(), arguments=["--all"])

    assert all(line(text, way) for way in SAMPLE.ways)


def test_no_way_is_shown_twice_and_colours_are_for_terminals(proof):
    _, text = proof(Stand())
    shown = re.findall(r"^  (\S+ → \S+ : \S+)", text, re.MULTILINE)

    assert len(shown) == len(set(shown)) > len(SAMPLE.stages)
    assert "\x1b" not in text


def test_who_fares_alike_outside_of_the_pipeline_is_shown_once(proof):
    _, text = proof(Stand())

    assert line(text, Way("prod/api", "ci/build", "TCP/8080"))
    assert not line(text, Way("kube-system/dns", "ci/build", "TCP/8080"))


def test_as_json_it_says_the_same(proof):
    code, text = proof(Stand("one", wrong={OPEN}), Stand("two", error=UnsupportedError("no")), arguments=["-o", "json"])
    found = json.loads(text)

    assert code == 1
    assert (found["holds"], found["differences"], found["compared"]) == (False, 1, len(SAMPLE.ways))
    assert found["missing"] == [{"name": "two", "reason": "no", "failed": False}]
    (row,) = (row for row in found["ways"] if row["differs"])
    assert row == {
        "from": "ci/build",
        "to": "ci/cache",
        "port": "TCP/8080",
        "declared": True,
        "judges": {"one": {"open": False, "said": "403"}},
        "differs": True,
    }


def test_the_sample_is_a_scenario_whose_matrix_is_declared():
    (moment,) = scenario.read(scene.SAMPLE)

    assert differences(moment.expected, SAMPLE.compiled.declared, "the declaration") == []
    assert differences(moment.expected, SAMPLE.compiled.enforced, "the evaluator") == []
    assert SAMPLE.compiled.findings == ()
    assert not any(way.destination == "metadata" for way in SAMPLE.compiled.declared if way.source in SAMPLE.stages)


def test_sidecars_are_asked_about_ways_into_stages_alone():
    probes = dict(asked(SAMPLE))

    assert {way.destination for way in probes} == set(SAMPLE.stages)
    assert {way.port for way in probes} == {"TCP/8080"}
    # By the Service where the caller's sidecar knows it; whoever has no sidecar has no other way than the pod.
    assert (probes[OPEN].kind, probes[OPEN].target, probes[OPEN].port) == ("service", "ci/cache", 80)
    assert probes[Way("ci/stray", "ci/cache", "TCP/8080")].kind == "service"
    assert probes[Way("ci/test", "ci/cache", "TCP/8080")].kind == "pod"
    assert probes[Way("prod/api", "ci/cache", "TCP/8080")].kind == "pod"
