"""`pipesegment aws endpoints --apply`: what is missing is made once, tagged as ours; what exists is never touched."""

import json
from typing import Any

import boto3
import pytest
from click.testing import CliRunner

from lab import yaml
from pipesegment import names
from pipesegment.cli import program
from pipesegment.compile.iam.endpoints import Need
from pipesegment.plan.aws.endpoints import Asked, Ground, Subnet, makings
from pipesegment.spec.classaws import ClassAws
from pipesegment.world.aws.making import ground
from pipesegment.world.aws.port import Place
from tests.unit.cloud.moto import KEYS, moto

MOTO_ACCOUNT = "123456789012"
AWS: dict[str, Any] = {
    "accountID": MOTO_ACCOUNT,
    "region": "eu-west-1",
    "clusterName": "prod",
    "ensureEndpoints": True,
    "callsPerSecond": 100,
}
CLASS = ClassAws.model_validate({**AWS, "vpcID": "vpc-0123456789abcdef0"})
SUBNETS = (
    Subnet("subnet-a1", "a", ("10.0.0.0/24",), "rtb-1"),
    Subnet("subnet-a2", "a", ("10.0.1.0/24",), "rtb-1"),
    Subnet("subnet-b1", "b", ("10.0.2.0/24", "fd00:2::/64"), "rtb-2"),
    Subnet("subnet-c1", "c", ("10.0.3.0/24",), "rtb-3"),
)
GROUPS = Asked(groups=("sg-12345678",))


def need(service: str, region: str = "eu-west-1") -> Need:
    name = f"com.amazonaws.{region}.{service}"
    return Need(name, "vpc-0123456789abcdef0", service in {"s3", "dynamodb"}, (), (), {})


def planned(*needs: Need, asked: Asked = GROUPS, addresses: Any = ("10.0.0.9",), **ground: Any) -> Any:
    return makings(needs, CLASS, Ground(**{"subnets": SUBNETS, **ground}), asked, addresses)


def test_interfaces_are_where_nodes_and_pods_are_one_of_each_zone():
    addresses = ("10.0.0.9", "10.0.1.7", "10.0.1.8", "fd00:2::5", "192.0.2.1")
    (made,), refusals = planned(need("kms"), addresses=addresses)

    assert refusals == ()
    given = dict(made.call.parameters)
    assert len(given.pop("ClientToken")) == 64
    assert (made.call.service, made.call.action) == ("ec2", "CreateVpcEndpoint")
    assert given == {
        "VpcId": "vpc-0123456789abcdef0",
        "ServiceName": "com.amazonaws.eu-west-1.kms",
        "VpcEndpointType": "Interface",
        "SubnetIds": ["subnet-a2", "subnet-b1"],
        "SecurityGroupIds": ["sg-12345678"],
        "PrivateDnsEnabled": True,
        "TagSpecifications": [
            {
                "ResourceType": "vpc-endpoint",
                "Tags": [
                    {"Key": names.MANAGED_BY_LABEL, "Value": "pipesegment"},
                    {"Key": names.CLUSTER_TAG, "Value": f"arn:aws:eks:eu-west-1:{MOTO_ACCOUNT}:cluster/prod"},
                ],
            }
        ],
    }


def test_routes_to_a_gateway_are_those_of_the_pods():
    (made,), _ = planned(need("s3"), asked=Asked(), addresses=("10.0.1.7", "10.0.2.9"))

    assert made.call.parameters["RouteTableIds"] == ["rtb-1", "rtb-2"]
    assert made.call.parameters["VpcEndpointType"] == "Gateway"
    assert not {"SubnetIds", "SecurityGroupIds", "PrivateDnsEnabled"} & set(made.call.parameters)


def test_what_is_said_by_hand_is_taken():
    asked = Asked(subnets=("subnet-c1",), groups=("sg-2", "sg-1"), route_tables=("rtb-9",))
    (interface, gateway), _ = planned(need("kms"), need("s3"), asked=asked, addresses=())

    assert interface.call.parameters["SubnetIds"] == ["subnet-c1"]
    assert interface.call.parameters["SecurityGroupIds"] == ["sg-1", "sg-2"]
    assert gateway.call.parameters["RouteTableIds"] == ["rtb-9"]


