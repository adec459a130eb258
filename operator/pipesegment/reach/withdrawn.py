"""Consent that is gone: ingress halves of ours in other namespaces that nothing there asks for any more.

Whoever holds a segment back, its author or a class, has no say over another namespace. There a half stands on a grant that
covers it. Unless a grant says `Everyone`, it stands on somebody's isolation as well: where that is gone, ours would be the
first to isolate these pods.
"""

from dataclasses import dataclass

from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import Segment, Snapshot
from pipesegment.reach import fenced, governance, grants
from pipesegment.reach.edges import PodPeer, PortRange, StageKey
from pipesegment.reach.scene import Scene


@dataclass(frozen=True, slots=True)
class Half:
    """What stands in another namespace: for which stage, by which grant, which pods it selects, which ports it opens.

    `isolates`: it keeps out whom no other policy lets in, whether others isolate these pods or not.
    """

    stage: StageKey
    namespace: str
    grant_uid: str
    selector: Selector
    ports: tuple[PortRange, ...]
    isolates: bool = False


def is_withdrawn(segment: Segment, snapshot: Snapshot, half: Half) -> bool:
    """Tell whether a half of a segment must go, whatever holds the segment back."""
    scene = Scene(segment, snapshot)
    peer = PodPeer(half.namespace, half.selector)
    naming = list(grants.naming(scene, half.stage, half.namespace))
    if not any(g.meta.uid == half.grant_uid and grants.covers_all(scene, g, peer, half.ports) for g in naming):
        return True
    if fenced.outside(scene, half.namespace, half.selector) != (half.selector,):
        # They are a stage's by now, and no grant has a say over those.
        return True
    said = [g for g in naming if g.spec is not None and g.spec.isolate == "Everyone"]
    if any(grants.gives_some(scene, g, peer) for g in said):
        return False
    return half.isolates or not _is_isolated(snapshot, peer)


def _is_isolated(snapshot: Snapshot, peer: PodPeer) -> bool:
    """Tell whether one policy of somebody else, or a class, provably isolates all of these pods."""
    excepted = governance.isolation_of(peer.namespace, snapshot)
    if excepted is not None and all(peer.selector.disjoint(e) for e in excepted):
        return True
    return any(peer.selector.implies(p.selector) for p in grants.isolating(snapshot, peer.namespace))
