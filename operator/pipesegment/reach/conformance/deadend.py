"""Ways that are open here and end at pods that others isolate, and stages that only observe and are blocked all the same.

NetworkPolicies add up, so a foreign one takes nothing from a stage. It does take from whoever a stage talks with: pods that
it isolates answer to what policies there admit. Only what is certain is told: a rule that might admit the stage (by a block
of addresses, by a named port) counts as one that does.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, Literal

from pipesegment import names
from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import NetworkPolicy
from pipesegment.findings import Finding
from pipesegment.reach import governance
from pipesegment.reach.conformance.told import of_stage, selects
from pipesegment.reach.edges import Edge, Mode, PodPeer, PortRange
from pipesegment.reach.graph import GrantedIngress, StageReach
from pipesegment.reach.ports import intersect_ports
from pipesegment.reach.scene import Scene
from pipesegment.reach.stages import Part
from pipesegment.reach.view import View

Direction = Literal["Ingress", "Egress"]

_RULES: Final[Mapping[Direction, tuple[str, str]]] = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}
_EVERY: Final = PortRange("TCP", 0, 65535)


def check(scene: Scene, view: View, stage: StageReach, granted: Collection[GrantedIngress]) -> Iterator[Finding]:
    """Find the open edges of an enforced stage whose other end is closed by somebody else."""
    if stage.closed:
        return
    for edge in (*stage.egress, *stage.ingress):
        for peer in edge.peers if edge.open else ():
            if isinstance(peer, PodPeer):
                by = _closing(scene, view, edge, peer, granted)
                if by:
                    yield _told(scene, view, edge, peer, by)


def check_observing(scene: Scene, view: View) -> Iterator[Finding]:
    """Find policies that isolate the pods of a stage that only observes: foreign ones, and those of other segments."""
    namespace = view.key.namespace
    scene.reads.add(("NetworkPolicy", namespace, "*"))
    pods = tuple(scene.snapshot.pods_of(namespace, view.selector))
    found = [
        p
        for p in scene.snapshot.foreign_policies(namespace)
        if p.policy_types and selects(p.selector, view.selector, pods)
    ]
    if found:
        by = _listed(found)
        message = f"stage {view.key.stage} only observes, and its pods are blocked all the same: {by} isolates them"
        fix = "let it leave these pods out while the stage observes"
        yield of_stage(scene, view, "BlockedByOthers", f"{namespace}/{found[0].meta.name}", message, fix)
    for part in sorted(scene.meeting(namespace, view.selector)):
        if part.segment != view.key.segment and _enforces(scene, namespace, part):
            by = f"segment {namespace}/{part.segment}"
            message = f"stage {view.key.stage} only observes, and its pods are blocked all the same: {by} closes them"
            fix = "have that segment leave these pods out, or let this stage enforce"
            yield of_stage(scene, view, "BlockedByOthers", by, message, fix)
            return


def _enforces(scene: Scene, namespace: str, part: Part) -> bool:
    """Tell whether another segment closes pods: a stage of it that enforces, or its pipeline unless a stage of it observes them."""
    views = scene.views_of(namespace, part.segment)
    if part.kind != "closing":
        return any(view.index == part.stage and view.mode is Mode.ENFORCE for view in views)
    selector = scene.selector_of(namespace, part)
    return all(view.mode is Mode.ENFORCE or selector.disjoint(view.selector) for view in views)


def _told(scene: Scene, view: View, edge: Edge, peer: PodPeer, by: str) -> Finding:
    stage, owners = f"stage {view.key.stage}", f"have the owners of namespace {peer.namespace}"
    if edge.direction == "egress":
        ends = f"{edge.described} is closed at the other end"
        fix = f"{owners} admit {stage} by a SegmentGrant or a NetworkPolicy"
    else:
        ends = f"{edge.described} cannot get out"
        fix = f"{owners} let these pods reach {stage} by a NetworkPolicy"
    message = f"{ends}: {by} isolates pods of namespace {peer.namespace}, and no policy there lets this edge through"
    return Finding(edge.because, "DeadEnd", edge.described, message, fix, scene.object)


def _closing(scene: Scene, view: View, edge: Edge, peer: PodPeer, granted: Collection[GrantedIngress]) -> str:
    """Say who isolates pods of a peer without anybody's letting the edge through; '' when nobody certainly does.

    Pods that are seen are asked one by one; where none is, what holds for every pod of the selector.
    """
    direction: Direction = "Ingress" if edge.direction == "egress" else "Egress"
    namespace = peer.namespace
    scene.reads.update({("NetworkPolicy", namespace, "*"), ("Namespace", "", view.key.namespace)})
    scene.watches.add((namespace, peer.selector))
    foreign = scene.once(("foreign", namespace), lambda: scene.snapshot.foreign_policies(namespace))
    policies = [p for p in foreign if direction in p.policy_types]
    excepted = governance.isolation_of(namespace, scene.snapshot)
    if _is_own(scene, peer) or (not policies and excepted is None):
        return ""
    open_to = [
        *(p.selector for p in policies if _admits(scene, view, edge, p, direction)),
        *(g.selector for g in granted if _lets_in(g, view, edge, namespace) and direction == "Ingress"),
    ]
    pods = [p for p in scene.snapshot.pods_of(namespace, peer.selector) if not p.host_network]
    scene.spend(2 * len(pods) * (1 + len(policies)))
    fenced = scene.enforcing(namespace)
    for pod in sorted(pods, key=lambda p: p.meta.name):
        if pod.meta.name not in fenced and not any(s.matches(pod.labels) for s in open_to):
            isolating = [p for p in policies if p.selector.matches(pod.labels)]
            by_class = excepted is not None and not any(e.matches(pod.labels) for e in excepted)
            if isolating or by_class:
                return _listed(isolating, namespace if by_class else "")
    if pods or scene.is_enforced(namespace, peer.selector) or any(not s.disjoint(peer.selector) for s in open_to):
        return ""
    isolating = [p for p in policies if peer.selector.implies(p.selector)]
    by_class = excepted is not None and all(peer.selector.disjoint(e) for e in excepted)
    return _listed(isolating, namespace if by_class else "")


def _is_own(scene: Scene, peer: PodPeer) -> bool:
    """Tell whether a peer is an enforced stage of this very segment, as most are: its own policy lets the edge through."""
    own = scene.views(scene.segment) if peer.namespace == scene.namespace else ()
    return any(view.selector == peer.selector and view.mode is Mode.ENFORCE for view in own)


def _listed(policies: Collection[NetworkPolicy], isolated: str = "") -> str:
    """Name the first of those who isolate."""
    named = [f"{p.meta.namespace}/{p.meta.name}" for p in policies]
    named += [f"{isolated}/{names.DEFAULT_DENY}"] if isolated else []
    return f"NetworkPolicy {named[0]}" if named else ""


def _lets_in(granted: GrantedIngress, view: View, edge: Edge, namespace: str) -> bool:
    here = granted.stage == view.key and granted.grant.namespace == namespace
    return here and bool(not edge.ports or intersect_ports(edge.ports, granted.ports))


def _admits(scene: Scene, view: View, edge: Edge, policy: NetworkPolicy, direction: Direction) -> bool:
    """Tell whether a policy may let an edge through."""
    rules, side = _RULES[direction]
    for rule in policy.spec.get(rules) or ():
        peers = rule.get(side) or ()
        if (not peers or any(_means(scene, view, policy, p) for p in peers)) and _at(edge, rule.get("ports") or ()):
            return True
    return False


def _means(scene: Scene, view: View, policy: NetworkPolicy, peer: Mapping[str, Any]) -> bool:
    if peer.get("ipBlock") is not None:
        return True
    spaces, pods = peer.get("namespaceSelector"), peer.get("podSelector")
    if spaces is None:
        there = policy.meta.namespace == view.key.namespace
    else:
        there = Selector.parse(spaces).matches(governance.namespace_labels(view.key.namespace, scene.snapshot))
    return there and (pods is None or not Selector.parse(pods).disjoint(view.selector))


def _at(edge: Edge, ports: Collection[Mapping[str, Any]]) -> bool:
    """Tell whether a rule's ports may be an edge's; a name may be any number."""
    if not ports or not edge.ports or any(isinstance(p.port, str) for p in edge.ports):
        return True
    for port in ports:
        if isinstance(port.get("port"), str):
            return True
        low = port.get("port")
        number = PortRange("TCP", low, port.get("endPort")) if low is not None else _EVERY
        meant = PortRange(port.get("protocol") or "TCP", number.port, number.end)
        if intersect_ports(edge.ports, (meant,)):
            return True
    return False
