"""The Snapshot: everything about the surroundings that a declaration may depend on.

The values are frozen; the mappings are read-only views (an informer's own indexes, or a file's content), so taking a
snapshot costs nothing. Whoever holds one must not await between reading it and using what was read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, NamedTuple

from pipesegment import names
from pipesegment.facts import hostnames
from pipesegment.facts.bylabel import ByLabel
from pipesegment.facts.emergency import SegmentApproval, SegmentException
from pipesegment.facts.guards import Guards
from pipesegment.facts.meta import Meta
from pipesegment.facts.others import Others
from pipesegment.facts.seen import SeenAddresses
from pipesegment.facts.selectors import Selector
from pipesegment.facts.vpc import VPCEndpoint
from pipesegment.findings import Refusal
from pipesegment.spec.grant import SegmentGrantSpec
from pipesegment.spec.segment import PipelineSegmentSpec
from pipesegment.spec.segmentclass import SegmentClassSpec

Protocol = Literal["TCP", "UDP", "SCTP"]


@dataclass(frozen=True, slots=True)
class Namespace:
    """core/v1 Namespace. `labels` always hold kubernetes.io/metadata.name."""

    meta: Meta
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """A port that a pod declares."""

    name: str
    port: int
    protocol: Protocol


@dataclass(frozen=True, slots=True)
class Pod:
    """core/v1 Pod, what policies and conformance need of it. `live` is False for Succeeded, Failed."""

    meta: Meta
    labels: Mapping[str, str]
    service_account: str
    host_network: bool
    ips: tuple[str, ...]
    ports: tuple[ContainerPort, ...]
    live: bool
    has_owner: bool
    containers: tuple[str, ...]  # native sidecars among them
    probes: tuple[tuple[int, str], ...] = ()  # by HTTP: port and path
    node: str = field(default="", compare=False)  # that it is placed is no news: its address is


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a Service; `target` is the pods' port, by number or name."""

    name: str
    port: int
    target: int | str
    protocol: Protocol
    app_protocol: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """core/v1 Service. `selector` is None when it has none (its EndpointSlices are somebody else's work).

    A `headless` one has no address of its own: clients call its pods under the numbers of its own ports. `external_name` is in
    lower case, without the dot at its end.
    """

    meta: Meta
    type: str
    selector: Selector | None
    ports: tuple[ServicePort, ...]
    cluster_ips: tuple[str, ...]
    external_name: str
    headless: bool = False


@dataclass(frozen=True, slots=True)
class Gateway:
    """gateway.networking.k8s.io/v1 Gateway, as far as it may be a waypoint of Istio's.

    `account` is what its pods run as, `handles` the traffic that its label names (`service`, `workload`, `all`, `none`; ''
    without the label), `shared` whether other namespaces may use it.
    """

    meta: Meta
    class_name: str
    account: str
    handles: str
    shared: bool


@dataclass(frozen=True, slots=True)
class EndpointSlice:
    """discovery.k8s.io/v1 EndpointSlice; `ports` are (name, number, protocol)."""

    meta: Meta
    service: str
    addresses: tuple[str, ...]
    ports: tuple[tuple[str, int, Protocol], ...]


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """networking.k8s.io/v1 NetworkPolicy, whoever wrote it. `spec` is as the API prints it; empty when `owned`."""

    meta: Meta
    selector: Selector
    policy_types: frozenset[str]
    spec: Mapping[str, Any]
    owned: bool  # labelled app.kubernetes.io/managed-by=pipesegment, and owned by one of our kinds


@dataclass(frozen=True, slots=True)
class Node:
    """core/v1 Node: addresses and pod ranges, for 'internet' and the cluster's own ranges."""

    meta: Meta
    addresses: tuple[str, ...]
    pod_cidrs: tuple[str, ...]


@dataclass(frozen=True)
class Segment:
    """A PipelineSegment with its parsed spec; `spec` is None when it is refused (it counts for nothing), `refusals` say why.

    `class_uid` is the class that its status recorded last ('' when none did), `unfit` whether it recorded that the segment
    does not conform (None when it says nothing of it). `memo` keeps what pure functions derived
    from this very value, so that a thousand neighbours need not derive it again.
    """

    meta: Meta
    spec: PipelineSegmentSpec | None
    class_uid: str = ""
    refusals: tuple[Refusal, ...] = ()
    unfit: bool | None = None
    #: What the object's status said when it was read, as JSON.
    status: bytes = field(default=b"", compare=False, repr=False)
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def orphans(self) -> bool:
        """Tell whether who deletes it wants what it owns to stay."""
        return self.meta.deleting and "orphan" in self.meta.finalizers

    @property
    def is_taken(self) -> bool:
        """Tell whether what it owns in the cluster is gone already, while it waits for AWS."""
        return self.meta.deleting and names.AWS_FINALIZER in self.meta.finalizers and not self.orphans


@dataclass(frozen=True, slots=True)
class Grant:
    """A SegmentGrant; `bound` maps a namespace to the UID that its status recorded."""

    meta: Meta
    spec: SegmentGrantSpec | None
    bound: Mapping[str, str] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()
    status: bytes = field(default=b"", compare=False, repr=False)


class Claim(NamedTuple):
    """Which namespaces a SegmentClass claims to govern, and with which priority."""

    selector: Selector
    priority: int


