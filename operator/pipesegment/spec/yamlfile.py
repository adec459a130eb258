"""YAML and JSON as kubectl reads them, but strict: no duplicate keys, no dates, no bombs.

Texts come from pull requests of strangers. Values are built from libyaml's events, one after the other: its composer calls
itself for each level, and a text that nests deep enough would end the process. What aliases expand to is counted.
"""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

import yaml

from pipesegment.errors import Refused
from pipesegment.findings import Refusal

#: Without aliases a text has fewer values than characters; aliases may add ten times as many.
_MOST_ALIASED: Final = 10
_FREE_VALUES: Final = 1000
_MOST_DEPTH: Final = 100
#: The API server keeps whole numbers in 64 bits.
_WHOLE: Final = range(-(2**63), 2**64)
#: Writing 64 bits takes fewer characters in every notation.
_LONGEST_NUMBER: Final = 80
_TAG: Final = "tag:yaml.org,2002:"
_TRUE: Final = frozenset({"true", "yes", "on"})
_INT: Final = re.compile(r"[-+]?(0|[1-9][0-9_]*|0x[0-9a-fA-F][0-9a-fA-F_]*|0b[01][01_]*|0o?[0-7][0-7_]*)\Z")
_FLOAT: Final = re.compile(r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*)([eE][-+]?[0-9]+)?\Z")
#: JSON's escapes may name halves of characters, which no other text can hold.
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_IMPLICIT: Final = yaml.SafeLoader.yaml_implicit_resolvers
_PLAIN_TAGS: Final = frozenset({None, "!", f"{_TAG}map", f"{_TAG}seq"})
_MERGE: Final = "<<"
_NUMERIC: Final = frozenset("-+.0123456789")


def read(text: str, source: str) -> Iterator[tuple[str, Any]]:
    """Give each document of a text with its place (`shop.yaml:12`), as plain JSON values.

    Raises Refused with the line where the text is not YAML.
    """
    if text.lstrip()[:1] in {"{", "["}:
        try:
            value = _json(text, source)
        except (json.JSONDecodeError, RecursionError):
            pass  # flow style YAML starts like JSON
        else:
            yield f"{source}:1", value
            return
    builder = _Builder(source, _FREE_VALUES + _MOST_ALIASED * len(text))
    try:
        for event in yaml.parse(text, _LOADER):
            if isinstance(event, yaml.DocumentEndEvent):
                yield f"{source}:{builder.line}", builder.document()
            else:
                builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = f"is not YAML, {error.problem or error.context or 'unreadable'}:"
        raise Refused([Refusal(f"{source}:{line}", problem, _line(text, line), "correct the text there")]) from None
    except (yaml.YAMLError, ValueError) as error:
        raise Refused([Refusal(source, "is not YAML:", str(error).splitlines()[0], "correct the text")]) from None


def _json(text: str, source: str) -> Any:
    def refuse(number: str) -> Any:
        raise _no_number(source, number)

    def whole(number: str) -> Any:
        found = _whole(number)
        return refuse(number) if found is None else found

    def fraction(number: str) -> Any:
        found = float(number)
        return refuse(number) if found in _INFINITE else found

    value = json.loads(
        text,
        object_pairs_hook=lambda pairs: _object(pairs, source),
        parse_constant=refuse,
        parse_int=whole,
        parse_float=fraction,
    )
    if _is_deeper(value, _MOST_DEPTH):
        raise _too_deep(source)
    if _SURROGATE.search(text) and not _is_encodable(value):
        raise Refused([Refusal(source, "holds half a character:", "\\ud800", "write the whole of it, or its pair")])
    return value


def _object(pairs: list[tuple[str, Any]], source: str) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value] # None
        raise _twice(source, twice)
    return found


def _is_encodable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    return not levels or any(_is_deeper(v, levels - 1) for v in (value.values() if isinstance(value, dict) else value))


def _twice(place: str, key: str) -> Refused:
    return Refused([Refusal(place, "duplicate key", key, "keep one of them")])


def _too_deep(place: str) -> Refused:
    return Refused([Refusal(place, "nests too deep:", f"more than {_MOST_DEPTH} levels", "write it flatter")])


def _no_number(place: str, text: str) -> Refused:
    fix = "write a number of at most 64 bits, or put text in quotes"
    return Refused([Refusal(place, "is no number that JSON knows:", text, fix)])


def _line(text: str, number: int) -> str:
    lines = text.splitlines()
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""


