"""Edges as the network sees them in Istio's ambient mesh: what is called at any TCP port arrives at the tunnel's.

NetworkPolicies are enforced outside of the pod, where a call is on its way to port 15008 of the other pod, or of a waypoint
that stands in front of it (Istio, 'Ambient and Kubernetes NetworkPolicy'). The declared ports stay open beside it: UDP and
SCTP travel there, and so does TCP to pods that nobody captures. Who may call which port inside the tunnel is ztunnel's to
hold (`ambient`), and a waypoint's.

What kubelet sends to a captured pod comes from an address of the link-local range. Engines let the node in by itself, and
take this address for a stranger's: without a rule probes would fail. It is nobody else's, for no pod can have it.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from pipesegment.compile.ambient_rules import is_tunnelled
from pipesegment.reach.graph import AddressPeer, Edge, Mesh, PortRange, Reach, StageReach, Target
from pipesegment.reach.tunnels import peer

TUNNEL: Final = PortRange("TCP", 15008)
#: From where kubelet's probes come to pods that are captured.
PROBES: Final = (AddressPeer("169.254.7.127/32"), AddressPeer("fd16:9254:7127:1337:ffff:ffff:ffff:ffff/128"))
_EVERY_PORT: Final = (PortRange("TCP", 1, 65535),)


def on_the_wire(reach: Reach) -> Reach:
    """Give a Reach whose edges are what policies of the network must let through."""
    return replace(reach, stages=tuple(map(_stage, reach.stages)))


def _stage(stage: StageReach) -> StageReach:
    if stage.mesh is not Mesh.AMBIENT:
        return stage
    runner = stage.runner and replace(stage.runner, egress=_edges(stage, stage.runner.egress))
    probes = () if stage.closed else (_probes(),)
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
    yield replace(edge, ports=(*edge.ports, TUNNEL) if edge.ports else (), http=())
    if edge.tunnel.waypoints:
        yield replace(edge, peers=tuple(map(peer, edge.tunnel.waypoints)), ports=(TUNNEL,), http=())


def _probes() -> Edge:
    return Edge("mesh", "ingress", Target.CIDR, "probes of the node", open=True, peers=PROBES, ports=_EVERY_PORT)
