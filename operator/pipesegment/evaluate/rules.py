"""What policies of the network are made of once they are read: who is meant, which ports, which rules of which policy."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Literal, Protocol

from pipesegment.evaluate.endpoints import Address, AddressEnd, End, PodEnd, Port
from pipesegment.facts.selectors import Selector

Network = IPv4Network | IPv6Network
Direction = Literal["ingress", "egress"]


@dataclass(frozen=True, slots=True)
class Pods:
    """A peer by labels; `namespace` is the policy's own where no namespaceSelector is given."""

    pods: Selector
    namespaces: Selector | None
    namespace: str

    def matches(self, end: End, _ip: Address | None, _cidr_matches_pods: bool, /) -> bool:
        """Tell whether an end is one of them."""
        if isinstance(end, AddressEnd) or end.host_network:
            return False
        if self.namespaces is None:
            there = end.namespace == self.namespace
        else:
            there = self.namespaces.matches(end.namespace_labels)
        return there and self.pods.matches(end.labels)


@dataclass(frozen=True, slots=True)
class Block:
    """A peer by address."""

    block: Network
    excepts: tuple[Network, ...]

    def matches(self, end: End, ip: Address | None, cidr_matches_pods: bool, /) -> bool:
        """Tell whether an end is met by an address of the block."""
        if isinstance(end, PodEnd) and not end.host_network and not cidr_matches_pods:
            return False
        return ip is not None and ip in self.block and not any(ip in hole for hole in self.excepts)


@dataclass(frozen=True, slots=True)
class Ports:
    """A port of a rule; `port` None is every port of the protocol."""

    protocol: str
    port: int | str | None
    end: int | None

    def matches(self, port: Port, destination: End) -> bool:
        """Tell whether a destination's port is meant."""
        if self.protocol != port.protocol:
            return False
        if self.port is None:
            return True
        if isinstance(self.port, int):
            return self.port <= port.number <= (self.end or self.port)
        if isinstance(destination, AddressEnd) or destination.host_network:
            return False
        return any((p.name, p.port, p.protocol) == (self.port, port.number, port.protocol) for p in destination.ports)


class Peer(Protocol):
    """Whom a rule is about; `ip` is the address by which the end is met, if it has one."""

    def matches(self, end: End, ip: Address | None, cidr_matches_pods: bool, /) -> bool:
        """Tell whether an end is meant."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One ingress or egress item; None means every peer, or every port."""

    name: str
    peers: tuple[Peer, ...] | None
    ports: tuple[Ports, ...] | None


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy in one of its directions; what it denies no policy allows."""

    name: str
    namespace: str
    selector: Selector
    rules: tuple[Rule, ...]
    denies: tuple[Rule, ...] = ()
