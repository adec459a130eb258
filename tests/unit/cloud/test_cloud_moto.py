"""The real client on moto, which proves round trips and never security: it takes every document and lets everybody in."""

import asyncio
import json
import socket
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest

from pipesegment import names
from pipesegment.compile.desired import Desired
from pipesegment.compile.iam.values import Role
from pipesegment.errors import NoCredentials, Rejected, Unreachable
from pipesegment.facts.meta import Key
from pipesegment.plan.aws import revocation
from pipesegment.plan.aws.look import Sight, Terms, look
from pipesegment.plan.aws.ownership import Owner
from pipesegment.plan.aws.steps import Call, Moment
from pipesegment.report.outcome import Failed
from pipesegment.world.aws.applying import CloudResults, send
from pipesegment.world.aws.client import Aws
from pipesegment.world.aws.port import Place
from pipesegment.world.aws.sight import Sights
from tests.unit.cloud.moto import KEYS, Front, client, moto, session
from tests.unit.cloud.scenes import NOW

ACCOUNT = "123456789012"
CLUSTER = f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/prod"
PLACE = Place("default", ACCOUNT, "aws", "eu-west-1", 1000)
OWNER = Owner(CLUSTER, Key("ci", "shop"), "u-ci", "u-shop")
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
WRITES = ("Create", "Put", "Update", "Delete", "Attach", "Detach", "Tag", "Untag")
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.example.com"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {"oidc.example.com:sub": "system:serviceaccount:ci:shop-a"}},
        }
    ],
}


