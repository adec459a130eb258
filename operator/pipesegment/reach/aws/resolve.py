"""Resolve a stage's identity in AWS: nothing, somebody else's role, or one that is managed for it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from pipesegment.findings import Refusal
from pipesegment.reach import endpoints, governance
from pipesegment.reach.aws import groups, lent, rights, trust
from pipesegment.reach.aws.judge import Judge
from pipesegment.reach.aws.values import INLINE_CHARACTERS, CloudIdentity, Home, Rights, Way
from pipesegment.reach.edges import AddressPeer, Edge, PortRange, Target
from pipesegment.reach.graph import StageReach
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View
from pipesegment.spec.cloud import StageAws

#: Where the agent of Pod Identity listens on every node.
AGENT: Final = (AddressPeer("169.254.170.23/32"), AddressPeer("fd00:ec2::23/128"))
AGENT_PORT: Final = PortRange("TCP", 80)
#: What the value of a tag may hold, and how long it may be.
_TAG: Final = re.compile(r"[A-Za-z0-9 _.:/=+@-]{1,256}", re.ASCII)


def identified(
    scene: Scene, views: Sequence[View], stages: Sequence[StageReach]
) -> tuple[tuple[StageReach, ...], tuple[Refusal, ...]]:
    """Give every stage its identity and groups, and why those that ask for one have none.

    A stage that was refused has no rights.
    """
    refusals: list[Refusal] = []
    found = []
    for view, stage in zip(views, stages, strict=True):
        cloud, refused = _identity(scene, view, withdrawn=stage.closed)
        cloud = lent.added(scene, view, cloud)
        judge = Judge(scene.object, scene.governance)
        held = groups.groups(scene, judge, view, withdrawn=stage.closed)
        refusals += (*refused, *judge.refusals)
        found.append(replace(stage, cloud=cloud, groups=held) if cloud or held else stage)
    return tuple(found), tuple(refusals)


def _identity(scene: Scene, view: View, *, withdrawn: bool) -> tuple[CloudIdentity | None, tuple[Refusal, ...]]:
    aws = view.stage.aws
    if not aws.asks or (scene.governance.stalled and not scene.governance.name):
        # Of a class that nobody knows, nobody knows what it allows.
        return None, ()
    judge, path = Judge(scene.object, scene.governance), f"{view.path}.aws"
    if not scene.governance.name:
        said, fix = governance.ungoverned(scene.governance, scene.namespace, scene.snapshot, "aws")
        judge.refuse(path, f"asks for a role in AWS, and {said}", scene.namespace, fix)
        return None, tuple(judge.refusals)
    if aws.identity == "None":
        judge.refuse(f"{path}.identity", "cannot become a role:", "None", "use IRSA, PodIdentity or ForgeOIDC")
        return None, tuple(judge.refusals)
    way = Way(aws.identity or "IRSA")
    made = CloudIdentity(
        path=path,
        way=way,
        home=_home(judge, path, way, managed=aws.role_arn is None),
        role_arn=_foreign(judge, path, way, aws),
        forge=trust.forge(judge, f"{path}.forge", aws.forge) if aws.forge else None,
        rights=None if aws.role_arn else _rights(scene, judge, view, aws),
        token_seconds=aws.token_seconds,
        namespace_uid=_namespace_uid(scene),
        withdrawn=withdrawn,
    )
    unknown = made.rights is None and not aws.role_arn
    return (None if judge.refusals or unknown else made), tuple(judge.refusals)


def agent(view: View) -> Iterator[Edge]:
    """Open the way to the node's agent, which hands out what Pod Identity gives; nothing else of the node."""
    if view.stage.aws.pods == "PodIdentity":
        because, described = f"{view.path}.aws.identity", "the agent of Pod Identity"
        yield Edge(because, "egress", Target.CIDR, described, open=True, peers=AGENT, ports=(AGENT_PORT,))


