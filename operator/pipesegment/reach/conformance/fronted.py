"""Services whose own address the Amazon VPC CNI does not open although their pods are open.

Its agent judges a call before the Service's address becomes a pod's. Its controller therefore adds the addresses of Services
to a policy: of those whose selector, read as labels, the policy's own selector matches. EKS promises that only for ports that
have the same number at the Service and at its pods (EKS user guide, considerations of network policies;
amazon-network-policy-controller-k8s, pkg/resolvers/endpoints.go and issues #147, #194, #224).
"""

from collections.abc import Iterable, Iterator
from typing import Final

from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import Pod, Service, ServicePort
from pipesegment.findings import Finding
from pipesegment.reach.conformance.engine import AMAZON
from pipesegment.reach.edges import Edge, PodPeer, PortRange, Target
from pipesegment.reach.graph import StageReach
from pipesegment.reach.scene import Scene

_NAMED: Final = frozenset({Target.SERVICE, Target.DESTINATION})


def check(scene: Scene, stage: StageReach) -> Iterator[Finding]:
    """Find the Services by which an open edge of a stage may not be called."""
    runner = stage.runner.egress if stage.runner else ()
    for edge in (*stage.egress, *runner) if not stage.closed else ():
        for peer in edge.peers if edge.open else ():
            if isinstance(peer, PodPeer):
                scene.reads.add(("Service", peer.namespace, "*"))
                yield from _of_peer(scene, edge, peer)


def _of_peer(scene: Scene, edge: Edge, peer: PodPeer) -> Iterator[Finding]:
    services = scene.snapshot.services.get(peer.namespace, {})
    pods = tuple(scene.snapshot.pods_of(peer.namespace, peer.selector))
    scene.spend(2 * (len(services) + len(pods)))
    for _, service in sorted(services.items()):
        selector = service.selector
        if selector is None or service.headless or service.type == "ExternalName":
            continue
        if edge.target in _NAMED and edge.described != f"service {service.meta.key}":
            continue
        ports = [p for p in service.ports if _is_open(p, edge.ports)]
        if not ports or not _leads(selector, peer.selector, pods):
            continue
        if not peer.selector.matches(dict(selector.labels)):
            yield _unmatched(scene, edge, peer, service, selector)
        else:
            yield from _renumbered(scene, edge, service, ports, pods)


def _leads(theirs: Selector, mine: Selector, pods: Iterable[Pod]) -> bool:
    """Tell whether a Service leads to some pods of a peer: by its word, or as is seen."""
    return theirs.implies(mine) or mine.implies(theirs) or any(theirs.matches(p.labels) for p in pods)


def _is_open(own: ServicePort, ports: tuple[PortRange, ...]) -> bool:
    return not ports or any(p.protocol == own.protocol and _holds(p, own.target) for p in ports)


def _holds(port: PortRange, target: int | str) -> bool:
    if isinstance(port.port, str) or isinstance(target, str):
        return port.port == target
    return port.port <= target <= (port.end or port.port)


def _unmatched(scene: Scene, edge: Edge, peer: PodPeer, service: Service, selector: Selector) -> Finding:
    message = (
        f"calls to Service {service.meta.key} do not pass, only those to its pods: the {AMAZON} opens a Service's own address "
        f"where its selector ({selector}) has all that the policy selects by ({peer.selector})"
    )
    fix = "add these labels to the Service's selector, or have it headless (clusterIP: None)"
    return Finding(edge.because, "ServiceShut", edge.described, message, fix, scene.object)


def _renumbered(
    scene: Scene, edge: Edge, service: Service, ports: Iterable[ServicePort], pods: Iterable[Pod]
) -> Iterator[Finding]:
    differing = sorted({(p.port, number) for p in ports for number in _numbers(p, pods) if number != p.port})
    if differing:
        listed = ", ".join(f"{own} → {target}" for own, target in differing)
        message = (
            f"the {AMAZON} does not promise to let calls to Service {service.meta.key} through, only those to its pods: its "
            f"ports have other numbers there ({listed})"
        )
        fix = "give the Service's port and targetPort one number, or have it headless (clusterIP: None)"
        yield Finding(edge.because, "ServiceShut", edge.described, message, fix, scene.object)


def _numbers(port: ServicePort, pods: Iterable[Pod]) -> set[int]:
    """Give the numbers of a Service's port at its pods; behind a name, as far as pods are seen."""
    if isinstance(port.target, int):
        return {port.target}
    return {p.port for pod in pods for p in pod.ports if (p.name, p.protocol) == (port.target, port.protocol)}
