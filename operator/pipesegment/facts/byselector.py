"""Things by the selectors that they have: who selects a pod, or overlaps a selector, is known without asking everybody.

Things are kept on shelves, one for each set of labels that a selector asks about: most selectors of a namespace ask
about the same few. On a shelf those that name a value of some label are found by it.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Final, Generic, TypeVar

from pipesegment.facts.selectors import Selector

T = TypeVar("T")

#: Selectors that name more values of a label than this are looked at one by one instead.
_MAX_VALUES: Final = 8


class BySelector(Generic[T]):
    """Things that may be asked about once all of them are there."""

    def __init__(self, found: Iterable[tuple[Selector, T]] = ()) -> None:
        self._shelves: dict[frozenset[str], _Shelf[T]] = {}
        for selector, thing in found:
            keys = frozenset(selector.allowed)
            shelf = self._shelves.get(keys)
            if shelf is None:
                shelf = self._shelves[keys] = _Shelf(keys)
            shelf.things.append((selector, thing))

    def selecting(self, labels: Mapping[str, str]) -> Iterator[T]:
        """Give the things whose selectors select a pod with these labels."""
        for shelf in self._shelves.values():
            for selector, thing in shelf.near(labels):
                if selector.matches(labels):
                    yield thing

    def overlapping(self, selector: Selector) -> Iterator[T]:
        """Give the things whose selectors overlap this one."""
        mine = selector.allowed.keys()
        for keys, shelf in self._shelves.items():
            if keys <= mine or mine <= keys:
                for other, thing in shelf.like(selector):
                    if other.overlaps(selector):
                        yield thing


class _Shelf(Generic[T]):
    """Things whose selectors ask about the same labels."""

    def __init__(self, keys: frozenset[str]) -> None:
        self.things: list[tuple[Selector, T]] = []
        self._keys = keys
        self._tables: dict[str, _Table[T]] = {}

    def near(self, labels: Mapping[str, str]) -> Iterable[tuple[Selector, T]]:
        """Give those that may select a pod with these labels."""
        if not self._keys:
            return self.things
        table = self._table(self._lead)
        named = table.naming(labels.get(self._lead))
        return [*named, *table.rest] if table.rest else named

    def like(self, selector: Selector) -> Iterable[tuple[Selector, T]]:
        """Give those that may overlap a selector."""
        finite = (
            (len(v.listed), k) for k, v in selector.allowed.items() if k in self._keys and not (v.others or v.absent)
        )
        _, key = min(finite, default=(0, ""))
        if not key:
            return self.things
        table = self._table(key)
        named = {id(found): found for value in selector.allowed[key].listed for found in table.naming(value)}
        return (*named.values(), *table.rest)

    @cached_property
    def _lead(self) -> str:
        """The label that tells them apart best."""
        return max(sorted(self._keys), key=lambda key: len(self._table(key).by) - len(self._table(key).rest))

    def _table(self, key: str) -> "_Table[T]":
        found = self._tables.get(key)
        if found is None:
            found = self._tables[key] = _Table(key, self.things)
        return found


class _Table(Generic[T]):
    """Things of a shelf by the values that they name of one label; `rest` are those that name many, or none."""

    def __init__(self, key: str, things: Iterable[tuple[Selector, T]]) -> None:
        self.by: dict[str, list[tuple[Selector, T]]] = {}
        self.rest: list[tuple[Selector, T]] = []
        for found in things:
            values = found[0].allowed[key]
            if values.others or values.absent or len(values.listed) > _MAX_VALUES:
                self.rest.append(found)
                continue
            for value in values.listed:
                self.by.setdefault(value, []).append(found)

    def naming(self, value: str | None) -> list[tuple[Selector, T]]:
        """Give those that name a value; none where the label is absent."""
        return self.by.get(value, []) if value is not None else []
