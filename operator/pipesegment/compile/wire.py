"""Edges as the network sees them where a mesh carries calls to one port: in Istio's ambient data plane, and in Linkerd.

NetworkPolicies are enforced outside of the pod, where a call is on its way to port 15008 of the other pod, or of a waypoint
that stands in front of it (Istio, 'Ambient and Kubernetes NetworkPolicy'), or between Linkerd's sidecars to port 4143
(Linkerd, 'Network Policy'). The declared ports stay open beside it: UDP and SCTP travel there, and so does TCP to pods that
nobody captures, and between older sidecars of Linkerd's. Who may call which port inside the tunnel is the proxy's to hold
(`ambient`, `linkerd`).

What kubelet sends to a captured pod comes from an address of the link-local range. Engines let the node in by itself, and
take this address for a stranger's: without a rule probes would fail. It is nobody else's, for no pod can have it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from pipesegment.compile.ambient_rules import is_tunnelled
from pipesegment.reach.edges import AddressPeer, Edge, Mesh, PortRange, Target
from pipesegment.reach.graph import GrantedIngress, Reach, StageReach
from pipesegment.reach.tunnels import peer

TUNNELS: Final[Mapping[Mesh, PortRange]] = {
    Mesh.AMBIENT: PortRange("TCP", 15008),
    Mesh.LINKERD: PortRange("TCP", 4143),
}
#: From where kubelet's probes come to pods that are captured.
PROBES: Final = (AddressPeer("169.254.7.127/32"), AddressPeer("fd16:9254:7127:1337:ffff:ffff:ffff:ffff/128"))
_EVERY_PORT: Final = (PortRange("TCP", 1, 65535),)


def on_the_wire(reach: Reach) -> Reach:
    """Give a Reach whose edges are what policies of the network must let through."""
    tunnelled = {
        (stage.key, edge.because): TUNNELS[stage.mesh]
        for stage in reach.stages
        for edge in stage.egress
        if edge.open and is_tunnelled(stage, edge)
    }
    granted = (_granted(half, tunnelled.get((half.stage, half.because))) for half in reach.granted)
    return replace(reach, stages=tuple(map(_stage, reach.stages)), granted=tuple(granted))


def _granted(half: GrantedIngress, tunnel: PortRange | None) -> GrantedIngress:
    return half if tunnel is None or not half.ports else replace(half, ports=(*half.ports, tunnel))


def _stage(stage: StageReach) -> StageReach:
    if stage.mesh not in TUNNELS:
        return stage
    runner = stage.runner and replace(stage.runner, egress=_edges(stage, stage.runner.egress))
    probes = (_probes(),) if stage.mesh is Mesh.AMBIENT and not stage.closed else ()
    return replace(
        stage,
        egress=_edges(stage, stage.egress),
        ingress=(*_edges(stage, stage.ingress), *probes),
        runner=runner,
    )


def _edges(stage: StageReach, edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
    return tuple(each for edge in edges for each in _edge(stage, edge))


def _edge(stage: StageReach, edge: Edge) -> Iterator[Edge]:
    if not edge.open or not is_tunnelled(stage, edge):
        yield edge
        return
    assert edge.tunnel is not None
    # What travels there is encrypted: no proxy of the network reads requests in it.
    tunnel = TUNNELS[stage.mesh]
    yield replace(edge, ports=(*edge.ports, tunnel) if edge.ports else (), http=())
    if edge.tunnel.waypoints:
        yield replace(edge, peers=tuple(map(peer, edge.tunnel.waypoints)), ports=(tunnel,), http=())


def _probes() -> Edge:
    return Edge("mesh", "ingress", Target.CIDR, "probes of the node", open=True, peers=PROBES, ports=_EVERY_PORT)
