"""The operator dies at every single write of everyday changes; its successor finishes the work.

Whatever was written by then, nothing is open that was not open before and is not open in the end.
"""

import pytest

from pipesegment.world.memory import MemoryCluster
from tests.unit.running.twin import (
    Eyes,
    change,
    grant,
    leading,
    policies,
    recorded,
    restarted,
    seeded,
    segment,
    segment_class,
    shapes,
    stage,
    states,
    surroundings,
    to,
    to_api,
)

ISOLATED = segment_class(network={"isolation": {"mode": "Namespace"}})
SHOP = segment(stage("a", to("b", 80), app="a"), stage("b", to("c", 80), app="b"), stage("c", app="c"))
GRANTED = segment(stage("a", to_api(), app="a"), stage("b", app="b"))
INTERNET = {"internet": {}, "ports": [{"port": 80}]}

CASES = {
    "a port changes on both sides": (
        [],
        SHOP,
        segment(stage("a", to("b", 81), app="a"), stage("b", to("c", 80), app="b"), stage("c", app="c")),
    ),
    "an edge turns round": (
        [],
        SHOP,
        segment(stage("a", app="a"), stage("b", to("a", 80), app="b"), stage("c", to("b", 80), app="c")),
    ),
    "a stage is renamed and reaches something else": (
        [],
        SHOP,
        segment(stage("z", to("c", 80), app="a"), stage("b", to("c", 80), app="b"), stage("c", app="c")),
    ),
    "two stages swap their pods": (
        [],
        SHOP,
        segment(stage("a", to("b", 80), app="b"), stage("b", to("c", 80), app="a"), stage("c", app="c")),
    ),
    "a segment comes": ([], None, SHOP),
    "a segment goes": ([], SHOP, None),
    "a segment goes from an isolated namespace": ([ISOLATED], SHOP, None),
    "it is observed only": ([], SHOP, SHOP | {"spec": {**SHOP["spec"], "mode": "Observe"}}),
    "it is suspended and narrowed": (
        [],
        SHOP,
        segment(stage("a", app="a"), stage("b", to("a", 80), app="b"), stage("c", app="c"), suspend=True),
    ),
    "a grant comes": ([GRANTED, ISOLATED], None, grant(isolate="Everyone")),
    "a grant goes": ([GRANTED, ISOLATED], grant(isolate="Everyone"), None),
    "a grant goes where nothing else isolates": ([GRANTED], grant(isolate="Everyone"), None),
    "a class forbids the internet": (
        [segment(stage("a", INTERNET, to("b", 80), app="a"), stage("b", app="b"))],
        segment_class(),
        segment_class(network={"allowInternet": False}),
    ),
    "a class isolates": ([SHOP], segment_class(), ISOLATED),
    "a class isolates no more": ([SHOP], ISOLATED, segment_class()),
    "a class is lost": ([SHOP], ISOLATED, None),
}


#: Cases that are played in a mesh as well.
MESHED = (
    "an edge turns round",
    "a stage is renamed and reaches something else",
    "a segment goes from an isolated namespace",
)


async def changed(documents, old, new, prepare=lambda _: None):
    """Change a document under a running operator: the cluster, its policies before, the writes."""
    cluster: MemoryCluster = seeded([*documents, *([old] if old else [])])
    async with leading(cluster) as twin:
        before = policies(cluster)
        prepare(cluster)
        with recorded(cluster) as writes:
            change(twin, old, new)
            await twin.quiet()
    return cluster, before, writes


@pytest.mark.parametrize(("name", "mesh"), [*((name, False) for name in CASES), *((name, True) for name in MESHED)])
async def test_from_every_death_the_same_end_and_nothing_open_on_the_way(name, mesh):
    around, old, new = CASES[name]
    documents = [*surroundings(mesh=mesh), *around]
    eyes = Eyes(documents)
    cluster, before, writes = await changed(documents, old, new)
    seen = list(states(before, writes))
    end = shapes(cluster)
    allowed = eyes.open(seen[0]) | eyes.open(policies(cluster).values())
    for objects in seen:
        assert eyes.open(objects) <= allowed
    assert writes

    # A death after the last write is one after the look: what comes then is the restart of an operator that finished.
    for at in range(1, len(writes) + 1):
        cluster, _, _ = await changed(documents, old, new, lambda c: c.crash(at))  # noqa: B023
        cluster.mend()
        for objects in states(policies(cluster), await restarted(cluster)):
            assert eyes.open(objects) <= allowed
        assert shapes(cluster) == end, f"died at write {at}"


@pytest.mark.parametrize("name", CASES)
async def test_a_successor_of_one_that_finished_writes_nothing(name):
    around, old, new = CASES[name]
    cluster, _, _ = await changed([*surroundings(), *around], old, new)
    assert await restarted(cluster) == []
