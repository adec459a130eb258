"""Selectors: matching is Kubernetes' own; implication and disjointness are sound."""

from hypothesis import given
from hypothesis import strategies as st

from pipesegment.facts.selectors import Requirement, Selector

KEYS = st.sampled_from(["app", "stage", "tier"])
VALUES = st.sampled_from(["a", "b", "c"])
LABELS = st.dictionaries(KEYS, VALUES, max_size=3)


@st.composite
def requirements(draw):
    operator = draw(st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]))
    values = tuple(sorted(draw(st.sets(VALUES, min_size=1, max_size=2)))) if operator in {"In", "NotIn"} else ()
    return Requirement(draw(KEYS), operator, values)


SELECTORS = st.builds(lambda labels, found: Selector.of(labels, *found), LABELS, st.lists(requirements(), max_size=2))


@given(SELECTORS, SELECTORS, LABELS)
def test_what_is_implied_is_matched(one, other, labels):
    if one.implies(other) and one.matches(labels):
        assert other.matches(labels)


@given(SELECTORS, SELECTORS, LABELS)
def test_disjoint_selectors_never_match_one_pod(one, other, labels):
    if one.disjoint(other):
        assert not (one.matches(labels) and other.matches(labels))


@given(SELECTORS, SELECTORS, LABELS)
def test_a_conjunction_matches_what_both_match(one, other, labels):
    assert (one & other).matches(labels) == (one.matches(labels) and other.matches(labels))


@given(SELECTORS)
def test_rendering_and_parsing_give_the_same_selector(one):
    assert Selector.parse(one.render()) == one


def test_not_in_matches_a_pod_without_the_label():
    assert Selector.of({}, Requirement("app", "NotIn", ("a",))).matches({})


def test_more_labels_imply_fewer():
    assert Selector.of({"app": "a", "stage": "b"}).implies(Selector.of({"app": "a"}))
    assert not Selector.of({"app": "a"}).implies(Selector.of({"app": "a", "stage": "b"}))
