"""Two tenants and the whole operator, with no more rights than the chart gives it: it writes where somebody there agreed.

What compiles is judged in test_consent.py; here every call is, while declarations, grants and exceptions come and go.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import yaml
from pipesegment import names
from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Rejected
from pipesegment.facts.emergency import moment
from pipesegment.world.faults import Write
from pipesegment.world.kinds import KNOWN
from pipesegment.world.memory import MemoryCluster
from tests.properties.drawn import reaches
from tests.properties.test_consent import _names
from tests.properties.test_operator_safe_order import Step, histories
from tests.properties.worlds import Document, World, checked
from tests.unit.emergencies import approval, exception, guards
from tests.unit.running.twin import Twin, change, recorded

pytestmark = pytest.mark.thorough

INSTALL = Path(__file__).parents[2] / "manifests" / "install.yaml"
NOW = moment("2030-01-01T10:30:00Z")
#: What a call of ours is called where rights are given.
VERBS = {
    "get": ("get",),
    "list": ("list",),
    "watch": ("watch",),
    "dry_run": ("patch",),
    "apply": ("patch",),
    "patch_status": ("patch",),
    "create": ("create",),
    "replace": ("update",),
    "delete": ("delete",),
}


def chart_rights() -> frozenset[tuple[str, str, str]]:
    """Every (verb, group, resource) of the operator's ClusterRole as it is delivered."""
    (role,) = (
        obj
        for obj in yaml.safe_load_all(INSTALL.read_text())
        if obj and obj["kind"] == "ClusterRole" and obj["metadata"]["name"] == "pipesegment-operator"
    )
    return frozenset(
        (verb, group, resource)
        for rule in role["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    )


RIGHTS = chart_rights()


class Held(MemoryCluster):
    """A cluster that lets the operator do what the chart says, and remembers what it was denied."""

    def __init__(self) -> None:
        super().__init__()
        self.forbidden: list[tuple[str, str, ObjectID]] = []

    @contextmanager
    def _call(self, verb: str, target: ObjectID) -> Iterator[None]:
        kind = KNOWN[target.api_version, target.kind]
        resource = f"{kind.plural}/status" if verb == "patch_status" else kind.plural
        new = verb == "apply" and self.peek(target) is None
        for needed in (*VERBS[verb], *(("create",) if new else ())):
            if (needed, kind.group, resource) not in RIGHTS:
                self.forbidden.append((needed, resource, target))
                raise Rejected(403, "Forbidden", f"may not {needed} {resource}")
        with super()._call(verb, target):
            yield


@st.composite
def emergencies(draw: st.DrawFn, world: World) -> list[Document]:
    """An exception for some stage, and somebody else's approval by the word of whichever class there is."""
    segment = draw(st.sampled_from(world.segments))
    meta = segment["metadata"]
    key = (meta["namespace"], meta["name"])
    stages = [stage["name"] for stage in segment["spec"]["stages"]]
    wanted = draw(st.lists(reaches(key, stages), min_size=1, max_size=3))
    asked = exception(*wanted, namespace=key[0], segment=key[1], stage=draw(st.sampled_from(stages)))
    governing = [(c["metadata"]["name"], c["metadata"]["uid"]) for c in world.classes] or [("none", "u-none")]
    return [asked, approval(asked, cls=governing[0])]


def seeded_as_held(world: World, more: list[Document]) -> Held:
    cluster = Held()
    for document in sorted((*world.documents, *more), key=lambda found: found["kind"] != "Namespace"):
        cluster.seed({"apiVersion": "v1", **document})
    return cluster


async def lived(world: World, step: Step, more: list[Document]) -> tuple[Held, list[tuple[Write, list[Document]]]]:
    """Run the operator, change a document, give an exception; pair each write with the grants that there may be."""
    cluster = seeded_as_held(world, guards())
    twin = Twin(cluster, now=lambda: NOW)
    found: list[tuple[Write, list[Document]]] = []
    try:
        with recorded(cluster) as first:
            await twin.start()
        found += [(write, cluster_grants(world, None)) for write in first]
        for old, new in ((step.old, step.new), *((None, document) for document in more)):
            with recorded(cluster) as writes:
                change(twin, old, new)
                await twin.quiet()
            found += [(write, cluster_grants(world, step)) for write in writes]
    finally:
        await twin.stop()
    return cluster, found


def cluster_grants(world: World, step: Step | None) -> list[Document]:
    """The grants after a step: what was withdrawn agrees to nothing any more."""
    held = [g for g in world.grants if step is None or g is not step.old]
    return [*held, *([step.new] if step and step.new and step.new["kind"] == names.GRANT else [])]


@checked(20)
@given(histories(), st.data())
def test_the_operator_writes_nowhere_without_somebodys_word_there(
    history: tuple[World, Step], data: st.DataObject
) -> None:
    world, step = history
    with_class = [
        {
            **c,
            "spec": {**c["spec"], "breakGlass": {"approverGroups": ["sre"]}},
            "metadata": {"uid": "u-c", **c["metadata"]},
        }
        for c in world.classes
    ]
    world = World(world.segments, world.grants, tuple(with_class), world.facts)
    more = data.draw(emergencies(world))
    cluster, writes = asyncio.run(lived(world, step, more))

    assert cluster.forbidden == []
    for write, grants in writes:
        problem = trespass(write, grants, world)
        assert not problem, f"{write.verb} {write.target}: {problem}"


def trespass(write: Write, grants: list[Document], world: World) -> str:
    """Say why nobody in the namespace of a write agreed to it; '' when somebody did."""
    target = write.target
    if target.api_version == names.API_VERSION:
        return "" if write.verb == "patch_status" else "a declaration is written"
    obj: dict[str, Any] = write.after or write.before or {}
    labels = obj["metadata"].get("labels") or {}
    if names.CLASS_LABEL in labels:
        return "" if target.name == names.DEFAULT_DENY else "a class writes something else than its default deny"
    if names.ORIGIN_LABEL not in labels:
        own = {(s["metadata"]["namespace"], s["metadata"]["name"]) for s in world.segments}
        return "" if (target.namespace, labels[names.SEGMENT_LABEL]) in own else "no segment there"
    if write.after is None:
        return ""
    there = [g for g in grants if g["metadata"]["namespace"] == target.namespace]
    return "" if any(_names(grant, labels) for grant in there) else "no grant there names the stage"


def test_consent_is_what_lets_it_write_elsewhere() -> None:
    """The control: worlds with grants do have objects elsewhere, and without its grant such an object is a trespass."""
    seen: Counter[str] = Counter()

    @checked(12)
    @given(histories())
    def look(history: tuple[World, Step]) -> None:
        world, step = history
        _, writes = asyncio.run(lived(world, step, []))
        for write, _ in writes:
            if write.after and names.ORIGIN_LABEL in (write.after["metadata"].get("labels") or {}):
                seen["elsewhere"] += 1
                assert trespass(write, [], world) == "no grant there names the stage"

    look()
    assert seen["elsewhere"] > 0
