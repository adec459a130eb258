"""Declarations of ours that cannot be read are there all the same: taken for absent, they would open what they close."""

import pytest

from pipesegment import names
from pipesegment.facts import parse
from pipesegment.facts.snapshot import Snapshot
from pipesegment.reach.governance import govern

META = {"name": "a", "namespace": "ci", "uid": "u-1"}
PARSERS = {parse.segment: "parse_segment", parse.grant: "parse_grant", parse.segment_class: "parse_class"}


@pytest.mark.parametrize("read", PARSERS, ids=PARSERS.values())
def test_one_that_is_refused_is_kept_without_a_spec(read) -> None:
    found = read({"metadata": META, "spec": {"nonsense": 1}})

    assert (found.meta.name, found.meta.uid, found.spec) == ("a", "u-1", None)
    assert found.refusals


@pytest.mark.parametrize("read", PARSERS, ids=PARSERS.values())
def test_so_is_one_that_trips_us_up(read, monkeypatch: pytest.MonkeyPatch) -> None:
    def trip(_: object) -> None:
        raise ZeroDivisionError("by us")

    monkeypatch.setattr(parse, PARSERS[read], trip)

    found = read({"metadata": META, "spec": {}})

    assert (found.meta.name, found.spec) == ("a", None)
    assert [str(r) for r in found.refusals] == [
        "spec: cannot be read: 'ZeroDivisionError: by us': report it as a fault"
    ]


def test_a_class_that_trips_us_up_stalls_its_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "parse_class", lambda _: 1 // 0)

    found = parse.segment_class({"metadata": META})

    assert govern("ci", Snapshot(classes={"a": found})).stalled == "ClassLost"


def test_what_is_no_address_opens_nothing_whoever_wrote_it_into_a_status() -> None:
    told = [
        {"name": "a.example.com", "addresses": ["git", 3, "fe80::1%eth0", "11.0.0.1"]},
        {"name": "b.example.com", "addresses": ["git"]},
    ]

    found = parse.snapshot([{"kind": names.SEGMENT, "metadata": META, "status": {"hostNames": told}}]).host_names

    assert found is not None
    assert found["a.example.com"].addresses == ("11.0.0.1",)
    assert (found["b.example.com"].addresses, bool(found["b.example.com"].trouble)) == ((), True)
