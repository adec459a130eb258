"""CiliumNetworkPolicies: what a stage reaches and accepts where Cilium enforces the network (docs/adr/0021).

Isolation stays with the stage's NetworkPolicy, which then allows nothing: whatever becomes of Cilium, the stage is closed.
Cilium takes the union of both. A rule here has exactly one list of peers, never an empty one: left out, it would mean
everybody. Ports are one item each, so that a rule can be narrowed port by port.

Sources: cilium.io/v2 CiliumNetworkPolicy and Cilium's policy language. Labels of pods have the source `k8s`, as have those
that Cilium derives; a peer without the namespace's label would be of the policy's own namespace.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network
from typing import Any, Final, Literal

from pipesegment import names
from pipesegment.compile.addresses import Style, complement, ip_blocks, style_of, without
from pipesegment.compile.canonical import canonical_bytes
from pipesegment.compile.mesh_rules import receives_in_mesh
from pipesegment.compile.objects import owned
from pipesegment.facts.selectors import Selector
from pipesegment.reach.addresses import NODE_LOCAL_DNS, host, metadata
from pipesegment.reach.dns import NODE_LOCAL
from pipesegment.reach.edges import (
    AddressPeer,
    Edge,
    HttpRule,
    Mode,
    NamePeer,
    Network,
    Peer,
    PodPeer,
    PortRange,
    Target,
)
from pipesegment.reach.graph import Reach, StageReach
from pipesegment.reach.ports import sort_key

API_VERSION: Final = "cilium.io/v2"
KIND: Final = "CiliumNetworkPolicy"
NAMESPACE_LABEL: Final = "k8s:io.kubernetes.pod.namespace"
#: The source of the labels that pods and Kubernetes give.
SOURCE: Final = "k8s:"
#: Selects nobody: a direction that opens nothing says so in full.
NOBODY: Final = "none"
API_SERVER: Final = "kube-apiserver"

#: Blocks that hold every IPv4 address in the clothes of IPv6.
_TRANSLATED: Final = frozenset({"::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16"})
_NAT64: Final = IPv6Address("64:ff9b::")

Direction = Literal["egress", "ingress"]
_SIDE: Final[Mapping[Direction, str]] = {"egress": "to", "ingress": "from"}


def cilium_policies(reach: Reach) -> list[dict[str, Any]]:
    """Render the policies of every stage that has anything open, where the segment's network is Cilium's."""
    if reach.network is not Network.CILIUM:
        return []
    style = style_of(reach.governance.spec)
    found: list[dict[str, Any]] = []
    for stage in reach.stages:
        if stage.mode is Mode.ENFORCE:
            key = stage.key
            found += _policy(
                reach, stage, names.object_name(key.segment, key.stage), stage.selector, stage.egress, style
            )
            if stage.runner:
                name, runner = names.suffixed_name(key.segment, key.stage, "runner"), stage.runner
                found += _policy(reach, stage, name, runner.selector, runner.egress, style, ingress=())
    return found


def _policy(
    reach: Reach,
    stage: StageReach,
    name: str,
    pods: Selector,
    egress: Sequence[Edge],
    style: Style,
    ingress: Sequence[Edge] | None = None,
) -> Iterator[dict[str, Any]]:
    leaving = _rules(stage, egress, "egress", style)
    entering = _rules(stage, stage.ingress if ingress is None else ingress, "ingress", style)
    if leaving or entering:
        spec: dict[str, Any] = {
            "endpointSelector": _selector(pods),
            "ingress": entering or [{"fromEntities": [NOBODY]}],
            "egress": leaving or [{"toEntities": [NOBODY]}],
        }
        forbidden = [] if reach.governance.spec.network.allow_imds else _forbidden(egress)
        if forbidden:
            spec["egressDeny"] = [{"toCIDRSet": [{"cidr": block} for block in forbidden]}]
        yield owned(reach, API_VERSION, KIND, name, stage) | {"spec": spec}


def _forbidden(egress: Sequence[Edge]) -> list[str]:
    """Give the metadata addresses that no host name may come to stand for: whoever answers for a name chooses them.

    What the policy opens by address stays open.
    """
    peers = [peer for edge in egress if edge.open for peer in edge.peers]
    if not any(isinstance(peer, NamePeer) for peer in peers):
        return []
    opened = [block for peer in peers if isinstance(peer, AddressPeer) for block in complement(peer)]
    return [left for block in _metadata() for left in without(block, opened)]


@lru_cache(maxsize=1)
def _metadata() -> tuple[str, ...]:
    """Give the metadata addresses, those of IPv4 also as NAT64 writes them: its other addresses are ordinary hosts."""
    found = [block for block in metadata() if str(block) not in _TRANSLATED]
    embedded = (
        IPv6Network((int(_NAT64) + int(block.network_address), 96 + block.prefixlen))
        for block in found
        if block.version == 4
    )
    return tuple(map(str, (*found, *embedded)))


def _rules(stage: StageReach, edges: Sequence[Edge], direction: Direction, style: Style) -> list[dict[str, Any]]:
    opened = [edge for edge in edges if edge.open]
    asks_names = any(isinstance(peer, NamePeer) for edge in opened for peer in edge.peers)
    rules = [
        rule
        for edge in opened
        for rule in _edge_rules(edge, direction, style, _requests(stage, edge, asks_names=asks_names))
    ]
    unique = {canonical_bytes(rule): rule for rule in rules}
    return [unique[key] for key in sorted(unique)]


def _edge_rules(
    edge: Edge, direction: Direction, style: Style, requests: Mapping[str, Any] | None
) -> Iterator[dict[str, Any]]:
    """Render an edge as one rule for each kind of its peers: two lists in one rule would be an AND."""
    ports = _ports(edge.ports, requests)
    for field, peers in _peers(edge, style).items():
        items = {canonical_bytes(item): item for item in peers}
        rule: dict[str, Any] = {f"{_SIDE[direction]}{field}": [items[key] for key in sorted(items)]}
        yield rule | ({"toPorts": ports} if ports else {})


def _peers(edge: Edge, style: Style) -> dict[str, list[Any]]:
    """Give an edge's peers by the field that lists them; fields that would list nobody are left out."""
    if edge.target is Target.KUBERNETES_API and not edge.virtual:
        # Its addresses are a node's or the cluster's own, which no block of addresses holds here.
        return {"Entities": [API_SERVER]}
    found: dict[str, list[Any]] = {}
    if edge.target is Target.DNS and AddressPeer(host(NODE_LOCAL_DNS)) in edge.peers:
        # The node's address is no address here; Cilium redirects lookups to the cache's pods.
        found["Endpoints"] = [_selector(NODE_LOCAL, "kube-system")]
    for peer in edge.peers:
        field, items = _peer(peer, style)
        if items:
            found.setdefault(field, []).extend(items)
    return found


