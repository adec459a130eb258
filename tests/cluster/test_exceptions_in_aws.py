"""Exceptions that give rights in AWS, with the operator as people run it and an AWS that the test plays."""

import asyncio
import json
import os
import time

import boto3
import pytest

from pipesegment import names
from pipesegment.facts.moments import moment
from tests.cluster.operator import ACCOUNT, NAMESPACE, POLICY, condition, segment, segment_class, stage, to_cidr
from tests.cluster.test_exceptions import NOTICE, OWN, VENDOR, approved, blocks, exception, guards, phase, put
from tests.cluster.test_exceptions import rights as rights_of_people
from tests.unit.cloud.moto import KEYS, moto

LABEL = "lab.example.com/exceptions-in-aws"
PREFIX = "lab-exceptions-aws"
#: The account that moto is.
THERE = "123456789012"
AWS = {
    "accountID": THERE,
    "region": "eu-west-1",
    "clusterName": "prod",
    "oidcIssuer": "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
    "permissionsBoundaryARN": f"arn:aws:iam::{THERE}:policy/boundary",
    "allowedActions": ["s3:*"],
    "callsPerSecond": 100,
}
READ = {"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::releases/*"]}
PUT = {"actions": ["s3:PutObject"], "resources": ["arn:aws:s3:::releases/*"]}


