"""Selectors in poorer languages select the same pods: judged by trying every pod."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipesegment.compile.selecting import MAX_COMBINATIONS, combinations, negation
from pipesegment.facts.selectors import Requirement, Selector

KEYS, VALUES = ("a", "b", "c"), ("1", "2", "3")
PODS = [
    {k: v for k, v in zip(KEYS, values, strict=True) if v is not None} for values in product((None, *VALUES), repeat=3)
]


def some(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.sets(st.sampled_from(values), min_size=1).map(lambda found: tuple(sorted(found)))


requirements = st.one_of(
    st.builds(Requirement, st.sampled_from(KEYS), st.sampled_from(("In", "NotIn")), some(VALUES)),
    st.builds(Requirement, st.sampled_from(KEYS), st.sampled_from(("Exists", "DoesNotExist"))),
)
selectors = st.builds(
    lambda labels, expressions: Selector.of(labels, *expressions),
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=2),
    st.lists(requirements, max_size=3),
)


def matching(labels: dict[str, str], pod: dict[str, str]) -> bool:
    return labels.items() <= pod.items()


@settings(deadline=None)
@given(selectors)
def test_combinations_select_exactly_the_selectors_pods_each_once(selector):
    found = combinations(selector)
    if found is None:
        finite = {r.key for r in selector.requirements if r.operator == "In"}
        assert finite != {r.key for r in selector.requirements} or selector.is_empty
        return
    assert all(found_labels for found_labels in found)
    for pod in PODS:
        assert sum(matching(labels, pod) for labels in found) == selector.matches(pod)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (Selector.of({"a": "1"}), ({"a": "1"},)),
        (Selector.of({"a": "1"}, Requirement("b", "In", ("2", "3"))), ({"a": "1", "b": "2"}, {"a": "1", "b": "3"})),
        (Selector.of({}, Requirement("a", "In", ("1",))), ({"a": "1"},)),
        (Selector.of({"a": "1"}, Requirement("a", "Exists")), ({"a": "1"},)),
        (Selector.of({"a": "1"}, Requirement("a", "In", ("2",))), ()),
        (Selector.of({"a": "1"}, Requirement("b", "NotIn", ("2",))), None),
        (Selector.of({"a": "1"}, Requirement("b", "Exists")), None),
        (Selector.of({"a": "1"}, Requirement("b", "DoesNotExist")), None),
        (Selector(), None),
    ],
)
def test_combinations_of(selector, expected):
    assert combinations(selector) == expected


@pytest.mark.parametrize(("count", "sayable"), [(MAX_COMBINATIONS, True), (MAX_COMBINATIONS + 1, False)])
def test_combinations_are_bounded(count, sayable):
    values = tuple(f"v{n:02}" for n in range(count))
    found = combinations(Selector.of({"a": "1"}, Requirement("b", "In", values)))
    assert (found is not None) is sayable
    assert not sayable or len(found) == count


@settings(deadline=None)
@given(selectors, selectors)
def test_negation_is_exact_among_the_pods_given(selector, among):
    opposite = negation(selector, among)
    if opposite is None:
        return
    for pod in PODS:
        if among.matches(pod):
            assert opposite.matches(pod) != selector.matches(pod)


@pytest.mark.parametrize(
    ("selector", "among", "expected"),
    [
        (Selector.of({"a": "1"}), Selector(), Requirement("a", "NotIn", ("1",))),
        (Selector.of({}, Requirement("a", "In", ("1", "2"))), Selector(), Requirement("a", "NotIn", ("1", "2"))),
        (Selector.of({}, Requirement("a", "NotIn", ("1",))), Selector(), Requirement("a", "In", ("1",))),
        (Selector.of({}, Requirement("a", "Exists")), Selector(), Requirement("a", "DoesNotExist")),
        (Selector.of({}, Requirement("a", "DoesNotExist")), Selector(), Requirement("a", "Exists")),
        (Selector.of({"a": "1", "b": "2"}), Selector.of({"a": "1"}), Requirement("b", "NotIn", ("2",))),
        (Selector.of({"a": "1", "b": "2"}), Selector(), None),
        (Selector(), Selector(), None),
        (Selector.of({"a": "1"}), Selector.of({"a": "1"}), None),
    ],
)
def test_negation_of(selector, among, expected):
    assert negation(selector, among) == expected
