"""The calls that make the VPC endpoints which segments need and nobody has made, and why some cannot be made.

Nothing here changes an endpoint that exists, whoever made it (docs/adr/0055).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final, NamedTuple

from pipesegment import names
from pipesegment.compile.canonical import canonical_bytes
from pipesegment.compile.iam.endpoints import Need
from pipesegment.findings import Refusal
from pipesegment.plan.aws.steps import Call, tag_list
from pipesegment.reach.addresses import network
from pipesegment.spec.classaws import ClassAws

#: States of an endpoint in which it will never carry a call.
GONE: Final = frozenset({"deleting", "deleted", "rejected", "failed", "expired"})


class Subnet(NamedTuple):
    """A subnet of the VPC: its zone, its blocks, and the route table that holds for it ('' when nobody knows)."""

    id: str
    zone: str
    blocks: tuple[str, ...]
    route_table: str = ""


@dataclass(frozen=True, slots=True)
class Ground:
    """What is known of a VPC: its subnets, and the services that have an endpoint there in whatever state, by its id."""

    subnets: tuple[Subnet, ...] = ()
    made: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody said by hand; what is empty is looked for."""

    subnets: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    route_tables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Making:
    """An endpoint that is missing and the call that makes it."""

    need: Need
    call: Call


def makings(
    needs: Iterable[Need], aws: ClassAws, ground: Ground, asked: Asked, addresses: Iterable[str]
) -> tuple[tuple[Making, ...], tuple[Refusal, ...]]:
    """Give the calls for what is missing in a class's VPC, and why the others cannot be made.

    `addresses` are those of nodes and pods: interfaces belong where they are, and so do the routes to gateways.
    """
    near = _near(ground.subnets, addresses)
    made, refusals = [], []
    for need in needs:
        if need.service in ground.made:
            continue
        missing = list(_missing(need, aws, near, asked, ground))
        refusals += missing
        if not missing:
            made.append(Making(need, _call(need, aws, near, asked)))
    return tuple(made), tuple(dict.fromkeys(refusals))


def _missing(need: Need, aws: ClassAws, near: Sequence[Subnet], asked: Asked, ground: Ground) -> Iterator[Refusal]:
    region = need.service.removeprefix("com.amazonaws.").partition(".")[0]
    if region != aws.region:
        yield Refusal("--apply", "is of another region than the VPC:", need.service, "reach it by cidr or fqdn instead")
    known = {subnet.id for subnet in ground.subnets}
    for each in asked.subnets:
        if each not in known:
            yield Refusal("--subnet", f"is no subnet of {aws.vpc_id}:", each, "name one of the VPC's own")
    zones = Counter(subnet.zone for subnet in ground.subnets if subnet.id in asked.subnets)
    for zone in sorted(zone for zone, count in zones.items() if count > 1 and not need.gateway):
        yield Refusal(
            "--subnet", "an interface endpoint takes one subnet of a zone, and several are of", zone, "name one"
        )
    if need.gateway:
        if not asked.route_tables and not _tables(near):
            fix = "give --route-table, or nodes and pods by --facts or from the cluster"
            yield Refusal("--route-table", "nobody knows whose routes should lead to", need.service, fix)
        return
    if not asked.subnets and not near:
        fix = "give --subnet, or nodes and pods by --facts or from the cluster"
        yield Refusal("--subnet", "nobody knows in which subnets pods would look for", need.service, fix)
    if not asked.groups:
        # AWS would take the VPC's default group, which lets in nobody but its own members.
        fix = "give --security-group, one that lets the pods in at TCP/443"
        yield Refusal("--security-group", "nobody knows which group should guard", need.service, fix)


def _call(need: Need, aws: ClassAws, near: Sequence[Subnet], asked: Asked) -> Call:
    tags = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.CLUSTER_TAG: aws.cluster}
    parameters: dict[str, Any] = {
        "VpcId": need.vpc,
        "ServiceName": need.service,
        "VpcEndpointType": "Gateway" if need.gateway else "Interface",
        "TagSpecifications": [{"ResourceType": "vpc-endpoint", "Tags": tag_list({k: v for k, v in tags.items() if v})}],
    }
    if need.gateway:
        parameters["RouteTableIds"] = sorted(asked.route_tables or _tables(near))
    else:
        parameters["SubnetIds"] = sorted(asked.subnets or {subnet.id for subnet in near})
        parameters["SecurityGroupIds"] = sorted(asked.groups)
        parameters["PrivateDnsEnabled"] = True
    # The same wish, from whomever and however often, makes one endpoint.
    token = hashlib.sha256(canonical_bytes(parameters)).hexdigest()[:64]
    return Call("ec2", "CreateVpcEndpoint", {**parameters, "ClientToken": token})


def _near(subnets: Iterable[Subnet], addresses: Iterable[str]) -> tuple[Subnet, ...]:
    """Give the subnets that hold nodes and pods; of several in one zone the one that holds the most.

    An interface endpoint takes one subnet of a zone.
    """
    every = tuple(subnets)
    held = Counter(subnet for ip in map(ip_address, addresses) for subnet in every if _holds(subnet, ip))
    best: dict[str, Subnet] = {}
    for subnet, _ in sorted(held.items(), key=lambda found: (-found[1], found[0].id)):
        best.setdefault(subnet.zone, subnet)
    return tuple(best[zone] for zone in sorted(best))


def _holds(subnet: Subnet, address: IPv4Address | IPv6Address) -> bool:
    return any(address in network(block) for block in subnet.blocks)


def _tables(near: Iterable[Subnet]) -> frozenset[str]:
    return frozenset(subnet.route_table for subnet in near if subnet.route_table)
