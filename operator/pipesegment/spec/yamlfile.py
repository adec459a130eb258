"""YAML and JSON as kubectl reads them, but strict: no duplicate keys, no dates, no bombs.

Texts come from pull requests of strangers: what aliases expand to is counted, and nesting is bounded.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from pipesegment.errors import Refused
from pipesegment.findings import Refusal

#: Without aliases a text has fewer values than characters; aliases may make ten times as many of it.
_MOST_ALIASED: Final = 10
_FREE_VALUES: Final = 1000
_MOST_DEPTH: Final = 100
_TAG: Final = "tag:yaml.org,2002:"
_TRUE: Final = frozenset({"true", "yes", "on"})
_INT: Final = re.compile(r"[-+]?(0|[1-9][0-9_]*|0x[0-9a-fA-F_]+|0b[01_]+|0[0-7_]+)\Z")
_FLOAT: Final = re.compile(r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9][0-9_]*)([eE][-+]?[0-9]+)?\Z")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(text: str, source: str) -> Iterator[tuple[str, Any]]:
    """Give each document of a text with its place (`shop.yaml:12`), as plain JSON values.

    Raises Refused with the line where the text is not YAML.
    """
    if text.lstrip()[:1] in {"{", "["}:
        try:
            yield f"{source}:1", json.loads(text, object_pairs_hook=lambda pairs: _object(pairs, source))
        except (json.JSONDecodeError, RecursionError):
            pass  # flow style YAML starts like JSON
        else:
            return
    reader = _Reader(source, _FREE_VALUES + _MOST_ALIASED * len(text))
    try:
        for node in yaml.compose_all(text, _LOADER):
            place = f"{source}:{node.start_mark.line + 1}"
            yield place, reader.value(node, 0)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = f"is not YAML, {error.problem or error.context or 'unreadable'}:"
        raise Refused([Refusal(f"{source}:{line}", problem, _line(text, line), "correct the text there")]) from None
    except (yaml.YAMLError, ValueError) as error:
        raise Refused([Refusal(source, "is not YAML:", str(error).splitlines()[0], "correct the text")]) from None


def _object(pairs: list[tuple[str, Any]], source: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _twice(source, key)
        found[key] = value
    return found


def _twice(place: str, key: str) -> Refused:
    return Refused([Refusal(place, "duplicate key", key, "keep one of them")])


def _line(text: str, number: int) -> str:
    lines = text.splitlines()
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""


class _Reader:
    """Turns the node graphs of a text's documents into values, `most` of them in all."""

    def __init__(self, source: str, most: int) -> None:
        self._source = source
        self._left = most

    def value(self, node: yaml.Node, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > _MOST_DEPTH:
            raise self._refused(node, "nests or repeats too much", "...", "write it without aliases")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                merged = self._merge(value_node, depth) | merged
                continue
            key = self._key(key_node)
            if key in found:
                raise _twice(f"{self._source}:{key_node.start_mark.line + 1}", key)
            found[key] = self.value(value_node, depth + 1)
        return merged | found

    def _merge(self, node: yaml.Node, depth: int) -> dict[str, Any]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for part in parts:
            value = self.value(part, depth + 1)
            if not isinstance(value, dict):
                raise self._refused(part, "merges something that is not an object:", str(value), "merge an object")
            merged = value | merged
        return merged

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode) or node.tag == f"{_TAG}null":
            raise self._refused(node, "has a key that is not text:", str(node.value), "put the key in quotes")
        # kubectl turns a bare 80 or true into the text that JSON would print.
        value = self._scalar(node)
        return value if isinstance(value, str) else json.dumps(value)

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text: str = node.value
        match node.tag.removeprefix(_TAG):
            case "str" | "timestamp" | "value":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() in _TRUE
            case "int" if _INT.match(text):
                return _whole(text.replace("_", ""))
            case "float" | "int" if _FLOAT.match(text):
                return float(text.replace("_", ""))
            case "int" | "float" if ":" in text:
                return text  # YAML 1.1 reads 12:30 as a number to the base of 60; nobody means that
            case _:
                raise self._refused(node, "has a tag or value that JSON does not know:", text, "write plain values")

    def _refused(self, node: yaml.Node, problem: str, value: str, fix: str) -> Refused:
        return Refused([Refusal(f"{self._source}:{node.start_mark.line + 1}", problem, value, fix)])


def _whole(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+-")
    if digits.startswith("0") and digits.isdecimal() and len(digits) > 1:
        return sign * int(digits, 8)
    return sign * int(digits, 0)
