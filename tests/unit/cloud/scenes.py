"""An operator on two twins, one of the cluster and one of AWS, and a segment that asks for roles."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from pipesegment import names
from pipesegment.compile.desired import ObjectID
from pipesegment.facts.meta import Key
from pipesegment.world.aws.memory import MemoryAws, MemoryRole
from pipesegment.world.memory import MemoryCluster
from tests.unit.running import twin as scenes
from tests.unit.running.twin import Twin

ACCOUNT = "111122223333"
CLUSTER = f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/prod"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
POLICY = f"arn:aws:iam::{ACCOUNT}:policy/shared"
SHOP = Key("ci", "shop")
TARGET = ObjectID(names.API_VERSION, names.SEGMENT, "ci", "shop")
NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
AWS = {
    "accountID": ACCOUNT,
    "region": "eu-west-1",
    "clusterName": "prod",
    "oidcIssuer": "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
    "permissionsBoundaryARN": BOUNDARY,
    "callsPerSecond": 100,
    "allowedActions": ["s3:*", "ecr:Get*"],
    "allowedManagedPolicyARNs": [POLICY],
}
READ = {"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::bucket/*"]}
LIST = {"actions": ["s3:ListBucket"], "resources": ["arn:aws:s3:::bucket"]}


def role_name(stage: str, segment: str = "shop") -> str:
    """Name a stage's role."""
    return names.role_name(ACCOUNT, CLUSTER, "ci", segment, stage)


def stage(name: str = "a", *permissions: dict[str, Any], **aws: Any) -> dict[str, Any]:
    """Write a stage with a role that may do these."""
    asked = {"permissions": list(permissions or (READ,)), "reachServices": "Declared", **aws}
    return scenes.stage(name, app=name, aws=asked)


def segment(*stages: dict[str, Any], name: str = "shop", **spec: Any) -> dict[str, Any]:
    """Write the segment."""
    return scenes.segment(*stages, name=name, **spec)


def aws_class(**aws: Any) -> dict[str, Any]:
    """Write the class."""
    return scenes.segment_class(aws={**AWS, **aws})


class World:
    """A running operator, the cluster and AWS beneath it, and the time of day."""

    def __init__(self, cluster: MemoryCluster, aws: MemoryAws, twin: Twin, time: "Time") -> None:
        self.cluster = cluster
        self.aws = aws
        self.twin = twin
        self.time = time

    async def change(self, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        """Let an author make, change or delete a document, and everything come to rest."""
        scenes.change(self.twin, old, new)
        await self.rest()

    async def rest(self, seconds: float = 0) -> None:
        """Let time pass, and everything come to rest."""
        self.time.now += timedelta(seconds=seconds)
        await self.twin.clock.advance(seconds)
        await self.twin.quiet()
        if self.cluster.peek(TARGET) is None and self.twin.operator.surroundings.snapshot.segment(*SHOP) is not None:
            # Its last finalizer went, and kopf's watch says so.
            self.twin.operator.drop_segment({"metadata": {"namespace": "ci", "name": "shop"}})
            await self.twin.quiet()

    async def delete(self) -> None:
        """Delete the segment as the API server does it: what has a finalizer stays and is going."""
        self.cluster.remove(TARGET)
        found = self.cluster.peek(TARGET)
        if found is not None:
            self.twin.operator.put_segment(found)
        await self.rest()

    def role(self, stage: str = "a") -> MemoryRole:
        """Give a stage's role."""
        return self.aws.roles[role_name(stage)]

    @property
    def finalizers(self) -> list[str]:
        """The segment's finalizers."""
        return list(self.cluster.existing(TARGET)["metadata"].get("finalizers") or ())

    @property
    def status(self) -> dict[str, Any]:
        """The segment's status."""
        found: dict[str, Any] = self.cluster.existing(TARGET)["status"]
        return found

    def condition(self, kind: str = "CloudReady") -> tuple[str, str, str]:
        """Give a condition's status, reason and message."""
        found = next(c for c in self.status["conditions"] if c["type"] == kind)
        return found["status"], found["reason"], found["message"]


class Time:
    """The time of day, as it is told."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Tell it."""
        return self.now


@asynccontextmanager
async def running(
    *documents: dict[str, Any],
    aws: MemoryAws | None = None,
    off: bool = False,
    backends: str = "",
    cluster: MemoryCluster | None = None,
    now: datetime = NOW,
) -> AsyncIterator[World]:
    """Run an operator where these documents are, or on a cluster of before."""
    cluster = cluster or scenes.seeded([*scenes.surroundings(), *documents])
    aws, time = aws or MemoryAws(ACCOUNT), Time(now)
    twin = Twin(cluster, cloud=None if off else aws, now=time, backends=backends)
    try:
        await twin.start()
        yield World(cluster, aws, twin, time)
    finally:
        await twin.stop()
