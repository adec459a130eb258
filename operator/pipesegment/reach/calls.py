"""What grants say of a stage's calls to pods of no stage, where these are in Istio's mesh.

A grant that says `Callers` or `Everyone` holds the stage to the ports of its edges there; `Everyone` holds all others too.
The network does that port by port. A mesh that carries all calls to one port needs policies of its own there, and so
does whoever trusts the mesh alone (semantics, § Mesh; docs/adr/0062).

Policies of Istio's select by labels and cannot leave pods out, and a DENY is about every port that it does not name. So
edges whose pods meet, and are not all the same ones, cannot be held apart: `unheld` says so.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from pipesegment.facts.others import PROXY
from pipesegment.facts.snapshot import Grant
from pipesegment.reach import fenced, grants, mesh
from pipesegment.reach.conformance import unwired
from pipesegment.reach.edges import Edge, Mesh, PodPeer, Principal, Target
from pipesegment.reach.graph import GrantedCalls
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View

_GRANTED: Final = frozenset({Target.SERVICE, Target.PODS, Target.DESTINATION})
#: What a comparison of two edges' pods costs, in the steps of a Scene.
_STEPS: Final = 5
_IN_ISTIO: Final = frozenset({Mesh.ISTIO, Mesh.AMBIENT})


def may_be_granted(edge: Edge) -> bool:
    """Tell whether a grant may have a say in an edge: it is open, and leads to pods that are named as such."""
    return edge.open and edge.target in _GRANTED and edge.because != "mesh"


def strangers(scene: Scene, edge: Edge) -> Iterator[PodPeer]:
    """Give the pods of no stage that an edge leads to."""
    for peer in edge.peers:
        if isinstance(peer, PodPeer) and not scene.is_enforced(peer.namespace, peer.selector):
            yield peer


def granted_calls(scene: Scene, view: View, egress: Iterable[Edge]) -> Iterator[GrantedCalls]:
    """Give what holds a stage's calls in other namespaces, by each selector of pods that a grant gives it."""
    egress = list(egress)
    edges_in: defaultdict[str, list[tuple[Edge, PodPeer]]] = defaultdict(list)
    for edge in egress:
        for peer in edge.peers if edge.open else ():
            if isinstance(peer, PodPeer) and peer.namespace != view.key.namespace:
                edges_in[peer.namespace].append((edge, peer))
    meant = (peer for edge in filter(may_be_granted, egress) for peer in strangers(scene, edge))
    for peer in dict.fromkeys(meant):
        if peer.namespace != view.key.namespace:
            yield from _calls(scene, view, peer, edges_in[peer.namespace])


def _calls(scene: Scene, view: View, peer: PodPeer, around: list[tuple[Edge, PodPeer]]) -> Iterator[GrantedCalls]:
    grant = _holding(scene, view, peer)
    if grant is None or not _in_istio(scene, peer):
        return
    everyone = _is_for_everyone(scene, peer)
    if view.mesh not in _IN_ISTIO and not everyone:
        return
    scene.spend(_STEPS * len(around))
    near = [(edge, other) for edge, other in around if not other.selector.disjoint(peer.selector)]
    unheld = _unheld(scene, peer, near) or ("" if everyone else _other_accounts(scene, view))
    for edge, meant in near:
        yield GrantedCalls(
            because=edge.because,
            stage=view.key,
            principal=Principal(view.key.namespace, view.account) if view.mesh in _IN_ISTIO else None,
            grant=grant.meta.key,
            grant_uid=grant.meta.uid,
            namespace_uid=_uid(scene, peer.namespace),
            pods=peer,
            meant=meant,
            ports=edge.ports,
            http=edge.http,
            sidecar=not mesh.captures(peer.selector, peer.namespace, scene.snapshot),
            everyone=everyone,
            unheld=unheld,
        )


def _holding(scene: Scene, view: View, peer: PodPeer) -> Grant | None:
    """Find the grant that holds the stage at these pods; of many one for everyone, for its object needs an owner."""
    found = [
        g
        for g in grants.naming(scene, view.key, peer.namespace)
        if g.spec is not None and g.spec.isolate != "Nobody" and grants.covers(scene, g, peer.selector)
    ]
    return min(found, key=lambda g: (g.spec is None or g.spec.isolate != "Everyone", g.meta.name), default=None)


def _is_for_everyone(scene: Scene, peer: PodPeer) -> bool:
    """Tell whether a grant there, to whomever, holds everybody who calls some of these pods."""
    found = scene.snapshot.grants.get(peer.namespace, {}).values()
    said = (g for g in found if g.spec is not None and g.spec.isolate == "Everyone" and not g.meta.deleting)
    return any(grants.gives_some(scene, g, peer) for g in said)


def _in_istio(scene: Scene, peer: PodPeer) -> bool:
    """Tell whether Istio's proxies stand in front of these pods, as far as labels of theirs and of their namespace say."""
    scene.reads.add(("Namespace", "", peer.namespace))
    own = dict(peer.selector.labels).get(mesh.DATA_PLANE)
    if own is not None:
        return own == "ambient"
    if mesh.is_labelled(peer.namespace, scene.snapshot):
        return True
    return any(PROXY in pod.containers for pod in scene.snapshot.pods_of(peer.namespace, peer.selector))


def _unheld(scene: Scene, peer: PodPeer, near: list[tuple[Edge, PodPeer]]) -> str:
    """Say why calls to these pods cannot be held to what is declared; '' when they can."""
    apart = next((edge for edge, other in near if not peer.selector.implies(other.selector)), None)
    if apart is not None:
        return f"some of them are meant by {apart.described} too, with ports of its own"
    if any(not edge.ports for edge, _ in near):
        return "every port of theirs is declared"
    if fenced.outside(scene, peer.namespace, peer.selector) != (peer.selector,):
        return "some of them are pods of a stage, for which its own segment speaks"
    waypoint = next((w for edge, _ in near if edge.tunnel for w in edge.tunnel.waypoints), None)
    if waypoint is not None:
        return (
            f"they are called by waypoint {waypoint.namespace}/{waypoint.name}, behind which nobody knows the callers"
        )
    return ""


def _other_accounts(scene: Scene, view: View) -> str:
    """Say that pods of the stage have another identity, as they do until somebody has wired them; '' when none is seen."""
    pods = tuple(scene.snapshot.pods_of(view.key.namespace, view.selector))
    if not unwired.count(view, pods):
        return ""
    return (
        f"pods of the stage run as other accounts than {view.account}, whom no policy about that one refuses anything"
    )


def _uid(scene: Scene, namespace: str) -> str:
    found = scene.snapshot.namespaces.get(namespace)
    return found.meta.uid if found else ""
