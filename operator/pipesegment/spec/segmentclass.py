"""SegmentClass: what the platform team decides for the namespaces that it governs."""

from typing import Annotated, Literal

from pydantic import Field

from pipesegment.spec.base import Model, Rule, Unique, unless
from pipesegment.spec.classaws import ClassAws
from pipesegment.spec.destination import Destination
from pipesegment.spec.engine import EngineType
from pipesegment.spec.entries import Additions, TargetName
from pipesegment.spec.ports import Ports
from pipesegment.spec.segment import Mode, RoleRef
from pipesegment.spec.selector import LabelSelector, PodSelector
from pipesegment.spec.units import (
    Bool,
    Cidrs,
    Duration,
    Int,
    Label,
    LabelKey,
    Subdomain,
    Text,
    Timestamp,
    Word,
    between,
    size,
    text,
)

Groups = Annotated[tuple[Word, ...], size(64), Unique()]


class Enforcement(Model):
    """How far segments are enforced."""

    default: Literal["Enforce", "Observe", "Suspend"] = Field(
        "Enforce", description="The mode of segments that name none. Enforce when absent."
    )
    max: Literal["Enforce", "Observe", "Suspend"] = Field(
        "Enforce", description="The most that any segment is enforced. Enforce when absent."
    )


class Isolation(Model):
    """Whether the namespaces' pods are closed by default."""

    mode: Literal["None", "Namespace"] = Field(
        "None",
        description="Namespace: a default deny in every namespace that the class governs; in kube-system and others that "
        "serve the whole cluster only when namespaceSelector names them. None when absent.",
    )
    except_pods: Annotated[tuple[PodSelector, ...], size(16)] = Field(
        (), description="Pods that the default deny leaves alone."
    )


class DnsPods(Model):
    """Pods that answer DNS."""

    pod_selector: PodSelector = Field(description="The pods that answer; never empty.")
    namespace: Label = Field("kube-system", description="Their namespace; kube-system when absent.")


class Dns(Model):
    """The cluster's resolvers; discovered when everything is absent."""

    pods: Annotated[tuple[DnsPods, ...], size(16)] = Field((), description="Pods that answer DNS.")
    cidrs: Cidrs = Field((), description="Addresses that answer DNS.")
    ports: Ports = Field((), description="The pods' ports; 53, UDP and TCP, when absent.")


class Inexact(Model):
    """What to do where the engine cannot say exactly what was declared."""

    fqdn: Literal["Deny", "Resolve", "Coarse"] = Field(
        "Deny", description="Host names: Deny, Resolve to addresses, or Coarse. Deny when absent."
    )
    http: Literal["Deny", "Coarse"] = Field(
        "Deny", description="HTTP requests without a mesh: Deny, or Coarse: the ports alone. Deny when absent."
    )
    aws_service: Literal["Deny", "Coarse"] = Field(
        "Deny", description="Services of AWS without an endpoint: Deny or Coarse. Deny when absent."
    )


class Network(Model):
    """The network of the namespaces."""

    provider: Literal["Auto", "NetworkPolicy", "AmazonVPC", "Calico", "Cilium"] = Field(
        "Auto", description="What enforces the network. Auto when absent."
    )
    isolation: Isolation = Field(Isolation(), description="Whether the namespaces' pods are closed by default.")
    allow_internet: Bool = Field(True, description="Whether stages may reach public addresses. True when absent.")
    allow_imds: Bool = Field(False, description="Whether stages may reach the metadata service. False when absent.")
    require_grants: Bool = Field(
        False, description="Whether edges to other namespaces stay closed without a grant there. False when absent."
    )
    cluster_cidrs: Cidrs = Field(
        (), description="Ranges of pods, services and nodes beside those that are seen: never part of the internet."
    )
    except_style: Literal["Auto", "Except", "Prefixes"] = Field(
        "Auto", description="How exceptions are rendered: as except, or as plain prefixes. Auto when absent."
    )
    dns: Dns = Field(Dns(), description="The cluster's resolvers; discovered when absent.")
    inexact: Inexact = Field(Inexact(), description="What to do where the engine cannot say what was declared.")


class ClassMesh(Model):
    """The mesh of the namespaces."""

    provider: Literal["Auto", "Istio", "Linkerd", "None"] = Field("Auto", description="The mesh. Auto when absent.")
    data_plane: Literal["Auto", "Sidecar", "Ambient"] = Field("Auto", description="Its data plane. Auto when absent.")
    trust_domain: Subdomain = Field("cluster.local", description="Its trust domain; cluster.local when absent.")


Bypass = Literal[
    "HostNetwork",
    "HostPID",
    "HostIPC",
    "HostPath",
    "Privileged",
    "Capabilities",
    "ProxyUID",
    "MeshOptOut",
]


class Exemption(Model):
    """Stages whose pods may use ways around the fence, because they cannot do without."""

    allow: Annotated[tuple[Bypass, ...], size(8, 1), Unique()] = Field(
        description="The ways. In-pod image builders need Privileged; ProxyUID is the uid or gid 1337, which sidecars let through."
    )
    stages: Annotated[tuple[Label, ...], size(64), Unique()] = Field(
        (), description="Names of the stages that may; every stage when absent or empty."
    )
    reason: Text = Field(description="Why; it is shown in the status of every segment concerned.")


