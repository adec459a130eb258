"""The operator and the endpoints of its VPC: found before anything is written, followed, kept while AWS is silent."""

import asyncio
import json
from typing import Any

import boto3
import pytest

from pipesegment.errors import NoCredentials, Rejected, Unreachable
from pipesegment.facts.parse import snapshot
from pipesegment.world.aws.endpoints import Endpoints, read
from pipesegment.world.aws.memory import MemoryAws
from pipesegment.world.aws.port import Place
from pipesegment.world.clock import ManualClock
from tests.unit.cloud.moto import KEYS, client, moto
from tests.unit.cloud.scenes import ACCOUNT, AWS, Time, aws_class, running, segment, stage
from tests.unit.running import twin as scenes

DAY = 24 * 3600.0
KMS = {
    "VpcEndpointId": "vpce-1",
    "VpcId": "vpc-1",
    "ServiceName": "com.amazonaws.eu-west-1.kms",
    "VpcEndpointType": "Interface",
    "State": "available",
    "PrivateDnsEnabled": True,
    "NetworkInterfaceIds": ["eni-1"],
}
S3 = {**KMS, "VpcEndpointId": "vpce-2", "ServiceName": "com.amazonaws.eu-west-1.s3", "VpcEndpointType": "Gateway"}


def amazon(*endpoints: dict[str, Any], address: str = "10.9.0.10") -> MemoryAws:
    aws = MemoryAws(ACCOUNT)
    aws.described = {
        "VpcEndpoints": list(endpoints),
        "NetworkInterfaces": [{"NetworkInterfaceId": "eni-1", "PrivateIpAddress": address}],
        "PrefixLists": [
            {"PrefixListId": "pl-1", "PrefixListName": "com.amazonaws.eu-west-1.s3", "Cidrs": ["52.218.0.0/17"]},
            {"PrefixListId": "pl-2", "PrefixListName": "com.amazonaws.eu-west-1.ipv6.s3", "Cidrs": ["2a05:d07a::/32"]},
        ],
    }
    return aws


def shop(*services: str) -> dict[str, Any]:
    return segment(scenes.stage("a", app="a", reaches=[{"awsService": {"name": name}} for name in services]))


def opened(world: Any) -> set[str]:
    """Give every block that the segment's policies let through."""
    found = world.cluster.objects("NetworkPolicy")
    rules = (rule for obj in found for rule in obj["spec"].get("egress") or ())
    return {peer["ipBlock"]["cidr"] for rule in rules for peer in rule["to"] if "ipBlock" in peer}


async def test_ways_are_open_from_the_first_write_on():
    async with running(aws_class(vpcID="vpc-1"), shop("kms", "s3"), aws=amazon(KMS, S3)) as world:
        assert opened(world) == {"10.9.0.10/32", "52.218.0.0/17", "2a05:d07a::/32"}
        assert len([w for w in world.cluster.writes if w.target.kind == "NetworkPolicy"]) == 1
        assert world.condition("Ready")[:2] == ("True", "Coarse")


async def test_an_endpoint_that_moves_is_followed():
    aws = amazon(KMS)
    async with running(aws_class(vpcID="vpc-1"), shop("kms"), aws=aws) as world:
        aws.described["NetworkInterfaces"][0]["PrivateIpAddress"] = "10.9.0.11"
        await world.rest(301)
        assert opened(world) == {"10.9.0.11/32"}
        aws.described["VpcEndpoints"].clear()
        await world.rest(301)
        assert opened(world) == set()
        assert world.condition("Ready")[:2] == ("False", "Gap")


async def test_what_was_read_last_goes_on_for_a_day():
    aws = amazon(KMS)
    async with running(aws_class(vpcID="vpc-1"), shop("kms"), aws=aws) as world:
        aws.fail(Unreachable("no answer"))
        await world.rest(600)
        assert (opened(world), world.condition("Ready")[1]) == ({"10.9.0.10/32"}, "Enforced")
        await world.rest(600)
        assert opened(world) == {"10.9.0.10/32"}
        assert "were last read at 2026-11-27T12:00:00Z" in world.condition("Ready")[2]
        await world.rest(DAY)
        assert (opened(world), world.condition("Ready")[1]) == (set(), "Unresolved")
        aws.mend()
        await world.rest(61)
        assert (opened(world), world.condition("Ready")[1]) == ({"10.9.0.10/32"}, "Enforced")


@pytest.mark.parametrize(
    "error", [NoCredentials("nobody"), Rejected(403, "UnauthorizedOperation", "no"), KeyError("VpcEndpoints")]
)
async def test_without_the_right_to_read_ways_stay_closed_and_nothing_else_waits(error):
    aws = amazon(KMS)
    aws.fail(error)
    other = {"cidr": {"block": "192.0.2.0/24"}, "ports": [{"port": 443}]}
    both = segment(scenes.stage("a", app="a", reaches=[{"awsService": {"name": "kms"}}, other]))
    async with running(aws_class(vpcID="vpc-1"), both, aws=aws) as world:
        assert (opened(world), world.condition("Ready")[1]) == ({"192.0.2.0/24"}, "Unresolved")


