"""Wildcards of IAM compared as the sets of words that they stand for: `*` any run of characters, `?` any one.

Both questions walk one pattern through the other, which is held as bits: one for each place that a word may have come to.
Upper and lower case are alike, as in IAM's actions.
"""

import re
from functools import lru_cache
from itertools import groupby
from typing import Final, NamedTuple

_WILD: Final = "*?"


def meet(one: str, other: str) -> bool:
    """Tell whether some word is meant by both; exact."""
    one, pattern = _plain(one), _read(other)
    if not _may_meet(one, pattern.text):
        return False
    places = pattern.rest(1)
    for symbol in one:
        if symbol == "*":
            # Whatever stands further on in the other pattern, some word leads there.
            places = pattern.all & -(places & -places)
        else:
            kept = places & pattern.stars
            moving = places & (pattern.all if symbol == "?" else pattern.at(symbol))
            places = pattern.rest(kept | (moving & ~pattern.stars) << 1)
        if not places:
            return False
    return bool(places & pattern.end)


def within(inner: str, outer: str) -> bool:
    """Tell whether every word that `inner` means is meant by `outer`; False where that is not evident."""
    pattern = _read(outer)
    places = pattern.rest(1)
    for symbol in _plain(inner):
        moving = 0 if symbol == "*" else places & (pattern.ones if symbol == "?" else pattern.at(symbol))
        places = pattern.rest(places & pattern.stars | moving << 1)
        if not places:
            return False
    return bool(places & pattern.end)


class _Pattern(NamedTuple):
    """A pattern as bits: bit n is the place before its n-th symbol."""

    text: str
    stars: int
    ones: int
    letters: dict[str, int]

    @property
    def all(self) -> int:
        """Every place, the end included."""
        return (1 << len(self.text) + 1) - 1

    @property
    def end(self) -> int:
        """The place behind the last symbol."""
        return 1 << len(self.text)

    def at(self, letter: str) -> int:
        """Give the places whose symbol lets this letter through."""
        return self.letters.get(letter, 0) | self.ones

    def rest(self, places: int) -> int:
        """Add what is reached for nothing: a `*` may stand for no character. No two of them are neighbours."""
        return places | (places & self.stars) << 1


@lru_cache(maxsize=4096)
def _read(pattern: str) -> _Pattern:
    text = _plain(pattern)
    letters: dict[str, int] = {}
    for number, symbol in enumerate(text):
        letters[symbol] = letters.get(symbol, 0) | 1 << number
    return _Pattern(text, letters.pop("*", 0), letters.pop("?", 0), letters)


@lru_cache(maxsize=4096)
def _plain(pattern: str) -> str:
    """Write a pattern in one way only: in lower case, and of neighbouring wildcards first every `?`, then one `*`."""
    parts = ((wild, "".join(run)) for wild, run in groupby(pattern.lower(), _WILD.__contains__))
    return "".join("?" * run.count("?") + "*" * ("*" in run) if wild else run for wild, run in parts)


def _may_meet(one: str, other: str) -> bool:
    """Compare what stands before the first wildcards, which settles most questions."""
    mine, theirs = _head(one), _head(other)
    return mine.startswith(theirs) or theirs.startswith(mine)


def _head(text: str) -> str:
    return re.split(r"[*?]", text, maxsplit=1)[0]
