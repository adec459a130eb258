"""Taking a declaration away never opens anything."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.properties.drawn import worlds
from tests.properties.worlds import Compiled, World, checked

pytestmark = pytest.mark.thorough


def _less(world: World) -> Iterator[World]:
    """Give the world without one of its permissions.

    What also restricts is left alone: an `accepts` narrows what stages of the same segment reach, and a grant holds its
    callers unless it says `isolate: Nobody`.
    """
    for number, segment in enumerate(world.segments):
        for owner in (segment["spec"].get("common"), *segment["spec"]["stages"]):
            for field in ("reaches", "accepts"):
                for index, entry in enumerate((owner or {}).get(field, ())):
                    if field == "reaches" or _only_permits(entry):
                        yield _without(world, number, owner, field, index)
    for number, grant in enumerate(world.grants):
        if grant["spec"].get("isolate") == "Nobody":
            yield replace(world, grants=world.grants[:number] + world.grants[number + 1 :])


def _only_permits(accept: Any) -> bool:
    return "cidr" in accept or "segment" in accept.get("stage", {})


def _without(world: World, number: int, owner: Any, field: str, index: int) -> World:
    found = deepcopy(world.segments[number])
    spec, original = found["spec"], world.segments[number]["spec"]
    owners = [(original.get("common"), spec.get("common")), *zip(original["stages"], spec["stages"], strict=True)]
    mine = next(copy for one, copy in owners if one is owner)
    del mine[field][index]
    return replace(world, segments=(*world.segments[:number], found, *world.segments[number + 1 :]))


@checked(25)
@given(worlds(), st.randoms(use_true_random=False))
def test_removing_a_permission_never_opens_anything(world: World, chance: Any) -> None:
    """Whatever is open afterwards was open before."""
    candidates = list(_less(world))
    assume(candidates)
    before, after = Compiled(world), Compiled(chance.choice(candidates))
    assume(not before.refused)
    assert after.open() <= before.open()
