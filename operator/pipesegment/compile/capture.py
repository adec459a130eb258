"""Which ports a mesh's proxy stands in front of, and how its policies can name them.

Sidecars and ztunnel capture TCP only; UDP and SCTP pass them by and are carried by NetworkPolicy alone. A sidecar's own
ports are excluded from capture. AuthorizationPolicies name ports by number, one by one (facts, security §5; oracles, Istio
cases); Linkerd has a Server for each.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from pipesegment.reach.edges import Edge, Mesh, PortRange
from pipesegment.reach.graph import StageReach

#: Ports that a sidecar's redirection leaves out: Istio's own (merged metrics, health, Envoy's metrics); Linkerd's own (tap,
#: metrics) and those that it skips unless told otherwise.
_OWN: Final[Mapping[Mesh, frozenset[int]]] = {
    Mesh.ISTIO: frozenset({15020, 15021, 15090}),
    Mesh.LINKERD: frozenset({4190, 4191, 4567, 4568}),
}

#: The most ports that one edge may become in an AuthorizationPolicy.
MAX_PORTS: Final = 64


def captured(ports: Sequence[PortRange], mesh: Mesh = Mesh.ISTIO) -> tuple[PortRange, ...]:
    """Give the ports that the callee's proxy captures."""
    own = _OWN.get(mesh, frozenset())
    return tuple(p for p in ports if p.protocol == "TCP" and not (p.end is None and p.port in own))


def is_captured(ports: Sequence[PortRange], mesh: Mesh = Mesh.ISTIO) -> bool:
    """Tell whether any of an edge's ports is captured; no ports means every port."""
    return not ports or bool(captured(ports, mesh))


def admitted(stage: StageReach) -> list[Edge]:
    """Give the ingress edges that the policies of a stage's mesh let in: those that its proxy captures."""
    return [e for e in stage.ingress if e.open and e.principals and is_captured(e.ports, stage.mesh)]


def has_tcp(ports: Sequence[PortRange]) -> bool:
    """Tell whether a sender's proxy captures any of an edge's ports: outbound it leaves out none of TCP."""
    return not ports or any(p.protocol == "TCP" for p in ports)


def count(ports: Sequence[PortRange], mesh: Mesh = Mesh.ISTIO) -> int:
    """Count the single ports behind numbers and ranges, names as one each."""
    return sum((p.end or p.port) - p.port + 1 if isinstance(p.port, int) else 1 for p in captured(ports, mesh))


def numbers(ports: Sequence[PortRange], mesh: Mesh = Mesh.ISTIO) -> tuple[int, ...]:
    """Give every captured port as a number, sorted and unique; names must have been sorted out before."""
    found = {n for p in captured(ports, mesh) if isinstance(p.port, int) for n in range(p.port, (p.end or p.port) + 1)}
    return tuple(sorted(found))
