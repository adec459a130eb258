"""Selectors by what they ask: what is looked up is what asking each of them finds."""

from hypothesis import given
from hypothesis import strategies as st

from pipesegment.facts import byselector
from pipesegment.facts.byselector import BySelector, are_related
from pipesegment.facts.selectors import Requirement, Selector
from tests.unit.facts.selecting import LABELS, SELECTORS

#: What a namespace holds at one time: by name of an object, the selectors that are its.
HELD = st.dictionaries(st.sampled_from("pqrs"), st.lists(SELECTORS, max_size=3).map(tuple), max_size=4)


def things(selectors):
    return [(selector, at) for at, selector in enumerate(selectors)]


class Namespace:
    """Objects as somebody keeps them, and their index beside."""

    def __init__(self):
        self.objects = {}
        self.index = BySelector()

    def become(self, objects):
        # An object that did not change is the very same value, as an informer's is.
        self.objects = {n: self.objects[n] if self.objects.get(n) == o else o for n, o in objects.items()}
        self.index.follow(self.objects, things)

    @property
    def entries(self):
        return [entry for selectors in self.objects.values() for entry in things(selectors)]


def told(entries):
    return sorted((str(selector), at) for selector, at in entries)


@given(HELD, HELD, SELECTORS, LABELS)
def test_selectors_are_found_as_they_come_and_go(first, then, asked, labels):
    there = Namespace()
    for objects in (first, then):
        there.become(objects)
        if not asked.selects_nobody:
            near = [entry for entry in there.index.near(asked) if are_related(entry[0], asked)]
            somebody = [entry for entry in there.entries if not entry[0].selects_nobody]
            assert told(near) == told(entry for entry in somebody if are_related(entry[0], asked))
        assert sorted(there.index.matching(labels)) == sorted(at for s, at in there.entries if s.matches(labels))


@given(HELD)
def test_nothing_is_kept_of_objects_that_are_gone(objects):
    there = Namespace()
    there.become(objects)
    there.become({})
    assert [len(there.index), len(there.index._held)] == [0, 0]
    assert [there.index._shelved, there.index._filed, there.index._unasked] == [{}, {}, {}]


def test_a_long_list_of_values_is_found_too():
    values = tuple(sorted(f"v{i:02}" for i in range(byselector._MOST_VALUES + 1)))
    there = Namespace()
    there.become({"a": (Selector.of({}, Requirement("app", "In", values)),)})
    assert list(there.index.matching({"app": "v03"})) == [0]
    assert told(there.index.near(Selector.of({"app": "v03"})))
    there.become({})
    assert not there.index._shelved


def test_few_are_asked():
    """A thousand segments of one namespace are told apart by their labels, not one by one."""
    there = Namespace()
    there.become({f"s{n}": (Selector.of({"segment": f"s{n}", "stage": "build"}),) for n in range(1000)})
    assert len(there.index.near(Selector.of({"segment": "s7", "stage": "build"}))) == 1
    assert len(there.index.near(Selector.of({"app": "web"}))) == 0
    assert len(there.index.near(Selector.of({"stage": "test"}))) == 0


def test_only_what_changed_is_filed_anew():
    there = Namespace()
    there.become({"a": (Selector.of({"app": "a"}),), "b": (Selector.of({"app": "b"}),)})
    before = dict(there.index._held)
    there.become({**there.objects, "b": (Selector.of({"app": "c"}),)})
    assert there.index._held["a"] is before["a"]
    assert list(there.index.matching({"app": "c"})) == [0]
    assert not list(there.index.matching({"app": "b"}))
