"""The API server of the cluster: what stands behind Service default/kubernetes, followed when it changes."""

from collections.abc import Iterator

from pipesegment.reach import addresses
from pipesegment.reach.edges import AddressPeer, Edge, PortRange, Target
from pipesegment.reach.ports import http_rules, ranges
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import Declared
from pipesegment.spec.segment import ReachEntry

_NAMESPACE, _NAME = "default", "kubernetes"
_DESCRIBED = "kubernetesAPI"


def edges(scene: Scene, declared: Declared[ReachEntry]) -> Iterator[Edge]:
    """Open every address of its EndpointSlices at its own port, and the ClusterIP at the Service's.

    Engines judge before or after the Service's address is translated, so both are needed. Ports that are declared take
    the place of its own.
    """
    scene.reads.add(("EndpointSlice", _NAMESPACE, "*"))
    service = scene.service(_NAMESPACE, _NAME)
    wanted = ranges(declared.entry.ports)
    found = False
    for each in scene.snapshot.slices_of(_NAMESPACE, _NAME):
        ports = wanted or tuple(sorted(PortRange(protocol, number) for _, number, protocol in each.ports))
        if each.addresses and ports:
            found = True
            yield _edge(declared, each.addresses, ports)
    if service is not None and service.cluster_ips:
        ports = wanted or tuple(sorted(PortRange(p.protocol, p.port) for p in service.ports))
        # An edge without ports would mean every port.
        if ports:
            yield _edge(declared, sorted(service.cluster_ips), ports, virtual=True)
    if not found:
        scene.note(
            declared.because,
            "Unresolved",
            _DESCRIBED,
            f"the facts hold no EndpointSlice of Service {_NAMESPACE}/{_NAME}, so the API server's addresses are unknown",
            "give it with --facts, or use --cluster",
        )
        if service is None:
            yield Edge(declared.because, "egress", Target.KUBERNETES_API, _DESCRIBED, open=False, ports=wanted)


def _edge(
    declared: Declared[ReachEntry],
    found: tuple[str, ...] | list[str],
    ports: tuple[PortRange, ...],
    *,
    virtual: bool = False,
) -> Edge:
    return Edge(
        because=declared.because,
        direction="egress",
        target=Target.KUBERNETES_API,
        described=_DESCRIBED,
        open=True,
        peers=tuple(AddressPeer(addresses.host(a)) for a in found),
        ports=ports,
        http=http_rules(declared.entry.http),
        hosts=(f"{_NAMESPACE}/{_NAME}.{_NAMESPACE}.svc.cluster.local",),
        virtual=virtual,
    )
