"""How meshes carry calls to one port: Istio's ztunnel to the pods' 15008, or a waypoint's; Linkerd to the pods' 4143.

Linkerd's Servers hold callers at the ports that they name. At every other port its default for the pod does, which is what
the namespace's annotation said when the pod was made (Linkerd's reference on authorization policy).

A waypoint calls under an identity of its own, so that the pods behind it can only tell that it was the waypoint. A stage
lets it in where every call that the waypoint takes for its pods is held by a policy of ours: it serves Services alone, of its
own namespace, and those Services lead to this stage only (docs/adr/0027). Sources: Istio's pages on ambient L4 policy,
waypoints and NetworkPolicy; how istiod finds the waypoint of a Service.
"""

from collections.abc import Iterator
from typing import Final

from pipesegment import names
from pipesegment.facts.meta import Key
from pipesegment.facts.others import LINKERD_PROXY
from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import Gateway, Service, Snapshot
from pipesegment.reach import mesh
from pipesegment.reach.edges import Front, Mesh, Mode, PodPeer, Tunnel, Waypoint
from pipesegment.reach.fronts import numbers_behind
from pipesegment.reach.governance import isolation_of, namespace_labels
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View
from pipesegment.reach.ways import meet

_USE: Final = "istio.io/use-waypoint"
_ELSEWHERE: Final = "istio.io/use-waypoint-namespace"
_CLASS: Final = "istio-waypoint"
#: On a waypoint's pods: its name.
_NAME: Final = "gateway.networking.k8s.io/gateway-name"


def to_stage(scene: Scene, target: View) -> Tunnel | None:
    """Tell how calls to a stage travel; None where each port is called as it is."""
    if target.mesh not in {Mesh.AMBIENT, Mesh.LINKERD}:
        return None
    return scene.once(("tunnel", target.key), lambda: _to_stage(scene, target))


def to_pods(scene: Scene, caller: View, peer: PodPeer) -> Tunnel | None:
    """Tell how a stage's calls to pods of no stage travel; None where these are in no such mesh, as far as is seen.

    A pod's own label counts where the selector requires it.
    """
    scene.reads.add(("Namespace", "", peer.namespace))
    if caller.mesh is Mesh.LINKERD:
        return Tunnel(guarded=False) if _is_injected(scene, peer) else None
    if caller.mesh is not Mesh.AMBIENT:
        return None
    if not mesh.captures(peer.selector, peer.namespace, scene.snapshot):
        return None
    behind = list(_behind(scene, peer))
    return Tunnel(guarded=False, waypoints=_waypoints(gateway for _, gateway in behind))


def fronts(scene: Scene, view: View) -> tuple[Front, ...]:
    """Give the Services of a stage that calls reach through a waypoint which can be held to our policies."""
    found = to_stage(scene, view)
    return found.fronts if found and not found.distrusted else ()


def _is_injected(scene: Scene, peer: PodPeer) -> bool:
    """Tell whether Linkerd gives a namespace's pods sidecars, or one of these pods is seen to have one."""
    if mesh.annotation(mesh.INJECT, peer.namespace, scene.snapshot) in mesh.INJECTED:
        return True
    return any(LINKERD_PROXY in pod.containers for pod in scene.snapshot.pods_of(peer.namespace, peer.selector))


def _to_stage(scene: Scene, target: View) -> Tunnel:
    namespace = target.key.namespace
    if target.mesh is Mesh.LINKERD:
        scene.reads.add(("Namespace", "", namespace))
        denies = mesh.annotation(mesh.DEFAULT_POLICY, namespace, scene.snapshot) == "deny"
        return Tunnel(guarded=denies and target.mode is Mode.ENFORCE)
    behind = list(_behind(scene, PodPeer(namespace, target.selector)))
    doubts = [_PODS_OWN] if _USE in dict(target.selector.labels) else []
    found = []
    for service, gateway in behind:
        doubt = _doubt(scene, service, gateway, target)
        if doubt:
            doubts.append(doubt)
        else:
            found.append(Front(service.meta.name, _waypoint(gateway), _ports(scene, target, service)))
    waypoints = _waypoints(gateway for _, gateway in behind)
    return Tunnel(
        guarded=target.mode is Mode.ENFORCE,
        waypoints=waypoints,
        fronts=tuple(sorted(found)),
        beside=tuple(_unguarded(scene, namespace, waypoints)),
        distrusted=min(doubts, default=""),
    )


_PODS_OWN: Final = f"its pods have a waypoint of their own (label {_USE})"


