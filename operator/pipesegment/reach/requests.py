"""The requests that grants leave of an edge to pods of no stage: what a grant says of `http` is its owners' word.

An edge is parted by the requests that are granted at its ports. Whether anything can hold callers to them is the compiler's to
say; what cannot be held stays closed, whatever the class says of inexact engines (docs/adr/0063).
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from pipesegment.reach import grants
from pipesegment.reach.edges import HttpRule, PodPeer, PortRange
from pipesegment.reach.ports import http_rules, intersect_http, intersect_ports
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View


class Granted(NamedTuple):
    """Ports with the requests that are open there (empty: every one); `by_grant`: a grant says so."""

    ports: tuple[PortRange, ...]
    http: tuple[HttpRule, ...]
    by_grant: bool = False


def parted(
    scene: Scene,
    view: View,
    peer: PodPeer,
    ports: tuple[PortRange, ...],
    http: tuple[HttpRule, ...],
    described: str,
    because: str,
) -> Iterator[Granted]:
    """Part the ports that grants have left by the requests that are granted there; what has none is told and left out."""
    covering = list(grants.holding(scene, view, peer))
    if not any(spec.http for spec, _ in covering):
        yield Granted(ports, http)
        return
    by_rules: defaultdict[tuple[HttpRule, ...], list[PortRange]] = defaultdict(list)
    for port in ports:
        giving = [spec for spec, given in covering if intersect_ports((port,), given) == (port,)]
        every = any(not spec.http for spec in giving)
        by_rules[() if every else http_rules(match for spec in giving for match in spec.http)].append(port)
    for rules, parts in sorted(by_rules.items()):
        common = intersect_http(http, rules)
        if common is None:
            grants.note_ungranted(scene, because, f"the requests to {described}", peer.namespace, closed=True)
        else:
            yield Granted(tuple(parts), common, by_grant=bool(rules))
