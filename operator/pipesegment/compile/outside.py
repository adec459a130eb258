"""Host names as Istio's sidecars know them: a ServiceEntry for what a stage reaches by name.

A sidecar that knows every target of its stage passes on nothing else (REGISTRY_ONLY). It tells names apart at 443, by what TLS
asks for, and at 80, by the Host of a request; at any other port it could tell the port alone, so that a stage which names
hosts there is left with what the network holds. Addresses are the caller's own (resolution NONE): the network's policies
hold those, and the port.

Of several entries of one namespace for one host a sidecar takes one, whichever. Hence all of ours say the same of a host,
both ports, whatever is declared (seen at real sidecars). An entry is visible in its own namespace alone.
"""

from collections.abc import Iterator
from typing import Any, Final

from pipesegment import names
from pipesegment.compile.capture import has_tcp
from pipesegment.compile.objects import owned
from pipesegment.reach.edges import Edge, NamePeer, Target
from pipesegment.reach.graph import Reach, StageReach

KIND: Final = "ServiceEntry"
_API_VERSION: Final = "networking.istio.io/v1"
_PORTS: Final = {80: "HTTP", 443: "TLS"}


def host_names(edge: Edge) -> tuple[str, ...]:
    """Give the host names that a sidecar can tell apart for an edge; none for what is meant otherwise, or at other ports."""
    if edge.target not in {Target.FQDN, Target.DESTINATION}:
        return ()
    told_apart = all(p.end is None and p.port in _PORTS for p in edge.ports if p.protocol == "TCP")
    by_peer = tuple(peer.name for peer in edge.peers if isinstance(peer, NamePeer))
    return tuple(sorted(by_peer or edge.names)) if edge.ports and told_apart else ()


def service_entries(reach: Reach, stage: StageReach) -> Iterator[dict[str, Any]]:
    """Render what a stage's sidecars know of the outside: one object, where it reaches any host by name."""
    hosts = {name for edge in stage.egress if edge.open and has_tcp(edge.ports) for name in host_names(edge)}
    if hosts:
        made = owned(reach, _API_VERSION, KIND, names.object_name(stage.key.segment, stage.key.stage), stage)
        made["spec"] = {
            "hosts": sorted(hosts),
            "exportTo": ["."],
            "location": "MESH_EXTERNAL",
            "resolution": "NONE",
            "ports": [{"number": n, "name": f"{p.lower()}-{n}", "protocol": p} for n, p in _PORTS.items()],
        }
        yield made
