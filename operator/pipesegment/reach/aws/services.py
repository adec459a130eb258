"""Services of AWS: which endpoints carry a service's calls, and which services a stage's rights need.

Names are those of AWS's own lists (privatelink/aws-services-privatelink-support; the service authorization reference).
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from pipesegment.reach.aws.values import Way
from pipesegment.spec.classaws import ClassAws
from pipesegment.spec.cloud import Permission, StageAws
from pipesegment.spec.entries import AwsServiceTarget, ReachEntry

#: The prefix of a service's actions -> how the names of its endpoints end, where they differ. An image of ECR is layers in
#: S3, and so are packages of CodeArtifact.
_PARTS: Final[dict[str, tuple[str, ...]]] = {
    "ecr": ("ecr.api", "ecr.dkr", "s3"),
    "codeartifact": ("codeartifact.api", "codeartifact.repositories", "s3"),
    "aps": ("aps-workspaces",),
    "cloudwatch": ("monitoring",),
    "firehose": ("kinesis-firehose",),
    "kinesis": ("kinesis-streams",),
    "sagemaker": ("sagemaker.api",),
}
#: How the names of S3's endpoint and of the token service's end.
S3: Final = "s3"
STS: Final = "sts"


class Needed(NamedTuple):
    """A service that somebody's rights need, and where they are declared."""

    because: str
    service: str


def parts(service: str) -> tuple[str, ...]:
    """Give how the names of the endpoints end that carry a service's calls."""
    return _PARTS.get(service, (service,))


def of_action(action: str) -> str:
    """Give the service that an action is one of; '' for every service."""
    service = action.partition(":")[0].lower()
    return "" if "*" in service or "?" in service else service


def full_name(region: str, part: str) -> str:
    """Name a service's endpoints as AWS does (in China some of these names have `cn.` in front)."""
    return f"com.amazonaws.{region}.{part}"


def needed(
    path: str, aws: StageAws, of_class: ClassAws, lent: Iterable[tuple[str, Permission]] = ()
) -> tuple[Needed, ...]:
    """Give the services that a stage's rights need, each once; none where the stage declares its ways itself.

    `path` is where its `aws` stands, `lent` what it is given beside, and where that stands. What a role that is not made here may do, or a managed policy allows, nobody says.
    """
    if aws.pods is None or aws.reach_services == "Declared":
        return ()
    found: dict[str, str] = {}
    for because, permission in (*_permissions(path, aws, of_class), *lent):
        for service in filter(None, map(of_action, permission.actions)):
            found.setdefault(service, because)
    if aws.pods == Way.IRSA:
        found.setdefault(STS, f"{path}.identity")
    return tuple(Needed(because, service) for service, because in sorted(found.items()))


@lru_cache(maxsize=1024)
def entry(service: str) -> ReachEntry:
    """Write the entry that somebody would declare for a service."""
    return ReachEntry(aws_service=AwsServiceTarget(name=service))


def _permissions(path: str, aws: StageAws, of_class: ClassAws) -> Iterator[tuple[str, Permission]]:
    for index, permission in enumerate(aws.permissions):
        yield f"{path}.permissions[{index}]", permission
    sets: dict[str, Sequence[Permission]] = {each.name: each.permissions for each in of_class.permission_sets}
    for index, name in enumerate(aws.permission_sets):
        for permission in sets.get(name, ()):
            yield f"{path}.permissionSets[{index}]", permission
