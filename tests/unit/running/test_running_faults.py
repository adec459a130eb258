"""A fault of ours at one segment: its status tells it, what ends and is sealed closes, and it heals when the fault is gone."""

import logging

import pytest

from pipesegment import reconcile
from pipesegment.reach import engines
from tests.unit.emergencies import approval, seal
from tests.unit.running.test_running_exceptions import (
    HOTFIX,
    NEIGHBOUR,
    OWN,
    POLICY,
    SHOP,
    WORLD,
    assert_shut,
    come_to,
    leading,
    opened,
    ready,
    status,
)
from tests.unit.running.twin import change, recorded, seeded, segment, stage, surroundings

OTHER = {"cidr": {"block": "203.0.113.0/24"}, "ports": [{"port": 443}]}
EDITED = segment(stage("a", OTHER, app="a"))
TOLD = "the operator failed at it: ValueError: not thought of; what stands stays as it is; please report it"


def failing(monkeypatch, where="resolve", *, name="shop"):
    """Have the operator fail at one segment, as it would at words that nobody thought of."""
    real = getattr(reconcile, where)

    def fails(found, *rest):
        key = found.segment if where == "compile_segment" else found.meta.key
        if key.name == name:
            raise ValueError("not thought of")
        return real(found, *rest)

    monkeypatch.setattr(reconcile, where, fails)


@pytest.mark.parametrize("where", ["resolve", "compile_segment", "_restraint"])
async def test_the_status_says_what_we_failed_at_and_heals_when_the_fault_is_gone(monkeypatch, caplog, where):
    cluster = seeded(WORLD)
    async with leading(cluster) as twin:
        assert ready(cluster, SHOP)[:2] == ("True", "Enforced")
        with monkeypatch.context() as patched, recorded(cluster) as writes:
            failing(patched, where)
            change(twin, SHOP, EDITED)
            await twin.clock.advance(60)
            assert ready(cluster, SHOP) == ("False", "ApplyFailed", TOLD)
            found = status(cluster, SHOP)
            assert found["observedGeneration"] == 2
            assert {c["type"]: c["message"] for c in found["conditions"]}["Reconciling"] == f"tried again: {TOLD}"
            assert opened(cluster) == {"192.0.2.0/24"}
        assert [w.target.kind for w in writes if w.target.kind != "PipelineSegment"] == []
        logged = [r for r in caplog.records if r.exc_info and "not thought of" in r.getMessage()]
        assert 1 < len(logged) < 20, "each attempt is logged once, with where it came from, and there are pauses"
        await twin.clock.advance(700)
        assert ready(cluster, SHOP)[:2] == ("True", "Enforced")
        assert "Reconciling" not in {c["type"] for c in status(cluster, SHOP)["conditions"]}
        assert opened(cluster) == {"203.0.113.0/24"}


@pytest.mark.parametrize("end", ["expiry", "deletion", "approval", "seal"])
async def test_what_ends_or_is_sealed_closes_though_we_fail_at_the_segment(monkeypatch, end):
    cluster = seeded([*WORLD, HOTFIX, approval(HOTFIX)])
    async with leading(cluster) as twin:
        failing(monkeypatch)
        change(twin, SHOP, segment(stage("a", OTHER, app="a"), SHOP["spec"]["stages"][1]))
        await twin.clock.advance(5)
        assert "198.51.100.7/32" in opened(cluster)
        assert ready(cluster, HOTFIX)[2].startswith("stands as it did, for the operator failed at the segment")
        before = cluster.peek(POLICY._replace(name="shop-c"))

        await come_to(twin, end)
        assert_shut(cluster, before)
        if end == "seal":
            assert ready(cluster, seal())[:2] == ("True", "Sealed")


async def test_a_fault_that_keeps_us_from_cutting_is_told_all_the_same(monkeypatch):
    """What breaks the judging of exceptions breaks the look and the cut alike."""
    cluster = seeded(WORLD)
    async with leading(cluster) as twin:
        failing(monkeypatch)
        monkeypatch.setattr(twin.operator._witness, "ended", lambda *_: 1 / 0)
        change(twin, SHOP, EDITED)
        await twin.clock.advance(30)
        assert ready(cluster, SHOP)[:2] == ("False", "ApplyFailed")
        assert "ZeroDivisionError" in ready(cluster, SHOP)[2]


async def test_an_operator_begins_though_it_fails_at_a_segment(monkeypatch, caplog):
    """What is overdue there is told in the log, and the other segments are looked at."""
    pay = segment(stage("b", OWN, app="b"), name="pay")
    cluster = seeded([*WORLD, pay, HOTFIX, approval(HOTFIX)])
    async with leading(cluster):
        assert "198.51.100.7/32" in opened(cluster)
    failing(monkeypatch)
    with caplog.at_level(logging.WARNING):
        async with leading(cluster, after=4000):
            assert opened(cluster) == set()
            assert ready(cluster, SHOP)[:2] == ("False", "ApplyFailed")
            assert ready(cluster, pay)[:2] == ("True", "Enforced")


async def test_a_long_error_is_cut_and_on_one_line(monkeypatch):
    cluster = seeded([*surroundings(), SHOP])

    def fails(*_):
        raise KeyError("a\nb" + "x" * 5000)

    monkeypatch.setattr(reconcile, "resolve", fails)
    async with leading(cluster):
        message = ready(cluster, SHOP)[2]
        assert message.endswith("please report it")
        assert "\n" not in message
        assert len(message) < 400


async def test_a_fault_that_is_met_while_looking_at_a_neighbour_names_it_in_the_log(monkeypatch, caplog):
    """Whom the fault keeps from being looked at stands as it did, says so, and heals with it."""
    bad = segment(stage("x", app="c"), name="bad")
    pay = segment(stage("b", OWN, app="b"), name="pay")
    edited = segment(stage("b", OTHER, app="b"), name="pay")
    real = engines.place

    def place(name, *rest):
        if name == "bad":
            raise ValueError("not thought of")
        return real(name, *rest)

    cluster = seeded([*surroundings(), pay])
    async with leading(cluster) as twin:
        with monkeypatch.context() as patched:
            patched.setattr(engines, "place", place)
            change(twin, None, bad)
            change(twin, pay, edited)
            await twin.clock.advance(60)
            assert ready(cluster, pay)[:2] == ("False", "ApplyFailed")
            assert opened(cluster, NEIGHBOUR) == {"192.0.2.0/24"}
        assert "at PipelineSegment ci/bad" in caplog.text
        await twin.clock.advance(700)
        assert ready(cluster, pay)[:2] == ("True", "Enforced")
        assert opened(cluster, NEIGHBOUR) == {"203.0.113.0/24"}
        assert ready(cluster, bad)[:2] == ("True", "Enforced")
