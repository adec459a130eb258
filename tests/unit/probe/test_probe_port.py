"""Whoever has pods to offer can run the probes: the port knows stages, addresses and ports, and no cluster."""

from dataclasses import replace

import pytest

from pipesegment.declared.declaration import Declaration
from pipesegment.facts.parse import snapshot
from pipesegment.probe.port import Caller, Listener
from pipesegment.probe.run import probe, refusal
from pipesegment.reach.graph import Governance
from pipesegment.reach.resolve import resolve
from pipesegment.spec.segmentclass import Guardrails, SegmentClassSpec
from tests.unit.reach.reaching import segment

STAGES = [
    {
        "name": "build",
        "podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["b1", "b2"]}]},
        "reaches": [{"stage": {"name": "cache"}, "ports": [{"port": 8080}, {"port": 53, "protocol": "UDP"}]}],
    },
    {"name": "cache", "podSelector": {"matchLabels": {"app": "cache"}}},
]


class Table:
    """A prober whose network is a table: the ways that pass, by the stages' names and the port."""

    def __init__(self, passes: set[tuple[str, str, int]]) -> None:
        self.problems: dict = {}
        self.listeners: list[Listener] = []
        self.callers: list[Caller] = []
        self.cleared = False
        self._passes = passes
        self._names: dict[str, str] = {}

    async def listen(self, listeners):
        self.listeners += listeners
        for number, found in enumerate(listeners):
            self._names[f"10.0.0.{number}"] = found.actor.stage.stage
        return {found.actor.stage: (f"10.0.0.{number}",) for number, found in enumerate(listeners)}

    async def call(self, callers):
        self.callers += callers

        def tries(caller, dial):
            way = (caller.actor.stage.stage, self._names.get(dial.address, dial.address), dial.port)
            return ("open",) if way in self._passes else ("silent",)

        return {c.actor.stage: {dial: tries(c, dial) for dial in c.dials} for c in callers}

    async def listening(self):
        return frozenset(found.actor.stage for found in self.listeners)

    async def clear(self):
        self.cleared = True


def shop():
    known = snapshot([segment(STAGES)])
    found = known.segment("ci", "shop")
    assert found is not None
    return resolve(found, known), known


async def run(passes):
    reach, known = shop()
    prober = Table(passes)
    return await probe(reach, known, Declaration(known).judge, prober, 16), prober


async def test_a_network_that_holds_is_as_declared():
    found, prober = await run({("build", "cache", 8080)})

    assert [e for e in found.edges if e.differs] == []
    assert found.findings == ()
    assert found.blocks
    assert prober.cleared


async def test_a_network_that_leaks_differs():
    found, _ = await run({("build", "cache", 8080), ("cache", "build", 8080), ("cache", "169.254.169.254", 80)})

    assert [(e.source, e.destination, e.port, e.probed) for e in found.edges if e.differs] == [
        ("ci/shop-cache", "ci/shop-build", "TCP/8080", True),
        ("ci/shop-cache", "169.254.169.254", "TCP/80", True),
    ]


async def test_listeners_answer_where_somebody_may_call_and_where_nobody_may():
    _, prober = await run(set())

    ports = {found.actor.stage.stage: found.ports for found in prober.listeners}
    assert ports == {"build": (8080,), "cache": (8080, 8443)}
    assert {found.actor.stage.stage: dict(found.actor.labels) for found in prober.listeners} == {
        "build": {"app": "b1"},
        "cache": {"app": "cache"},
    }
    assert {found.actor.account for found in prober.callers} == {"shop-build", "shop-cache"}


async def test_what_breaks_off_is_cleared():
    reach, known = shop()

    class Broken(Table):
        async def call(self, callers):
            raise OSError("gone")

    prober = Broken(set())
    with pytest.raises(OSError, match="gone"):
        await probe(reach, known, Declaration(known).judge, prober, 16)
    assert prober.cleared


@pytest.mark.parametrize(
    ("why", "guardrails", "stalled"),
    [
        ("lets nobody but an engine's controllers", {"lockdown": True}, ""),
        (
            "lets nobody but an engine's controllers",
            {"controllers": ["tekton-pipelines/tekton-pipelines-controller"]},
            "",
        ),
        ("no SegmentClass can be said to govern", {}, "ClassLost"),
    ],
)
def test_where_the_class_forbids_it_no_probe_runs(why, guardrails, stalled):
    reach, _ = shop()
    assert refusal(reach) == ""
    spec = SegmentClassSpec(guardrails=Guardrails.model_construct(**guardrails))

    assert why in refusal(replace(reach, governance=Governance("platform", "u", spec, stalled)))
