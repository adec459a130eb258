"""Reads what a VPC has, and makes the endpoints that it lacks: for `pipesegment aws endpoints --apply`, never by itself."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipesegment.plan.aws.endpoints import GONE, Ground, Making, Subnet
from pipesegment.plan.aws.steps import Call
from pipesegment.world.aws.paging import Pages, named
from pipesegment.world.aws.port import Cloud, Place
from pipesegment.world.aws.reading import Reader


async def ground(cloud: Cloud, place: Place, vpc: str) -> Ground:
    """Read a VPC's subnets, their route tables, and which services have endpoints. Raises Unreachable as `Cloud` does."""
    await Reader(cloud, place).own()
    pages, of_vpc = Pages(cloud, place), {"Filters": [named("vpc-id", vpc)]}
    tables = await pages.read("DescribeRouteTables", "RouteTables", **of_vpc)
    routed = dict(_routed(tables))
    subnets = await pages.read("DescribeSubnets", "Subnets", **of_vpc)
    found = await pages.read("DescribeVpcEndpoints", "VpcEndpoints", **of_vpc)
    # In China some names have `cn.` in front; a service has one name here.
    made = {
        e["ServiceName"].removeprefix("cn."): e["VpcEndpointId"]
        for e in found
        if str(e.get("State", "")).lower() not in GONE
    }
    return Ground(tuple(_subnet(raw, routed) for raw in subnets), made)


async def make(cloud: Cloud, place: Place, making: Making) -> tuple[str, str]:
    """Make one endpoint; gives its id and state. Raises Unreachable as `Cloud` does."""
    answer = await cloud.call(place, Call(*making.call))
    made = answer["VpcEndpoint"]
    return str(made["VpcEndpointId"]), str(made.get("State", ""))


def _routed(tables: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Give the route table of each subnet that has one of its own, and under '' the one that holds for the others."""
    for table in tables:
        for association in table.get("Associations") or ():
            if association.get("SubnetId"):
                yield association["SubnetId"], table["RouteTableId"]
            elif association.get("Main"):
                yield "", table["RouteTableId"]


def _subnet(raw: Mapping[str, Any], routed: Mapping[str, str]) -> Subnet:
    six = (each["Ipv6CidrBlock"] for each in raw.get("Ipv6CidrBlockAssociationSet") or ())
    blocks = tuple(filter(None, (raw.get("CidrBlock"), *six)))
    return Subnet(
        raw["SubnetId"], raw.get("AvailabilityZone", ""), blocks, routed.get(raw["SubnetId"], routed.get("", ""))
    )
