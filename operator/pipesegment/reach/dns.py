"""DNS: which stages resolve names, and where the cluster's resolvers are. Never 'port 53 to anywhere'."""

from collections.abc import Iterator
from typing import Final

from pipesegment.facts.selectors import Selector, canonical
from pipesegment.facts.snapshot import Service
from pipesegment.reach import addresses, engines
from pipesegment.reach.edges import AddressPeer, Edge, Peer, PodPeer, PortRange, Target
from pipesegment.reach.ports import ranges, sort_key
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View

_WITHOUT_NAMES: Final = frozenset({"cidr", "imds"})
_DNS: Final = 53
_PORTS: Final = (PortRange("TCP", _DNS), PortRange("UDP", _DNS))
#: The pods of the node's cache.
NODE_LOCAL: Final = Selector.of({"k8s-app": "node-local-dns"})


def edges(scene: Scene, view: View, *, names_needed: bool) -> Iterator[Edge]:
    """Give a stage's DNS edges, when its `dns` says so; `names_needed` is the engine's or the mesh's word."""
    wish = view.stage.dns
    if wish == "None":
        return
    # What an engine needs names for it says itself.
    kinds = {d.entry.kind for d in view.reaches if d.because != engines.BECAUSE}
    if wish == "Auto" and not names_needed and kinds <= _WITHOUT_NAMES:
        return
    because = f"{view.path}.dns"
    found = list(_resolvers(scene))
    scene.watches.add(("kube-system", NODE_LOCAL))
    if not found:
        scene.note(
            because,
            "Unresolved",
            "dns",
            "the facts hold no resolver (Service kube-system/kube-dns), so no name can be looked up",
            "give the facts with --facts or --cluster, or set network.dns in the SegmentClass",
        )
        yield Edge(because, "egress", Target.DNS, "dns", open=False)
    for peers, ports, hosts in found:
        yield Edge(because, "egress", Target.DNS, "dns", open=True, peers=peers, ports=ports, hosts=hosts)


def _resolvers(scene: Scene) -> Iterator[tuple[tuple[Peer, ...], tuple[PortRange, ...], tuple[str, ...]]]:
    """Give each resolver's pods or addresses, its ports, and what the mesh calls it (nothing for bare addresses)."""
    own = scene.governance.spec.network.dns
    if own.pods or own.cidrs:
        ports = ranges(own.ports) or _PORTS
        pods = [PodPeer(p.namespace or "kube-system", canonical(p.pod_selector)) for p in own.pods]
        blocks = [AddressPeer(c) for c in sorted(own.cidrs)]
        yield (*pods, *blocks), ports, ()
        return
    service = _service(scene)
    if service is not None and service.selector is not None:
        targets = ranges(own.ports) or tuple(
            sorted({PortRange(p.protocol, p.target) for p in service.ports if p.port == _DNS}, key=sort_key)
        )
        if targets:
            namespace, name = service.meta.key
            host = f"{namespace}/{name}.{namespace}.svc.cluster.local"
            yield (PodPeer(namespace, service.selector),), targets, (host,)
    if any(True for _ in scene.snapshot.pods_of("kube-system", NODE_LOCAL)):
        yield (AddressPeer(addresses.host(addresses.NODE_LOCAL_DNS)),), _PORTS, ()


def _service(scene: Scene) -> Service | None:
    found = scene.service("kube-system", "kube-dns")
    if found is not None:
        return found
    scene.reads.add(("Service", "kube-system", "*"))
    for _, labelled in sorted(scene.snapshot.services.get("kube-system", {}).items()):
        if labelled.meta.labels.get("k8s-app") == "kube-dns":
            return labelled
    # Last, because elsewhere than on OpenShift anybody who may make namespaces could make this one.
    return scene.service("openshift-dns", "dns-default")
