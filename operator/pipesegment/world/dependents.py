"""Who is due when a fact changes: the reverse of what each resolve read."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from pipesegment.facts.byselector import BySelector, are_related
from pipesegment.facts.meta import Key
from pipesegment.facts.selectors import Selector

Read = tuple[str, str, str]


class Dependents:
    """Keeps for every segment the facts and pods that its last resolve looked at."""

    def __init__(self) -> None:
        self._reads: dict[Key, frozenset[Read]] = {}
        self._by_read: defaultdict[Read, set[Key]] = defaultdict(set)
        self._watches: dict[Key, frozenset[tuple[str, Selector]]] = {}
        self._by_namespace: defaultdict[str, BySelector[Key]] = defaultdict(BySelector)

    def record(self, key: Key, reads: frozenset[Read], watches: frozenset[tuple[str, Selector]]) -> None:
        """Replace what is kept for a segment."""
        if self._reads.get(key) != reads:
            self._forget_reads(key)
            self._reads[key] = reads
            for read in reads:
                self._by_read[read].add(key)
        if self._watches.get(key) != watches:
            self._forget_watches(key)
            self._watches[key] = watches
            for namespace in {n for n, _ in watches}:
                watched = ((selector, key) for there, selector in watches if there == namespace)
                self._by_namespace[namespace].put(str(key), key, watched)

    def add(self, key: Key, reads: frozenset[Read]) -> None:
        """Keep further facts for a segment, beside those of its last resolve."""
        self._reads[key] = self._reads.get(key, frozenset()) | reads
        for read in reads:
            self._by_read[read].add(key)

    def forget(self, key: Key) -> None:
        """Drop a segment that is gone."""
        self._forget_reads(key)
        self._forget_watches(key)

    def due(self, kind: str, namespace: str, name: str, *, exactly: bool = False) -> set[Key]:
        """Give the segments that read this object, and unless `exactly` every object of its namespace or kind."""
        reads = ((kind, namespace, name), (kind, namespace, "*"), (kind, "*", "*"))
        asked = reads[:1] if exactly else reads
        return set().union(*(self._by_read[read] for read in asked if read in self._by_read))

    def selecting(self, namespace: str, labels: Iterable[Mapping[str, str]]) -> set[Key]:
        """Give the segments that look at pods with these labels (before and after a change)."""
        watching = self._by_namespace.get(namespace)
        return {key for one in labels for key in watching.matching(one)} if watching is not None else set()

    def related(self, namespace: str, selectors: Iterable[Selector]) -> set[Key]:
        """Give the segments that look at pods by words that have to do with these; who shares a pod is not among them."""
        watching = self._by_namespace.get(namespace)
        if watching is None:
            return set()
        return {key for mine in selectors for theirs, key in watching.near(mine) if are_related(mine, theirs)}

    def _forget_reads(self, key: Key) -> None:
        for read in self._reads.pop(key, ()):
            held = self._by_read[read]
            held.discard(key)
            if not held:
                del self._by_read[read]

    def _forget_watches(self, key: Key) -> None:
        for namespace in {n for n, _ in self._watches.pop(key, ())}:
            held = self._by_namespace[namespace]
            held.drop(str(key))
            if not len(held):
                del self._by_namespace[namespace]