def _home(judge: Judge, path: str, way: Way, *, managed: bool) -> Home:
    aws = judge.aws
    home = Home.of(aws)
    cluster = home.cluster
    needed: dict[str, object] = {"accountID": aws.account_id} if managed or way is Way.POD_IDENTITY else {}
    if managed:
        needed["permissionsBoundaryARN"] = aws.permissions_boundary_arn
    if managed and way is Way.IRSA:
        needed["oidcIssuer"] = aws.oidc_issuer
    if way is Way.POD_IDENTITY or (managed and not cluster):
        needed |= {"region": aws.region, "clusterName": aws.cluster_name}
    for field, value in needed.items():
        if value is None:
            judge.lacks(path, field, way)
    if managed and cluster and not _TAG.fullmatch(cluster):
        fix = "have the platform team set spec.aws.clusterName and spec.aws.region"
        judge.refuse(path, f"cannot become a role, since no tag in AWS can hold {judge.who}'s oidcIssuer:", way, fix)
    boundary = aws.permissions_boundary_arn
    homes = {f"arn:{aws.partition}:iam::{account}:policy/" for account in (aws.account_id, "aws")}
    if managed and boundary is not None and not boundary.startswith(tuple(homes)):
        fix = "have the platform team name a policy of the account in spec.aws.permissionsBoundaryARN"
        judge.refuse(path, f"cannot become a role, since {judge.who}'s boundary is no policy of its account:", way, fix)
    return home


def _foreign(judge: Judge, path: str, way: Way, aws: StageAws) -> str:
    """Give the role of somebody else that a stage uses, held to the class's list; '' for a managed one."""
    arn, place = aws.role_arn, f"{path}.roleARN"
    if arn is None:
        return ""
    if arn not in judge.aws.allowed_role_arns:
        fix = "declare permissions instead, or have the platform team add it to spec.aws.allowedRoleARNs"
        judge.refuse(place, f"is not among the roles that {judge.who} allows:", arn, fix)
    if way is Way.FORGE:
        problem = "is never changed, so that its trust in the forge is not ours to write:"
        judge.refuse(place, problem, arn, "write the trust there and remove aws, or declare permissions instead")
    if way is Way.POD_IDENTITY and not arn.startswith(f"arn:{judge.aws.partition}:iam::{judge.aws.account_id}:role/"):
        judge.refuse(place, "is no role of the cluster's account, as Pod Identity wants it:", arn, "use identity IRSA")
    if aws.require_vpc_endpoint:
        problem = "is never changed, so that calls from elsewhere cannot be denied there:"
        judge.refuse(f"{path}.requireVPCEndpoint", problem, "true", "write the denial there, and remove it here")
    return arn


def _rights(scene: Scene, judge: Judge, view: View, aws: StageAws) -> Rights | None:
    path = f"{view.path}.aws"
    told = rights.told(aws.permissions)
    if told > INLINE_CHARACTERS:
        _too_large(scene, view, told)
        return None
    statements = rights.statements(judge, view, aws)
    managed = rights.managed(judge, view, aws)
    allowed = _endpoints(scene, judge, path) if aws.require_vpc_endpoint else None
    if aws.require_vpc_endpoint and not allowed:
        return None
    return Rights(
        role_path=judge.aws.role_path,
        boundary=judge.aws.permissions_boundary_arn or "",
        statements=statements,
        managed=managed,
        endpoints=allowed,
        session_seconds=aws.max_session_seconds,
    )


def _endpoints(scene: Scene, judge: Judge, path: str) -> tuple[str, ...]:
    """Give the endpoints of the class's VPC. Without one there is no role: a denial of everything is no right either."""
    place, vpc = f"{path}.requireVPCEndpoint", judge.aws.vpc_id
    if vpc is None:
        judge.lacks(place, "vpcID", "true")
        return ()
    scene.reads.add(endpoints.READ)
    known = scene.snapshot.endpoints_of(vpc)
    found = tuple(sorted(each.id for each in known or ()))
    if not found:
        why = "are not known" if known is None else "do not exist"
        fix = f"give them with --facts, or {endpoints.LET_READ};" if known is None else "create the endpoints,"
        scene.note(
            place,
            "EndpointUnknown",
            vpc,
            f"the VPC endpoints of {vpc} {why}, so that calls cannot be held to them; there is no role until then",
            f"{fix} or set requireVPCEndpoint: false and accept calls from anywhere",
        )
    return found


def _too_large(scene: Scene, view: View, told: int) -> None:
    scene.note(
        f"{view.path}.aws.permissions",
        "RoleTooLarge",
        f"stage {view.key.stage}",
        f"actions and resources alone are {told} characters, and a role's policies hold {INLINE_CHARACTERS}; there is no role",
        "use wildcards where they say the same, or a managed policy",
    )


def _namespace_uid(scene: Scene) -> str:
    found = scene.snapshot.namespaces.get(scene.namespace)
    return found.meta.uid if found else ""
