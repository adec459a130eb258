"""What stands between an edge and a mesh in which one port carries all others: Istio's ambient one, and Linkerd.

Sources: Istio's pages on ambient L4 policy, waypoints and NetworkPolicy; semantics, § Mesh; docs/adr/0027.
"""

from collections.abc import Iterator
from typing import Final

from pipesegment.compile.capture import captured, has_tcp, is_captured
from pipesegment.compile.problem import HTTP_NOT_ENFORCED, Problem
from pipesegment.reach.edges import Edge, Mesh
from pipesegment.reach.graph import Reach, StageReach

#: How many Services a message lists.
_SHOWN: Final = 3


def ambient_problem(edge: Edge, receiver: str, *, selectable: bool) -> Problem | None:
    """Find why an edge to a stage in the ambient mesh cannot be expressed; `selectable`: Istio can select its pods."""
    if not is_captured(edge.ports, Mesh.AMBIENT):
        return None
    if not selectable:
        return Problem(
            "MeshSelector",
            f"ztunnel takes calls to {receiver} at one port for all of its ports, and Istio cannot select its pods to hold "
            "callers to some",
            "select its pods by labels or by `In` with few values, or give the stage `mesh: None`",
        )
    tunnel = edge.tunnel
    if tunnel is not None and tunnel.distrusted:
        return Problem(
            "WaypointUnfit",
            f"calls to {receiver} pass a waypoint that cannot carry them as declared: {tunnel.distrusted}",
            "give its Services a waypoint that serves only theirs and this namespace (and that the exceptPods of an isolating "
            "class leave out), or the label istio.io/use-waypoint: none",
        )
    unread = sorted(set(_unread(edge))) if edge.http else []
    if unread or (edge.http and not edge.ports):
        ports = ", ".join(unread)
        return Problem(
            HTTP_NOT_ENFORCED,
            f"no waypoint stands in front of {receiver}{f' at port {ports}' if ports else ''}, and ztunnel reads no requests",
            "give a Service that leads there the label istio.io/use-waypoint, leave `http` out, or let the class set "
            "`inexact.http: Coarse`",
        )
    return None


def _unread(edge: Edge) -> Iterator[str]:
    """Give the ports of an edge that no Service behind a waypoint leads to, by the Service that is named if one is."""
    fronts = edge.tunnel.fronts if edge.tunnel else ()
    named = {host.partition("/")[2].partition(".")[0] for host in edge.hosts}
    served = {target for front in fronts if not named or front.service in named for _, target in front.ports}
    for port in captured(edge.ports, Mesh.AMBIENT):
        if not isinstance(port.port, int) or any(
            n not in served for n in range(port.port, (port.end or port.port) + 1)
        ):
            yield f"{port.port}" if port.end is None else f"{port.port}-{port.end}"


def is_tunnelled(stage: StageReach, edge: Edge) -> bool:
    """Tell whether the mesh carries an edge of a stage to a port of its own."""
    return stage.mesh in {Mesh.AMBIENT, Mesh.LINKERD} and edge.tunnel is not None and has_tcp(edge.ports)


def wider_than_declared(stage: StageReach, edge: Edge) -> Problem | None:
    """Tell what the tunnel opens beside what an egress edge declares: ports and Services that nothing of ours guards."""
    if edge.direction != "egress" or not is_tunnelled(stage, edge):
        return None
    tunnel = edge.tunnel
    assert tunnel is not None
    if not tunnel.guarded and edge.ports:
        return Problem(
            "TunnelOpen",
            f"the mesh carries calls to {edge.described} to one port for all of its ports, and nothing of ours holds them "
            "to some, so every TCP port there is open",
            _to_be_held(stage, edge),
        )
    if tunnel.beside:
        shown = ", ".join(tunnel.beside[:_SHOWN]) + (", …" if len(tunnel.beside) > _SHOWN else "")
        return Problem(
            "TunnelOpen",
            f"calls to {edge.described} pass a waypoint, and whoever reaches it reaches the other Services behind it "
            f"that no policy of ours guards ({shown})",
            "give these Services another waypoint, or declare their pods as stages",
        )
    return None


def withheld(reach: Reach, stage: StageReach, edge: Edge) -> Problem | None:
    """Judge what a grant covers: its ports are the owners' word, and the tunnel would carry every other port too."""
    if edge.direction != "egress" or not is_tunnelled(stage, edge) or not edge.ports:
        return None
    tunnel = edge.tunnel
    covered = any((c.stage, c.because) == (stage.key, edge.because) for c in reach.covered)
    if tunnel is None or tunnel.guarded or not covered:
        return None
    return Problem(
        "TunnelOpen",
        f"a SegmentGrant lets this stage reach some ports of {edge.described}, and the mesh carries calls to one port for all "
        "of its ports, where nothing of ours holds them; the edge stays closed",
        "declare those pods as a stage that accepts this one, or take either side out of the mesh",
    )


def _to_be_held(stage: StageReach, edge: Edge) -> str:
    if stage.mesh is Mesh.LINKERD and edge.other_meshed:
        return (
            "let that stage enforce, annotate its namespace config.linkerd.io/default-inbound-policy: deny (then ports that no "
            "Server names are closed too), and restart its pods"
        )
    if edge.other_meshed:
        return "let that stage enforce"
    return "declare those pods as a stage, or give the calling stage `mesh: None`"
