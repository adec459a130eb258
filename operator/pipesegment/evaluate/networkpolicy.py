"""NetworkPolicy semantics: what networking.k8s.io/v1 objects alone let through.

Source of the rules: the API reference of NetworkPolicySpec. Where it leaves engines free, this is what is taken:

- A pod always reaches itself: the concept page says that a pod cannot block access to itself.
- Host-network pods are the node: no policy selects them, no pod selector means them, `ipBlock` does, and the names of
  their ports mean nothing.
- `ipBlock` and the addresses of pods: some engines match them, some do not, and a promise must hold under both.
  `cidr_matches_pods` chooses; whoever promises something asks twice (`evaluate.world` does).
- A name stands for every number and protocol that the destination pod declares under it, for ingress and egress alike.
- Nodes reach their own pods (probes), replies pass, and connections that exist are not cut: none of it is judged here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, Final

from pipesegment.errors import Refused
from pipesegment.evaluate import ciliumpolicy
from pipesegment.evaluate.endpoints import Address, AddressEnd, End, PodEnd, Port, is_same, routes
from pipesegment.evaluate.rules import Block, Direction, Network, Pods, Policy, Ports, Rule
from pipesegment.evaluate.verdict import Verdict
from pipesegment.facts.selectors import Selector
from pipesegment.findings import Refusal

Raw = Mapping[str, Any]

KIND: Final = "NetworkPolicy"
_PEERS: Final[Mapping[Direction, str]] = {"ingress": "from", "egress": "to"}


@dataclass(frozen=True, slots=True)
class _Selecting:
    """The policies that restrict a pod in a direction, and the verdict where none of their rules allows it."""

    policies: tuple[Policy, ...]
    otherwise: Verdict


class NetworkPolicies:
    """A set of NetworkPolicies, and of Cilium's beside them, read once and asked often.

    Takes plain objects; other kinds are passed over. Raises Refused for what the API server would never have stored.
    """

    def __init__(self, objects: Iterable[Raw], *, cidr_matches_pods: bool = False) -> None:
        self._cidr_matches_pods = cidr_matches_pods
        self._policies: dict[Direction, dict[str, list[Policy]]] = {"ingress": {}, "egress": {}}
        for obj in objects:
            reader = _READERS.get(obj.get("kind", ""))
            for direction, policy in reader(obj) if reader else ():
                self._policies[direction].setdefault(policy.namespace, []).append(policy)
        self._selecting: dict[tuple[Direction, PodEnd], _Selecting] = {}

    def verdict(self, source: End, destination: End, port: Port) -> Verdict:
        """Judge one connection: the source's egress and the destination's ingress must both let it through."""
        if isinstance(source, PodEnd) and is_same(source, destination):
            return Verdict(True, "a pod always reaches itself")
        refusal = None
        for mine, theirs in routes(source, destination):
            egress = self._one_way("egress", source, destination, theirs, port)
            if not egress.allowed:
                refusal = refusal or egress
                continue
            ingress = self._one_way("ingress", destination, source, mine, port)
            if ingress.allowed:
                return Verdict(True, f"{egress.because}; {ingress.because}")
            refusal = ingress
        assert refusal is not None
        return refusal

    def never(self, source: End, destination: End) -> Verdict | None:
        """Give the one verdict of ends between which no rule lets anything through; None where the port matters."""
        if isinstance(source, PodEnd) and is_same(source, destination):
            return None
        refusals = []
        for mine, theirs in routes(source, destination):
            found, always = self._at_any("egress", source, destination, theirs)
            if found.allowed and not always:
                return None
            if found.allowed:
                found, _ = self._at_any("ingress", destination, source, mine)
            if found.allowed:
                return None
            refusals.append(found)
        # Of refusals on both sides the last route's may be told or not: `verdict` knows.
        return refusals[0] if len(set(refusals)) == 1 else None

    def mentioned(self) -> Iterator[Network]:
        """Give every block that a rule names: what tells one address from another."""
        for by_namespace in self._policies.values():
            for policies in by_namespace.values():
                for peer in (p for policy in policies for rule in policy.rules for p in rule.peers or ()):
                    if isinstance(peer, Block):
                        yield from (peer.block, *peer.excepts)

    def isolated(self, pod: PodEnd, direction: Direction) -> bool:
        """Tell whether any policy restricts a pod in a direction."""
        return bool(self._of(pod, direction).policies)

    def _one_way(self, direction: Direction, subject: End, peer: End, ip: Address | None, port: Port) -> Verdict:
        if isinstance(subject, AddressEnd):
            return Verdict(True, f"{subject} is no pod: nothing restricts its {direction}")
        if subject.host_network:
            return Verdict(True, f"{subject} is on the host network: nothing restricts its {direction}")
        selecting = self._of(subject, direction)
        destination = peer if direction == "egress" else subject
        for policy in selecting.policies:
            for rule in policy.denies:
                if self._means(rule, peer, ip, port, destination):
                    return Verdict(False, f"denied by {rule.name}")
        for policy in selecting.policies:
            for rule in policy.rules:
                if self._means(rule, peer, ip, port, destination):
                    return Verdict(True, f"allowed by {rule.name}")
        return selecting.otherwise

    def _means(self, rule: Rule, peer: End, ip: Address | None, port: Port, destination: End) -> bool:
        return _covers(rule.ports, port, destination) and self._is_peer(rule, peer, ip)

    def _is_peer(self, rule: Rule, peer: End, ip: Address | None) -> bool:
        return rule.peers is None or any(p.matches(peer, ip, self._cidr_matches_pods) for p in rule.peers)

    def _at_any(self, direction: Direction, subject: End, peer: End, ip: Address | None) -> tuple[Verdict, bool]:
        """Judge one side at whatever port; the second tells that the verdict holds at every one."""
        if isinstance(subject, AddressEnd) or subject.host_network:
            return Verdict(True, ""), True
        selecting = self._of(subject, direction)
        if not selecting.policies:
            return selecting.otherwise, True
        rules = (rule for policy in selecting.policies for rule in (*policy.rules, *policy.denies))
        if any(self._is_peer(rule, peer, ip) for rule in rules):
            return Verdict(True, ""), False
        return selecting.otherwise, True

    def _of(self, pod: PodEnd, direction: Direction) -> _Selecting:
        found = self._selecting.get((direction, pod))
        if found is None:
            here = () if pod.host_network else self._policies[direction].get(pod.namespace, ())
            policies = tuple(sorted((p for p in here if p.selector.matches(pod.labels)), key=_by_kind))
            if policies:
                because = f"no {direction} rule of {KIND} {', '.join(p.name for p in policies)} allows it"
            else:
                because = f"no {KIND} restricts {direction} of {pod}"
            found = _Selecting(policies, Verdict(not policies, because))
            self._selecting[direction, pod] = found
        return found


def _by_kind(policy: Policy) -> bool:
    """Name NetworkPolicies first: the others say what they are."""
    return policy.name.startswith(ciliumpolicy.KIND)


def _covers(ports: tuple[Ports, ...] | None, port: Port, destination: End) -> bool:
    return ports is None or any(p.matches(port, destination) for p in ports)


def _read(obj: Raw) -> Iterator[tuple[Direction, Policy]]:
    """Read a policy into one value per direction; policyTypes are defaulted as the API server does."""
    meta, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    namespace = meta.get("namespace") or "default"
    name = f"{namespace}/{meta.get('name', '')}"
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    selector = Selector.parse(spec.get("podSelector"))
    for direction in _PEERS:
        if direction.capitalize() in types:
            rules = tuple(_rules(name, namespace, direction, spec.get(direction) or ()))
            yield direction, Policy(name, namespace, selector, rules)


def _rules(policy: str, namespace: str, direction: Direction, raw: Iterable[Raw]) -> Iterator[Rule]:
    for index, rule in enumerate(raw):
        at = _At(policy, f"spec.{direction}[{index}]")
        field = _PEERS[direction]
        peers = [_peer(at.into(f"{field}[{i}]"), namespace, peer) for i, peer in enumerate(rule.get(field) or ())]
        ports = [_port(at.into(f"ports[{i}]"), port) for i, port in enumerate(rule.get("ports") or ())]
        yield Rule(f"{KIND} {policy} {direction}[{index}]", tuple(peers) or None, tuple(ports) or None)


@dataclass(frozen=True, slots=True)
class _At:
    """Where in which policy something stands."""

    policy: str
    path: str

    def into(self, path: str) -> "_At":
        return _At(self.policy, f"{self.path}.{path}")

    def refuse(self, problem: str, value: Any, fix: str) -> Refused:
        return Refused([Refusal(self.path, problem, str(value), fix, object=f"{KIND} {self.policy}")])


def _peer(at: _At, namespace: str, raw: Raw) -> Pods | Block:
    block, pods, namespaces = raw.get("ipBlock"), raw.get("podSelector"), raw.get("namespaceSelector")
    if block is not None:
        if pods is not None or namespaces is not None:
            raise at.refuse("mixes addresses and selectors in", dict(raw), "write ipBlock as a peer of its own")
        holes = tuple(_network(at.into(f"ipBlock.except[{i}]"), e) for i, e in enumerate(block.get("except") or ()))
        return Block(_network(at.into("ipBlock.cidr"), block.get("cidr")), holes)
    if pods is None and namespaces is None:
        raise at.refuse("names no peer in", dict(raw), "give it a podSelector, a namespaceSelector or an ipBlock")
    selector = None if namespaces is None else Selector.parse(namespaces)
    return Pods(Selector.parse(pods), selector, namespace)


def _network(at: _At, text: Any) -> Network:
    try:
        return ip_network(str(text), strict=False)
    except ValueError as error:
        raise at.refuse("is not a CIDR", text, "write it as 10.0.0.0/8 or 2001:db8::/32") from error


def _port(at: _At, raw: Raw) -> Ports:
    port, end = raw.get("port"), raw.get("endPort")
    if end is not None and (not isinstance(port, int) or end < port):
        raise at.into("endPort").refuse(
            "needs a numeric port that is not above it, beside", end, "give both numbers, or no endPort"
        )
    return Ports(raw.get("protocol") or "TCP", port, end)


_READERS: Final[Mapping[str, Callable[[Raw], Iterable[tuple[Direction, Policy]]]]] = {
    KIND: _read,
    ciliumpolicy.KIND: ciliumpolicy.read,
}