async def test_a_vpc_that_a_class_names_later_is_not_taken_for_empty():
    coarse = {"network": {"inexact": {"awsService": "Coarse"}}}
    before = scenes.segment_class(aws={**AWS, "vpcID": "vpc-1"}, **coarse)
    after = scenes.segment_class(aws={**AWS, "vpcID": "vpc-2"}, **coarse)
    aws = amazon(KMS, {**KMS, "VpcId": "vpc-2"})
    async with running(before, shop("kms"), aws=aws) as world:
        await world.change(before, after)
        assert opened(world) == {"10.9.0.10/32"}
        assert all("0.0.0.0/0" not in json.dumps(write.after) for write in world.cluster.writes if write.after)


async def test_credentials_of_another_account_say_nothing_of_ours():
    aws = amazon()
    aws.account = "999900001111"
    coarse = {"network": {"inexact": {"awsService": "Coarse"}}}
    async with running(scenes.segment_class(aws={**AWS, "vpcID": "vpc-1"}, **coarse), shop("kms"), aws=aws) as world:
        assert (opened(world), world.condition("Ready")[1]) == (set(), "Unresolved")


async def test_a_role_is_held_to_the_endpoints_that_are_read():
    rights = {"permissions": [{"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::bucket/*"]}]}
    asked = {**rights, "requireVPCEndpoint": True, "identity": "PodIdentity"}
    async with running(
        aws_class(vpcID="vpc-1"), segment(scenes.stage("a", app="a", aws=asked)), aws=amazon(S3)
    ) as world:
        document = world.role().inline["pipesegment"]
        document = json.loads(document) if isinstance(document, str) else document
        assert document["Statement"][1]["Condition"]["StringNotEquals"] == {"aws:SourceVpce": ["vpce-2"]}
        assert opened(world) >= {"52.218.0.0/17"}


async def test_a_beginning_waits_no_longer_than_half_a_minute():
    class Silent(MemoryAws):
        async def call(self, place, call):
            await asyncio.Event().wait()

    clock, told = ManualClock(), []
    classes = snapshot([aws_class(vpcID="vpc-1")]).classes
    slow = Endpoints(Silent(), lambda: classes, told.append, Time(), clock)
    beginning = asyncio.ensure_future(slow.start())
    await clock.advance(29)
    assert not beginning.done()
    await clock.advance(2)
    assert beginning.done()
    await slow.stop()
    assert told == []


async def test_a_beginning_without_a_vpc_does_not_wait():
    aws = MemoryAws(ACCOUNT)
    found = Endpoints(aws, dict, lambda _: None, Time(), ManualClock())

    await found.start()
    await found.stop()

    assert aws.calls == []


def test_the_real_client_reads_what_is_made_in_ec2(monkeypatch):
    with moto() as front:
        ec2 = boto3.client("ec2", endpoint_url=front.url, **KEYS)
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
        made = ec2.create_vpc_endpoint(
            VpcId=vpc, ServiceName="com.amazonaws.eu-west-1.kms", VpcEndpointType="Interface", SubnetIds=[subnet]
        )["VpcEndpoint"]
        interfaces = ec2.describe_network_interfaces(NetworkInterfaceIds=made["NetworkInterfaceIds"])
        (interface,) = interfaces["NetworkInterfaces"]
        gateway = ec2.create_vpc_endpoint(
            VpcId=vpc, ServiceName="com.amazonaws.eu-west-1.s3", VpcEndpointType="Gateway"
        )
        ec2.create_vpc_endpoint(
            VpcId=ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"],
            ServiceName="com.amazonaws.eu-west-1.s3",
            VpcEndpointType="Gateway",
        )
        with client(front, monkeypatch) as aws:
            found = {e.id: e for e in asyncio.run(read(aws, Place("c", "123456789012", "aws", "eu-west-1", 1000), vpc))}
            with pytest.raises(Unreachable):
                asyncio.run(read(aws, Place("c", "999900001111", "aws", "eu-west-1", 1000), vpc))
    assert found.keys() == {made["VpcEndpointId"], gateway["VpcEndpoint"]["VpcEndpointId"]}
    kms = found[made["VpcEndpointId"]]
    assert (kms.service, kms.region, kms.gateway) == ("kms", "eu-west-1", False)
    assert kms.blocks == (f"{interface['PrivateIpAddress']}/32",)
    s3 = found[gateway["VpcEndpoint"]["VpcEndpointId"]]
    assert s3.prefix_list.startswith("pl-")
    assert s3.blocks


async def test_an_endpoint_that_is_added_widens_a_role_that_is_held_to_them_and_cuts_nobody():
    aws = amazon(S3)
    asked = stage("a", requireVPCEndpoint=True)
    async with running(aws_class(vpcID="vpc-1"), segment(asked), aws=aws) as world:
        aws.described["VpcEndpoints"].append(KMS)
        await world.rest(301)
        deny = next(s for s in world.role().inline["pipesegment"]["Statement"] if s["Effect"] == "Deny")
        assert deny["Condition"]["StringNotEquals"]["aws:SourceVpce"] == ["vpce-1", "vpce-2"]
        assert set(world.role().inline) == {"pipesegment"}
        aws.described["VpcEndpoints"].remove(S3)
        await world.rest(301)
        assert set(world.role().inline) == {"pipesegment", "pipesegment-revoked"}
