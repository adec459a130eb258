"""What an author may make of one resolve: findings and steps have a bound, and what is beyond it widens nothing."""

import pytest

from pipesegment.errors import Refused
from pipesegment.reach import scene
from tests.unit.reach.reaching import pod, reach, segment, segment_class, stage

OLD, NEW = "2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z"


def app(name):
    return {"matchLabels": {"app": name}}


def neighbours(count):
    return [segment([{"name": "build", "podSelector": app("a")}], f"n{i:02}", created=OLD) for i in range(count)]


def overlaps(found):
    return [f for f in found.findings if f.reason in {"Overlapping", "OverlapUnion"}]


def test_of_many_neighbours_that_overlap_some_are_named():
    mine = segment([{"name": "build", "podSelector": app("a")}], created=NEW)
    found = reach(mine, *neighbours(40))
    assert stage(found, "build").closed
    assert len(overlaps(found)) == 16


def test_a_union_with_many_is_reported_of_some():
    mine = segment([{"name": "build", "podSelector": app("a")}], created=NEW)
    found = reach(mine, *neighbours(40), segment_class(guardrails={"overlap": "Union"}))
    assert not stage(found, "build").closed
    assert len(overlaps(found)) == 16


def test_an_older_neighbour_behind_many_younger_ones_still_closes():
    mine = segment([{"name": "build", "podSelector": app("a")}], created=NEW)
    younger = [
        segment([{"name": "build", "podSelector": app("a")}], f"n{i:02}", created="2031-01-01T00:00:00Z")
        for i in range(40)
    ]
    older = segment([{"name": "build", "podSelector": app("a")}], "zz", created=OLD)
    assert not stage(reach(mine, *younger), "build").closed
    found = reach(mine, *younger, older)
    assert stage(found, "build").closed
    assert [f.target for f in overlaps(found)] == ["stage build of segment ci/zz"]


def everybody_reaches_everybody(stages, words):
    def entry(number):
        expressions = [
            {"key": "app", "operator": "Exists"},
            {"key": "tier", "operator": "NotIn", "values": [f"x{number}"]},
        ]
        return {"pods": {"podSelector": {"matchExpressions": expressions}}, "ports": [{"port": 1000 + number}]}

    return segment(
        [
            {"name": f"s{i}", "podSelector": app(f"a{i}"), "reaches": [entry(i * words + w) for w in range(words)]}
            for i in range(stages)
        ]
    )


def test_more_than_can_be_compared_is_refused_as_a_whole(monkeypatch):
    """Refused, so that the operator leaves everything as it is and serves the others."""
    pods = [pod("ci", f"p{i}", {"app": f"a{i % 8}"}) for i in range(50)]
    mine = everybody_reaches_everybody(8, 8)
    assert reach(mine, *pods).stages
    monkeypatch.setattr(scene, "_MOST_STEPS", 5000)
    with pytest.raises(Refused) as refused:
        reach(mine, *pods)
    (refusal,) = refused.value.refusals
    assert refusal.path == "spec.stages"
    assert refusal.value == "8 stages"


def test_neighbours_at_every_bound_cost_an_ordinary_segment_nothing(monkeypatch):
    """Its own words say how much is compared, not theirs."""
    monkeypatch.setattr(scene, "_MOST_STEPS", 1000)
    theirs = [segment(everybody_reaches_everybody(8, 8)["spec"]["stages"], f"n{i}", created=OLD) for i in range(20)]
    mine = segment(
        [{"name": "build"}, {"name": "deploy", "reaches": [{"stage": {"name": "build"}, "ports": [{"port": 80}]}]}]
    )
    assert not any(s.closed for s in reach(mine, *theirs).stages)
