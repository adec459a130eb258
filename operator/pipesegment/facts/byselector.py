"""Selectors by what they ask: which of many select a pod, or may have to do with another selector, without asking each.

A selector is filed under one label that its pods must have, so that a pod finds it by a label of its own; and shelved
under every label that it speaks of, so that another selector finds it by the labels that both speak of.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, Generic, TypeVar

from pipesegment.facts.allowed import Values
from pipesegment.facts.selectors import Selector

T = TypeVar("T")
O = TypeVar("O")  # noqa: E741 - an object

_Entry = tuple[Selector, T]

#: The longest list of values by which something is kept; a longer one tells few things apart, and costs as much.
_MOST_VALUES: Final = 16


@dataclass(slots=True)
class _Shelf(Generic[T]):
    """Entries that speak of one label: by the values that it may have, or `open` where those are many, or none."""

    by: dict[str, dict[int, _Entry[T]]] = field(default_factory=dict)
    open: dict[int, _Entry[T]] = field(default_factory=dict)

    def put(self, number: int, entry: _Entry[T], values: Values) -> None:
        if _is_open(values):
            self.open[number] = entry
        else:
            for value in values.listed:
                self.by.setdefault(value, {})[number] = entry

    def drop(self, number: int, values: Values) -> None:
        if _is_open(values):
            del self.open[number]
        else:
            for value in values.listed:
                held = self.by[value]
                del held[number]
                if not held:
                    del self.by[value]

    def size(self, values: Values) -> int:
        """Give at most how many entries `meeting` gives."""
        return len(self.open) + sum(map(len, self._held(values)))

    def meeting(self, values: Values) -> Iterator[tuple[int, _Entry[T]]]:
        """Give the entries whose label may be one of these values, and perhaps some more."""
        yield from self.open.items()
        for held in self._held(values):
            yield from held.items()

    def _held(self, values: Values) -> Iterator[dict[int, _Entry[T]]]:
        if values.others:
            yield from self.by.values()
        else:
            yield from (self.by[value] for value in values.listed if value in self.by)


class BySelector(Generic[T]):
    """Things by the pods that they select; they come and go with the objects that they are of."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[object, list[tuple[int, _Entry[T], str | None]]]] = {}
        self._all: dict[int, _Entry[T]] = {}
        self._next = 0
        self._shelved: dict[str, _Shelf[T]] = {}
        self._filed: dict[str, _Shelf[T]] = {}
        #: What asks for no label that must be there.
        self._unasked: dict[int, _Entry[T]] = {}

    def follow(self, objects: Mapping[str, O], things: Callable[[O], Iterable[_Entry[T]]]) -> None:
        """Come up to date with objects by name; one that is the very same value as before is left as it is."""
        for name in [n for n, (held, _) in self._held.items() if objects.get(n) is not held]:
            self.drop(name)
        if len(objects) != len(self._held):
            for name, found in objects.items():
                if name not in self._held:
                    self.put(name, found, things(found))

    def put(self, name: str, source: object, entries: Iterable[_Entry[T]]) -> None:
        """Take in what is of one object; what selects nobody is not kept."""
        self.drop(name)
        held = []
        for entry in (e for e in entries if not e[0].selects_nobody):
            number, self._next = self._next, self._next + 1
            self._all[number] = entry
            held.append((number, entry, self._file(number, entry)))
        self._held[name] = (source, held)

    def drop(self, name: str) -> None:
        """Take out what is of one object, if anything."""
        _, held = self._held.pop(name, (None, []))
        for number, (selector, _), filed in held:
            del self._all[number]
            self._unasked.pop(number, None)
            for key in selector.allowed:
                _drop(self._shelved, key, number, selector)
            if filed is not None:
                _drop(self._filed, filed, number, selector)

    def __len__(self) -> int:
        """Count the things."""
        return len(self._all)

    def matching(self, labels: Mapping[str, str]) -> Iterator[T]:
        """Give what selects a pod with these labels."""
        for key, value in labels.items():
            shelf = self._filed.get(key)
            if shelf is not None:
                found = chain(shelf.by.get(value, {}).values(), shelf.open.values())
                yield from (thing for selector, thing in found if selector.matches(labels))
        yield from (thing for selector, thing in self._unasked.values() if selector.matches(labels))

    def near(self, selector: Selector) -> list[_Entry[T]]:
        """Give few things, among which are all that are related to a selector (`are_related`)."""
        found: dict[int, _Entry[T]] = dict(self._unasked)
        found.update(self._asking_as(selector))
        for key, values in selector.allowed.items():
            shelf = self._filed.get(key)
            if shelf is not None:
                found.update(shelf.meeting(values))
        return list(found.values())

    def _asking_as(self, selector: Selector) -> Iterable[tuple[int, _Entry[T]]]:
        """Give few things, among which is all that asks about every label which a selector asks for."""
        asked = [(self._shelved.get(key), selector.allowed[key]) for key in selector.asked]
        if not asked:
            return self._all.items()
        shelf, values = min(asked, key=lambda each: each[0].size(each[1]) if each[0] else 0)
        return shelf.meeting(values) if shelf else ()

    def _file(self, number: int, entry: _Entry[T]) -> str | None:
        selector = entry[0]
        for key, values in selector.allowed.items():
            self._shelved.setdefault(key, _Shelf()).put(number, entry, values)
        if not selector.asked:
            self._unasked[number] = entry
            return None
        # Under the label that few others are filed by, or a pod would find them all.
        best = min(sorted(selector.asked), key=lambda key: self._shelved[key].size(selector.allowed[key]))
        self._filed.setdefault(best, _Shelf()).put(number, entry, selector.allowed[best])
        return best


def are_related(a: Selector, b: Selector) -> bool:
    """Tell whether two selectors have to do with each other by their own words: one implies the other, or they overlap."""
    return a.overlaps(b) or a.implies(b) or b.implies(a)


def _is_open(values: Values) -> bool:
    return values.others or not 0 < len(values.listed) <= _MOST_VALUES


def _drop(shelves: dict[str, _Shelf[T]], key: str, number: int, selector: Selector) -> None:
    shelf = shelves[key]
    shelf.drop(number, selector.allowed[key])
    if not (shelf.by or shelf.open):
        del shelves[key]
