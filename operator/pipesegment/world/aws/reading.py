"""What exists in AWS, read by the port's calls and given as plans want it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final

from pipesegment.compile.iam.values import Association, Document, Role, document
from pipesegment.errors import Rejected, Unreachable
from pipesegment.plan.aws import revocation
from pipesegment.plan.aws.associations import Bound
from pipesegment.plan.aws.roles import Found
from pipesegment.plan.aws.steps import Call, Service
from pipesegment.world.aws.port import Answer, Cloud, Place

_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Given:
    """The rights of a role: inline policies by name, a revocation of ours among them, and managed ones."""

    inline: Mapping[str, Document]
    managed: tuple[str, ...]

    def to(self, head: Found) -> Found:
        """Give a role with these rights; a revocation of ours is told apart from them."""
        inline = dict(self.inline)
        revoked = revocation.read(inline[revocation.POLICY]) if revocation.POLICY in inline else None
        if revoked is not None:
            del inline[revocation.POLICY]
        return Found(replace(head.role, inline=inline, managed=self.managed), head.id, revoked)


class Reader:
    """Reads in one place."""

    def __init__(self, cloud: Cloud, place: Place) -> None:
        self._cloud = cloud
        self._place = place

    async def account(self) -> str:
        """Give the account that our credentials belong to."""
        return str((await self._call("sts", "GetCallerIdentity"))["Account"])

    async def own(self) -> None:
        """Raise Unreachable unless our credentials are of the place's account; a place without one is everybody's."""
        wanted = self._place.account
        if wanted and (account := await self.account()) != wanted:
            raise Unreachable(f"our credentials are of account {account}, and the class's is {wanted}")

    async def head(self, name: str, *, known: bool = True) -> Found | None:
        """Read a role without its rights: enough to know whose it is. None when there is none.

        Of one that is not `known` to exist a denial is None, too: AWS takes a name that does not exist for one without a
        path, and our rights end with a path. Making it fails if it exists.
        """
        try:
            answer = await self._known("iam", "GetRole", RoleName=name)
        except Rejected as error:
            if known or error.status != HTTPStatus.FORBIDDEN:
                raise
            return None
        if answer is None:
            return None
        raw = answer["Role"]
        arn = raw["Arn"].split(":")
        role = Role(
            name=raw["RoleName"],
            path=raw["Path"],
            account=arn[4],
            partition=arn[1],
            trust=document(raw["AssumeRolePolicyDocument"]),
            boundary=(raw.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn", ""),
            tags={tag["Key"]: tag["Value"] for tag in raw.get("Tags") or ()},
            session_seconds=raw.get("MaxSessionDuration", 3600),
        )
        return Found(role, raw["RoleId"])

    async def given(self, name: str) -> "Given":
        """Read the rights of a role."""
        inline = await self.documents(name, await self.policies(name))
        return Given(inline, await self.attached(name))

    async def policies(self, name: str) -> tuple[str, ...]:
        """Name the inline policies of a role."""
        return tuple(await self._pages("ListRolePolicies", "PolicyNames", RoleName=name))

    async def documents(self, name: str, policies: Iterable[str]) -> dict[str, Document]:
        """Read inline policies of a role, less those that are not there any more."""
        found: dict[str, Document] = {}
        for policy in policies:
            answer = await self._known("iam", "GetRolePolicy", RoleName=name, PolicyName=policy)
            if answer is not None:
                found[policy] = document(answer["PolicyDocument"])
        return found

    async def attached(self, name: str) -> tuple[str, ...]:
        """Name the managed policies of a role."""
        found = await self._pages("ListAttachedRolePolicies", "AttachedPolicies", RoleName=name)
        return tuple(sorted(policy["PolicyArn"] for policy in found))

    async def names(self, path: str) -> frozenset[str]:
        """Name the roles under a path; whose they are is not told here. Where we may not list, none."""
        try:
            return frozenset(role["RoleName"] for role in await self._pages("ListRoles", "Roles", PathPrefix=path))
        except Rejected as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
            return frozenset()

    async def bound(self, cluster: str, namespace: str, account: str = "") -> tuple[Bound, ...]:
        """Read the associations of an account, or of a whole namespace; `cluster` is the cluster's ARN."""
        name = cluster.rpartition("/")[2]
        wanted: dict[str, Any] = {"clusterName": name, "namespace": namespace}
        if account:
            wanted["serviceAccount"] = account
        found = []
        while True:
            answer = await self._call("eks", "ListPodIdentityAssociations", **wanted)
            for listed in answer["associations"]:
                each = await self.association(cluster, listed["associationId"])
                found += [each] if each is not None else []
            if not answer.get("nextToken"):
                return tuple(found)
            wanted["nextToken"] = answer["nextToken"]

    async def association(self, cluster: str, identifier: str) -> Bound | None:
        """Read one association; None when there is none."""
        name = cluster.rpartition("/")[2]
        answer = await self._known("eks", "DescribePodIdentityAssociation", clusterName=name, associationId=identifier)
        if answer is None:
            return None
        raw = answer["association"]
        known = Association(cluster, raw["namespace"], raw["serviceAccount"], raw["roleArn"], raw.get("tags") or {})
        return Bound(known, raw["associationId"], raw["associationArn"])

    async def _pages(self, action: str, key: str, **parameters: Any) -> list[Any]:
        found: list[Any] = []
        while True:
            answer = await self._call("iam", action, MaxItems=_PAGE, **parameters)
            found += answer[key]
            if not answer.get("IsTruncated"):
                return found
            parameters["Marker"] = answer["Marker"]

    async def _known(self, service: Service, action: str, **parameters: Any) -> Answer | None:
        try:
            return await self._call(service, action, **parameters)
        except Rejected as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def _call(self, service: Service, action: str, **parameters: Any) -> Answer:
        return await self._cloud.call(self._place, Call(service, action, parameters))