class Guardrails(Model):
    """What segments may do at all. An absent or empty list does not restrict, except `annotations` and `roleRefs`."""

    modes: Annotated[tuple[Mode, ...], size(2), Unique()] = Field(
        (), description="The modes that segments may ask for."
    )
    allow_suspend: Bool = Field(True, description="Whether segments may be suspended. True when absent.")
    engines: Annotated[tuple[EngineType, ...], size(8), Unique()] = Field((), description="The engine types allowed.")
    targets: Annotated[tuple[TargetName, ...], size(10), Unique()] = Field((), description="The targets allowed.")
    cidrs: Cidrs = Field((), description="The addresses that a cidr may lie in.")
    annotations: Annotated[tuple[LabelKey, ...], size(64), Unique()] = Field(
        (), description="Identity annotations of other clouds that stages may put on their account."
    )
    role_refs: Annotated[tuple[RoleRef, ...], size(64)] = Field(
        (), description="Roles that stages may bind to their account."
    )
    controllers: Annotated[tuple[Word, ...], size(32), Unique()] = Field(
        (),
        description="Who may create pods of a stage: service accounts as `namespace/name`, or the names of users. Admission"
        " policies hold everybody else off.",
    )
    overlap: Literal["Refuse", "Union"] = Field(
        "Refuse", description="Two segments that select one pod: Refuse the younger, or Union. Refuse when absent."
    )
    exclusive: Bool = Field(
        False,
        description="Whether admission refuses policies of others that may open anything at an enforced stage's pods. False when"
        " absent.",
    )
    lockdown: Bool = Field(
        False,
        description="Whether exec, attach, port-forward and the API server's proxy are closed in namespaces with an enforced"
        " stage. False when absent.",
    )
    exemptions: Annotated[tuple[Exemption, ...], size(32)] = Field(
        (), description="Stages whose pods may use ways around the fence; told in the segments' status."
    )


class Mfa(Model):
    """How a second factor shows in the authenticated user."""

    extra_key: LabelKey = Field(description="The key of the user's extra, as `example.com/amr`.")
    values: Annotated[tuple[Word, ...], size(16, 1), Unique()] = Field(description="The values that prove it.")


class Cautious(Model):
    """What holds instead while the segment does not conform: it can only be stricter."""

    approvals: Annotated[Int, between(1, 16)] | None = Field(
        None, description="How many approvals are needed then; not fewer than otherwise."
    )
    max_duration: Duration | None = Field(
        None, description="The longest exception then; where it is longer than otherwise, the shorter one holds."
    )


class BreakGlass(Model):
    """Who may open and seal in an emergency."""

    approver_groups: Groups = Field((), description="Groups whose members may approve; nobody when absent or empty.")
    sealer_groups: Groups = Field((), description="Groups whose members may lift a seal.")
    approvals: Annotated[Int, between(1, 16)] = Field(1, description="How many approvals are needed; 1 when absent.")
    max_duration: Duration = Field("4h", description="The longest exception; 4h when absent.")
    mfa: Mfa | None = Field(
        None,
        description="How a second factor is proved, without which nobody approves; when absent, by mfa or hwk under example.com/amr.",
    )
    when_not_conforming: Cautious = Field(
        Cautious(), description="What holds for exceptions while the segment's condition Conforming is False."
    )

    rules = (
        Rule(
            cel="!has(self.whenNotConforming) || !has(self.whenNotConforming.approvals)"
            " || self.whenNotConforming.approvals >= (has(self.approvals) ? self.approvals : 1)",
            problem="is fewer than breakGlass.approvals",
            fix="ask for as many or more, or leave it out",
            offences=unless(
                lambda b: (b.when_not_conforming.approvals or b.approvals) >= b.approvals,
                "whenNotConforming",
                "approvals",
            ),
            field=".whenNotConforming.approvals",
        ),
    )


class Ignored(Model):
    """A vulnerability that gates pass over for a while."""

    id: Word = Field(description="Its id, such as CVE-2030-0001.")
    reason: Text = Field(description="Why.")
    expires: Timestamp = Field(description="Until when.")


class ClassGates(Model):
    """What holds for every gate."""

    ignore: Annotated[tuple[Ignored, ...], size(256), Unique("id")] = Field(
        (), description="Vulnerabilities that gates pass over."
    )


class EvidenceKey(Model):
    """A public key that may sign GateEvidence."""

    name: Label = Field(description="The name that gates know it by, as issuer.")
    public_key: Annotated[str, text(8192, 1)] = Field(description="The key, in PEM.")


class SegmentClassSpec(Model):
    """The spec of a SegmentClass."""

    namespace_selector: LabelSelector = Field(
        LabelSelector(), description="The namespaces that the class governs; every one when absent or empty."
    )
    priority: Annotated[Int, between(-1_000_000, 1_000_000)] = Field(
        0, description="The highest that selects a namespace governs it; a tie governs nobody. 0 when absent."
    )
    enforcement: Enforcement = Field(Enforcement(), description="How far segments are enforced.")
    network: Network = Field(Network(), description="The network of the namespaces.")
    mesh: ClassMesh = Field(ClassMesh(), description="The mesh of the namespaces.")
    aws: ClassAws = Field(ClassAws(), description="AWS; nothing is allowed there when absent.")
    destinations: Annotated[tuple[Destination, ...], size(256), Unique("name")] = Field(
        (), description="Destinations that segments may name."
    )
    baseline: Additions = Field(
        Additions(), description="Entries that are added to every stage that the class governs."
    )
    guardrails: Guardrails = Field(Guardrails(), description="What segments may do at all.")
    break_glass: BreakGlass = Field(BreakGlass(), description="Who may open and seal in an emergency.")
    gates: ClassGates = Field(ClassGates(), description="What holds for every gate.")
    evidence_keys: Annotated[tuple[EvidenceKey, ...], size(32), Unique("name")] = Field(
        (), description="Public keys that may sign GateEvidence."
    )
