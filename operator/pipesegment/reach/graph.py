"""The Reach: what a segment's declarations mean, before any engine's language.

An Edge belongs to one stage and one direction; it carries where it was declared (`because`). Only `open` edges are ever
compiled into an allow. What an engine cannot express is the compiler's Gap; what the surroundings or the class do not
admit is already closed here, with a Finding that says why.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, NamedTuple

from pipesegment.facts.hostnames import Known
from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import Key, Protocol
from pipesegment.findings import Finding, Refusal
from pipesegment.reach.aws.values import CloudIdentity
from pipesegment.spec.segmentclass import SegmentClassSpec
from pipesegment.spec.status import IN_FORCE, Phase


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


@dataclass(frozen=True, slots=True)
class Account:
    """The stage's service account as declared, defaults filled; of `roles` (kind, name) those that the class allows."""

    name: str
    create: bool
    automount: bool
    image_pull_secrets: tuple[str, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    roles: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StageReach:
    """One stage, resolved.

    `closed`: it was refused (Overlapping…): its policy is written without any allow.
    `runner`: with ActionsRunnerController in Kubernetes mode, a second set of pods with the engine's needs only.
    `pods` live now, `wrong_account` of them run as another service account than the stage's. `wired`: they are known to run as
    the stage's own.
    """

    key: StageKey
    path: str  # `spec.stages[2]`
    selector: Selector
    mode: Mode
    mesh: Mesh
    account: Account
    egress: tuple[Edge, ...] = ()
    ingress: tuple[Edge, ...] = ()
    closed: bool = False
    #: By which SegmentException it is sealed; then it is `closed`, and its pods are still its own.
    sealed: str = ""
    runner: "RunnerReach | None" = None
    #: Its role in AWS; None without one, or where the class refuses it.
    cloud: CloudIdentity | None = None
    #: The security groups in AWS that its pods are given.
    groups: tuple[str, ...] = ()
    #: The stage's own Services behind waypoints; empty outside of the ambient mesh.
    fronts: tuple[Front, ...] = ()
    #: Ports of a stage in Linkerd that its Services declare as something else than HTTP.
    opaque: tuple[int, ...] = ()
    #: What kubelet asks of a stage's pods in Linkerd by HTTP: (port, path).
    probes: tuple[tuple[int, str], ...] = ()
    pods: int = 0
    wrong_account: int = 0
    wired: bool = False


@dataclass(frozen=True, slots=True)
class RunnerReach:
    """ARC's runner pods of a stage: selected apart from the job pods, reaching what the engine needs."""

    selector: Selector
    egress: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class GrantedIngress:
    """An ingress half in another namespace, on the strength of a grant there.

    One per (edge, grant, selector): `selector` is already the conjunction that isolates nobody who was not isolated,
    unless the grant says `Everyone`. The object is owned by the grant.
    """

    because: str
    stage: StageKey
    grant: Key
    grant_uid: str
    selector: Selector
    peers: tuple[PodPeer, ...]
    ports: tuple[PortRange, ...]
    discriminator: str  # what tells it apart from the stage's other objects there; feeds names.foreign_name


@dataclass(frozen=True, slots=True)
class GrantedCalls:
    """What a grant says of the calls that one edge means to pods in Istio's mesh: one per (edge, pods that a grant gives).

    Those of one stage and the same `pods` belong together: callers are held to all of their `ports`, with `http`, at once. `meant` are the
    edge's pods, of which `pods` are all or some. `sidecar`: these have one, which reads requests. `principal` is None for a stage that has no identity there. `everyone`: nobody else may call these pods. `unheld` says why no policy of
    Istio's can hold the stage to them ('' when one can). Objects are the grant's, or the namespace's.
    """

    because: str
    stage: StageKey
    principal: Principal | None
    grant: Key
    grant_uid: str
    namespace_uid: str
    pods: PodPeer
    meant: PodPeer
    ports: tuple[PortRange, ...]
    http: tuple[HttpRule, ...] = ()
    sidecar: bool = True
    everyone: bool = False
    unheld: str = ""


@dataclass(frozen=True, slots=True)
class CoveredEdge:
    """An edge that a grant covers, whether an object had to be written for it or not."""

    grant: Key
    stage: StageKey
    because: str


@dataclass(frozen=True, slots=True)
class Governance:
    """The class that governs a namespace, and what follows.

    `spec` always holds a class (the defaults when none governs). `stalled` is the reason why nothing may be widened
    (`AmbiguousClass`, `ClassLost`, ''); then `spec` is the class that governed last, unless that is not `known` any more.
    `uid` is '' without a class.
    """

    name: str
    uid: str
    spec: SegmentClassSpec
    stalled: str = ""
    known: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an approval counts for its exception: `problem` says why it does not."""

    approval: Key
    uid: str
    username: str
    problem: str
    created: str

    @property
    def counts(self) -> bool:
        """Whether it counts."""
        return not self.problem


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a SegmentException stands: in force (Open, Sealed), or why it is not.

    `hash` is its spec's; `begun` when it took effect, `ends` when it ends by itself, None when not known or never;
    `by_class` the class that governs, as (name, uid), None when it cannot be said; `sealers` its sealerGroups; `meant` the
    segment's uid and the stage's pods as they are now, '' where nobody knows.
    """

    key: Key
    uid: str
    stage: str
    effect: Literal["Open", "Seal"]
    phase: Phase
    reason: str
    message: str
    hash: str = ""
    approvals: tuple[Verdict, ...] = ()
    needed: int = 0
    begun: datetime | None = None
    ends: datetime | None = None
    by_class: tuple[str, str] | None = None
    sealers: tuple[str, ...] = ()
    meant: tuple[str, str] = ("", "")

    @property
    def name(self) -> str:
        """The exception's name."""
        return self.key.name

    @property
    def in_force(self) -> bool:
        """Whether it opens or seals anything now."""
        return self.phase in IN_FORCE


@dataclass(frozen=True, slots=True)
class Reach:
    """What one segment reaches and accepts, and all that there is to say about it."""

    segment: Key
    uid: str
    governance: Governance
    stages: tuple[StageReach, ...]
    network: Network = Network.NETWORK_POLICY
    #: The engine's pipeline-wide selectors: the first is the policy `<segment>`, further ones get a suffix.
    closing: tuple[Selector, ...] = ()
    granted: tuple[GrantedIngress, ...] = ()
    #: What holds its calls to pods in other namespaces, in Istio's mesh.
    calls: tuple[GrantedCalls, ...] = ()
    covered: tuple[CoveredEdge, ...] = ()
    suspended: bool = False
    findings: tuple[Finding, ...] = ()
    #: What the class does not allow. The entries concerned are closed, and nothing else may be widened either.
    refusals: tuple[Refusal, ...] = ()
    #: What the class does not allow in AWS. The stages concerned have no role; the network is what it is without it.
    cloud_refusals: tuple[Refusal, ...] = ()
    #: Host names that are followed for it, and what of them is open, for its status.
    host_names: tuple[tuple[str, Known], ...] = ()
    #: Every exception of the segment, in force or not.
    exceptions: tuple[Standing, ...] = ()
    #: Facts that were read, as (kind, namespace, name or '*'); a change of one makes the segment due again.
    reads: frozenset[tuple[str, str, str]] = field(default_factory=frozenset)
    #: Pods that matter, as (namespace, selector): a pod there, or a stage that selects some of them, makes it due too.
    watches: frozenset[tuple[str, Selector]] = field(default_factory=frozenset)

    @property
    def every_refusal(self) -> tuple[Refusal, ...]:
        """Everything that the class does not allow."""
        return (*self.refusals, *self.cloud_refusals)
