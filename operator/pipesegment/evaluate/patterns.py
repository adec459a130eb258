"""Istio's string patterns: exact, `prefix*`, `*suffix`, and `*` for anything that is there at all."""

import re
from collections.abc import Iterable
from typing import Final

_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def matches(pattern: str, text: str) -> bool:
    """Tell whether a pattern of an AuthorizationPolicy matches; `*` needs at least one character."""
    if pattern == "*":
        return text != ""
    if pattern.startswith("*"):
        return text.endswith(pattern[1:])
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    return text == pattern


def normalized(path: str) -> str:
    """Give the path that policies are asked about: as Istio's sidecars normalize it by default, without its query.

    RFC 3986, section 6.2.2, and backslashes become slashes; encoded slashes and double ones stay as they are.
    """
    plain = _ENCODED.sub(_decoded, path.partition("#")[0].partition("?")[0]).replace("\\", "/")
    kept: list[str] = []
    parts = plain.split("/")
    for number, part in enumerate(parts):
        if part == ".." and len(kept) > 1:
            kept.pop()
        if part not in {".", ".."}:
            kept.append(part)
        elif number == len(parts) - 1:
            kept.append("")
    return "/".join(kept)


def _decoded(encoded: re.Match[str]) -> str:
    character = chr(int(encoded[0][1:], 16))
    return character if character in _UNRESERVED else encoded[0]


def is_template(path: str) -> bool:
    """Tell whether a path uses the segment operators `{*}` and `{**}`, which are not judged here."""
    return "{*}" in path or "{**}" in path


def examples(patterns: Iterable[str], other: str) -> list[str]:
    """Give texts that stand for every text: all those that only the same patterns match are judged alike.

    `other` is a text that no pattern is expected to match; it also fills the gaps between prefixes and suffixes.
    """
    known = {*patterns} - {"*"}
    exact = {p for p in known if not p.startswith("*") and not p.endswith("*")}
    prefixes = {p[:-1] for p in known if p.endswith("*") and not p.startswith("*")}
    suffixes = {p[1:] for p in known if p.startswith("*")}
    filled = {f"{p}{other}{s}" for p in (*prefixes, "") for s in (*suffixes, "")}
    return sorted(exact | prefixes | suffixes | filled)
