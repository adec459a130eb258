"""Selectors: matching is Kubernetes' own; what is told of two of them agrees with trying every label."""

from itertools import product

from hypothesis import given

from pipesegment.facts.selectors import Requirement, Selector
from tests.unit.facts.selecting import LABELS, SELECTORS

#: What a label may be: each value that a requirement names, one that none does, and no label.
STATES = ("a", "b", "c", "other", None)


def every(*keys):
    """Give all labels that a pod may have of some keys."""
    for states in product(STATES, repeat=len(keys)):
        yield {key: state for key, state in zip(keys, states, strict=True) if state is not None}


PODS = tuple(every("app", "stage", "tier"))


@given(SELECTORS, SELECTORS)
def test_what_is_implied_is_matched_by_every_pod(one, other):
    if one.implies(other):
        assert all(other.matches(labels) for labels in PODS if one.matches(labels))
    elif not one.selects_nobody:
        assert any(one.matches(labels) and not other.matches(labels) for labels in PODS)


@given(SELECTORS, SELECTORS)
def test_selectors_are_disjoint_when_no_pod_is_in_both(one, other):
    assert one.disjoint(other) is not any(one.matches(labels) and other.matches(labels) for labels in PODS)


@given(SELECTORS)
def test_a_selector_selects_nobody_when_no_pod_is_in_it(one):
    assert one.selects_nobody is not any(one.matches(labels) for labels in PODS)


@given(SELECTORS, SELECTORS)
def test_selectors_overlap_when_what_one_asks_for_makes_pods_of_the_other(one, other):
    both = [labels for labels in PODS if one.matches(labels) and other.matches(labels)]
    assert one.overlaps(other) is any(labels.keys() <= each.allowed.keys() for labels in both for each in (one, other))


@given(SELECTORS, SELECTORS)
def test_to_overlap_is_mutual(one, other):
    assert one.overlaps(other) is other.overlaps(one)


@given(SELECTORS, LABELS)
def test_requirements_are_matched_one_by_one(one, labels):
    assert one.matches(labels) is all(requirement.matches(labels) for requirement in one.requirements)


def test_long_lists_are_compared_as_a_whole():
    """As many values and keys as a segment may name: their combinations could not be counted, let alone tried."""
    keys = [f"key-{n}" for n in range(16)]

    def lists(first):
        values = tuple(sorted(f"v{n}" for n in range(first, first + 64)))
        return Selector.of({}, *(Requirement(key, "In", values) for key in keys))

    assert lists(0).overlaps(lists(63))
    assert not lists(0).overlaps(lists(64))
    assert not (lists(0) & Selector.of({"key-7": "v64"})).overlaps(lists(0))


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
