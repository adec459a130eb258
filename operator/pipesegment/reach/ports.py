"""Ports and http rules where two sides declare: what both admit."""

from collections.abc import Iterable, Sequence

from pipesegment.reach.edges import HttpRule, PortRange
from pipesegment.spec.segment import HttpMatch, Port


def ranges(ports: Iterable[Port]) -> tuple[PortRange, ...]:
    """Turn declared ports into ports on the wire, sorted and unique."""
    found = {PortRange(p.protocol, p.port, p.end_port if p.end_port != p.port else None) for p in ports}
    return tuple(sorted(found, key=sort_key))


def sort_key(port: PortRange) -> tuple[str, bool, int, str, int]:
    """Order ports by protocol, numbers before names."""
    named = isinstance(port.port, str)
    return (port.protocol, named, 0 if named else int(port.port), str(port.port), port.end or 0)


def intersect_ports(ours: Sequence[PortRange], theirs: Sequence[PortRange]) -> tuple[PortRange, ...]:
    """Give the ports that both sides name. A name meets only the same name: numbers behind it differ from pod to pod."""
    found = {common for a in ours for b in theirs if (common := _common(a, b)) is not None}
    return tuple(sorted(found, key=sort_key))


def _common(a: PortRange, b: PortRange) -> PortRange | None:
    if a.protocol != b.protocol:
        return None
    if isinstance(a.port, str) or isinstance(b.port, str):
        return a if a.port == b.port else None
    low, high = max(a.port, b.port), min(a.end or a.port, b.end or b.port)
    if low > high:
        return None
    return PortRange(a.protocol, low, high if high > low else None)


def http_rules(matches: Iterable[HttpMatch]) -> tuple[HttpRule, ...]:
    """Turn declared http matches into rules, sorted and unique."""
    return tuple(sorted({HttpRule(tuple(sorted(m.methods)), tuple(sorted(m.paths))) for m in matches}))


def intersect_http(ours: Sequence[HttpRule], theirs: Sequence[HttpRule]) -> tuple[HttpRule, ...] | None:
    """Give the requests that both sides admit; no rules admit every request. None: nothing is common."""
    if not ours or not theirs:
        return tuple(ours or theirs)
    found = {common for a in ours for b in theirs if (common := _common_http(a, b)) is not None}
    return tuple(sorted(found)) or None


def _common_http(a: HttpRule, b: HttpRule) -> HttpRule | None:
    methods = tuple(sorted(set(a.methods) & set(b.methods))) if a.methods and b.methods else a.methods or b.methods
    if a.methods and b.methods and not methods:
        return None
    if not a.paths or not b.paths:
        return HttpRule(methods, a.paths or b.paths)
    paths = {p for x in a.paths for y in b.paths if (p := _common_path(x, y)) is not None}
    return HttpRule(methods, tuple(sorted(paths))) if paths else None


def _common_path(x: str, y: str) -> str | None:
    """Meet two paths, each exact or a prefix with a trailing `*`."""
    for one, other in ((x, y), (y, x)):
        if other.endswith("*") and one.removesuffix("*").startswith(other[:-1]):
            return one
    return x if x == y else None