@dataclass(frozen=True, slots=True)
class Class:
    """A SegmentClass; `spec` is None when it is refused: it then governs nobody, and whom it claims is Stalled.

    `claim` is None when not even that can be read: then it may be anybody's.
    """

    meta: Meta
    spec: SegmentClassSpec | None
    refusals: tuple[Refusal, ...] = ()
    status: bytes = field(default=b"", compare=False, repr=False)
    claim: Claim | None = None


@dataclass(frozen=True)
class Snapshot:
    """All facts, by namespace and name. Absent means absent: nothing is ever assumed to be there."""

    namespaces: Mapping[str, Namespace] = field(default_factory=dict)
    nodes: Mapping[str, Node] = field(default_factory=dict)
    classes: Mapping[str, Class] = field(default_factory=dict)
    segments: Mapping[str, Mapping[str, Segment]] = field(default_factory=dict)
    grants: Mapping[str, Mapping[str, Grant]] = field(default_factory=dict)
    pods: Mapping[str, Mapping[str, Pod]] = field(default_factory=dict)
    services: Mapping[str, Mapping[str, Service]] = field(default_factory=dict)
    slices: Mapping[str, Mapping[str, EndpointSlice]] = field(default_factory=dict)
    policies: Mapping[str, Mapping[str, NetworkPolicy]] = field(default_factory=dict)
    gateways: Mapping[str, Mapping[str, Gateway]] = field(default_factory=dict)
    #: Every address of these pods and Services.
    seen: SeenAddresses = field(default_factory=SeenAddresses, compare=False, repr=False)
    #: By namespace: the class that governed it last, as a process that follows the facts has seen it.
    governed: Mapping[str, Class] = field(default_factory=dict)
    #: Names of the CRDs that exist, such as `authorizationpolicies.security.istio.io`.
    crds: frozenset[str] = frozenset()
    #: These pods by their labels, where somebody keeps them so.
    labelled: ByLabel[Pod] | None = field(default=None, compare=False, repr=False)
    others: Others = field(default_factory=Others)
    exceptions: Mapping[str, Mapping[str, SegmentException]] = field(default_factory=dict)
    approvals: Mapping[str, Mapping[str, SegmentApproval]] = field(default_factory=dict)
    guards: Guards = field(default_factory=Guards)
    #: What time it is; while nobody knows, no exception opens anything, and every seal holds.
    now: datetime | None = None
    #: None as long as nobody looked: then nothing is known of any endpoint.
    vpc_endpoints: tuple[VPCEndpoint, ...] | None = None
    #: VPCs whose endpoints these are (None: every one), and of those that were read long ago, when.
    read_vpcs: frozenset[str] | None = None
    old_vpcs: Mapping[str, str] = field(default_factory=dict)
    #: What host names stand for; None as long as nobody looked.
    host_names: Mapping[str, hostnames.Known] | None = None
    #: By (what, namespace): what pure functions derive and keep up with the facts, so that a thousand segments need not each.
    memo: dict[tuple[str, str], Any] = field(default_factory=dict, compare=False, repr=False)

    def segment(self, namespace: str, name: str) -> Segment | None:
        """Find a segment."""
        return self.segments.get(namespace, {}).get(name)

    def spaces(self) -> frozenset[str]:
        """Name every namespace that is known, be it only by what is in it."""
        inside = (self.segments, self.grants, self.pods, self.services, self.slices, self.policies)
        return frozenset(self.namespaces).union(*inside)

    def service(self, namespace: str, name: str) -> Service | None:
        """Find a Service."""
        return self.services.get(namespace, {}).get(name)

    def foreign_policies(self, namespace: str) -> tuple[NetworkPolicy, ...]:
        """Give the NetworkPolicies of a namespace that are not ours, less those that go away, sorted by name."""
        found = (p for _, p in sorted(self.policies.get(namespace, {}).items()))
        return tuple(p for p in found if not p.owned and not p.meta.deleting)

    def slices_of(self, namespace: str, service: str) -> tuple[EndpointSlice, ...]:
        """Give the EndpointSlices of a Service, sorted by name."""
        found = (s for s in self.slices.get(namespace, {}).values() if s.service == service)
        return tuple(sorted(found, key=lambda s: s.meta.name))

    def endpoints_of(self, vpc: str) -> tuple[VPCEndpoint, ...] | None:
        """Give the endpoints of a VPC; None where they are not known."""
        if self.vpc_endpoints is None or (self.read_vpcs is not None and vpc not in self.read_vpcs):
            return None
        return tuple(each for each in self.vpc_endpoints if each.vpc == vpc)

    def pods_of(self, namespace: str, *selectors: Selector) -> Iterator[Pod]:
        """Give the live pods of a namespace that all these selectors select, host network or not."""
        for pod in self._labelled.among(namespace, self.pods.get(namespace, {}), selectors):
            if pod.live and all(selector.matches(pod.labels) for selector in selectors):
                yield pod

    def among(self, namespace: str, selector: Selector) -> list[Pod]:
        """Give few live pods of a namespace, among which are all that a selector selects."""
        return [p for p in self._labelled.among(namespace, self.pods.get(namespace, {}), [selector]) if p.live]

    @cached_property
    def _labelled(self) -> ByLabel[Pod]:
        if self.labelled is not None:
            return self.labelled
        found = ByLabel[Pod]()
        for namespace, pods in self.pods.items():
            for name, pod in pods.items():
                found.put(namespace, name, pod)
        return found
