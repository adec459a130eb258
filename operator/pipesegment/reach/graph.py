"""The Reach: what a segment's declarations mean, before any engine's language.

What an engine cannot express is the compiler's Gap; what the surroundings or the class do not admit is already closed here,
with a Finding that says why.
"""

from dataclasses import dataclass, field

from pipesegment.facts.hostnames import Known
from pipesegment.facts.meta import Key
from pipesegment.facts.selectors import Selector
from pipesegment.findings import Finding, Refusal
from pipesegment.reach.aws.values import CloudIdentity
from pipesegment.reach.edges import Edge, Front, HttpRule, Mesh, Mode, Network, PodPeer, PortRange, Principal, StageKey
from pipesegment.reach.standing import Standing
from pipesegment.spec.segmentclass import SegmentClassSpec


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
    #: Where edges are declared of which nobody granted some part, so that it stays closed on this side, too.
    ungranted: frozenset[str] = frozenset()
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
