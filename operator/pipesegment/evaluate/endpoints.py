"""The two ends of a connection: a pod as policies see it, or an address outside; and the port between them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple, cast

from pipesegment import names
from pipesegment.errors import Refused
from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import ContainerPort, Pod, Protocol, Snapshot
from pipesegment.findings import Refusal

Address = IPv4Address | IPv6Address

#: The sidecar's container, by whose presence a pod is known to be in the mesh.
PROXY = "istio-proxy"


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
    tells whether a sidecar enforces the mesh's policies for the pod and gives it an identity.
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

    def __post_init__(self) -> None:
        labels = {**self.namespace_labels, names.NAMESPACE_NAME_LABEL: self.namespace}
        object.__setattr__(self, "namespace_labels", labels)

    def __str__(self) -> str:
        """Render as `namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class AddressEnd:
    """An address that is no pod's: outside the cluster, a node, a Service's virtual address."""

    ip: str

    @property
    def ips(self) -> tuple[str, ...]:
        """The address, as a pod has several."""
        return (self.ip,)

    def __str__(self) -> str:
        """Render as the address."""
        return self.ip


End = PodEnd | AddressEnd


def is_same(one: End, other: End) -> bool:
    """Tell whether both ends are the same pod or the same address."""
    return type(one) is type(other) and str(one) == str(other)


def of_pod(pod: Pod, namespace_labels: Mapping[str, str]) -> PodEnd:
    """See a pod of the facts as an end."""
    return PodEnd(
        namespace=pod.meta.namespace,
        name=pod.meta.name,
        labels=pod.labels,
        namespace_labels=namespace_labels,
        ips=pod.ips,
        ports=pod.ports,
        host_network=pod.host_network,
        service_account=pod.service_account,
        meshed=PROXY in pod.containers,
    )


def live(snapshot: Snapshot) -> Iterator[PodEnd]:
    """Give every live pod of the facts, by namespace and name."""
    for namespace in sorted(snapshot.pods):
        found = snapshot.namespaces.get(namespace)
        for _, pod in sorted(snapshot.pods[namespace].items()):
            if pod.live:
                yield of_pod(pod, found.labels if found else {})


def representative(  # the fields of a pod
    namespace: str,
    name: str,
    selector: Selector,
    *,
    namespace_labels: Mapping[str, str] | None = None,
    ports: Iterable[ContainerPort] = (),
    service_account: str = "default",
    meshed: bool = False,
) -> PodEnd | None:
    """Make up a pod that a selector selects, for surroundings without pods; None when no pod can be selected."""
    labels = example_labels(selector)
    if labels is None:
        return None
    return PodEnd(
        namespace,
        name,
        labels,
        namespace_labels or {},
        ports=tuple(ports),
        service_account=service_account,
        meshed=meshed,
    )


def example_labels(selector: Selector) -> dict[str, str] | None:
    """Find labels that a selector selects; None when it contradicts itself."""
    labels = dict(selector.labels)
    for requirement in selector.expressions:
        if requirement.operator == "In" and requirement.key not in labels:
            every = [r for r in selector.expressions if r.key == requirement.key]
            fitting = (v for v in requirement.values if all(r.matches({r.key: v}) for r in every))
            labels[requirement.key] = next(fitting, requirement.values[0])
    for requirement in selector.expressions:
        if requirement.operator == "Exists" and requirement.key not in labels:
            refused = {v for r in selector.expressions if r.key == requirement.key for v in r.values}
            labels[requirement.key] = next(
                v for v in (f"example{n}" for n in range(len(refused) + 1)) if v not in refused
            )
    return labels if selector.matches(labels) else None


@lru_cache(maxsize=65536)
def address(text: str) -> Address:
    """Read an address; an IPv4 address in IPv6 clothes (`::ffff:10.0.0.1`) is the IPv4 address that it travels as."""
    found = ip_address(text)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def routes(source: End, destination: End) -> tuple[tuple[Address | None, Address | None], ...]:
    """Give the address pairs that a connection may use: one for each family that both ends have.

    Ends that share no family are judged by each pair of addresses, as if they did; an end without an address (a pod
    that has not got one yet) counts as None.
    """
    mine: list[Address | None] = [address(ip) for ip in source.ips]
    theirs: list[Address | None] = [address(ip) for ip in destination.ips]
    every = tuple((a, b) for a in mine or [None] for b in theirs or [None])
    same = tuple((a, b) for a, b in every if a is not None and b is not None and a.version == b.version)
    return same or every
