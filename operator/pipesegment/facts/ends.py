"""The two ends of a connection, a pod or an address outside, and the port between them: what every question is about.

The declaration and the objects are asked about the same ends, and share nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple, cast

from pipesegment import names
from pipesegment.errors import Refused
from pipesegment.facts.snapshot import ContainerPort, Protocol
from pipesegment.findings import Refusal

Address = IPv4Address | IPv6Address


class Port(NamedTuple):
    """A port on the wire, at the destination."""

    protocol: Protocol
    number: int

    @classmethod
    def parse(cls, text: str) -> "Port":
        """Read `TCP/443` (or `443`, which is TCP). Raises Refused."""
        protocol, _, number = text.rpartition("/")
        protocol = protocol.upper() or "TCP"
        if protocol not in {"TCP", "UDP", "SCTP"} or not number.isascii() or not number.isdigit():
            raise Refused([Refusal("port", "is not a port", text, "write it as TCP/443, UDP/53 or SCTP/3868")])
        if not 1 <= int(number) <= 65535:
            raise Refused([Refusal("port", "is out of range", text, "use a number from 1 to 65535")])
        return cls(cast("Protocol", protocol), int(number))

    def __str__(self) -> str:
        """Render as `TCP/443`."""
        return f"{self.protocol}/{self.number}"


@dataclass(frozen=True, eq=False)
class PodEnd:
    """A pod. Two values are never equal, so that evaluators may remember what they found out about each.

    `namespace_labels` need not hold kubernetes.io/metadata.name: the API server sets it, so it is set here. `meshed`
    tells whether a sidecar enforces the mesh's policies for the pod and gives it an identity, `ambient` whether ztunnel does.
    """

    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    ips: tuple[str, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    host_network: bool = False
    service_account: str = "default"
    meshed: bool = False
    ambient: bool = False

    def __post_init__(self) -> None:
        labels = {**self.namespace_labels, names.NAMESPACE_NAME_LABEL: self.namespace}
        object.__setattr__(self, "namespace_labels", labels)

    def __str__(self) -> str:
        """Render as `namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class AddressEnd:
    """An address that is no pod's: outside the cluster, a node, a Service's virtual address.

    `names` are the host names that it was looked up under, `entities` what else the cluster knows it as
    (`kube-apiserver`).
    """

    ip: str
    names: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()

    @property
    def ips(self) -> tuple[str, ...]:
        """The address, as a pod has several."""
        return (self.ip,)

    def __str__(self) -> str:
        """Render as the name that it was looked up under, or as the address."""
        return self.names[0] if self.names else self.ip


End = PodEnd | AddressEnd


def is_same(one: End, other: End) -> bool:
    """Tell whether both ends are the same pod or the same address."""
    if isinstance(one, PodEnd) and isinstance(other, PodEnd):
        return one is other or (one.name, one.namespace) == (other.name, other.namespace)
    return one == other


@lru_cache(maxsize=65536)
def address(text: str) -> Address:
    """Read an address; an IPv4 address in IPv6 clothes (`::ffff:10.0.0.1`) is the IPv4 address that it travels as."""
    found = ip_address(text)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
