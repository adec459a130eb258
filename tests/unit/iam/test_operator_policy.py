"""The operator's own policy: what its work needs on its own roles, and nothing that lifts the boundary."""

import json

import pytest
from click.testing import CliRunner

from lab import yaml
from pipesegment import names
from pipesegment.cli import program
from pipesegment.cli.actions import reference
from pipesegment.compile.iam.operator import operator_policy
from pipesegment.spec.classaws import ClassAws
from tests.unit.iam.authorization import _says
from tests.unit.iam.roles import ACCOUNT, BOUNDARY, CLASS, CLUSTER

ROLE = f"arn:aws:iam::{ACCOUNT}:role/pipesegment/ci-shop-x"
TAG = f"aws:ResourceTag/{names.CLUSTER_TAG}"
OURS = {TAG: CLUSTER, "iam:PermissionsBoundary": BOUNDARY}
MANAGED = f"arn:aws:iam::{ACCOUNT}:policy/scan"


def policy(**more):
    return operator_policy(ClassAws.model_validate({**CLASS, **more}))


def may(document, action, resource=ROLE, **context):
    request = (action, resource, context)
    return _says("Allow", document, *request) and not _says("Deny", document, *request)


def of(**more):
    return {"deletionPolicy": "Delete", "allowedManagedPolicyARNs": [MANAGED], **more}


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        ("iam:GetRole", ROLE, {}),
        ("iam:CreateRole", ROLE, {"iam:PermissionsBoundary": BOUNDARY, f"aws:RequestTag/{names.CLUSTER_TAG}": CLUSTER}),
        ("iam:TagRole", ROLE, {f"aws:RequestTag/{names.CLUSTER_TAG}": CLUSTER}),
        ("iam:PutRolePolicy", ROLE, OURS),
        ("iam:PutRolePermissionsBoundary", ROLE, OURS),
        ("iam:AttachRolePolicy", ROLE, {**OURS, "iam:PolicyARN": MANAGED}),
        ("iam:DetachRolePolicy", ROLE, {TAG: CLUSTER}),
        ("iam:UpdateAssumeRolePolicy", ROLE, {TAG: CLUSTER}),
        ("iam:DeleteRole", ROLE, {TAG: CLUSTER}),
        ("iam:PassRole", ROLE, {"iam:PassedToService": "pods.eks.amazonaws.com"}),
        ("eks:CreatePodIdentityAssociation", CLUSTER, {}),
        ("ec2:DescribeVpcEndpoints", "*", {}),
    ],
)
def test_its_work_is_allowed(action, resource, context):
    assert may(policy(**of()), action, resource, **context)


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        ("iam:CreateRole", ROLE, {f"aws:RequestTag/{names.CLUSTER_TAG}": CLUSTER}),
        ("iam:CreateRole", ROLE, {"iam:PermissionsBoundary": BOUNDARY}),
        (
            "iam:CreateRole",
            f"arn:aws:iam::{ACCOUNT}:role/admin",
            {**OURS, f"aws:RequestTag/{names.CLUSTER_TAG}": CLUSTER},
        ),
        ("iam:CreateRole", ROLE, {"iam:PermissionsBoundary": MANAGED, f"aws:RequestTag/{names.CLUSTER_TAG}": CLUSTER}),
        ("iam:PutRolePolicy", ROLE, {TAG: CLUSTER}),
        ("iam:PutRolePolicy", ROLE, {**OURS, TAG: f"{CLUSTER}-2"}),
        ("iam:PutRolePolicy", ROLE, {"iam:PermissionsBoundary": BOUNDARY}),
        ("iam:PutRolePermissionsBoundary", ROLE, {TAG: CLUSTER, "iam:PermissionsBoundary": MANAGED}),
        ("iam:AttachRolePolicy", ROLE, {**OURS, "iam:PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess"}),
        ("iam:TagRole", ROLE, {f"aws:RequestTag/{names.CLUSTER_TAG}": CLUSTER, TAG: f"{CLUSTER}-2"}),
        ("iam:TagRole", ROLE, {TAG: CLUSTER, f"aws:RequestTag/{names.CLUSTER_TAG}": f"{CLUSTER}-2"}),
        ("iam:UntagRole", ROLE, OURS),
        ("iam:DeleteRole", ROLE, {TAG: f"{CLUSTER}-2"}),
        ("iam:DeleteRole", ROLE, {}),
        ("iam:DeleteRolePermissionsBoundary", ROLE, OURS),
        ("iam:CreatePolicyVersion", BOUNDARY, OURS),
        ("iam:SetDefaultPolicyVersion", BOUNDARY, OURS),
        ("iam:DeletePolicy", BOUNDARY, OURS),
        ("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/x", OURS),
        ("iam:CreateOpenIDConnectProvider", "*", OURS),
        ("iam:PassRole", ROLE, {"iam:PassedToService": "ec2.amazonaws.com"}),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/admin", {"iam:PassedToService": "pods.eks.amazonaws.com"}),
        ("eks:CreatePodIdentityAssociation", f"{CLUSTER}-2", {}),
        ("eks:CreateAccessEntry", CLUSTER, {}),
        ("ec2:CreateVpcEndpoint", "*", {}),
        ("sts:AssumeRole", ROLE, OURS),
    ],
)
def test_everything_else_is_not(action, resource, context):
    assert not may(policy(**of()), action, resource, **context)


