"""A scenario's file says the whole matrix, and one that contradicts itself is no scenario."""

import pytest

from lab.errors import LabError
from lab.network import scenario
from lab.network.matrix import Way, differences

WORLD = """
ports: [TCP/80, UDP/53]
pods: {ci/build: {stage: shop/build}, ci/test: {labels: {app: test}}, prod/db: {}}
outside: {six: "2001:db8::1", four: 203.0.113.1}
"""


@pytest.fixture
def moments(tmp_path):
    def read(text):
        path = tmp_path / "case.yaml"
        path.write_text(WORLD + text)
        return scenario.read(path)

    return read


def opened(moment):
    return {f"{w.source} {w.destination} {w.port}" for w in moment.expected}


def test_whoever_is_not_listed_is_not_closed(moments):
    (moment,) = moments("reaches: {}\naccepts: {}")

    # 3 pods among themselves, and each with both hosts there and back; hosts among themselves are nobody's business.
    assert len(moment.expected) == (3 * 2 + 3 * 2 * 2) * 2


def test_whoever_is_listed_is_open_as_listed_and_no_further(moments):
    (moment,) = moments("reaches: {ci/build: [prod/db 80, six UDP/53]}\naccepts: {ci/*: []}")

    assert {way for way in opened(moment) if way.startswith("ci/build")} == {
        "ci/build prod/db TCP/80",
        "ci/build six UDP/53",
    }
    assert not {way for way in moment.expected if way.destination in {"ci/build", "ci/test"}}
    assert "ci/test prod/db UDP/53" in opened(moment)


def test_a_step_changes_the_world_and_says_everything_anew(moments):
    text = """
reaches: {ci/build: []}
accepts: {}
facts: [{apiVersion: v1, kind: Service, metadata: {name: db, namespace: prod}}]
then:
  - {labels: {ci/test: {app: null, tier: x}}, delete: [Service prod/db], reaches: {}, accepts: {prod/db: [ci/test 80]}}
"""
    first, second = moments(text)

    assert first.pods["ci/test"]["metadata"]["labels"] == {"app": "test"}
    assert second.pods["ci/test"]["metadata"]["labels"] == {"tier": "x"}
    assert (len(first.facts), len(second.facts)) == (1, 0)
    assert {w for w in opened(second) if " prod/db " in w} == {"ci/test prod/db TCP/80"}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("reaches: {ci/build: [prod/db 80]}\naccepts: {prod/db: []}", "contradict each other about ci/build → prod/db"),
        ("reaches: {ci/biuld: []}\naccepts: {}", "nobody called 'ci/biuld'"),
        ("reaches: {ci/build: [prod/db 443]}\naccepts: {}", "TCP/443, which is not among `ports`"),
        ("reach: {}", "has no 'reach'"),
        ("reaches: {}\naccepts: {}\nthen: [{delete: [Service prod/x]}]", "'Service prod/x' is not there"),
    ],
)
def test_a_contradiction_is_told(moments, text, error):
    with pytest.raises(LabError, match=error):
        moments(text)


def test_differences_are_told_in_words():
    a, b = Way("x", "y", "TCP/80"), Way("y", "x", "TCP/80")

    assert differences({a}, {b}, "the kernel") == [
        "the kernel lets through y → x at TCP/80",
        "the kernel blocks x → y at TCP/80",
    ]
