"""SegmentGrant: the leave that a namespace gives to stages of other namespaces."""

from typing import Annotated, Literal

from pydantic import Field

from pipesegment.spec.base import Model, Rule, exactly_one, unless
from pipesegment.spec.ports import Https, Ports
from pipesegment.spec.selector import PodSelector
from pipesegment.spec.units import Label, size


class GrantFrom(Model):
    """Stages that are let in: never other pods of their namespace."""

    namespace: Label = Field(description="The namespace of the segments.")
    segment: Label | None = Field(None, description="The segment; every segment of the namespace when absent.")
    stage: Label | None = Field(None, description="The stage; every stage when absent.")


class GrantService(Model):
    """A Service of the grant's namespace."""

    name: Label = Field(description="The name of the Service.")


class GrantTo(Model):
    """What is opened in the grant's namespace: pods, or a Service's pods."""

    pod_selector: PodSelector | None = Field(None, description="The pods that are opened; never empty.")
    service: GrantService | None = Field(None, description="The Service whose pods are opened.")

    rules = exactly_one(
        "target", ("pod_selector", "service"), "name podSelector or service", "make a grant for each of them"
    )


class SegmentGrantSpec(Model):
    """The spec of a SegmentGrant."""

    from_: Annotated[tuple[GrantFrom, ...], size(64, 1)] = Field(description="The stages that are let in.")
    to: GrantTo = Field(description="What they may reach in this namespace.")
    ports: Ports = Field(
        (),
        description="With service: its own ports, all of them when absent. With podSelector: the pods' ports, required.",
    )
    http: Https = Field((), description="The HTTP requests that are meant; every one when absent.")
    isolate: Literal["Nobody", "Callers", "Everyone"] = Field(
        "Callers",
        description="Whom the grant holds to its ports and requests: Nobody, the Callers alone, or Everyone who calls the"
        " target. Callers when absent.",
    )

    rules = (
        Rule(
            cel="has(self.ports) || !has(self.to.podSelector)",
            problem="is required with podSelector",
            fix="list the pods' ports, such as {port: 8080, protocol: TCP}",
            offences=unless(lambda g: g.ports or g.to.pod_selector is None, "ports", value=lambda _: "podSelector"),
            field=".ports",
        ),
        Rule(
            cel="!has(self.http) || !has(self.isolate) || self.isolate != 'Nobody'",
            problem="holds nobody with isolate Nobody",
            fix="say isolate: Callers, or leave http out",
            offences=unless(lambda g: not g.http or g.isolate != "Nobody", "http", value=lambda _: "http"),
            field=".http",
        ),
    )
