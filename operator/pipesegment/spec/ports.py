"""Ports, HTTP matches and blocks of addresses: what stands beside a target or a source."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from pipesegment.spec.base import Model, Offence, Rule, Unique, unless
from pipesegment.spec.naming import items, value
from pipesegment.spec.units import HOST_BITS, Cidr, Excepts, Grammar, PortNumber, PortValue, network, size, text

Protocol = Literal["TCP", "UDP", "SCTP"]
_EVERY_METHOD = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"]


class Port(Model):
    """A port, or a range of them."""

    port: PortValue = Field(description="The number of the port, or its name.")
    end_port: PortNumber | None = Field(
        None, description="The last port of a range that starts at port; only beside a number."
    )
    protocol: Protocol = Field("TCP", description="TCP, UDP or SCTP; TCP when absent.")

    rules = (
        Rule(
            cel="!has(self.endPort) || type(self.port) == int",
            problem="stands beside a port's name",
            fix="give port as a number, or leave endPort out",
            offences=unless(lambda p: p.end_port is None or isinstance(p.port, int), "endPort"),
            field=".endPort",
        ),
        Rule(
            cel="!has(self.endPort) || type(self.port) != int || self.endPort >= self.port",
            problem="is below port",
            fix="give the last port of the range, or leave endPort out",
            offences=unless(lambda p: p.end_port is None or isinstance(p.port, str) or p.end_port >= p.port, "endPort"),
            field=".endPort",
        ),
    )


Ports = Annotated[tuple[Port, ...], size(32, 1), Unique()]


class HttpMatch(Model):
    """HTTP requests by method and path."""

    methods: Annotated[tuple[_EVERY_METHOD, ...], size(9), Unique()] = Field(
        (), description="The methods that are meant; every method when absent."
    )
    paths: Annotated[
        tuple[
            Annotated[
                str,
                text(1024, 1),
                Grammar(
                    r"/[!-)+->@-~]*\*?",
                    "is not a path",
                    "start it with '/', without '?', and use '*' only as its last character",
                ),
            ],
            ...,
        ],
        size(32),
        Unique(),
    ] = Field((), description="The paths that are meant, exact or with one trailing `*`; every path when absent.")

    rules = (
        Rule(
            cel="(has(self.methods) && size(self.methods) > 0) || (has(self.paths) && size(self.paths) > 0)",
            problem="names neither methods nor paths",
            fix="name at least one, or leave http out for every request",
            offences=unless(lambda h: h.methods or h.paths),
        ),
    )


Https = Annotated[tuple[HttpMatch, ...], size(16)]


def _outside(block: "CidrBlock") -> Iterable[Offence]:
    for index, part in enumerate(block.except_):
        if network(part).version == network(block.block).version and not within(part, block.block):
            yield ("except", index), part


def _whole(block: "CidrBlock") -> Iterable[Offence]:
    for index, part in enumerate(block.except_):
        if network(part) == network(block.block):
            yield ("except", index), part


def _other_family(block: "CidrBlock") -> Iterable[Offence]:
    whole = network(block.block)
    for index, text_ in enumerate(block.except_):
        if network(text_).version != whole.version:
            yield ("except", index), text_


def within(part: str, whole: str) -> bool:
    """Tell whether a block lies in another one, or is it."""
    inner, outer = network(part), network(whole)
    shift = outer.max_prefixlen - outer.prefixlen
    return (
        inner.version == outer.version
        and inner.prefixlen >= outer.prefixlen
        and int(inner.network_address) >> shift == int(outer.network_address) >> shift
    )


class CidrBlock(Model):
    """A block of addresses, less some of its parts."""

    block: Cidr = Field(description="The addresses, IPv4 or IPv6, as `10.0.0.0/8`.")
    except_: Excepts = Field((), description="Parts of the block that are not meant.")

    rules = (
        replace(
            HOST_BITS,
            # `exists_one` costs less than `all` and fits the budget: beside a block that breaks the rule none else may break it.
            cel="!has(self.except) || (self.except + ['0.0.0.1/8']).map(e, cidr(e)).exists_one(e, e.masked() != e)",
            offences=lambda _: (),  # each item has told its own
            field=".except",
            naming=items("except", "[cidr(e)].exists(b, b.masked() != b)"),
        ),
        Rule(
            cel="!has(self.except) || [self.block.contains(':')].all(v6, self.except.all(e, e.contains(':') == v6))",
            problem="is of another address family than its block",
            fix="give IPv4 exceptions to an IPv4 block and IPv6 ones to an IPv6 block",
            offences=_other_family,
            field=".except",
            naming=items("except", "e.contains(':') != self.block.contains(':')"),
        ),
        Rule(
            cel="!has(self.except) || !isCIDR(self.block)"
            " || [cidr(self.block)].all(b, self.except.all(e, b.containsCIDR(e)))",
            problem="is not inside its block",
            fix="give a smaller block within it, or remove the exception",
            offences=_outside,
            field=".except",
            naming=items("except", "!cidr(self.block).containsCIDR(e)"),
        ),
        Rule(
            cel="!has(self.except) || !(self.block in self.except)",
            problem="is the whole block",
            fix="remove the entry, or nothing of the block is left",
            offences=_whole,
            field=".except",
            naming=value("self.block"),
        ),
    )
