"""Destinations: places outside that a class gives a name."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from pipesegment.spec.base import Model, Offence, Rule, Unique, unless
from pipesegment.spec.ports import Ports, within
from pipesegment.spec.units import Cidrs, HostName, Label, Text, network, size


class DestinationService(Model):
    """A Service in the cluster; `{}` means none."""

    name: Label | None = Field(None, description="The name of the Service.")
    namespace: Label | None = Field(None, description="The namespace of the Service.")

    rules = (
        Rule(
            cel="has(self.name) == has(self.__namespace__)",
            problem="names only half of a Service",
            fix="give both name and namespace",
            offences=unless(lambda s: s.has("name") == s.has("namespace")),
        ),
    )


def _outside(destination: "Destination") -> Iterable[Offence]:
    for index, part in enumerate(destination.except_):
        if not any(within(part, whole) and network(part) != network(whole) for whole in destination.cidrs):
            yield ("except", index), part


def _named_ports(destination: "Destination") -> Iterable[Offence]:
    if not (destination.service and destination.service.name):
        for index, port in enumerate(destination.ports):
            if isinstance(port.port, str):
                yield ("ports", index, "port"), port.port


class Destination(Model):
    """A named destination: matched by its names where the engine can, otherwise by exactly its addresses."""

    name: Label = Field(description="The name that segments use.")
    fqdns: Annotated[tuple[HostName, ...], size(64), Unique()] = Field((), description="Its host names.")
    cidrs: Cidrs = Field((), description="Its addresses.")
    except_: Cidrs = Field((), description="Parts of those addresses that are not meant.")
    service: DestinationService | None = Field(None, description="The Service that it is, inside the cluster.")
    ports: Ports = Field((), description="Its ports; 443/TCP when absent, or the Service's own.")
    description: Text = Field("", description="What it is, for people.")

    rules = (
        Rule(
            cel="(has(self.fqdns) && size(self.fqdns) > 0) || (has(self.cidrs) && size(self.cidrs) > 0)"
            " || (has(self.service) && has(self.service.name))",
            problem="has no host name, no address and no Service",
            fix="give fqdns, cidrs or service",
            offences=unless(lambda d: d.fqdns or d.cidrs or (d.service and d.service.name)),
        ),
        Rule(
            cel="!has(self.ports) || (has(self.service) && has(self.service.name))"
            " || self.ports.all(p, type(p.port) == int)",
            problem="is a name, but only a Service names its ports",
            fix="give the port as a number",
            offences=_named_ports,
            field=".ports",
        ),
        Rule(
            cel="",  # 256 destinations, 64 blocks and 64 exceptions in each
            problem="is not inside any of the destination's cidrs",
            fix="give a smaller block within one of them, or remove the exception",
            offences=_outside,
            field=".except",
        ),
    )
