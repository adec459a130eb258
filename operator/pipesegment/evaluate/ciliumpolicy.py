"""CiliumNetworkPolicies as our compilers write them: what they let through beside NetworkPolicies, in one union.

Source of the rules: Cilium's policy language. What stands in no policy of ours is refused and not guessed at: other
people's are judged by Cilium's own engine (`lab/oracle`). Blocks of addresses hold neither pods nor nodes. A rule that HTTP
requests narrow is open here: which of them pass is the proxy's to say.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, Final

from pipesegment.errors import Refused
from pipesegment.evaluate.endpoints import Address, AddressEnd, End
from pipesegment.evaluate.rules import Block, Direction, Peer, Pods, Policy, Ports, Rule
from pipesegment.facts.selectors import Selector
from pipesegment.findings import Refusal

Raw = Mapping[str, Any]

KIND: Final = "CiliumNetworkPolicy"
_SIDE: Final[Mapping[Direction, str]] = {"ingress": "from", "egress": "to"}
_SOURCE: Final = "k8s:"
_NODES: Final = frozenset({"host", "remote-node"})
_NAMESPACE: Final = "k8s:io.kubernetes.pod.namespace"


@dataclass(frozen=True, slots=True)
class _Outside:
    """A block, of addresses that are no pod's and no node's; an API server outside of the cluster has one as well."""

    block: Block

    def matches(self, end: End, ip: Address | None, _cidr_matches_pods: bool, /) -> bool:
        return isinstance(end, AddressEnd) and _NODES.isdisjoint(end.entities) and self.block.matches(end, ip, False)


@dataclass(frozen=True, slots=True)
class _Name:
    """A host name that was looked up, or (`below`) any name below it."""

    name: str
    below: bool

    def matches(self, end: End, _ip: Address | None, _cidr_matches_pods: bool, /) -> bool:
        known = end.names if isinstance(end, AddressEnd) else ()
        return any(name.endswith(f".{self.name}") if self.below else name == self.name for name in known)


@dataclass(frozen=True, slots=True)
class _Entity:
    """What the cluster knows an address as; `none` is nobody."""

    name: str

    def matches(self, end: End, _ip: Address | None, _cidr_matches_pods: bool, /) -> bool:
        return isinstance(end, AddressEnd) and self.name in end.entities


def read(obj: Raw) -> Iterator[tuple[Direction, Policy]]:
    """Read a policy into one value per direction that it has. Raises Refused for what our compilers never write."""
    meta, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    namespace = meta.get("namespace") or "default"
    name = f"{KIND} {namespace}/{meta.get('name', '')}"
    unknown = spec.keys() - {"endpointSelector", "ingress", "egress", "egressDeny"}
    if unknown:
        raise _refused(name, "spec", min(unknown))
    selector, _ = _pods(name, spec.get("endpointSelector") or {}, namespace)
    denies = tuple(_rules(name, namespace, "egress", spec.get("egressDeny") or (), "egressDeny"))
    for direction in _SIDE:
        if direction in spec:
            rules = tuple(_rules(name, namespace, direction, spec[direction], direction))
            yield direction, Policy(name, namespace, selector, rules, denies if direction == "egress" else ())


def _rules(policy: str, namespace: str, direction: Direction, raw: Iterable[Raw], field: str) -> Iterator[Rule]:
    for index, rule in enumerate(raw):
        where = f"{field}[{index}]"
        fields = [key for key in rule if key != "toPorts"]
        if len(fields) != 1 or not rule[fields[0]]:
            raise _refused(policy, f"spec.{where}", ", ".join(fields) or "no peers")
        (listed,) = fields
        kind = listed.removeprefix(_SIDE[direction])
        peers = tuple(_peer(policy, f"spec.{where}.{listed}", namespace, kind, item) for item in rule[listed])
        ports = [_port(port) for item in rule.get("toPorts") or () for port in item["ports"]]
        yield Rule(f"{policy} {where}", peers, tuple(ports) or None)


def _peer(policy: str, path: str, namespace: str, kind: str, raw: Any) -> Peer:
    match kind:
        case "Endpoints":
            selector, there = _pods(policy, raw, namespace)
            return Pods(selector, None, there)
        case "CIDRSet":
            holes = tuple(ip_network(hole) for hole in raw.get("except") or ())
            return _Outside(Block(ip_network(raw["cidr"]), holes))
        case "FQDNs":
            pattern = raw.get("matchPattern", "")
            if pattern and not pattern.startswith("**."):
                raise _refused(policy, path, pattern)
            return _Name(pattern.removeprefix("**.") or raw["matchName"], bool(pattern))
        case "Entities":
            return _Entity(raw)
        case _:
            raise _refused(policy, path, kind)


def _pods(policy: str, raw: Raw, namespace: str) -> tuple[Selector, str]:
    """Read a selector, and the namespace that it is about: the policy's own unless it names one."""
    labels = dict(raw.get("matchLabels") or {})
    there = labels.pop(_NAMESPACE, namespace)
    expressions = raw.get("matchExpressions") or ()
    for key in (*labels, *(e["key"] for e in expressions)):
        if not key.startswith(_SOURCE):
            raise _refused(policy, "selector", key)
    plain = {
        "matchLabels": {key.removeprefix(_SOURCE): value for key, value in labels.items()},
        "matchExpressions": [{**e, "key": e["key"].removeprefix(_SOURCE)} for e in expressions],
    }
    return Selector.parse(plain), there


def _port(raw: Raw) -> Ports:
    port = raw["port"]
    return Ports(raw["protocol"], int(port) if port.isdigit() else port, raw.get("endPort"))


def _refused(policy: str, path: str, value: str) -> Refused:
    fix = "ask Cilium's own engine about policies that pipesegment did not write"
    return Refused([Refusal(path, "is not judged here:", value, fix, object=policy)])
