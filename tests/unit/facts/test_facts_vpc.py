"""What EC2 describes becomes endpoints; what it does not tell stays unknown."""

import json

import pytest

from pipesegment.facts.parse import snapshot
from pipesegment.facts.vpc import VPCEndpoint, endpoints, is_answer, wrapped, wrong

KMS = {
    "VpcEndpointId": "vpce-1",
    "VpcId": "vpc-1",
    "ServiceName": "com.amazonaws.eu-west-1.kms",
    "VpcEndpointType": "Interface",
    "State": "available",
    "PrivateDnsEnabled": True,
    "NetworkInterfaceIds": ["eni-1", "eni-2"],
    "Groups": [{"GroupId": "sg-1", "GroupName": "endpoints"}],
}
INTERFACES = [
    {"NetworkInterfaceId": "eni-1", "PrivateIpAddress": "10.0.0.1", "Ipv6Addresses": [{"Ipv6Address": "2a05::1"}]},
    {"NetworkInterfaceId": "eni-2", "PrivateIpAddresses": [{"PrivateIpAddress": "10.0.0.9"}]},
]
EVERYTHING = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}


def only(changed=None, **answers):
    (found,) = endpoints([{"VpcEndpoints": [{**KMS, **(changed or {})}]}, answers])
    return found


def test_answers_add_up():
    found = only(NetworkInterfaces=INTERFACES)

    assert found == VPCEndpoint(
        "vpc-1", "kms", "vpce-1", "eu-west-1", blocks=("10.0.0.1/32", "10.0.0.9/32", "2a05::1/128"), private_dns=True
    )


def test_without_an_answer_about_endpoints_nothing_is_known():
    assert endpoints([{"NetworkInterfaces": INTERFACES}]) is None
    assert endpoints([{"VpcEndpoints": []}]) == ()
    assert snapshot([]).vpc_endpoints is None
    assert snapshot([wrapped({"VpcEndpoints": []}, "facts")]).vpc_endpoints == ()


def test_addresses_are_known_only_when_all_of_them_are():
    assert only(NetworkInterfaces=INTERFACES[:1]).blocks is None
    assert only({"NetworkInterfaceIds": []}, NetworkInterfaces=INTERFACES).blocks is None


@pytest.mark.parametrize(
    "changed",
    [
        {"State": "pendingAcceptance"},
        {"ServiceName": "com.amazonaws.vpce.eu-west-1.vpce-svc-0123"},
        {"ServiceName": "com.example.eu-west-1.kms"},
        {"VpcEndpointType": "GatewayLoadBalancer"},
    ],
)
def test_what_leads_to_no_service_of_aws_is_passed_over(changed):
    assert endpoints([{"VpcEndpoints": [{**KMS, **changed}]}]) == ()


@pytest.mark.parametrize(
    ("name", "region", "service"),
    [
        ("cn.com.amazonaws.cn-north-1.ecr.api", "cn-north-1", "ecr.api"),
        ("com.amazonaws.us-gov-west-1.s3", "us-gov-west-1", "s3"),
    ],
)
def test_names_of_every_partition_are_read(name, region, service):
    found = only({"ServiceName": name})

    assert (found.region, found.service) == (region, service)


def test_a_gateway_is_the_prefix_lists_of_its_service_and_region():
    lists = [
        {
            "PrefixListId": "pl-1",
            "PrefixListName": "com.amazonaws.eu-west-1.s3",
            "Cidrs": ["192.0.2.0/25", "192.0.2.128/25"],
        },
        {"PrefixListId": "pl-2", "PrefixListName": "com.amazonaws.eu-west-1.ipv6.s3", "Cidrs": ["2a05::/40"]},
        {"PrefixListId": "pl-3", "PrefixListName": "com.amazonaws.us-east-1.s3", "Cidrs": ["198.51.100.0/24"]},
        {"PrefixListId": "pl-4", "PrefixListName": "com.amazonaws.eu-west-1.s3express", "Cidrs": ["203.0.113.0/24"]},
    ]
    gateway = {"ServiceName": "com.amazonaws.eu-west-1.s3", "VpcEndpointType": "Gateway"}

    found = only(gateway, PrefixLists=lists)

    assert (found.gateway, found.blocks, found.prefix_list) == (True, ("192.0.2.0/24", "2a05::/40"), "pl-1, pl-2")
    assert only(gateway).blocks is None


@pytest.mark.parametrize(
    ("statement", "everything"),
    [
        (EVERYTHING, True),
        ({**EVERYTHING, "Principal": {"AWS": "*"}, "Action": ["s3:GetObject", "*"]}, True),
        ({**EVERYTHING, "Condition": {"StringEquals": {"aws:PrincipalAccount": "111122223333"}}}, False),
        ({**EVERYTHING, "Effect": "Deny"}, False),
        ({**EVERYTHING, "Resource": "arn:aws:s3:::your-bucket"}, False),
        ({**EVERYTHING, "Principal": {"AWS": "arn:aws:iam::111122223333:root"}}, False),
        ("odd", False),
    ],
)
@pytest.mark.parametrize("many", [True, False])
def test_a_policy_that_allows_everything_is_known(statement, everything, many):
    text = json.dumps({"Statement": [statement] if many else statement})

    assert only({"PolicyDocument": text}).allows_everything is everything


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_policy_that_cannot_be_read_is_not_said_to_allow_everything(text):
    assert only({"PolicyDocument": text}).allows_everything is False


RANGE = {"IpRanges": [{"CidrIp": "10.0.0.0/16"}]}


@pytest.mark.parametrize(
    ("rules", "admits"),
    [
        ([{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, **RANGE}], ("10.0.0.0/16",)),
        ([{"IpProtocol": "-1", **RANGE, "Ipv6Ranges": [{"CidrIpv6": "2a05::/56"}]}], ("10.0.0.0/16", "2a05::/56")),
        ([{"IpProtocol": "tcp", "FromPort": 0, "ToPort": 65535, **RANGE}], ("10.0.0.0/16",)),
        ([{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, **RANGE}], ()),
        ([{"IpProtocol": "udp", "FromPort": 443, "ToPort": 443, **RANGE}], ()),
        ([], ()),
        ([{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-2"}]}], None),
        ([{"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": "pl-1"}]}], None),
    ],
)
def test_security_groups_let_blocks_in(rules, admits):
    assert only(SecurityGroups=[{"GroupId": "sg-1", "IpPermissions": rules}]).admits == admits


def test_what_unknown_security_groups_let_in_is_not_known():
    assert only(SecurityGroups=[{"GroupId": "sg-2", "IpPermissions": []}]).admits is None


def test_an_answer_is_told_from_an_object():
    assert is_answer({"VpcEndpoints": []})
    assert not is_answer({"kind": "List", "VpcEndpoints": []})
    assert not is_answer({"Reservations": []})


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        ({"VpcEndpoints": {}}, "VpcEndpoints"),
        ({"VpcEndpoints": [{"VpcId": "vpc-1", "ServiceName": "s"}]}, "VpcEndpoints[0].VpcEndpointId"),
        ({"PrefixLists": None}, "PrefixLists"),
        (
            {"PrefixLists": [{"PrefixListId": "pl-1", "PrefixListName": "x", "Cidrs": ["many"]}]},
            "PrefixLists[0].Cidrs[0]",
        ),
        ({"NetworkInterfaces": [], "NextToken": "more"}, "NextToken"),
    ],
)
def test_what_aws_would_not_have_said_is_refused_with_its_path(answer, path):
    assert [refusal.path for refusal in wrong(answer)] == [path]
