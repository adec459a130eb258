"""The whole operator on the in-memory twin: whatever one document changes, wherever the process dies.

After every single write, what is open was open before or is open after; and from wherever a process died, the next one
comes to the same end.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipesegment.evaluate.endpoints import Port
from pipesegment.world.memory import MemoryCluster
from tests.properties.drawn import classes, segments, worlds
from tests.properties.worlds import World, checked
from tests.unit.running.twin import Eyes, change, leading, policies, recorded, restarted, seeded, shapes, states

pytestmark = pytest.mark.thorough
ASKED = (Port("TCP", 80), Port("TCP", 8080), Port("UDP", 8080))

Document = Mapping[str, Any]
Ways = frozenset[tuple[str, str, str]]


@dataclass(frozen=True)
class Step:
    """One document as it was and as it becomes; None: it is not there."""

    old: Document | None
    new: Document | None

    def __str__(self) -> str:
        """Render for a failure."""
        return f"{self.old}\n -> {self.new}"


@st.composite
def histories(draw: st.DrawFn) -> tuple[World, Step]:
    """Draw a world and what somebody does to one document of it."""
    world = draw(worlds(engines=False))
    world = replace(world, classes=tuple(draw(_networks(found)) for found in world.classes))
    match draw(st.sampled_from(("segment", "segment", "segment", "grant", "class"))):
        case "grant" if world.grants:
            return draw(_consent(world))
        case "class":
            return world, draw(_rule(world.classes))
        case _:
            return world, draw(_word(world))


@st.composite
def _word(draw: st.DrawFn, world: World) -> Step:
    """Change or delete a segment."""
    old = draw(st.sampled_from(world.segments))
    meta = old["metadata"]
    if draw(st.integers(0, 4)) == 0:
        return Step(old, None)
    new = draw(segments(meta["namespace"], meta["name"]))
    if draw(st.integers(0, 4)) == 0:
        new["spec"]["suspend"] = True
    return Step(old, {**new, "metadata": meta})


@st.composite
def _consent(draw: st.DrawFn, world: World) -> tuple[World, Step]:
    """Give, withdraw or change a grant."""
    found = draw(st.sampled_from(world.grants))
    what = draw(st.sampled_from(("comes", "goes", "changes")))
    if what == "comes":
        return replace(world, grants=tuple(g for g in world.grants if g is not found)), Step(None, found)
    if what == "goes":
        return world, Step(found, None)
    isolate = draw(st.sampled_from(("Nobody", "Callers", "Everyone")))
    return world, Step(found, {**found, "spec": {**found["spec"], "isolate": isolate}})


@st.composite
def _rule(draw: st.DrawFn, known: tuple[Document, ...]) -> Step:
    """Make, change or delete the class."""
    if not known:
        return Step(None, draw(_networks(draw(classes()))))
    if draw(st.integers(0, 3)) == 0:
        return Step(known[0], None)
    return Step(known[0], {**draw(_networks(draw(classes()))), "metadata": known[0]["metadata"]})


@st.composite
def _networks(draw: st.DrawFn, found: Document) -> Document:
    """Let a class say now and then that Cilium enforces."""
    if draw(st.integers(0, 2)):
        return found
    spec = found["spec"]
    return {**found, "spec": {**spec, "network": {**spec["network"], "provider": "Cilium"}}}


async def walked(world: World, step: Step, prepare: Callable[[MemoryCluster], None] = lambda _: None) -> Any:
    """Change one document under a running operator; give the cluster, its policies before, and the writes."""
    cluster = seeded(world.documents)
    async with leading(cluster) as twin:
        before = policies(cluster)
        prepare(cluster)
        with recorded(cluster) as writes:
            change(twin, step.old, step.new)
            await twin.quiet()
    return cluster, before, writes


@checked(25)
@given(histories(), st.data())
def test_after_every_write_and_every_death_what_is_open_was_or_will_be(
    history: tuple[World, Step], data: st.DataObject
) -> None:
    world, step = history
    eyes = Eyes(world.documents, ASKED)
    cluster, before, writes = asyncio.run(walked(world, step))
    end = shapes(cluster)
    seen = list(states(before, writes))
    allowed = eyes.open(seen[0]) | eyes.open(policies(cluster).values())
    for number, objects in enumerate(seen[1:-1], start=1):
        assert eyes.open(objects) <= allowed, f"after write {number} of {writes}"

    if writes:
        at = data.draw(st.integers(1, len(writes)))
        after = data.draw(st.booleans())
        asyncio.run(dies_and_is_succeeded(world, step, eyes, (at, after), (allowed, end)))


async def dies_and_is_succeeded(
    world: World, step: Step, eyes: Eyes, death: tuple[int, bool], expected: tuple[Ways, Any]
) -> None:
    """Let the process die at a write, and look at what its successor makes of it."""
    at, after = death
    allowed, end = expected
    cluster, before, writes = await walked(world, step, lambda c: c.crash(at, after=after))
    for objects in states(before, writes):
        assert eyes.open(objects) <= allowed
    cluster.mend()
    for objects in states(policies(cluster), await restarted(cluster)):
        assert eyes.open(objects) <= allowed
    assert shapes(cluster) == end
    assert [write for write in await restarted(cluster) if write.before != write.after] == []
