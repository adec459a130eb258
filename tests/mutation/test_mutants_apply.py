"""Every mutant still stands where it says, so that a change of the code notices at once; `make mutate` tries them."""

from collections import Counter

import pytest

from tests.mutation import enforced, patching
from tests.mutation.mutant import Mutant
from tests.mutation.mutants import MUTANTS
from tests.mutation.trial import ROOT


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_it_applies(mutant):
    assert patching.mutated(mutant, patching.source_of(mutant)) != patching.source_of(mutant)


def test_what_is_tried_in_the_kernel_and_at_sidecars_exists():
    known = {mutant.name for mutant in MUTANTS}
    assert len(enforced.SCENARIOS) >= 5
    assert enforced.SCENARIOS.keys() <= known
    for test in enforced.SCENARIOS.values():
        places = {"scenarios": "scenarios", "mesh_lab": "mesh/scenarios", "ambient_lab": "ambient/scenarios"}
        place = places[test.partition("::")[0].removesuffix(".py").rpartition("/test_")[2]]
        name = test.partition("[")[2].rstrip("]")
        assert (ROOT / "tests" / "enforcement" / place / f"{name}.yaml").is_file(), test


def test_there_are_enough_and_no_two_of_one_name():
    assert len(MUTANTS) >= 20
    assert [name for name, times in Counter(mutant.name for mutant in MUTANTS).items() if times > 1] == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"module": "compile.nothing"}, "there is no module compile.nothing"),
        ({"function": "nobody"}, "has no function nobody"),
        ({"old": "no such text"}, "holds the text 0 times"),
        ({"new": MUTANTS[0].old}, "means the same"),
    ],
)
def test_one_that_does_not_apply_is_an_error(change, said):
    mutant = Mutant(**{**MUTANTS[0]._asdict(), **change})
    with pytest.raises(patching.InapplicableError, match=said):
        patching.mutated(mutant, patching.source_of(mutant))