class _Anchored(NamedTuple):
    """What an alias stands for; `levels` is how deep it nests, `size` how many values it holds."""

    value: Any
    size: int
    levels: int


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet; `key` waits for its value.

    `size` and `levels` are those of the mappings and lists inside.
    """

    value: Any
    start: yaml.NodeEvent
    is_list: bool
    size: int = 0
    levels: int = 0
    key: str | None = None
    is_merging: bool = False
    merged: dict[str, Any] = field(default_factory=dict)


class _Builder:
    """Turns the events of a text into the values of its documents; aliases may add `most` values in all."""

    def __init__(self, source: str, most: int) -> None:
        self.line = 1
        self._source = source
        self._left = most
        self._open: list[_Open] = []
        self._anchors: dict[str, _Anchored | None] = {}
        self._root: Any = None

    def document(self) -> Any:
        """Give the document that has just ended."""
        self._anchors.clear()
        return self._root

    def take(self, event: yaml.Event) -> None:
        """Go on by one event."""
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
            if event.anchor:
                self._anchors[event.anchor] = _Anchored(value, 1, 0)
            self._put(value, event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._begin(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end()
        elif isinstance(event, yaml.AliasEvent):
            found = self._aliased(event)
            self._count(found)
            self._put(found.value, event)

    def _begin(self, event: yaml.CollectionStartEvent) -> None:
        if event.tag not in _PLAIN_TAGS:
            raise self._unknown_tag(event, event.tag or "")
        if len(self._open) >= _MOST_DEPTH:
            raise _too_deep(self._place(event))
        outer = self._open[-1] if self._open else None
        if outer is not None and not outer.is_list and outer.key is None and not outer.is_merging:
            raise self._no_key(event, "{}")
        if event.anchor:
            self._anchors[event.anchor] = None
        is_list = isinstance(event, yaml.SequenceStartEvent)
        self._open.append(_Open([] if is_list else {}, event, is_list))

    def _end(self) -> None:
        ended = self._open.pop()
        value = ended.merged | ended.value if ended.merged else ended.value
        made = _Anchored(value, 1 + len(value) + ended.size, 1 + ended.levels)
        if ended.start.anchor:
            self._anchors[ended.start.anchor] = made
        self._count(made)
        self._put(value, ended.start)

    def _count(self, made: _Anchored) -> None:
        if self._open:
            outer = self._open[-1]
            outer.size += made.size
            outer.levels = max(outer.levels, made.levels)

    def _put(self, value: Any, event: yaml.NodeEvent) -> None:
        if not self._open:
            self._root, self.line = value, _line_of(event)
            return
        outer = self._open[-1]
        if outer.is_list:
            outer.value.append(value)
        elif outer.key is not None:
            outer.value[outer.key] = value
            outer.key = None
        elif outer.is_merging:
            outer.merged = self._merge(value, event) | outer.merged
            outer.is_merging = False
        elif value == _MERGE and isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
            outer.is_merging = True
        else:
            outer.key = self._key(value, event)
            if outer.key in outer.value:
                raise _twice(self._place(event), outer.key)

    def _key(self, value: Any, event: yaml.NodeEvent) -> str:
        if value is None or isinstance(value, dict | list):
            raise self._no_key(event, str(value))
        # kubectl turns a bare 80 or true into the text that JSON would print.
        return value if isinstance(value, str) else json.dumps(value)

    def _merge(self, value: Any, event: yaml.NodeEvent) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for part in value if isinstance(value, list) else [value]:
            if not isinstance(part, dict):
                raise self._refused(event, "merges something that is not an object:", str(part), "merge an object")
            merged = part | merged
        return merged

    def _aliased(self, event: yaml.AliasEvent) -> _Anchored:
        name = event.anchor or ""
        found = self._anchors.get(name)
        if found is None:
            problem = "is an alias inside of what it stands for:" if name in self._anchors else "is an unknown alias:"
            raise self._refused(event, problem, f"*{name}", "write the value itself")
        self._left -= found.size
        if self._left < 0:
            raise self._refused(event, "repeats too much by the alias", f"*{name}", "write it without aliases")
        if len(self._open) + found.levels > _MOST_DEPTH:
            raise _too_deep(self._place(event))
        return found._replace(value=deepcopy(found.value))

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        tag, text = event.tag, event.value
        if tag is None or tag == "!":
            if not event.implicit[0]:
                return text
            tag = _tag(text)
        found = _value(tag, text)
        if found is _UNKNOWN:
            raise self._unknown_tag(event, text)
        if found is _NO_NUMBER:
            raise _no_number(self._place(event), text)
        return found

    def _no_key(self, event: yaml.NodeEvent, value: str) -> Refused:
        return self._refused(event, "has a key that is not text:", value, "put the key in quotes")

    def _unknown_tag(self, event: yaml.NodeEvent, value: str) -> Refused:
        return self._refused(event, "has a tag or value that JSON does not know:", value, "write plain values")

    def _refused(self, event: yaml.NodeEvent, problem: str, value: str, fix: str) -> Refused:
        return Refused([Refusal(self._place(event), problem, value, fix)])

    def _place(self, event: yaml.NodeEvent) -> str:
        return f"{self._source}:{_line_of(event)}"


def _line_of(event: yaml.NodeEvent) -> int:
    assert event.start_mark is not None
    return event.start_mark.line + 1


_UNKNOWN: Final = object()
_NO_NUMBER: Final = object()
_INFINITE: Final = (float("inf"), float("-inf"))


@lru_cache(maxsize=4096)
def _tag(text: str) -> str:
    """Tell what a plain scalar is, by YAML 1.1; 1e3 and 0o7 are numbers to kubectl as well."""
    meant = next((tag for tag, pattern in _IMPLICIT.get(text[:1], ()) if pattern.match(text)), f"{_TAG}str")
    if meant == f"{_TAG}str" and text[:1] in _NUMERIC and _FLOAT.match(text):
        return f"{_TAG}float"
    return f"{_TAG}int" if text.startswith("0o") and _INT.match(text) else meant


@lru_cache(maxsize=4096)
def _value(tag: str, text: str) -> Any:
    match tag.removeprefix(_TAG):
        case "str" | "timestamp" | "value" | "merge":
            return text
        case "null":
            return None
        case "bool":
            return text.lower() in _TRUE
        case "int" if _INT.match(text):
            found = _whole(text.replace("_", ""))
            return _NO_NUMBER if found is None else found
        case "float" | "int" if _FLOAT.match(text):
            number = float(text.replace("_", ""))
            return _NO_NUMBER if number in _INFINITE else number
        case "int" | "float" if ":" in text:
            return text  # YAML 1.1 reads 12:30 as a number to the base of 60; nobody means that
        case _:
            return _UNKNOWN


def _whole(text: str) -> int | None:
    """Read a whole number; None when it is larger than any that the API server keeps."""
    if len(text) > _LONGEST_NUMBER:
        return None
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    octal = digits.startswith("0") and digits.isdecimal() and len(digits) > 1
    found = sign * int(digits, 8 if octal else 0)
    return found if found in _WHOLE else None
