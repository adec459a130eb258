"""Linkerd: which requests at a port are one route, and who may make them.

Linkerd finds the one route that fits a request best, and authorizes whoever is authorized at that route or at its Server.
Two things keep that to what is declared. Whoever is authorized at a route may make every request that fits it: whichever
route is found, nobody gets more. And no two paths of ours fit one request, so that nobody gets less: a prefix is written
as an expression that leaves out what is declared apart inside of it. Of two matches for one path Linkerd takes the one
that names the method.

Linkerd's own prefix goes by whole segments of a path: `/v1/` would be `/v1` too, and `/v1*` cannot be said with it.

Sources: linkerd2-proxy, how it matches paths and requests and finds a route (crate linkerd-http-route); linkerd2's policy
controller, what a Server's routes are and what they inherit (index of inbound policy).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from pipesegment.reach.edges import HttpRule, Principal

#: Kubelet, which has no identity, among those who may ask for something.
KUBELET: Final = Principal("", None)
#: Every path, and what no path is besides: `*` of OPTIONS, the nothing of CONNECT.
EVERY: Final = "*"
#: The most that the value of a path's match may hold.
MAX_PATH: Final = 1024
#: The most paths at one port, each of which becomes a route.
MAX_PATHS: Final = 64
#: Every method that can be declared.
METHODS: Final = ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")

Rules = Mapping[Principal, frozenset[HttpRule]]


class Route(NamedTuple):
    """Requests for one path by some methods (none: by every other), and who may make them."""

    path: Mapping[str, str]
    methods: tuple[str, ...]
    callers: frozenset[Principal]

    def matches(self) -> list[dict[str, Any]]:
        """Render what fits it."""
        every = {"path": dict(self.path)}
        return [{**every, "method": method} for method in self.methods] or [every]


def routes(rules: Rules, *, beside_all: bool) -> Iterator[Route]:
    """Part what callers may ask into routes; `beside_all`: a route for every request stands beside them.

    That one is as good a match for `/` as one of ours that names no method.
    """
    declared = {path for found in rules.values() for rule in found for path in rule.paths or (EVERY,)}
    for path in sorted(declared):
        inner = [other for other in declared if other != path and covers(path, other)]
        match = _match(path, inner)
        over = [
            (who, frozenset(rule.methods))
            for who, found in rules.items()
            for rule in found
            if any(covers(wide, path) for wide in rule.paths or (EVERY,))
        ]
        everyone = frozenset(who for who, methods in over if not methods)
        named = frozenset[str]().union(*(methods for _, methods in over))
        tied = beside_all and covers(path, "/") and not any(covers(other, "/") for other in inner)
        if everyone and tied:
            named |= frozenset(METHODS)
        parted: dict[frozenset[Principal], list[str]] = {}
        for method in sorted(named):
            parted.setdefault(everyone | {who for who, methods in over if method in methods}, []).append(method)
        for callers, methods in parted.items():
            if tied or callers != everyone:
                yield Route(match, tuple(methods), callers)
        if everyone:
            yield Route(match, (), everyone)


def sayable(rules: Iterable[HttpRule]) -> bool:
    """Tell whether what is declared at one port can be written: not too many paths, and none too long a text."""
    one = {KUBELET: frozenset(rules)}
    if len({path for found in one.values() for rule in found for path in rule.paths}) > MAX_PATHS:
        return False
    return all(len(route.path["value"]) <= MAX_PATH for route in routes(one, beside_all=False))


def covers(wide: str, path: str) -> bool:
    """Tell whether a declared path means everything that another one does."""
    if not wide.endswith("*"):
        return wide == path
    return path.removesuffix("*").startswith(wide[:-1])


def _match(path: str, inner: Iterable[str]) -> dict[str, str]:
    if not path.endswith("*"):
        return {"type": "Exact", "value": path}
    stem = path[:-1]
    rest = _other_than([other[len(stem) :] for other in inner])
    return {"type": "RegularExpression", "value": f"^{re.escape(stem)}{rest}$"}


def _other_than(words: list[str]) -> str:
    """Write an expression for every text but some words, and (`*` at the end) but all that begins with some."""
    if not words:
        return ".*"
    following: dict[str, list[str]] = {}
    for word in words:
        if word:
            following.setdefault(word[0], []).append(word[1:])
    ways = [f"[^{''.join(map(re.escape, sorted(following)))}].*"] if following else [".+"]
    ways += [f"{re.escape(c)}{_other_than(rest)}" for c, rest in sorted(following.items()) if "*" not in rest]
    return f"(?:{'|'.join(ways)})" + ("" if "" in words else "?")