def test_one_wish_has_one_token_and_another_wish_another():
    tokens = [
        planned(need(service), asked=asked)[0][0].call.parameters["ClientToken"]
        for service in ("kms", "sts")
        for asked in (GROUPS, GROUPS, Asked(groups=("sg-87654321",)))
    ]

    assert tokens[0] == tokens[1]
    assert len(set(tokens)) == 4


def test_a_service_that_has_an_endpoint_in_any_state_gets_no_second_one():
    assert planned(need("kms"), made={"com.amazonaws.eu-west-1.kms": "vpce-1"}) == ((), ())


@pytest.mark.parametrize(
    ("service", "how", "told"),
    [
        ("kms", {"asked": Asked()}, "--security-group: nobody knows which group should guard"),
        ("kms", {"addresses": ()}, "--subnet: nobody knows in which subnets pods would look for"),
        (
            "kms",
            {"asked": Asked(("subnet-9",), ("sg-1",))},
            "--subnet: is no subnet of vpc-0123456789abcdef0: 'subnet-9'",
        ),
        ("s3", {"addresses": ()}, "--route-table: nobody knows whose routes should lead to"),
        ("s3", {"subnets": (Subnet("a", "a", ("10.0.0.0/24",)),)}, "--route-table: nobody knows whose routes"),
    ],
)
def test_what_is_not_known_is_refused_and_said(service, how, told):
    made, (refusal,) = planned(need(service), **how)

    assert made == ()
    assert told in str(refusal)


def test_a_service_of_another_region_is_no_endpoint_of_this_vpc():
    made, (refusal,) = planned(need("kms", "us-east-1"))

    assert (made, "is of another region than the VPC" in str(refusal)) == ((), True)


class Amazon:
    """A VPC with two subnets in moto, and the segments that need endpoints there."""

    def __init__(self, front: Any, folder: Any) -> None:
        self.front = front
        self.ec2 = boto3.client("ec2", endpoint_url=front.url, **KEYS)
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"eu-west-1{zone}")[
                "Subnet"
            ]["SubnetId"]
            for n, zone in enumerate("ab")
        ]
        self.group = self.ec2.create_security_group(GroupName="in", Description="in", VpcId=self.vpc)["GroupId"]
        self.folder = folder

    def run(self, *arguments: str, services: tuple[str, ...] = ("s3", "kms"), **aws: Any) -> Any:
        version = "pipesegment.dev/v1alpha1"
        reaches = [{"awsService": {"name": service}} for service in services]
        given = [
            {
                "apiVersion": version,
                "kind": names.CLASS,
                "metadata": {"name": "aws"},
                "spec": {"aws": {**AWS, "vpcID": self.vpc, **aws}},
            },
            {
                "apiVersion": version,
                "kind": names.SEGMENT,
                "metadata": {"name": "shop", "namespace": "ci"},
                "spec": {"stages": [{"name": "build", "reaches": reaches}]},
            },
        ]
        address = {"addresses": [{"type": "InternalIP", "address": "10.0.1.9"}]}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "status": address}
        (self.folder / "given.yaml").write_text(yaml.safe_dump_all(given))
        (self.folder / "facts.yaml").write_text(yaml.safe_dump(node))
        files = ("-f", str(self.folder / "given.yaml"), "--facts", str(self.folder / "facts.yaml"))
        return CliRunner().invoke(program, ["aws", "endpoints", *files, *arguments])

    @property
    def endpoints(self) -> dict[str, Any]:
        found = self.ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": [self.vpc]}])["VpcEndpoints"]
        return {raw["ServiceName"].rpartition(".")[2]: raw for raw in found}


@pytest.fixture
def amazon(tmp_path, monkeypatch):
    with moto() as front:
        monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        yield Amazon(front, tmp_path)


