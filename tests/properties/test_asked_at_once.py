"""What is asked once for every port, and once for pods that are alike, is what asking one by one would have told."""

from collections import Counter
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipesegment.cli.verdicts import labels_asked
from pipesegment.declared.declaration import Declaration
from pipesegment.errors import Refused
from pipesegment.evaluate.endpoints import AddressEnd, End, live
from pipesegment.evaluate.world import World
from pipesegment.facts.parse import snapshot
from tests.properties.segment_worlds import ADDRESSES, PORTS, meshed_worlds, worlds
from tests.properties.test_evaluator_against_declaration import THOROUGH, compiled

pytestmark = pytest.mark.thorough
Object = dict[str, Any]


def with_replicas(raw: list[Object]) -> list[Object]:
    """Give every pod a twin that only its name, its address and a label that nobody asks about tell apart."""
    twins = []
    for number, pod in enumerate(obj for obj in raw if obj["kind"] == "Pod"):
        meta = {**pod["metadata"], "name": f"{pod['metadata']['name']}-twin"}
        meta["labels"] = {**meta["labels"], "run": f"r{number}"}
        twins.append({**pod, "metadata": meta, "status": {**pod.get("status", {}), "podIP": f"10.9.{number}.9"}})
    return [*raw, *twins]


def test_at_once_is_one_by_one() -> None:
    met: Counter[str] = Counter()

    @THOROUGH
    @given(raw=st.one_of(worlds(), meshed_worlds()).map(with_replicas))
    def agree(raw: list[Object]) -> None:
        snap = snapshot(raw)
        try:
            objects = compiled(snap)
        except Refused:
            return
        services = [service for by_name in snap.services.values() for service in by_name.values()]
        world, declaration = World(objects, services), Declaration(snap)
        asked = declaration.labels() | set(labels_asked([*raw, *objects]))
        ends: list[End] = [*live(snap), *map(AddressEnd, ADDRESSES)]
        seen: dict[tuple[object, object, Any], tuple[bool, bool]] = {}
        for source, destination in product(ends, ends):
            declared, enforced = declaration.never(source, destination), world.never(source, destination)
            for port in PORTS:
                one, other = declaration.judge(source, destination, port), world.judge(source, destination, port)
                assert declared in (None, one)
                assert enforced is None or (other.enforced, other.because) == (False, enforced)
                met["never" if declared else "asked"] += 1
                if source is not destination:
                    kin = (world.kin(source, asked), world.kin(destination, asked), port)
                    met["alike"] += kin in seen
                    assert seen.setdefault(kin, (one.allowed, other.enforced)) == (one.allowed, other.enforced)

    agree()
    assert min(met["never"], met["asked"], met["alike"]) > met.total() / 20