@pytest.fixture(scope="module")
def iam():
    """An administrator's client of an AWS that operators of this module find by their environment."""
    own = {
        "AWS_ACCESS_KEY_ID": KEYS["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": KEYS["aws_secret_access_key"],
    }
    with moto() as front, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in {**own, "AWS_ENDPOINT_URL": front.url}.items():
            patch.setenv(name, value)
        yield boto3.client("iam", endpoint_url=front.url, **KEYS)


@pytest.fixture(scope="module")
def labels(installed):
    """Labels of namespaces whose class has an account and lets people approve; the operator may hold segments for AWS."""
    rules = {"approverGroups": ["sre"], "maxDuration": "1h"}
    governing = segment_class("lab-exceptions-aws", LABEL, mesh={"provider": "None"}, breakGlass=rules, aws=AWS)
    rights = "rbac.authorization.k8s.io"
    meta = {"name": "lab-exceptions-aws"}
    role = {
        "apiVersion": f"{rights}/v1",
        "kind": "ClusterRole",
        "metadata": meta,
        "rules": [{"apiGroups": [names.GROUP], "resources": ["pipelinesegments"], "verbs": ["patch"]}],
    }
    binding = {
        "apiVersion": f"{rights}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": meta,
        "roleRef": {"apiGroup": rights, "kind": "ClusterRole", "name": meta["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}],
    }
    every = {
        "apiVersion": "v1",
        "kind": "List",
        "items": [governing, role, binding, *guards(PREFIX), *rights_of_people(f"{PREFIX}-people")],
    }
    installed.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(every))
    time.sleep(NOTICE)
    yield {LABEL: "yes"}
    installed.kubectl("delete", "--filename=-", stdin=json.dumps(every))


@pytest.fixture(autouse=True)
async def _released(operators, namespaces, api):
    """Have segments go while an operator runs that may let them go from AWS: nobody after this module can."""
    yield
    for namespace in namespaces.made:
        await api.delete(names.API_VERSION, names.SEGMENT, "shop", namespace)
        await api.wait_gone(names.API_VERSION, names.SEGMENT, "shop", namespace)


class Role:
    """The role of a stage, as IAM has it."""

    def __init__(self, iam, namespace):
        self.iam = iam
        cluster = f"arn:aws:eks:eu-west-1:{THERE}:cluster/prod"
        self.name = names.role_name(THERE, cluster, namespace, "shop", "deploy")

    def policies(self):
        listed = self.iam.list_role_policies(RoleName=self.name)["PolicyNames"]
        return {p: self.iam.get_role_policy(RoleName=self.name, PolicyName=p)["PolicyDocument"] for p in listed}

    async def until(self, holds, within=60.0):
        """Wait until its policies are so; AWS has no events, so it is asked again and again."""
        deadline = asyncio.get_running_loop().time() + within
        while not holds(found := await asyncio.to_thread(self.policies)):
            assert asyncio.get_running_loop().time() < deadline, found
            await asyncio.sleep(0.2)
        return found


def given(policies):
    """The statements that exceptions gave."""
    return [s for s in policies.get("pipesegment", {}).get("Statement", ()) if s.get("Sid", "").startswith("Exception")]


def asked(namespace, duration):
    return exception(namespace, duration=duration, aws={"permissions": [PUT]})


async def shop(api, namespaces, labels, iam):
    """A segment whose stage has its role; the way to AWS is not what this is about."""
    namespace = await namespaces("ci", labels=labels)
    aws = {"permissions": [READ], "reachServices": "Declared"}
    deploy = stage("deploy", to_cidr(OWN, 443), aws=aws, dns="None")
    await api.apply(segment("shop", namespace, deploy))
    await api.wait(
        names.API_VERSION,
        names.SEGMENT,
        "shop",
        namespace,
        until=lambda obj: condition(obj, "CloudReady").get("reason") == "Applied",
        within=60,
    )
    return namespace, Role(iam, namespace)


async def test_network_and_rights_open_together_and_both_are_as_before_at_the_end(
    iam, labels, operators, namespaces, api
):
    """IAM holds the right to the exception's own moment, and nobody's sessions are cut when that has come."""
    operator = await asyncio.to_thread(operators(admission_name=PREFIX, aws="on").start)
    namespace, role = await shop(api, namespaces, labels, iam)
    before = role.policies()
    hotfix = await put(api, asked(namespace, "15s"))
    await phase(api, namespace, "Pending")
    assert role.policies() == before, "nobody has approved"

    await approved(api, hotfix)
    opened = await phase(api, namespace, "Open")
    (statement,) = given(await role.until(given))
    ends = opened["status"]["expiresAt"]
    assert statement["Condition"] == {"DateLessThan": {"aws:CurrentTime": [ends]}}
    assert (statement["Action"], statement["Resource"]) == (PUT["actions"], PUT["resources"])
    assert blocks(await api.get(*POLICY, "shop-deploy", namespace)) == {OWN, VENDOR}
    told = await api.wait(
        names.API_VERSION,
        names.EXCEPTION,
        "hotfix",
        namespace,
        until=lambda o: "CloudReady" not in condition(o, "Ready")["message"],
    )
    assert condition(told, "Ready")["message"] == (
        f"stage deploy reaches cidr {VENDOR} and may s3:PutObject in AWS until {ends}"
    )

    await phase(api, namespace, "Expired")
    assert await role.until(lambda found: not given(found)) == before
    assert blocks(await api.get(*POLICY, "shop-deploy", namespace)) == {OWN}
    (opening,) = operator.lines(action="open", uid=hotfix["metadata"]["uid"])
    assert opening["permissions"] == [json.dumps(PUT, separators=(",", ":"))]


async def test_taken_back_before_its_end_the_right_goes_and_the_sessions_that_had_it(
    iam, labels, operators, namespaces, api
):
    await asyncio.to_thread(operators(admission_name=PREFIX, aws="on").start)
    namespace, role = await shop(api, namespaces, labels, iam)
    await approved(api, await put(api, asked(namespace, "10m")))
    await role.until(given)

    await api.delete(names.API_VERSION, names.EXCEPTION, "hotfix", namespace)

    after = await role.until(lambda found: not given(found))
    assert set(after) == {"pipesegment", "pipesegment-revoked"}
    await api.wait(*POLICY, "shop-deploy", namespace, until=lambda o: blocks(o) == {OWN})


async def test_what_ends_while_no_operator_runs_ends_in_aws_by_itself_and_goes_when_one_starts(
    iam, labels, operators, namespaces, api
):
    first = operators(admission_name=PREFIX, aws="on")
    await asyncio.to_thread(first.start)
    namespace, role = await shop(api, namespaces, labels, iam)
    before = role.policies()
    await approved(api, await put(api, asked(namespace, "20s")))
    opened = await phase(api, namespace, "Open")
    await role.until(given)
    first.terminate()
    await asyncio.to_thread(first.ended)
    ends = opened["status"]["expiresAt"]
    # Its end is no event that anybody could wait for while nobody runs.
    await asyncio.sleep(max(0.0, moment(ends).timestamp() - time.time()) + 1)
    (statement,) = given(role.policies())
    assert statement["Condition"]["DateLessThan"]["aws:CurrentTime"] == [ends], "IAM denies it by now"

    second = operators(admission_name=PREFIX, aws="on")
    await asyncio.to_thread(second.start)
    await phase(api, namespace, "Expired")
    assert await role.until(lambda found: not given(found)) == before
