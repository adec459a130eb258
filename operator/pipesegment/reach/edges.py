"""An edge: one declared way of one stage, and the words that it is said in, before any engine's language.

It belongs to one stage and one direction; it carries where it was declared (`because`). Only `open` edges are ever
compiled into an allow.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import Protocol


class Target(StrEnum):
    """What an edge points at (or comes from), by the field that declared it."""

    STAGE = "stage"
    SERVICE = "service"
    PODS = "pods"
    CIDR = "cidr"
    INTERNET = "internet"
    FQDN = "fqdn"
    DESTINATION = "destination"
    KUBERNETES_API = "kubernetesAPI"
    AWS_SERVICE = "awsService"
    IMDS = "imds"
    DNS = "dns"


class Mode(StrEnum):
    """How a stage is enforced after the class capped it."""

    ENFORCE = "Enforce"
    OBSERVE = "Observe"


class Network(StrEnum):
    """Whose policies say what the network lets through."""

    NETWORK_POLICY = "NetworkPolicy"
    CILIUM = "Cilium"


class Mesh(StrEnum):
    """Whose data plane a stage is in: Istio's sidecars, its ambient one, or Linkerd's sidecars."""

    NONE = "None"
    ISTIO = "Istio"
    AMBIENT = "Ambient"
    LINKERD = "Linkerd"


class StageKey(NamedTuple):
    """One stage of the cluster."""

    namespace: str
    segment: str
    stage: str

    def __str__(self) -> str:
        """Render as `namespace/segment/stage`."""
        return f"{self.namespace}/{self.segment}/{self.stage}"


@dataclass(frozen=True, slots=True, order=True)
class PortRange:
    """Ports on the wire at the pod (never a Service's own): a number, `port`..`end`, or a container port's name."""

    protocol: Protocol
    port: int | str
    end: int | None = None


@dataclass(frozen=True, slots=True, order=True)
class PodPeer:
    """Pods of one namespace. Rendered as ONE list item with both selectors."""

    namespace: str
    selector: Selector


@dataclass(frozen=True, slots=True, order=True)
class AddressPeer:
    """Addresses of one family: a block less its exceptions (each inside the block, sorted)."""

    block: str
    excepts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class NamePeer:
    """Whatever a host name resolves to: one name, or with a leading `*.` every name below."""

    name: str


Peer = PodPeer | AddressPeer | NamePeer


@dataclass(frozen=True, slots=True, order=True)
class Principal:
    """A workload's identity: one service account, or (account None) every account of the namespace."""

    namespace: str
    account: str | None


@dataclass(frozen=True, slots=True, order=True)
class HttpRule:
    """Methods and paths (exact, or with a trailing `*`); an empty tuple means every one."""

    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Waypoint:
    """A waypoint of Istio's ambient mesh: its Gateway, and the account that it runs as."""

    namespace: str
    name: str
    account: str


@dataclass(frozen=True, slots=True, order=True)
class Front:
    """A Service whose calls pass a waypoint on their way to a stage; `ports` are (its own, the pods'), TCP alone."""

    service: str
    waypoint: Waypoint
    ports: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, order=True)
class Through:
    """Which service of AWS an edge leads to (by the name that its endpoints have), and by which endpoint ('' for none).

    `prefix_list`: it is a gateway, and the peers are everything that the service has in its region.
    """

    service: str
    endpoint: str = ""
    prefix_list: str = ""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """How Istio's ambient mesh or Linkerd carries calls to pods: to one port of theirs, whatever port is called.

    `guarded`: policies of ours, and in Linkerd a default that denies, hold callers to ports there. `waypoints` are those that calls may pass,
    `fronts` the stage's Services behind them, `beside` other Services (`namespace/name`) behind them that nothing of ours
    guards. `distrusted` says why a waypoint in front of a stage cannot be held to anything ('' when it can).
    """

    guarded: bool
    waypoints: tuple[Waypoint, ...] = ()
    fronts: tuple[Front, ...] = ()
    beside: tuple[str, ...] = ()
    distrusted: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """One declared way, resolved.

    `ports` empty means every port (only an engine's own needs may say so). `peers` is never empty when `open`.
    `principals` are the sources' identities on ingress edges (empty: the source has none, such as a cidr).
    `hosts` are what the mesh calls whoever is called at these ports, as `namespace/host` for a Sidecar (empty: not in the
    registry); `fronts` are the Services (`namespace/name`) of a stage that do not lead to them. `other_mesh`: the data plane
    of the other side (None: unknown, such as plain pods). `unread`: ports where no proxy reads the requests of `http`,
    for the receiver's Services declare them as something else. `virtual`: the peers are a Service's own addresses, which
    engines translate before they judge, or after. `tunnel`: the mesh carries it to a port of its own, as far as it is TCP.
    `names`: the host names or services of AWS that are meant, where the peers are all that they might stand for; the
    addresses that they were looked up as, where they were `looked_up`.
    `through` is None for what is no service of AWS. `by_grant`: its `http` is a grant's word, which nothing may widen. `held`: what is
    written on a grant's strength holds it to its `http`.
    """

    because: str
    direction: Literal["egress", "ingress"]
    target: Target
    described: str  # the other side in the user's words: `stage test`, `service shop/web`, `cidr 10.0.0.0/8`
    open: bool
    peers: tuple[Peer, ...] = ()
    ports: tuple[PortRange, ...] = ()
    http: tuple[HttpRule, ...] = ()
    principals: tuple[Principal, ...] = ()
    hosts: tuple[str, ...] = ()
    fronts: tuple[str, ...] = ()
    other_mesh: Mesh | None = None
    unread: tuple[int, ...] = ()
    virtual: bool = False
    tunnel: Tunnel | None = None
    names: tuple[str, ...] = ()
    looked_up: bool = False
    through: Through | None = None
    by_grant: bool = False
    held: bool = False

    @property
    def other_meshed(self) -> bool | None:
        """Whether the other side is in a mesh; None where that is unknown."""
        return None if self.other_mesh is None else self.other_mesh is not Mesh.NONE
