"""What the compiled objects let through is what was declared: pair by pair, port by port, judged apart from one another.

The declaration is judged by `declared`, the objects by `evaluate`; neither knows the edges that `resolve` made.
"""

import pytest
from hypothesis import assume, given

from tests.properties.drawn import worlds
from tests.properties.worlds import Compiled, World, checked, differing, questions, untold

pytestmark = pytest.mark.thorough


@checked(30)
@given(worlds())
def test_objects_let_through_exactly_what_is_declared(world: World) -> None:
    """Never more; less only where somebody was told that a grant is missing.

    `ungranted` are ways into an isolated namespace: declared without a grant, and closed there until one exists.
    """
    compiled = Compiled(world)
    assume(not compiled.refused)
    ungranted = any(": Ungranted: " in finding for finding in compiled.findings)
    found = differing(compiled, questions(compiled.ends))
    assert [each for each in found if each.wider or not (each.ungranted or ungranted)] == []


@checked(30)
@given(worlds(engines=False))
def test_what_stays_closed_for_lack_of_the_other_side_is_told(world: World) -> None:
    """An edge of a stage that is not open is never silent: something with its path is told."""
    compiled = Compiled(world)
    assume(not compiled.refused)
    assert untold(compiled) == []
