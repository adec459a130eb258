"""How many segments have which word: the numbers behind the metrics that count them."""

from collections import Counter
from collections.abc import Callable
from typing import Generic, TypeVar

from pipesegment.facts.meta import Key

W = TypeVar("W")


class Tally(Generic[W]):
    """Counts keys by their word; `told` is given each number that changed."""

    def __init__(self, told: Callable[[W, int], None]) -> None:
        self._told = told
        self._words: dict[Key, W] = {}
        self._with: Counter[W] = Counter()

    def note(self, key: Key, word: W | None) -> None:
        """Take in a key's word; None for one that has none any more."""
        before = self._words.pop(key, None)
        if word is not None:
            self._words[key] = word
        if before == word:
            return
        for changed, by in ((before, -1), (word, 1)):
            if changed is not None:
                self._with[changed] += by
                self._told(changed, self._with[changed])
