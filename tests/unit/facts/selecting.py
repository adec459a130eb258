"""Strategies for selectors and labels: a few keys and values, so that they meet."""

from hypothesis import strategies as st

from pipesegment.facts.selectors import Requirement, Selector

KEYS = st.sampled_from(["app", "stage", "tier"])
VALUES = st.sampled_from(["a", "b", "c"])
LABELS = st.dictionaries(KEYS, VALUES, max_size=3)


@st.composite
def requirements(draw):
    operator = draw(st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]))
    values = tuple(sorted(draw(st.sets(VALUES, min_size=1, max_size=3)))) if operator in {"In", "NotIn"} else ()
    return Requirement(draw(KEYS), operator, values)


SELECTORS = st.builds(lambda labels, found: Selector.of(labels, *found), LABELS, st.lists(requirements(), max_size=4))
