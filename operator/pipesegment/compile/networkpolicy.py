"""NetworkPolicies: one for each stage, always both policyTypes, so that what is not declared is closed.

The traps of the API decide the shapes here: policyTypes left out means 'no egress rules, egress open'; an empty or absent
`to`, `from` or `ports` means everything; two selectors in two list items are an OR (facts, security §4). Rules are
provider-neutral, one for each edge, deduplicated and sorted by content.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, Literal

from pipesegment import names
from pipesegment.compile import marks
from pipesegment.compile.addresses import Style, ip_blocks, style_of
from pipesegment.compile.canonical import canonical_bytes
from pipesegment.compile.objects import elsewhere, owned, owners
from pipesegment.facts.selectors import Selector
from pipesegment.reach.edges import Edge, Mode, NamePeer, Network, Peer, PodPeer, PortRange
from pipesegment.reach.graph import GrantedIngress, Reach, StageReach

API_VERSION = "networking.k8s.io/v1"
KIND = "NetworkPolicy"


def network_policies(reach: Reach) -> list[dict[str, Any]]:
    """Render every policy of a segment, whose open edges `expressible.split` has approved.

    A stage in Observe gets none, in no namespace: nothing may block it. Where Cilium enforces, a stage's policy closes
    and Cilium's own opens (`cilium`).
    """
    style = style_of(reach.governance.spec)
    enforced = {stage.key: stage for stage in reach.stages if stage.mode is Mode.ENFORCE}
    found: list[dict[str, Any]] = []
    for stage in enforced.values():
        found += _stage_policies(reach, stage, style)
    found += _closing_policies(reach)
    found += [_granted_policy(reach, g, style) for g in reach.granted if g.stage in enforced and g.peers]
    return found


def _stage_policies(reach: Reach, stage: StageReach, style: Style) -> Iterator[dict[str, Any]]:
    key = stage.key
    if reach.network is Network.CILIUM:
        stage = _shut(stage)
    name = names.object_name(key.segment, key.stage)
    made = owned(reach, API_VERSION, KIND, name, stage, annotations=marks.annotations(reach, stage))
    made["metadata"]["labels"] |= marks.labels(reach, stage)
    yield made | {
        "spec": _spec(stage.selector, _rules(stage.egress, "to", style), _rules(stage.ingress, "from", style))
    }
    if stage.runner:
        made = owned(reach, API_VERSION, KIND, names.suffixed_name(key.segment, key.stage, "runner"), stage)
        made["metadata"]["labels"][names.PART_LABEL] = "runner"
        yield made | {"spec": _spec(stage.runner.selector, _rules(stage.runner.egress, "to", style), [])}


def _shut(stage: StageReach) -> StageReach:
    runner = stage.runner and replace(stage.runner, egress=())
    return replace(stage, egress=(), ingress=(), runner=runner)


def _closing_policies(reach: Reach) -> Iterator[dict[str, Any]]:
    """Close the pods of the pipeline that no stage names; the first policy is called like the segment."""
    segment = reach.segment.name
    for index, selector in enumerate(reach.closing):
        digest = sha256(canonical_bytes(selector.render())).hexdigest()[:8]
        name = names.suffixed_name(segment, "closing", digest) if index else segment
        yield owned(reach, API_VERSION, KIND, name, None) | {"spec": _spec(selector, [], [])}


def _spec(pods: Selector, egress: list[dict[str, Any]], ingress: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "podSelector": pods.render(),
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        "egress": egress,
    }


def _granted_policy(reach: Reach, grant: GrantedIngress, style: Style) -> dict[str, Any]:
    """Render an ingress half in a grant's namespace. Egress there is not ours to isolate."""
    owner = owners(names.GRANT, grant.grant.name, grant.grant_uid, controller=False)
    namespace = grant.grant.namespace
    made = elsewhere(reach, grant.stage, namespace, grant.discriminator, owner, API_VERSION, KIND)
    made["spec"] = {
        "podSelector": grant.selector.render(),
        "policyTypes": ["Ingress"],
        "ingress": [_rule(grant.peers, grant.ports, "from", style)],
    }
    return made


def _rules(edges: Iterable[Edge], side: Literal["to", "from"], style: Style) -> list[dict[str, Any]]:
    rules = [_rule(edge.peers, edge.ports, side, style) for edge in edges if edge.open]
    unique = {canonical_bytes(rule): rule for rule in rules if rule[side]}
    return [unique[key] for key in sorted(unique)]


def _rule(
    peers: Sequence[Peer], ports: Sequence[PortRange], side: Literal["to", "from"], style: Style
) -> dict[str, Any]:
    items = {canonical_bytes(item): item for peer in peers for item in _peer(peer, style)}
    rule: dict[str, Any] = {side: [items[key] for key in sorted(items)]}
    if ports:
        rule["ports"] = [_port(p) for p in sorted(set(ports), key=_port_order)]
    return rule


def _peer(peer: Peer, style: Style) -> list[dict[str, Any]]:
    if isinstance(peer, PodPeer):
        namespace = {"matchLabels": {names.NAMESPACE_NAME_LABEL: peer.namespace}}
        return [{"namespaceSelector": namespace, "podSelector": peer.selector.render()}]
    # `expressible` has closed every edge to host names: nothing here could say them.
    return [] if isinstance(peer, NamePeer) else ip_blocks(peer, style)


def _port(port: PortRange) -> dict[str, Any]:
    rendered: dict[str, Any] = {"protocol": port.protocol, "port": port.port}
    if port.end is not None and port.end != port.port:
        rendered["endPort"] = port.end
    return rendered


def _port_order(port: PortRange) -> tuple[str, bool, int, str, int]:
    named = isinstance(port.port, str)
    return (port.protocol, named, 0 if named else int(port.port), str(port.port), port.end or 0)
