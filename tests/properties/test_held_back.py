"""The whole operator on the in-memory twin, while something holds its segments back: suspended, or nobody governs.

Being held back closes nothing. And whatever others take back meanwhile goes, so that nothing of ours stands in their
namespace on nobody's word.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipesegment import names
from pipesegment.compile.desired import ObjectID
from pipesegment.facts.selectors import Selector
from pipesegment.world.memory import MemoryCluster
from tests.properties.drawn import classes, worlds
from tests.properties.test_operator_safe_order import ASKED, Step
from tests.properties.worlds import Document, World, checked
from tests.unit.running.twin import Eyes, Twin, change, leading, policies, recorded, seeded, states

pytestmark = pytest.mark.thorough
THEIRS = "prod"
_SELECTORS: tuple[Mapping[str, Any], ...] = (
    {},
    {"matchLabels": {"app": "web"}},
    {"matchLabels": {"tier": "x"}},
    {"matchLabels": {"app": "shared"}},
)


@dataclass(frozen=True)
class Held:
    """A world at rest, what then holds its segments back, and what somebody of the other namespace does."""

    world: World
    hold: str
    step: Step


def _foreign(number: int, selector: Mapping[str, Any]) -> Document:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"theirs-{number}", "namespace": THEIRS, "uid": f"u-theirs-{number}"},
        "spec": {"podSelector": selector, "policyTypes": ["Ingress"]},
    }


@st.composite
def held(draw: st.DrawFn) -> Held:
    """Draw segments that are held back, beside policies and grants of others."""
    world = draw(worlds(engines=False))
    chosen = draw(st.lists(st.sampled_from(_SELECTORS), min_size=1, max_size=3, unique_by=str))
    theirs = tuple(_foreign(number, selector) for number, selector in enumerate(chosen))
    world = replace(world, facts=(*world.facts, *theirs), classes=world.classes or (draw(classes()),))
    hold = draw(st.sampled_from(("suspended", "tied", "lost")))
    if world.grants and draw(st.booleans()):
        found = draw(st.sampled_from(world.grants))
        isolate = draw(st.sampled_from((None, "Nobody", "Callers")))
        changed = {**found, "spec": {**found["spec"], "isolate": isolate}} if isolate else None
        return Held(world, hold, Step(found, changed))
    return Held(world, hold, Step(draw(st.sampled_from(theirs)), None))


def hold_back(twin: Twin, case: Held) -> None:
    """Let somebody suspend every segment, or take the class away, or put another beside it."""
    if case.hold == "suspended":
        for found in case.world.segments:
            change(twin, found, {**found, "spec": {**found["spec"], "suspend": True}})
        return
    (governing,) = case.world.classes
    meta = {"name": "rival", "uid": "u-rival"}
    change(twin, *((governing, None) if case.hold == "lost" else (None, {**governing, "metadata": meta})))


def baseless(cluster: MemoryCluster, world: World) -> Iterator[str]:
    """Name the pods of each half of ours that nothing else isolates, and that no grant there closes for everyone."""
    grants = {g["metadata"]["uid"]: g for g in cluster.objects(names.GRANT)}
    found = policies(cluster)
    for target, policy in found.items():
        labels = policy["metadata"].get("labels") or {}
        if names.ORIGIN_LABEL not in labels:
            continue
        (owner,) = policy["metadata"]["ownerReferences"]
        if owner["uid"] not in grants:
            yield f"{target} is of no grant"
            continue
        said = [g for g in grants.values() if g["metadata"]["namespace"] == target.namespace]
        if any(g["spec"].get("isolate") == "Everyone" for g in said):
            continue
        for pod in world.facts:
            if pod["kind"] == "Pod" and pod["metadata"]["namespace"] == target.namespace:
                mine = pod["metadata"].get("labels") or {}
                others = [p for t, p in found.items() if t.namespace == target.namespace and not _is_half(p)]
                if _selects(policy, mine) and not any(_selects(other, mine) for other in others):
                    yield f"{target} alone isolates pod {pod['metadata']['name']}"


def _is_half(policy: Document) -> bool:
    return names.ORIGIN_LABEL in (policy["metadata"].get("labels") or {})


def _selects(policy: Document, labels: Mapping[str, str]) -> bool:
    return Selector.parse(policy["spec"].get("podSelector")).matches(labels)


@checked(30)
@given(held())
def test_being_held_back_closes_nothing_and_nothing_stands_on_nobodys_word(case: Held) -> None:
    asyncio.run(_played(case))


async def _played(case: Held) -> None:
    cluster = seeded(case.world.documents)
    eyes = Eyes(case.world.documents, ASKED)
    async with leading(cluster) as twin:
        before = policies(cluster)
        hold_back(twin, case)
        await twin.quiet()
        assert _specs(policies(cluster)) == _specs(before)

        before = {t: p for t, p in policies(cluster).items() if t != ObjectID.of(case.step.old or {})}
        with recorded(cluster) as writes:
            change(twin, case.step.old, case.step.new)
            await twin.quiet()
        assert list(baseless(cluster, case.world)) == []
        seen = list(states(before, writes))
        allowed = eyes.open(seen[0]) | eyes.open(policies(cluster).values())
        for objects in seen:
            assert eyes.open(objects) <= allowed
        assert all(write.verb != "apply" or write.before is not None for write in writes)

    after = _specs(policies(cluster))
    async with leading(cluster):
        assert _specs(policies(cluster)) == after


def _specs(found: Mapping[ObjectID, Document]) -> dict[ObjectID, Any]:
    return {target: policy["spec"] for target, policy in found.items()}