def test_what_is_missing_is_printed_made_and_tagged_and_the_second_time_nothing_is(amazon):
    done = amazon.run("--apply", "--security-group", amazon.group)

    assert (done.exit_code, done.stderr.count("is made, with AWS's own policy")) == (0, 2)
    printed = done.stdout.splitlines()
    assert [line.partition(" --vpc-id")[0] for line in printed] == ["aws ec2 create-vpc-endpoint"] * 2
    assert f"--subnet-ids {amazon.subnets[1]} --security-group-ids {amazon.group} --private-dns-enabled" in printed[0]
    found = amazon.endpoints
    assert {name: raw["VpcEndpointType"] for name, raw in found.items()} == {"s3": "Gateway", "kms": "Interface"}
    assert all({"Key": names.MANAGED_BY_LABEL, "Value": "pipesegment"} in raw["Tags"] for raw in found.values())

    again = amazon.run("--apply", "--security-group", amazon.group)

    assert (again.exit_code, again.stdout, again.stderr.count("is there, and stays as it is")) == (0, "", 2)
    assert amazon.front.actions["CreateVpcEndpoint"] == 2


def test_a_dry_run_prints_and_makes_nothing(amazon):
    done = amazon.run("--apply", "--dry-run", "--security-group", amazon.group)

    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 2)
    assert (amazon.endpoints, amazon.front.actions["CreateVpcEndpoint"]) == ({}, 0)


def test_an_endpoint_of_somebody_else_sees_no_write(amazon):
    amazon.ec2.create_vpc_endpoint(
        VpcId=amazon.vpc,
        ServiceName="com.amazonaws.eu-west-1.kms",
        VpcEndpointType="Interface",
        SubnetIds=amazon.subnets,
    )
    before, amazon.front.actions = amazon.endpoints, type(amazon.front.actions)()

    done = amazon.run("--apply", services=("kms",))

    assert (done.exit_code, amazon.endpoints) == (0, before)
    reading = {"GetCallerIdentity", "DescribeSubnets", "DescribeRouteTables", "DescribeVpcEndpoints"}
    assert set(amazon.front.actions) == reading


@pytest.mark.parametrize(
    ("aws", "arguments", "code", "told"),
    [
        ({"ensureEndpoints": False}, ("--apply",), 1, "SegmentClass aws lets nobody make endpoints"),
        ({}, ("--apply",), 1, "nobody knows which group should guard"),
        ({"accountID": "111122223333"}, ("--apply",), 3, "our credentials are of account 123456789012"),
        ({}, ("--dry-run",), 2, "belong to --apply"),
        ({}, ("--subnet", "subnet-1"), 2, "belong to --apply"),
    ],
)
def test_nothing_is_made_unless_everything_is_known(amazon, aws, arguments, code, told):
    done = amazon.run(*arguments, **aws)

    assert (done.exit_code, told in done.stderr, amazon.endpoints) == (code, True, {}), done.stderr


def test_the_policy_of_whoever_applies_is_printed_when_it_is_asked_for(tmp_path):
    document = {
        "apiVersion": names.API_VERSION,
        "kind": names.CLASS,
        "metadata": {"name": "aws"},
        "spec": {
            "aws": {**AWS, "vpcID": "vpc-12345678", "permissionsBoundaryARN": f"arn:aws:iam::{MOTO_ACCOUNT}:policy/b"}
        },
    }
    file = tmp_path / "class.yaml"
    file.write_text(yaml.safe_dump(document))

    def actions(*more: str) -> set[str]:
        done = CliRunner().invoke(program, ["aws", "operator-policy", "-f", str(file), *more])
        return {a for s in json.loads(done.stdout)["Statement"] for a in s["Action"]}

    assert actions("--endpoints") - actions() == {
        "ec2:CreateTags",
        "ec2:CreateVpcEndpoint",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSubnets",
        "route53:AssociateVPCWithHostedZone",
    }


