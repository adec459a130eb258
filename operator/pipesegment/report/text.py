"""Text on its way to people: cut, on one line, and without characters that act.

What an author writes reaches statuses, Events, logs and terminals. Control characters forge lines there, and characters
that turn the direction of writing forge words (semantics, § Change and failure).
"""

import unicodedata
from collections.abc import Iterable
from typing import Any, Final

#: Categories that are shown by their number: controls, formats (bidi marks among them), surrogates, line breaks.
_ACTING: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

#: A condition's message and an Event's.
MESSAGE: Final = 1024
#: A word of a status: names, reasons.
LINE: Final = 253


def clean(text: Any, limit: int = MESSAGE) -> str:
    """Write text on one line, every acting character escaped, at most `limit` characters long."""
    shown = plain(str(text)[: limit + 1])
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def plain(text: str) -> str:
    """Write text on one line, every acting character escaped, however long it is."""
    return text if text.isascii() and text.isprintable() else "".join(map(_shown, text))


def fitted(text: Any, size: int = MESSAGE) -> str:
    """Write text like `clean`, at most `size` bytes of UTF-8 long: the API server measures an Event's note in bytes."""
    shown = clean(text, size)
    raw = shown.encode()
    return shown if len(raw) <= size else raw[: size - 3].decode(errors="ignore") + "…"


def listing(sentences: Iterable[str], lead: str = "", *, limit: int = MESSAGE, most: int = 3) -> str:
    """Join sentences with `; ` behind `lead`, at most `most` of them, and tell how many are left out."""
    every = [clean(sentence, limit) for sentence in sentences]
    rest = len(every) - most
    more = f"; and {rest} more" if rest > 0 else ""
    return clean(lead + "; ".join(every[:most]), limit - len(more)) + more


def counted(number: int, noun: str, plural: str = "") -> str:
    """Write `1 edge`, `2 edges`, `3 policies`."""
    return f"{number} {noun}" if number == 1 else f"{number} {plural or f'{noun}s'}"


def acts(character: str) -> bool:
    """Tell whether a character does anything but stand where it is written."""
    return unicodedata.category(character) in _ACTING


def _shown(character: str) -> str:
    if not acts(character):
        return character
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
