"""Callers whom a mesh tells apart by identity alone, where a segment means some of their pods.

Outside of a mesh that carries all calls to one port, NetworkPolicy narrows an identity to pods, port by port. Behind such a
port it cannot: a pod that comes in by another edge, or by a waypoint, is let in wherever its identity is (docs/adr/0027).
"""

from collections.abc import Iterator

from pipesegment.compile.capture import admitted, is_captured, numbers
from pipesegment.compile.problem import Problem
from pipesegment.reach.edges import Edge, Mesh, PodPeer, Target
from pipesegment.reach.graph import StageReach


def unheld(stage: StageReach, edge: Edge) -> Problem | None:
    """Judge pods without accounts, whose identity is their whole namespace: the edge stays closed where more come in by it."""
    who = "" if all(p.account for p in edge.principals) else _who(stage, edge)
    if not who:
        return None
    return Problem(
        "TunnelOpen",
        f"the mesh knows {edge.described} by their namespace alone, and {who} would be let in by it; the edge stays closed",
        "name the pods' serviceAccounts in this entry, or give the stage `mesh: None`",
    )


def wider(stage: StageReach, edge: Edge) -> Problem | None:
    """Tell that pods of the accounts that an edge names come in by it, whichever pods it means."""
    who = _who(stage, edge) if all(p.account for p in edge.principals) else ""
    if not who:
        return None
    return Problem(
        "TunnelOpen",
        f"the mesh knows {edge.described} by their accounts alone, and other pods that run as these may call too, for "
        f"{who} would be let in by it",
        "give the pods that are meant an account of their own",
    )


def _who(stage: StageReach, edge: Edge) -> str:
    """Say who else would be let in by an edge; '' when nobody would."""
    if edge.direction != "ingress" or edge.target is not Target.PODS or not edge.principals:
        return ""
    if stage.mesh not in {Mesh.AMBIENT, Mesh.LINKERD} or not is_captured(edge.ports, stage.mesh):
        return ""
    if _passes_waypoint(stage, edge):
        return "every one of them that passes the waypoint"
    beside = next(_beside(stage, edge), None)
    return f"{beside.described}, to which the same port is open," if beside is not None else ""


def _passes_waypoint(stage: StageReach, edge: Edge) -> bool:
    called = numbers(edge.ports, stage.mesh)
    return any(not edge.ports or target in called for front in stage.fronts for _, target in front.ports)


def _beside(stage: StageReach, edge: Edge) -> Iterator[Edge]:
    """Give the edges by which other pods of such an identity come to the mesh's port, and are not let in to these ports."""
    for other in admitted(stage):
        if other is not edge and _share(edge, other) and not _covers(stage, other, edge):
            yield other


def _share(edge: Edge, other: Edge) -> bool:
    """Tell whether an edge's identities are some of another's, whose pods are not all the edge's."""
    accounts, others = ({(p.namespace, p.account) for p in each.principals} for each in (edge, other))
    namespaces = {namespace for namespace, account in accounts if account is None}
    alike = (
        accounts & others or any(n in namespaces for n, _ in others) or any((n, None) in others for n, _ in accounts)
    )
    pairs = ((mine, theirs) for mine in edge.peers for theirs in other.peers)
    return bool(alike) and any(
        isinstance(mine, PodPeer)
        and isinstance(theirs, PodPeer)
        and mine.namespace == theirs.namespace
        and not theirs.selector.implies(mine.selector)
        for mine, theirs in pairs
    )


def _covers(stage: StageReach, other: Edge, edge: Edge) -> bool:
    """Tell whether an edge opens all that another does, so that its pods gain nothing."""
    if other.http not in ((), edge.http):
        return False
    if not other.ports:
        return True
    return bool(edge.ports) and set(numbers(edge.ports, stage.mesh)) <= set(numbers(other.ports, stage.mesh))