def _peer(peer: Peer, style: Style) -> tuple[str, list[Any]]:
    if isinstance(peer, PodPeer):
        return "Endpoints", [_selector(peer.selector, peer.namespace)]
    if isinstance(peer, NamePeer):
        return "FQDNs", [_name(peer.name)]
    return "CIDRSet", [item["ipBlock"] for item in ip_blocks(peer, style)]


def _name(name: str) -> dict[str, str]:
    """Render a host name: `*.` means one label in Cilium's patterns, and `**.` every name below."""
    return {"matchPattern": f"*{name}"} if name.startswith("*.") else {"matchName": name}


def _selector(selector: Selector, namespace: str = "") -> dict[str, Any]:
    rendered = selector.render()
    labels = {f"{SOURCE}{key}": value for key, value in rendered.get("matchLabels", {}).items()}
    if namespace:
        labels[NAMESPACE_LABEL] = namespace
    expressions = [{**e, "key": f"{SOURCE}{e['key']}"} for e in rendered.get("matchExpressions", ())]
    return {
        **({"matchLabels": labels} if labels else {}),
        **({"matchExpressions": expressions} if expressions else {}),
    }


def _ports(ports: Iterable[PortRange], requests: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    rendered = []
    for port in sorted(set(ports), key=sort_key):
        end = {"endPort": port.end} if port.end is not None and port.end != port.port else {}
        item: dict[str, Any] = {"ports": [{"port": str(port.port), "protocol": port.protocol, **end}]}
        rendered.append(item | ({"rules": requests} if requests else {}))
    return rendered


def _requests(stage: StageReach, edge: Edge, *, asks_names: bool) -> Mapping[str, Any] | None:
    """Give what the proxy reads of an edge: HTTP unless the mesh does, and DNS where addresses of names are to be learnt."""
    if edge.target is Target.DNS and asks_names:
        # Every name may be asked: resolvers try the search domains first, and a refusal there ends the search.
        return {"dns": [{"matchPattern": "*"}]}
    guarded = receives_in_mesh(stage) if edge.direction == "ingress" else edge.other_meshed is True
    if not edge.http or guarded:
        return None
    rules = {canonical_bytes(rule): rule for each in edge.http for rule in _http(each)}
    return {"http": [rules[key] for key in sorted(rules)]}


def _http(rule: HttpRule) -> Iterator[dict[str, str]]:
    """Render methods and paths, one rule for each combination: both are regular expressions of the whole text."""
    for method in rule.methods or ("",):
        for path in rule.paths or ("",):
            yield {**({"method": method} if method else {}), **({"path": path_pattern(path)} if path else {})}


def path_pattern(path: str) -> str:
    """Write an exact path, or one with a trailing `*`, as a pattern; what is matched has the query behind the path."""
    if path.endswith("*"):
        return f"{_escaped(path[:-1])}.*"
    return rf"{_escaped(path)}(\?.*)?"


def _escaped(text: str) -> str:
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)
