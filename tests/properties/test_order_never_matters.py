"""The same declarations in the same surroundings give the same bytes, in whatever order they come."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipesegment.compile.canonical import to_yaml
from tests.properties.drawn import worlds
from tests.properties.worlds import Compiled, World, checked

pytestmark = pytest.mark.thorough


def _shuffled(value: Any, chance: Any) -> Any:
    """Shuffle every list of a document, at every depth: none of ours has an order that means anything."""
    if isinstance(value, dict):
        items = list(value.items())
        chance.shuffle(items)
        return {key: _shuffled(item, chance) for key, item in items}
    if isinstance(value, list | tuple):
        found = [_shuffled(item, chance) for item in value]
        chance.shuffle(found)
        return type(value)(found)
    return value


@checked(40)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_input_never_matters(world: World, chance: Any) -> None:
    """Stages, entries, ports, documents and facts may come in any order: the objects are byte-equal."""
    parts = {part: _shuffled(getattr(world, part), chance) for part in ("segments", "grants", "classes", "facts")}
    assert to_yaml(Compiled(replace(world, **parts)).objects) == to_yaml(Compiled(world).objects)


@checked(20)
@given(worlds())
def test_compiling_twice_is_byte_equal(world: World) -> None:
    """Nothing is remembered from one time to the next that shows."""
    once = Compiled(world)
    first = to_yaml(once.objects)
    assert to_yaml(Compiled(world).objects) == first
    assert to_yaml(once.objects) == first
