"""The way to pods: where they are provably a stage's pods that stage has a say, elsewhere grants may have one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pipesegment.reach import grants, notes, requests, tunnels
from pipesegment.reach.edges import Edge, HttpRule, Mesh, Mode, PodPeer, PortRange, Target, Tunnel
from pipesegment.reach.fronts import Part, parts, unread_behind, unread_ports
from pipesegment.reach.ports import http_rules, ranges
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import Declared, View
from pipesegment.reach.ways import Refused, Way, ways
from pipesegment.spec.segment import ReachEntry

#: The most stages of which one entry is told that they do not let it in.
_MOST_TOLD: Final = 16


@dataclass(frozen=True, slots=True)
class Aim:
    """What an entry points at: `described` in the user's words, `hosts` as the mesh calls it."""

    declared: Declared[ReachEntry]
    target: Target
    described: str
    hosts: tuple[str, ...] = ()

    def closed(self) -> Edge:
        """Make the edge of an entry that opens nothing."""
        ports = ranges(self.declared.entry.ports)
        return Edge(self.declared.because, "egress", self.target, self.described, open=False, ports=ports)

    def opened(
        self,
        peer: PodPeer,
        ports: tuple[PortRange, ...],
        http: tuple[HttpRule, ...],
        hosts: tuple[str, ...],
        mesh: Mesh | None = None,
        fronts: tuple[str, ...] = (),
        unread: tuple[int, ...] = (),
        tunnel: Tunnel | None = None,
    ) -> Edge:
        """Make an open edge to pods."""
        return Edge(
            because=self.declared.because,
            direction="egress",
            target=self.target,
            described=self.described,
            open=True,
            peers=(peer,),
            ports=ports,
            http=http,
            hosts=hosts,
            fronts=fronts,
            other_mesh=mesh,
            unread=unread,
            tunnel=tunnel,
        )


def edges(scene: Scene, view: View, aim: Aim, peer: PodPeer, ports: tuple[PortRange, ...]) -> Iterator[Edge]:
    """Open the way to pods of a Service or of a selector.

    Where only some of them are a stage's, the way is open to the others, and what stays closed is told.
    """
    scene.watches.add((peer.namespace, peer.selector))
    met = [
        (other, found)
        for other in scene.viewed(peer.namespace, scene.meeting(peer.namespace, peer.selector))
        if other.mode is Mode.ENFORCE
        if (found := ways(scene, view, aim.declared, other)) is not None
    ]
    admitting = [(other, found) for other, found in met if not isinstance(found, Refused)]
    whole = [(other, found) for other, found in admitting if peer.selector.implies(other.selector)]
    for other, found in whole:
        yield from to_stage(scene, aim, peer, _held(scene, view, aim, peer, found), other)
    if whole:
        return
    for other, refused in [(o, f) for o, f in met if isinstance(f, Refused)][:_MOST_TOLD]:
        part = "" if peer.selector.implies(other.selector) else "some of "
        who = f"stage {other.key}, whose pods are {part}those of {aim.described},"
        notes.refused(scene, view, aim.declared, aim.described, refused.reason, who)
    if any(peer.selector.implies(other.selector) for other, _ in met):
        yield aim.closed()
        return
    if not admitting or peer.namespace != scene.namespace:
        ports = grants.granted_ports(scene, view, aim.declared, peer, ports, aim.described)
    if not ports:
        yield aim.closed()
        return
    tunnel = tunnels.to_pods(scene, view, peer)
    wanted = http_rules(aim.declared.entry.http)
    granted = list(requests.parted(scene, view, peer, ports, wanted, aim.described, aim.declared.because))
    for given in granted:
        unread = unread_behind(scene, peer, given.ports, given.http)
        edge = aim.opened(peer, given.ports, given.http, aim.hosts, unread=unread, tunnel=tunnel)
        yield replace(edge, by_grant=given.by_grant)
    if not granted:
        yield aim.closed()


def to_stage(scene: Scene, aim: Aim, peer: PodPeer, found: Sequence[Way], other: View) -> Iterator[Edge]:
    """Open the ways to a stage's pods; without any, nothing is open."""
    for way in found:
        for part in [Part(way.ports, aim.hosts)] if aim.hosts else parts(scene, other, way.ports):
            unread = unread_ports(scene, other, part.ports, way.http)
            tunnel = tunnels.to_stage(scene, other)
            yield aim.opened(peer, part.ports, way.http, part.hosts, other.mesh, part.fronts, unread, tunnel)
    if not found:
        yield aim.closed()


def _held(scene: Scene, view: View, aim: Aim, peer: PodPeer, found: Sequence[Way]) -> list[Way]:
    """Hold ways to a stage of another namespace to what grants there leave of them."""
    left = []
    for way in found:
        ports = grants.held_ports(scene, view, peer, way.ports)
        if ports != way.ports:
            grants.note_ungranted(scene, aim.declared.because, aim.described, peer.namespace, closed=True)
        because, described = aim.declared.because, aim.described
        granted = requests.parted(scene, view, peer, ports, way.http, described, because) if ports else ()
        left += [replace(way, ports=part.ports, http=part.http) for part in granted]
    return left