WIDE = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
EVERYBODY = {**TRUST, "Statement": [{**TRUST["Statement"][0], "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}


@pytest.fixture(scope="module")
def _server() -> Iterator[Front]:
    with moto() as front:
        yield front


@pytest.fixture
def front(_server: Front) -> Front:
    _server.throttle, _server.page = 0, ""
    iam(_server, "reset")
    _server.actions.clear()
    return _server


@pytest.fixture
def aws(front: Front, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    with client(front, monkeypatch) as made:
        yield made


def iam(front: Front, _what: str = "") -> Any:
    """Give an administrator's client; 'reset' empties moto first."""
    if _what == "reset":
        url = f"http://{front.behind[0]}:{front.behind[1]}/moto-api/reset"
        urllib.request.urlopen(urllib.request.Request(url, method="POST")).read()
    return boto3.client("iam", endpoint_url=front.url, **KEYS)


def role(stage: str = "a", actions: tuple[str, ...] = ("s3:GetObject",), managed: tuple[str, ...] = ()) -> Role:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": ["arn:aws:s3:::bucket/*"]}
    return Role(
        name=names.role_name(ACCOUNT, CLUSTER, "ci", "shop", stage),
        path="/pipesegment/",
        account=ACCOUNT,
        partition="aws",
        trust=TRUST,
        boundary=BOUNDARY,
        tags=OWNER.tags(stage),
        inline={"pipesegment": {"Version": "2012-10-17", "Statement": [statement]}},
        managed=managed,
    )


async def brought(aws: Aws, *roles: Role, delete: bool = False, place: Place = PLACE) -> CloudResults:
    """Bring AWS to these roles, as one look of the operator does."""
    desired = Desired(OWNER.segment, OWNER.uid, tuple(each.object() for each in roles))
    sight = await Sights(aws).of(desired, OWNER, place, "/pipesegment/", (), frozenset(), everything=True)
    planned = look(
        desired, sight, OWNER, Terms(frozenset({f"arn:aws:iam::{ACCOUNT}:policy/ours"}), delete), Moment(NOW)
    )
    told: list[Failed] = []
    return await send(aws, place, OWNER, planned.chains, lambda _, failed: told.append(failed) if failed else None)


def written(front: Front) -> dict[str, int]:
    return {action: number for action, number in front.actions.items() if action.startswith(WRITES)}


async def test_a_role_is_made_and_then_nothing_is_left_to_do(aws: Aws, front: Front) -> None:
    assert (await brought(aws, role())).failed == []
    found = iam(front).get_role(RoleName=role().name)["Role"]
    assert found["PermissionsBoundary"]["PermissionsBoundaryArn"] == BOUNDARY
    assert found["AssumeRolePolicyDocument"] == TRUST
    assert {tag["Key"]: tag["Value"] for tag in found["Tags"]} == OWNER.tags("a")
    front.actions.clear()
    assert (await brought(aws, role())).writes == 0
    assert written(front) == {}
    assert (
        front.actions.total() == 5
    )  # the list of the path, the role, its policies by name, one by one, those attached


async def test_drift_is_corrected(aws: Aws, front: Front) -> None:
    await brought(aws, role())
    admin, name = iam(front), role().name
    admin.put_role_policy(RoleName=name, PolicyName="more", PolicyDocument=WIDE)
    admin.put_role_policy(RoleName=name, PolicyName="pipesegment", PolicyDocument=WIDE)
    admin.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(EVERYBODY))
    admin.update_role(RoleName=name, MaxSessionDuration=43200)
    admin.delete_role_permissions_boundary(RoleName=name)
    other = admin.create_policy(PolicyName="other", PolicyDocument=WIDE)["Policy"]["Arn"]
    admin.attach_role_policy(RoleName=name, PolicyArn=other)
    assert (await brought(aws, role())).failed == []
    found = admin.get_role(RoleName=name)["Role"]
    assert found["PermissionsBoundary"]["PermissionsBoundaryArn"] == BOUNDARY
    assert found["AssumeRolePolicyDocument"] == TRUST
    assert found["MaxSessionDuration"] == 3600
    assert set(admin.list_role_policies(RoleName=name)["PolicyNames"]) == {"pipesegment", revocation.POLICY}
    assert admin.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
    cut = revocation.read(admin.get_role_policy(RoleName=name, PolicyName=revocation.POLICY)["PolicyDocument"])
    assert cut is not None
    assert cut[0] == NOW


async def test_a_foreign_role_of_our_name_sees_no_write(aws: Aws, front: Front) -> None:
    admin = iam(front)
    admin.create_role(RoleName=role().name, Path="/", AssumeRolePolicyDocument='{"Statement":[]}')
    front.actions.clear()
    results = await brought(aws, role())
    assert written(front) == {}
    assert (results.writes, results.failed) == (0, [])


async def test_a_role_that_another_cluster_made_sees_no_write(aws: Aws, front: Front) -> None:
    theirs = replace(OWNER, cluster=CLUSTER.replace("prod", "test")).tags("a")
    await aws.call(PLACE, _creation(replace(role(), tags=theirs)))
    front.actions.clear()
    await brought(aws, role())
    await brought(aws, delete=True)
    assert written(front) == {}


async def test_a_role_with_a_foreign_policy_is_stripped_and_stays(aws: Aws, front: Front) -> None:
    await brought(aws, role())
    admin = iam(front)
    other = admin.create_policy(PolicyName="other", PolicyDocument=WIDE)
    admin.attach_role_policy(RoleName=role().name, PolicyArn=other["Policy"]["Arn"])
    await brought(aws, delete=True)
    assert admin.list_role_policies(RoleName=role().name)["PolicyNames"] == [revocation.POLICY]
    attached = admin.list_attached_role_policies(RoleName=role().name)["AttachedPolicies"]
    assert [policy["PolicyName"] for policy in attached] == ["other"]
    admin.detach_role_policy(RoleName=role().name, PolicyArn=other["Policy"]["Arn"])
    await brought(aws, delete=True)
    assert admin.list_roles(PathPrefix="/pipesegment/")["Roles"] == []


async def test_a_short_throttling_is_sat_out_and_a_long_one_told(aws: Aws, front: Front) -> None:
    front.throttle = 1
    assert (await brought(aws, role())).failed == []
    front.throttle = 1000
    with pytest.raises(Rejected) as caught:
        await brought(aws, role())
    assert (caught.value.status, caught.value.reason) == (429, "Throttling")


async def test_the_page_of_a_proxy_is_no_answer(aws: Aws, front: Front) -> None:
    front.page = "<!doctype html>\n<h1>Bad gateway</h1>"
    with pytest.raises(Unreachable, match=r"^Unable to parse response [^\n]*$"):
        await aws.call(PLACE, Call("iam", "GetRole", {"RoleName": "a"}))


async def test_no_answer_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        aws = Aws(session=boto3.Session(**KEYS))
        try:
            with pytest.raises(Unreachable) as caught:
                await aws.call(PLACE, Call("iam", "GetRole", {"RoleName": "a"}))
        finally:
            aws.close()
    assert not isinstance(caught.value, Rejected | NoCredentials)


async def test_no_credentials_are_told_apart(monkeypatch: pytest.MonkeyPatch, front: Front) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)
    aws = Aws(region="eu-west-1")
    try:
        with pytest.raises(NoCredentials):
            await aws.call(PLACE, Call("iam", "GetRole", {"RoleName": "a"}))
    finally:
        aws.close()
    assert front.actions.total() == 0


async def test_whoever_cannot_become_its_own_role_has_no_credentials(
    monkeypatch: pytest.MonkeyPatch, front: Front, tmp_path: Any
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/operator")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "absent"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    aws = Aws(region="eu-west-1")
    try:
        with pytest.raises(NoCredentials):
            await aws.call(PLACE, Call("iam", "GetRole", {"RoleName": "a"}))
    finally:
        aws.close()


async def test_every_attempt_counts_against_the_budget(aws: Aws, front: Front) -> None:
    slow = PLACE._replace(budget="slow", calls_per_second=20)
    front.throttle = 1
    begun = time.monotonic()
    await asyncio.gather(*(aws.call(slow, Call("iam", "ListRoles", {"PathPrefix": "/"})) for _ in range(8)))
    assert front.actions["ListRoles"] == 9
    # Nine attempts at twenty a second, evenly spaced: the ninth is not before the eighth twentieth.
    assert time.monotonic() - begun >= 8 / 20


async def test_what_fails_in_the_thread_does_not_stall_the_loop(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    with client(front, monkeypatch) as aws:
        slow = PLACE._replace(budget="slow", calls_per_second=2)
        waiting = asyncio.gather(*(aws.call(slow, Call("iam", "ListRoles", {})) for _ in range(3)))
        ticks = 0
        while not waiting.done():
            await asyncio.sleep(0.005)
            ticks += 1
        await waiting
        assert ticks > 20


@pytest.mark.thorough
async def test_a_hundred_and_more_roles(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{front.behind[0]}:{front.behind[1]}")
    aws = Aws(session=session(), observe=lambda _service, action, _status, _seconds: calls.append(action))
    roles = [role(f"s{number}") for number in range(105)]
    try:
        assert (await brought(aws, *roles)).failed == []
        made = Counter(calls)
        calls.clear()
        assert (await brought(aws, *roles)).writes == 0
    finally:
        aws.close()
    assert len(iam(front).list_roles(PathPrefix="/pipesegment/", MaxItems=1000)["Roles"]) == 105
    assert made == {"ListRoles": 1, "GetRole": 105, "CreateRole": 105, "PutRolePolicy": 105}
    assert len(calls) == 4 * 105 + 1


def _creation(made: Role) -> Call:
    desired = Desired(OWNER.segment, OWNER.uid, (made.object(),))
    planned = look(desired, Sight(), OWNER, Terms(), Moment(NOW))
    return planned.chains[0][0].call
