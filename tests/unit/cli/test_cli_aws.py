"""Roles on the command line: printed, compared, and checked against what AWS says of its actions."""

import builtins
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lab import yaml
from pipesegment.cli import program
from tests.unit.iam.roles import CLASS, READ

SAMPLE = str(Path(__file__).parents[3] / "manifests" / "samples" / "aws" / "artifacts.yaml")
LIST = {"actions": ["s3:ListBucket"], "resources": ["arn:aws:s3:::your-bucket"]}


def run(*arguments):
    return CliRunner().invoke(program, arguments, catch_exceptions=False)


def documents(tmp_path, *permissions, actions=("*",), **aws):
    version = "pipesegment.dev/v1alpha1"
    stage = {"name": "build", "aws": {"reachServices": "Declared", "permissions": list(permissions), **aws}}
    of_class = {**CLASS, "allowedActions": list(actions)}
    file = tmp_path / "given.yaml"
    given = [
        {"apiVersion": version, "kind": "SegmentClass", "metadata": {"name": "aws"}, "spec": {"aws": of_class}},
        {
            "apiVersion": version,
            "kind": "PipelineSegment",
            "metadata": {"name": "shop", "namespace": "ci"},
            "spec": {"stages": [stage]},
        },
    ]
    file.write_text(yaml.safe_dump_all(given))
    return str(file)


def test_the_sample_is_the_articles_example():
    printed = list(yaml.safe_load_all(run("compile", "--aws", "-f", SAMPLE).stdout))
    (role,) = [obj for obj in printed if obj["kind"] == "IAMRole"]

    assert role["spec"]["inlinePolicies"]["pipesegment"]["Statement"] == [
        {
            "Sid": "ListBucket",
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": ["arn:aws:s3:::your-bucket"],
        },
        {
            "Sid": "ReadObjects",
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": ["arn:aws:s3:::your-bucket/*"],
        },
    ]
    assert role["spec"].keys() == {
        "roleName", "path", "assumeRolePolicyDocument", "inlinePolicies", "managedPolicyARNs", "permissionsBoundary",
        "maxSessionDuration", "tags",
    }  # fmt: skip


def test_roles_are_printed_when_they_are_asked_for(tmp_path):
    file = documents(tmp_path, READ)
    plain = yaml.safe_load_all(run("compile", "-f", file).stdout)

    assert {obj["kind"] for obj in plain} == {"NetworkPolicy", "ServiceAccount"}
    assert "IAMRole" in run("compile", "--aws", "-f", file).stdout


def test_plan_compares_roles_with_what_compile_printed(tmp_path):
    file, live = documents(tmp_path, READ), tmp_path / "live.yaml"
    live.write_text(run("compile", "--aws", "-f", file).stdout)

    same = run("plan", "-f", file, "--live", str(live), "-o", "json")
    wider = run("plan", "-f", documents(tmp_path, READ, LIST), "--live", str(live), "-o", "json")

    assert (same.exit_code, json.loads(same.stdout)["counts"]["unchanged"]) == (0, 3)
    (change,) = [c for c in json.loads(wider.stdout)["changes"] if c["action"] == "configured"]
    assert (wider.exit_code, change["kind"]) == (1, "IAMRole")
    assert [d["path"] for d in change["differences"]] == ["spec.inlinePolicies.pipesegment.Statement[1]"]


@pytest.mark.parametrize("backend", ["ACK", "Crossplane"])
def test_plan_compares_custom_resources_as_they_come_back(tmp_path, backend):
    file = documents(tmp_path, READ)
    given = list(yaml.safe_load_all(Path(file).read_text()))
    given[0]["spec"]["aws"]["backend"] = backend
    Path(file).write_text(yaml.safe_dump_all(given))
    live = list(yaml.safe_load_all(run("compile", "--aws", "-f", file).stdout))
    for obj in live:
        if obj["kind"] == "Role":
            # What controllers and the API server add.
            obj["spec"] |= {
                "deletionPolicy": obj["spec"].get("deletionPolicy"),
                "providerConfigRef": {"name": "default"},
            }
            obj["status"] = {"conditions": []}
    there = tmp_path / "live.yaml"
    there.write_text(yaml.safe_dump_all(live))

    same = run("plan", "-f", file, "--live", str(there), "-o", "json")
    given[1]["spec"]["stages"][0]["aws"]["permissions"].append(LIST)
    Path(file).write_text(yaml.safe_dump_all(given))
    wider = run("plan", "-f", file, "--live", str(there), "-o", "json")

    assert same.exit_code == 0
    changed = {"ACK": "Role", "Crossplane": "RolePolicy"}[backend]
    assert [c["kind"] for c in json.loads(wider.stdout)["changes"] if c["action"] == "configured"] == [changed]


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ({"actions": ["s3:GetObjct"], "resources": ["arn:aws:s3:::b/*"]}, "PS721"),
        ({"actions": ["nothing:Get"], "resources": ["*"]}, "PS721"),
        ({"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::b"]}, "PS722"),
        ({"actions": ["s3:ListBucket"], "resources": ["arn:aws:s3:::b/*"]}, "PS722"),
        (
            {
                "actions": ["ecr:GetAuthorizationToken"],
                "resources": ["arn:aws:ecr:eu-west-1:111122223333:repository/a"],
            },
            "PS722",
        ),
        (
            {
                "actions": ["lambda:UpdateFunctionCode"],
                "resources": ["arn:aws:lambda:eu-west-1:111122223333:function:a"],
            },
            "PS723",
        ),
        ({"actions": ["secretsmanager:Get*"], "resources": ["*"]}, "PS724"),
        ({"actions": ["s3:PutObjectAcl"], "resources": ["arn:aws:s3:::b/*"]}, "PS725"),
    ],
)
def test_actions_are_held_against_what_aws_says_of_them(tmp_path, statement, code):
    file = documents(tmp_path, statement)
    found = json.loads(run("lint", "--aws", "-f", file, "-o", "json").stdout)["findings"]
    without = json.loads(run("lint", "-f", file, "-o", "json").stdout)["findings"]

    path = "spec.stages[0].aws.permissions[0].actions[0]"
    assert code in {f["code"] for f in found if f["path"] == path}
    assert [f for f in without if f["path"] == path] == []


@pytest.mark.parametrize(
    "statement",
    [
        READ,
        LIST,
        {"actions": ["s3:Get*"], "resources": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"]},
        {"actions": ["ecr:GetAuthorizationToken"], "resources": ["*"]},
        {
            "actions": ["ecr:PutImage"],
            "resources": ["arn:aws:ecr:*:111122223333:repository/${aws:PrincipalTag/kubernetes-namespace}/*"],
        },
        {"actions": ["logs:PutLogEvents"], "resources": ["arn:aws:logs:eu-west-1:111122223333:log-group:ci:*"]},
        {"actions": ["kms:Decrypt"], "resources": ["arn:aws:kms:eu-west-1:111122223333:key/1"]},
    ],
)
def test_right_statements_are_nothing_to_tell(tmp_path, statement):
    found = json.loads(run("lint", "--aws", "-f", documents(tmp_path, statement), "-o", "json").stdout)["findings"]

    assert [f for f in found if f["code"].startswith("PS72")] == []


def test_without_the_extra_the_option_is_bad_usage(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("policy_sentry"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    done = run("lint", "--aws", "-f", documents(tmp_path, READ))

    assert (done.exit_code, "install pipesegment with the extra `aws-lint`" in done.stderr) == (2, True)