def _doubt(scene: Scene, service: Service, gateway: Gateway, target: View) -> str:
    """Say why a waypoint cannot be held to what a stage accepts; '' when it can."""
    name = gateway.meta.key
    if gateway.meta.namespace != target.key.namespace or gateway.shared:
        return f"waypoint {name} serves more namespaces than {target.key.namespace}"
    if gateway.handles not in {"", "service"}:
        return f"waypoint {name} passes calls to pods (istio.io/waypoint-for: {gateway.handles}), which no Service's policy holds"
    if _is_isolated(scene, gateway):
        return f"the SegmentClass isolates namespace {gateway.meta.namespace} and its exceptPods do not leave waypoint {name} out"
    if service.selector is None or not service.selector.implies(target.selector):
        return f"Service {service.meta.name} behind waypoint {name} selects pods of others too"
    return ""


def _is_isolated(scene: Scene, gateway: Gateway) -> bool:
    """Tell whether a class closes the waypoint's own pods, as far as the labels that Istio gives them tell."""
    scene.reads.add(("NetworkPolicy", gateway.meta.namespace, names.DEFAULT_DENY))
    excepted = isolation_of(gateway.meta.namespace, scene.snapshot)
    labels = {_NAME: gateway.meta.name, "gateway.networking.k8s.io/gateway-class-name": _CLASS}
    return excepted is not None and not any(selector.matches(labels) for selector in excepted)


def _ports(scene: Scene, target: View, service: Service) -> tuple[tuple[int, int], ...]:
    found = {
        (port.port, number)
        for port in service.ports
        if port.protocol == "TCP"
        for number in numbers_behind(scene, target, port) or ()
    }
    return tuple(sorted(found))


def _behind(scene: Scene, peer: PodPeer) -> Iterator[tuple[Service, Gateway]]:
    """Give the Services that lead to some of these pods through a waypoint, with that waypoint."""
    for service, gateway in _through(scene, peer.namespace):
        assert service.selector is not None
        if meet(scene, peer.namespace, service.selector, peer.selector):
            yield service, gateway


def _through(scene: Scene, namespace: str) -> Iterator[tuple[Service, Gateway]]:
    """Give the Services of a namespace whose calls pass a waypoint; those without an address are called pod by pod."""
    scene.reads.add(("Service", namespace, "*"))
    scene.reads.add(("Namespace", "", namespace))
    for _, service in sorted(scene.snapshot.services.get(namespace, {}).items()):
        if service.selector is None or service.headless or service.type == "ExternalName":
            continue
        named = _use(service, scene.snapshot)
        if named is not None:
            scene.reads.add(("Gateway", *named))
            gateway = scene.snapshot.gateways.get(named.namespace, {}).get(named.name)
            if gateway is not None and gateway.class_name == _CLASS and not gateway.meta.deleting:
                yield service, gateway


def _use(service: Service, snapshot: Snapshot) -> Key | None:
    """Find the waypoint that a Service uses: its own label counts before its namespace's, `none` is none."""
    own = service.meta.labels
    labels = own if _USE in own else namespace_labels(service.meta.namespace, snapshot)
    name = labels.get(_USE)
    return Key(labels.get(_ELSEWHERE) or service.meta.namespace, name) if name and name != "none" else None


def _unguarded(scene: Scene, namespace: str, waypoints: tuple[Waypoint, ...]) -> Iterator[str]:
    """Give the Services behind these waypoints that no stage of ours guards: whoever reaches the waypoint reaches them."""
    if not waypoints:
        return
    for service, gateway in _through(scene, namespace):
        assert service.selector is not None
        inside = [p for selector, p in scene.related(namespace, service.selector) if service.selector.implies(selector)]
        guards = scene.viewed(namespace, inside)
        guarded = any(v.mesh is Mesh.AMBIENT and v.mode is Mode.ENFORCE for v in guards)
        if _waypoint(gateway) in waypoints and not guarded:
            yield str(service.meta.key)


def _waypoints(gateways: Iterator[Gateway]) -> tuple[Waypoint, ...]:
    return tuple(sorted({_waypoint(gateway) for gateway in gateways}))


def _waypoint(gateway: Gateway) -> Waypoint:
    return Waypoint(gateway.meta.namespace, gateway.meta.name, gateway.account)


def peer(waypoint: Waypoint) -> PodPeer:
    """Give a waypoint's pods."""
    return PodPeer(waypoint.namespace, Selector.of({_NAME: waypoint.name}))
