"""What the compiled objects let through is what was declared, pair by pair, in either reading of ipBlock.

The declaration is read by `reach.declared`, the objects by `evaluate`; in between lie `resolve` and the compilers, which
neither of them uses.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipesegment.compile.isolation import isolation
from pipesegment.compile.segment import compile_segment
from pipesegment.errors import Refused
from pipesegment.evaluate.endpoints import AddressEnd, End, live
from pipesegment.evaluate.world import World
from pipesegment.facts.parse import snapshot
from pipesegment.facts.snapshot import Snapshot
from pipesegment.reach.declared import Declaration
from pipesegment.reach.governance import govern
from pipesegment.reach.resolve import resolve
from tests.properties.segment_worlds import ADDRESSES, PORTS, meshed_worlds, worlds

Object = dict[str, Any]


def compiled(snap: Snapshot) -> list[Any]:
    """Compile everything that the operator would own; raises Refused where it would write nothing."""
    objects: list[Any] = []
    for by_name in snap.segments.values():
        for segment in by_name.values():
            if segment.spec is None:
                raise Refused(segment.refusals)
            reach = resolve(segment, snap)
            if reach.refusals:
                raise Refused(reach.refusals)
            objects += compile_segment(reach).objects
    for namespace in snap.namespaces:
        found = govern(namespace, snap)
        if found.name:
            objects += isolation(found.name, found.uid, found.spec, [namespace]).objects
    return objects


def disagreements(raw: list[Object], met: Counter[bool]) -> list[str]:
    """Ask both about every pair of ends at every port.

    A way into an isolated namespace that nobody granted counts as declared by contract, and stays closed.
    """
    snap = snapshot(raw)
    try:
        objects = compiled(snap)
    except Refused:
        return []
    services = [service for by_name in snap.services.values() for service in by_name.values()]
    world, declaration = World(objects, services), Declaration(snap)
    ends: list[End] = [*live(snap), *map(AddressEnd, ADDRESSES)]
    found = []
    for source in ends:
        for destination in ends:
            for port in PORTS:
                declared = declaration.judge(source, destination, port)
                enforced = world.judge(source, destination, port)
                met[declared.allowed] += 1
                wrong = declared.allowed != enforced.enforced or (enforced.enforced and not enforced.certain)
                if wrong and not (declared.ungranted and not enforced.enforced):
                    found.append(
                        f"{source} → {destination} {port}: {declared} but {enforced.because} ({enforced.enforced})"
                    )
    return found


@pytest.mark.parametrize("drawn", [worlds, meshed_worlds])
def test_objects_allow_what_is_declared(drawn: Callable[[], st.SearchStrategy[list[Object]]]) -> None:
    """Every answer agrees, and neither answer is rare."""
    met: Counter[bool] = Counter()

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(raw=drawn())
    def agree(raw: list[Object]) -> None:
        assert disagreements(raw, met) == []

    agree()
    assert min(met[True], met[False]) > met.total() / 20
