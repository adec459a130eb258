"""The entries of `reaches` and `accepts`: one target or one source each, with ports and HTTP matches beside it."""

from collections.abc import Iterable
from typing import Annotated, Final, Literal

from pydantic import Field

from pipesegment.spec.base import Empty, Model, Offence, Rule, Unique, exactly_one, unless
from pipesegment.spec.ports import CidrBlock, Https, Ports
from pipesegment.spec.selector import PodSelector
from pipesegment.spec.units import Bool, HostName, Label, Subdomain, Text, size

_NAMESPACE: Final = "The namespace; the segment's own when absent."


class StageTarget(Model):
    """Another stage."""

    name: Label = Field(description="The name of the stage.")
    segment: Label | None = Field(None, description="The segment that the stage belongs to; this one when absent.")
    namespace: Label | None = Field(None, description="The namespace of that segment; this one when absent.")


class ServiceTarget(Model):
    """A Service."""

    name: Label = Field(description="The name of the Service.")
    namespace: Label | None = Field(None, description=_NAMESPACE)


class PodsTarget(Model):
    """Pods of one namespace."""

    pod_selector: PodSelector = Field(description="The pods that are meant; never empty.")
    namespace: Label | None = Field(None, description=_NAMESPACE)


class FqdnTarget(Model):
    """Host names."""

    names: Annotated[tuple[HostName, ...], size(64, 1), Unique()] = Field(
        description="The host names, exact or with a leading `*.` for every name below."
    )


class DestinationTarget(Model):
    """A destination that the class of the namespace names."""

    name: Label = Field(description="The name of the destination in the SegmentClass.")


class AwsServiceTarget(Model):
    """A service of AWS, through its VPC endpoint where there is one."""

    name: Subdomain = Field(description="The service, such as s3, sts or ecr.")
    region: Label | None = Field(None, description="The region of the service; the class's own when absent.")


TargetName = Literal[
    "stage", "service", "pods", "cidr", "internet", "fqdn", "destination", "kubernetesAPI", "awsService", "imds"
]
SourceName = Literal["stage", "pods", "cidr"]

_TARGETS: Final[dict[str, TargetName]] = {
    "stage": "stage",
    "service": "service",
    "pods": "pods",
    "cidr": "cidr",
    "internet": "internet",
    "fqdn": "fqdn",
    "destination": "destination",
    "kubernetes_api": "kubernetesAPI",
    "aws_service": "awsService",
    "imds": "imds",
}
_SOURCES: Final[dict[str, SourceName]] = {"stage": "stage", "pods": "pods", "cidr": "cidr"}
_NEED_PORTS: Final = ("stage", "pods", "cidr", "internet")
_ADDRESSES: Final = ("cidr", "internet", "fqdn", "kubernetes_api", "aws_service", "imds")


def _named_ports(entry: "ReachEntry") -> Iterable[Offence]:
    if any(entry.has(name) for name in _ADDRESSES):
        for index, port in enumerate(entry.ports):
            if isinstance(port.port, str):
                yield ("ports", index, "port"), port.port


