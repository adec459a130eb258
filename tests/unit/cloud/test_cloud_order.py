"""After every single call nobody may do what neither the old state nor the new one allows; independent judges say so."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pipesegment import names
from pipesegment.compile.desired import Desired
from pipesegment.compile.iam.values import Role
from pipesegment.compile.segment import compile_segment
from pipesegment.errors import Rejected
from pipesegment.facts.meta import Key
from pipesegment.plan.aws.look import Terms, look
from pipesegment.plan.aws.ownership import Owner
from pipesegment.plan.aws.steps import CloudStep, Moment
from pipesegment.report.outcome import Failed
from pipesegment.world.aws.applying import send
from pipesegment.world.aws.memory import MemoryAws
from pipesegment.world.aws.port import Place
from pipesegment.world.aws.sight import Sights
from tests.unit.cloud.scenes import LIST, NOW, READ
from tests.unit.iam.authorization import allows
from tests.unit.iam.roles import EVERYTHING, reached
from tests.unit.iam.sts import Token, accepts

ISSUER = "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE"
CALLS = (("s3:GetObject", "arn:aws:s3:::bucket/a"), ("s3:ListBucket", "arn:aws:s3:::bucket"))
RIGHTS: Mapping[str, list[dict[str, Any]]] = {"both": [READ, LIST], "read": [READ], "list": [LIST]}


def desired(rights: str, account: str) -> Desired:
    found = compile_segment(reached({"permissions": RIGHTS[rights]}, uid="u", serviceAccount={"name": account}))
    (role,) = (Role.of(obj) for obj in found.in_cloud.objects)
    # Offline a namespace has no uid; in a cluster every one has.
    tagged = replace(role, tags={**role.tags, names.NAMESPACE_UID_TAG: "n"})
    return replace(found, objects=(tagged.object(),))


def owner(of: Desired) -> Owner:
    tags = Role.of(of.objects[0]).tags
    named = {key.rpartition("/")[2]: value for key, value in tags.items()}
    return Owner(
        named["cluster"], Key(named["namespace"], named["segment"]), named["namespace-uid"], named["segment-uid"]
    )


async def brought(
    aws: MemoryAws, to: Desired, whose: Owner, *, widens: bool = True, stop: int = 10_000, seen: list[Any] | None = None
) -> None:
    """Bring AWS to what is desired; after each call what there is goes to `seen`, and behind the `stop`-th all is denied."""
    place = Place("c", aws.account, "aws", "eu-west-1", 100)
    sight = await Sights(aws).of(to, whose, place, "/pipesegment/", (), frozenset(), everything=True)
    planned = look(to, sight, whose, Terms(), Moment(NOW, widens))

    def told(_: CloudStep, failed: Failed | None) -> None:
        if seen is not None and failed is None:
            seen.append(holding(aws))

    await send(aws, place, whose, [chain[:stop] for chain in planned.chains], told)


def holding(aws: MemoryAws) -> frozenset[tuple[str, str]]:
    """Give who may do what, by a new session."""
    found = set()
    for role in aws.roles.values():
        for who in ("one", "two"):
            token = Token(ISSUER, f"system:serviceaccount:ci:{who}", "sts.amazonaws.com")
            rights = {name: d for name, d in role.inline.items() if name == "pipesegment"}
            spec = {"inlinePolicies": rights, "managedPolicyARNs": [], "permissionsBoundary": "b", "tags": role.tags}
            for call in CALLS:
                if accepts(role.raw["AssumeRolePolicyDocument"], token) and allows(spec, EVERYTHING, *call):
                    found.add((who, call[0]))
    return frozenset(found)


@pytest.mark.parametrize("account", ["one", "two"])
@pytest.mark.parametrize("new", RIGHTS)
@pytest.mark.parametrize("old", RIGHTS)
async def test_nobody_holds_more_than_old_or_new_after_any_call(old: str, new: str, account: str) -> None:
    start, end = desired(old, "one"), desired(new, account)
    aws, whose = MemoryAws(), owner(start)
    await brought(aws, start, whose)
    before, seen = holding(aws), []  # type: ignore[var-annotated]
    await brought(aws, end, whose, seen=seen)
    after = holding(aws)
    assert after == {(account, right["actions"][0]) for right in RIGHTS[new]}
    assert all(state <= before | after for state in seen)


@pytest.mark.parametrize("stop", range(6))
async def test_it_goes_on_from_wherever_it_died(stop: int) -> None:
    start, end = desired("read", "one"), desired("list", "two")
    aws, whose = MemoryAws(), owner(start)
    await brought(aws, start, whose)
    await brought(aws, end, whose, stop=stop)
    await brought(aws, end, whose)
    assert holding(aws) == {("two", "s3:ListBucket")}
    written = len(aws.writes)
    await brought(aws, end, whose)
    assert len(aws.writes) == written


@pytest.mark.parametrize(
    ("old", "new", "left"),
    [("both", "read", {"s3:GetObject"}), ("read", "list", set()), ("read", "both", {"s3:GetObject"})],
)
async def test_held_back_rights_are_taken_and_none_given(old: str, new: str, left: set[str]) -> None:
    start, end = desired(old, "one"), desired(new, "one")
    aws, whose = MemoryAws(), owner(start)
    await brought(aws, start, whose)
    await brought(aws, end, whose, widens=False)
    assert {action for _, action in holding(aws)} == left


async def test_where_old_rights_cannot_be_taken_nobody_new_gets_them() -> None:
    start, end = desired("read", "one"), desired("list", "two")
    aws, whose = MemoryAws(), owner(start)
    await brought(aws, start, whose)
    aws.fail(Rejected(403, "AccessDenied", "no"), matches=lambda call: call.action == "DeleteRolePolicy")
    await brought(aws, end, whose)
    assert holding(aws) == {("one", "s3:GetObject")}
