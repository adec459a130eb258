"""Istio's string patterns: exact, `prefix*`, `*suffix`, and `*` for anything that is there at all."""

from collections.abc import Iterable


def matches(pattern: str, text: str) -> bool:
    """Tell whether a pattern of an AuthorizationPolicy matches; `*` needs at least one character."""
    if pattern == "*":
        return text != ""
    if pattern.startswith("*"):
        return text.endswith(pattern[1:])
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    return text == pattern


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