def test_what_a_class_does_not_use_is_left_out():
    least = policy(vpcID=None, clusterName=None)

    assert not may(least, "iam:DeleteRole", **{TAG: CLUSTER})
    assert {s["Sid"] for s in least["Statement"]} == {
        "ReadRoles", "ListRoles", "CreateRoles", "TagRoles", "GiveRightsWithinTheBoundary", "ChangeOwnRoles", "NeverUnbound",
        "NeverAnotherBoundary",
    }  # fmt: skip


VPC = f"arn:aws:ec2:eu-west-1:{ACCOUNT}:vpc/vpc-1"
ENDPOINT = f"arn:aws:ec2:eu-west-1:{ACCOUNT}:vpc-endpoint/vpce-1"
SUBNET = f"arn:aws:ec2:eu-west-1:{ACCOUNT}:subnet/subnet-1"
NEW = {f"aws:RequestTag/{names.CLUSTER_TAG}": CLUSTER, f"aws:RequestTag/{names.MANAGED_BY_LABEL}": "pipesegment"}


@pytest.mark.parametrize(
    ("allowed", "action", "resource", "context"),
    [
        (True, "ec2:CreateVpcEndpoint", ENDPOINT, NEW),
        (True, "ec2:CreateVpcEndpoint", VPC, {}),
        (True, "ec2:CreateVpcEndpoint", SUBNET, {"ec2:Vpc": VPC}),
        (True, "ec2:CreateTags", ENDPOINT, {"ec2:CreateAction": "CreateVpcEndpoint"}),
        (False, "ec2:CreateVpcEndpoint", ENDPOINT, {}),
        (False, "ec2:CreateVpcEndpoint", f"{VPC}2", {}),
        (False, "ec2:CreateVpcEndpoint", SUBNET, {"ec2:Vpc": f"{VPC}2"}),
        (False, "ec2:CreateTags", ENDPOINT, {}),
        (False, "ec2:CreateTags", SUBNET, {"ec2:CreateAction": "CreateVpcEndpoint"}),
        (False, "ec2:ModifyVpcEndpoint", ENDPOINT, NEW),
        (False, "ec2:DeleteVpcEndpoints", ENDPOINT, NEW),
    ],
)
def test_who_makes_endpoints_makes_them_in_one_vpc_and_with_our_tags(allowed, action, resource, context):
    aws = ClassAws.model_validate({**CLASS, "vpcID": "vpc-1"})

    assert may(operator_policy(aws, endpoints=True), action, resource, **context) is allowed
    assert not may(operator_policy(aws), action, resource, **context)


def test_aws_knows_every_action():
    actions = reference()
    for statement in operator_policy(ClassAws.model_validate({**CLASS, **of()}), endpoints=True)["Statement"]:
        for action in statement["Action"]:
            service, _, name = action.partition(":")
            assert (actions(service) or {}).get(name.lower()), action


def test_the_command_prints_it(tmp_path):
    document = {
        "apiVersion": names.API_VERSION,
        "kind": names.CLASS,
        "metadata": {"name": "aws"},
        "spec": {"aws": CLASS},
    }
    file = tmp_path / "class.yaml"
    file.write_text(yaml.safe_dump(document))

    done = CliRunner().invoke(program, ["aws", "operator-policy", "-f", str(file)])

    assert (done.exit_code, json.loads(done.stdout)) == (0, policy())


@pytest.mark.parametrize(
    ("aws", "arguments", "code", "told"),
    [
        ({}, (), 2, "no SegmentClass has an account (spec.aws.accountID): give one"),
        (CLASS, ("--class", "other"), 2, "there is no SegmentClass 'other'"),
        (
            {**CLASS, "permissionsBoundaryARN": None},
            (),
            1,
            "spec.aws.permissionsBoundaryARN: is missing in SegmentClass",
        ),
    ],
)
def test_the_command_says_what_it_lacks(tmp_path, aws, arguments, code, told):
    spec = {"aws": {key: value for key, value in aws.items() if value is not None}}
    file = tmp_path / "class.yaml"
    meta = {"apiVersion": names.API_VERSION, "kind": names.CLASS, "metadata": {"name": "aws"}}
    file.write_text(yaml.safe_dump({**meta, "spec": spec}))

    done = CliRunner().invoke(program, ["aws", "operator-policy", "-f", str(file), *arguments])

    assert done.exit_code == code
    assert told in done.stderr


@pytest.mark.parametrize("backend", ["ACK", "Crossplane"])
def test_where_another_controller_makes_roles_the_operator_reads_endpoints_at_most(tmp_path, backend):
    file = tmp_path / "class.yaml"
    meta = {"apiVersion": names.API_VERSION, "kind": names.CLASS, "metadata": {"name": "aws"}}

    def printed(**aws):
        file.write_text(yaml.safe_dump({**meta, "spec": {"aws": {**CLASS, "backend": backend, **aws}}}))
        return CliRunner().invoke(program, ["aws", "operator-policy", "-f", str(file)])

    said = printed(vpcID="vpc-12345678")
    actions = [action for statement in json.loads(said.stdout)["Statement"] for action in statement["Action"]]
    assert {action.partition(":")[0] for action in actions} == {"ec2"}
    assert all(action.startswith(("ec2:Describe", "ec2:Get")) for action in actions)
    plain = {key: value for key, value in CLASS.items() if key != "vpcID"}
    file.write_text(yaml.safe_dump({**meta, "spec": {"aws": {**plain, "backend": backend}}}))
    none = CliRunner().invoke(program, ["aws", "operator-policy", "-f", str(file)])
    assert (none.exit_code, none.stdout) == (0, "")
    assert "none needed" in none.stderr
