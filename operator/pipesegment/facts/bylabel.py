"""Pods by their labels: whom a selector may select is known without a walk over everybody in a namespace."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import Generic, Protocol, TypeVar

from pipesegment.facts.allowed import Values
from pipesegment.facts.selectors import Selector


class Labelled(Protocol):
    """What pods are found by."""

    @property
    def labels(self) -> Mapping[str, str]: ...  # noqa: D102 - says itself

    @property
    def live(self) -> bool: ...  # noqa: D102 - says itself


T = TypeVar("T", bound=Labelled)

#: Namespace and key of a label.
_Place = tuple[str, str]


class ByLabel(Generic[T]):
    """Live pods that come and go.

    Only labels that somebody asked about are kept by value: pods carry many more, most of them with a value of their own.
    """

    def __init__(self) -> None:
        self._with: Counter[_Place] = Counter()
        #: value → name → pod
        self._by: dict[_Place, dict[str, dict[str, T]]] = {}

    def put(self, namespace: str, name: str, pod: T) -> None:
        """Take a pod in, if it is live."""
        for key, value in pod.labels.items() if pod.live else ():
            place = (namespace, key)
            self._with[place] += 1
            if place in self._by:
                self._by[place].setdefault(value, {})[name] = pod

    def drop(self, namespace: str, name: str, pod: T) -> None:
        """Take out a pod that was put in."""
        for key, value in pod.labels.items() if pod.live else ():
            place = (namespace, key)
            self._with[place] -= 1
            if not self._with[place]:
                del self._with[place]
                self._by.pop(place, None)
            elif place in self._by:
                held = self._by[place][value]
                del held[name]
                if not held:
                    del self._by[place][value]

    def among(self, namespace: str, pods: Mapping[str, T], selectors: Iterable[Selector]) -> Iterable[T]:
        """Give few of a namespace's pods, among which are all the live ones that every one of these selectors selects."""
        best: list[Collection[T]] | None = None
        for selector in selectors:
            for key, values in selector.allowed.items():
                place = (namespace, key)
                if values.absent:
                    continue
                if place not in self._with:
                    return ()
                if best is None or not values.others:
                    found = list(_held(self._values(place, pods), values))
                    best = found if best is None or _size(found) < _size(best) else best
        return chain.from_iterable(best) if best is not None else pods.values()

    def _values(self, place: _Place, pods: Mapping[str, T]) -> Mapping[str, Mapping[str, T]]:
        found = self._by.get(place)
        if found is None:
            found = self._by[place] = {}
            for name, pod in pods.items():
                if pod.live and place[1] in pod.labels:
                    found.setdefault(pod.labels[place[1]], {})[name] = pod
        return found


def _held(by: Mapping[str, Mapping[str, T]], values: Values) -> Iterator[Collection[T]]:
    if values.others:
        yield from (pods.values() for pods in by.values())
    elif len(values.listed) < len(by):
        yield from (by[value].values() for value in values.listed if value in by)
    else:
        yield from (pods.values() for value, pods in by.items() if value in values.listed)


def _size(found: Iterable[Collection[object]]) -> int:
    return sum(map(len, found))
