"""Which endpoints segments need, and what their policies let through: a caller's own rights, and nobody else's."""

import json

import pytest
from click.testing import CliRunner

from lab import yaml
from pipesegment.cli import program
from tests.unit.iam.roles import ACCOUNT, CLASS

API = "pipesegment.dev/v1alpha1"
READ = {
    "sid": "Read",
    "actions": ["s3:GetObject", "ecr:BatchGetImage"],
    "resources": ["*"],
    "conditions": {"StringEquals": {"aws:ResourceAccount": [ACCOUNT]}},
}
GATEWAY = {
    "VpcEndpointId": "vpce-1",
    "VpcId": "vpc-0123",
    "ServiceName": "com.amazonaws.eu-west-1.s3",
    "VpcEndpointType": "Gateway",
}


def printed(tmp_path, stages, told, *arguments, of_class=None):
    spec = {"aws": {**CLASS, "allowedActions": ["*"], **(of_class or {})}}
    given = [
        {"apiVersion": API, "kind": "SegmentClass", "metadata": {"name": "aws"}, "spec": spec},
        {
            "apiVersion": API,
            "kind": "PipelineSegment",
            "metadata": {"name": "shop", "namespace": "ci"},
            "spec": {"stages": stages},
        },
    ]
    (tmp_path / "given.yaml").write_text(yaml.safe_dump_all(given))
    (tmp_path / "facts.json").write_text(json.dumps(told))
    files = ("-f", str(tmp_path / "given.yaml"), "--facts", str(tmp_path / "facts.json"))
    return CliRunner().invoke(program, ("aws", "endpoints", *files, *arguments), catch_exceptions=False)


def needed(tmp_path, stages, told=None, **more):
    done = printed(tmp_path, stages, told or {"VpcEndpoints": []}, "-o", "json", **more)
    return {
        each["service"].removeprefix("com.amazonaws.eu-west-1."): each for each in json.loads(done.stdout)["endpoints"]
    }


def test_what_rights_and_entries_need_is_listed_with_its_reasons(tmp_path):
    stages = [
        {"name": "build", "aws": {"permissions": [READ]}},
        {"name": "test", "reaches": [{"awsService": {"name": "s3"}}]},
    ]

    found = needed(tmp_path, stages, {"VpcEndpoints": [GATEWAY]})

    assert {name: (each["state"], each["type"]) for name, each in found.items()} == {
        "s3": ("there", "Gateway"),
        "sts": ("missing", "Interface"),
        "ecr.api": ("missing", "Interface"),
        "ecr.dkr": ("missing", "Interface"),
    }
    assert found["s3"]["endpointIDs"] == ["vpce-1"]
    assert [(c["stage"], c["because"]) for c in found["s3"]["neededBy"]] == [
        ("ci/shop/build", ["spec.stages[0].aws.permissions[0]"]),
        ("ci/shop/test", ["spec.stages[1].reaches[0]"]),
    ]
    assert found["s3"]["notInPolicy"] == ["ci/shop/test"]


def test_a_policy_is_the_callers_statements_held_to_their_role(tmp_path):
    found = needed(tmp_path, [{"name": "build", "aws": {"permissions": [READ]}}])
    role = found["s3"]["neededBy"][0]["roleARN"]
    held = {"StringEquals": {"aws:ResourceAccount": [ACCOUNT]}, "ArnEquals": {"aws:PrincipalArn": [role]}}
    allow = {"Effect": "Allow", "Principal": "*", "Resource": ["*"]}

    assert role.startswith(f"arn:aws:iam::{ACCOUNT}:role/pipesegment/ci-shop-build-")
    assert found["s3"]["policy"]["Statement"] == [
        {**allow, "Action": ["s3:GetObject"], "Condition": held},
        {
            **allow,
            "Sid": "LayersOfImages",
            "Action": ["s3:GetObject"],
            "Resource": ["arn:aws:s3:::prod-eu-west-1-starport-layer-bucket/*"],
        },
    ]
    for part in ("ecr.api", "ecr.dkr"):
        assert found[part]["policy"]["Statement"] == [{**allow, "Action": ["ecr:BatchGetImage"], "Condition": held}]
    assert found["sts"]["policy"]["Statement"] == [
        {**allow, "Action": ["sts:AssumeRoleWithWebIdentity"], "Resource": [role]},
        {**allow, "Action": ["sts:GetCallerIdentity"], "Condition": {"ArnEquals": {"aws:PrincipalArn": [role]}}},
    ]


def test_whoever_has_no_rights_is_let_through_nowhere(tmp_path):
    found = needed(tmp_path, [{"name": "build", "reaches": [{"awsService": {"name": "kms"}}]}])

    assert found["kms"]["policy"]["Statement"] == [{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}]


def test_what_managed_policies_allow_is_not_guessed(tmp_path):
    arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    stages = [{"name": "build", "aws": {"permissions": [READ], "managedPolicyARNs": [arn]}}]

    found = needed(tmp_path, stages, of_class={"allowedManagedPolicyARNs": [arn]})

    assert found["s3"]["notInPolicy"] == ["ci/shop/build"]


@pytest.mark.parametrize(
    ("told", "code", "state"),
    [
        ({"VpcEndpoints": [GATEWAY]}, 0, "there"),
        ({"VpcEndpoints": []}, 1, "missing"),
        ({"NetworkInterfaces": []}, 1, "unknown"),
    ],
)
def test_the_exit_code_says_whether_everything_is_there(tmp_path, told, code, state):
    done = printed(tmp_path, [{"name": "build", "reaches": [{"awsService": {"name": "s3"}}]}], told)

    assert (done.exit_code, done.stdout.splitlines()[1].split()[0]) == (code, state)


def test_without_services_there_is_nothing_to_need(tmp_path):
    done = printed(tmp_path, [{"name": "build"}], {"VpcEndpoints": []})

    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "the segments reach no service of AWS\n")