def written(amazon: Amazon, given: list[Any], facts: list[Any], *arguments: str) -> Any:
    (amazon.folder / "given.yaml").write_text(yaml.safe_dump_all(given))
    address = {"addresses": [{"type": "InternalIP", "address": "10.0.1.9"}]}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "status": address}
    (amazon.folder / "facts.yaml").write_text(yaml.safe_dump_all([node, *facts]))
    files = ("-f", str(amazon.folder / "given.yaml"), "--facts", str(amazon.folder / "facts.yaml"))
    return CliRunner().invoke(program, ["aws", "endpoints", *files, "--apply", *arguments])


def class_of(amazon: Amazon, name: str, namespace: str, **aws: Any) -> dict[str, Any]:
    selector = {"matchLabels": {names.NAMESPACE_NAME_LABEL: namespace}}
    spec = {"namespaceSelector": selector, "aws": {**AWS, "vpcID": amazon.vpc, **aws}}
    return {"apiVersion": names.API_VERSION, "kind": names.CLASS, "metadata": {"name": name}, "spec": spec}


def shop(namespace: str) -> dict[str, Any]:
    meta = {"name": "shop", "namespace": namespace}
    stage = {"name": "build", "reaches": [{"awsService": {"name": "kms"}}]}
    return {"apiVersion": names.API_VERSION, "kind": names.SEGMENT, "metadata": meta, "spec": {"stages": [stage]}}


def test_nothing_is_made_for_one_class_while_another_cannot_be_planned(amazon):
    other = amazon.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    given = [class_of(amazon, "a", "ci"), class_of(amazon, "b", "cj", vpcID=other), shop("ci"), shop("cj")]

    done = written(amazon, given, [], "--security-group", amazon.group)

    assert (done.exit_code, done.stdout, amazon.endpoints) == (1, "", {})
    given[1] = class_of(amazon, "b", "cj")
    done = written(amazon, given, [], "--security-group", amazon.group)
    assert (done.exit_code, amazon.front.actions["CreateVpcEndpoint"]) == (0, 1), done.stderr


def test_the_class_that_is_known_to_exist_has_to_allow_it(amazon):
    given, theirs = class_of(amazon, "a", "ci"), class_of(amazon, "a", "ci", ensureEndpoints=False)

    done = written(amazon, [given, shop("ci")], [theirs], "--security-group", amazon.group)

    assert (done.exit_code, amazon.endpoints) == (1, {})
    assert "SegmentClass a lets nobody make endpoints" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--security-group", "nonsense"), 2, "--security-group: is no ID 'nonsense'"),
        (("--security-group", ""), 2, "--security-group: is no ID ''"),
        (("-o", "json"), 2, "leave -o out"),
    ],
)
def test_options_that_make_no_sense_are_refused(amazon, arguments, code, told):
    done = amazon.run("--apply", *arguments)

    assert (done.exit_code, told in done.stderr) == (code, True), done.stderr


def test_two_subnets_of_one_zone_are_refused():
    made, (refusal,) = planned(need("kms"), asked=Asked(("subnet-a1", "subnet-a2"), ("sg-12345678",)))

    assert made == ()
    assert "one subnet of a zone" in str(refusal)


def test_a_segment_that_no_class_governs_is_told(amazon):
    done = written(amazon, [shop("ci")], [])

    assert "no SegmentClass that is known governs it" in done.stderr


class China:
    """A VPC whose one endpoint has the name that some services have there."""

    async def call(self, _: Any, call: Any) -> dict[str, Any]:
        endpoint = {"ServiceName": "cn.com.amazonaws.cn-north-1.kms", "VpcEndpointId": "vpce-1", "State": "available"}
        key = call.action.removeprefix("Describe")
        return {key: [endpoint] if key == "VpcEndpoints" else []}


async def test_an_endpoint_by_its_chinese_name_is_there():
    place = Place("aws", "", "aws-cn", "cn-north-1", 1.0)

    assert (await ground(China(), place, "vpc-12345678")).made == {"com.amazonaws.cn-north-1.kms": "vpce-1"}