class ReachEntry(Model):
    """Something that a stage reaches: exactly one target, and the ports there."""

    stage: StageTarget | None = Field(None, description="Another stage, of this segment or of another one.")
    service: ServiceTarget | None = Field(None, description="A Service: its pods at its target ports.")
    pods: PodsTarget | None = Field(None, description="Pods of one namespace.")
    cidr: CidrBlock | None = Field(None, description="A block of addresses.")
    internet: Empty | None = Field(
        None, description="Public addresses of both families; never the cluster, private or special ranges."
    )
    fqdn: FqdnTarget | None = Field(None, description="Host names.")
    destination: DestinationTarget | None = Field(None, description="A named destination of the namespace's class.")
    kubernetes_api: Empty | None = Field(None, description="The API server of this cluster.")
    aws_service: AwsServiceTarget | None = Field(
        None, description="A service of AWS, through its VPC endpoint where one exists."
    )
    imds: Empty | None = Field(None, description="The cloud's metadata service; refused unless the class allows it.")
    ports: Ports = Field(
        (),
        description="The ports: required for stage, pods, cidr and internet; a Service's own ports for service (all of"
        " them when absent); 443/TCP for fqdn and awsService when absent; otherwise the target's own when absent.",
    )
    http: Https = Field((), description="The HTTP requests that are meant; every one when absent.")
    description: Text = Field("", description="Why the stage needs this, for people.")

    rules = (
        *exactly_one(
            "target",
            _TARGETS,
            f"name one of {', '.join(_TARGETS.values())}",
            "give each target an entry of its own",
        ),
        Rule(
            cel="has(self.ports) || !(" + " || ".join(f"has(self.{name})" for name in _NEED_PORTS) + ")",
            problem="is required for stage, pods, cidr and internet",
            fix="list the ports, such as {port: 443, protocol: TCP}",
            offences=unless(
                lambda e: e.ports or not any(e.has(name) for name in _NEED_PORTS), "ports", value=lambda e: e.kind
            ),
            field=".ports",
        ),
        Rule(
            cel="!has(self.ports) || !("
            + " || ".join(f"has(self.{_TARGETS[name]})" for name in _ADDRESSES)
            + ") || self.ports.all(p, type(p.port) == int)",
            problem="is a name, but only pods and Services name their ports",
            fix="give the port as a number",
            offences=_named_ports,
            field=".ports",
        ),
    )

    @property
    def kind(self) -> TargetName:
        """Name the target, as the API does."""
        return next(kind for name, kind in _TARGETS.items() if getattr(self, name) is not None)


class StageSource(Model):
    """Stages that may come in."""

    name: Label | None = Field(None, description="The name of the stage.")
    any_stage: Bool = Field(False, description="Every stage of the segment or segments that are meant.")
    segment: Label | None = Field(None, description="The segment of the stage; this one when absent.")
    any_segment: Bool = Field(False, description="Every segment of the namespace.")
    namespace: Label | None = Field(None, description="The namespace of the segment; this one when absent.")

    rules = (
        Rule(
            cel="has(self.name) != (has(self.anyStage) && self.anyStage)",
            problem="names no stage, or both one and every stage",
            fix="give either name or anyStage: true",
            offences=unless(lambda s: s.has("name") != s.any_stage),
        ),
        Rule(
            cel="!has(self.segment) || !has(self.anySegment) || !self.anySegment",
            problem="names both one and every segment",
            fix="give either segment or anySegment: true",
            offences=unless(lambda s: not (s.has("segment") and s.any_segment)),
        ),
    )


class PodsSource(Model):
    """Pods of one namespace that may come in."""

    pod_selector: PodSelector = Field(description="The pods that are meant; never empty.")
    namespace: Label | None = Field(None, description=_NAMESPACE)
    service_accounts: Annotated[tuple[Subdomain, ...], size(64), Unique()] = Field(
        (), description="The accounts that those pods run as, for the mesh; every account of the namespace when absent."
    )


class AcceptEntry(Model):
    """Something that a stage accepts: exactly one source, and the ports of the stage's pods."""

    stage: StageSource | None = Field(None, description="Another stage, of this segment or of others.")
    pods: PodsSource | None = Field(None, description="Pods of one namespace.")
    cidr: CidrBlock | None = Field(None, description="A block of addresses.")
    ports: Ports = Field(description="The ports of the stage's pods that are open to the source.")
    http: Https = Field((), description="The HTTP requests that are meant; every one when absent.")
    description: Text = Field("", description="Why the stage accepts this, for people.")

    rules = exactly_one(
        "source", _SOURCES, f"name one of {', '.join(_SOURCES)}", "give each source an entry of its own"
    )

    @property
    def kind(self) -> SourceName:
        """Name the source, as the API does."""
        return next(kind for name, kind in _SOURCES.items() if getattr(self, name) is not None)


Reaches = Annotated[tuple[ReachEntry, ...], size(64)]
Accepts = Annotated[tuple[AcceptEntry, ...], size(64)]


class Additions(Model):
    """Entries that are added to every stage."""

    reaches: Reaches = Field((), description="What every stage reaches beside its own entries.")
    accepts: Accepts = Field((), description="What every stage accepts beside its own entries.")
