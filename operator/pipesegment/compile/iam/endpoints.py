"""The VPC endpoints that segments need, and for each the policy that holds it to what its callers may do (docs/adr/0045)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pipesegment import names
from pipesegment.compile.desired import Desired, ObjectID
from pipesegment.compile.iam.trust import VERSION
from pipesegment.compile.iam.values import Document
from pipesegment.reach.aws import services
from pipesegment.reach.aws.values import CloudIdentity, Statement, Way
from pipesegment.reach.edges import Edge
from pipesegment.reach.graph import Reach, StageReach

_GATEWAYS: Final = frozenset({"s3", "dynamodb"})
#: Where the layers of ECR's images are: AWS's own bucket, which nobody's credentials but AWS's own links open.
_LAYERS: Final = "arn:{partition}:s3:::prod-{region}-starport-layer-bucket/*"


@dataclass(frozen=True, slots=True)
class Caller:
    """A stage that goes to a service, and why. `role` is its role's ARN, '' where it has none."""

    stage: str
    because: tuple[str, ...]
    role: str = ""


@dataclass(frozen=True, slots=True)
class Need:
    """A service, by the name that its endpoints have; `endpoints` are those that carry it, none where there is none.

    `unread`: callers of whose role nobody says what it may do, so that `policy` does not speak of them.
    """

    service: str
    vpc: str
    gateway: bool
    endpoints: tuple[str, ...]
    callers: tuple[Caller, ...]
    policy: Document
    unread: tuple[str, ...] = ()


@dataclass(slots=True)
class _Found:
    gateway: bool
    region: str
    part: str
    endpoints: set[str] = field(default_factory=set)
    callers: dict[str, tuple[StageReach, list[Edge]]] = field(default_factory=dict)


def needs(segments: Iterable[tuple[Reach, Desired]]) -> tuple[Need, ...]:
    """Give what segments need, by VPC and service; with each comes what it compiled to, for its roles."""
    found: dict[tuple[str, str], _Found] = {}
    roles: dict[str, str] = {}
    partitions: dict[tuple[str, str], str] = {}
    for reach, desired in segments:
        roles |= _roles(reach, desired)
        aws = reach.governance.spec.aws
        crowded = frozenset(gap.path for gap in desired.gaps if gap.reason == "RoleTooLarge")
        for stage in (_as_given(stage, crowded) for stage in reach.stages):
            for edge in stage.egress:
                if edge.through is not None:
                    place = (aws.vpc_id or "", edge.through.service)
                    partitions[place] = aws.partition
                    _add(found, place, stage, edge)
    return tuple(_need(*place, partitions[place], each, roles) for place, each in sorted(found.items()))


def _as_given(stage: StageReach, crowded: frozenset[str]) -> StageReach:
    """Leave out what exceptions would give a stage for whose role that is too much."""
    cloud = stage.cloud
    if not crowded or cloud is None or cloud.rights is None:
        return stage
    lent = tuple(each for each in cloud.rights.lent if each.because not in crowded)
    return replace(stage, cloud=replace(cloud, rights=replace(cloud.rights, lent=lent)))


def _add(found: dict[tuple[str, str], _Found], place: tuple[str, str], stage: StageReach, edge: Edge) -> None:
    assert edge.through is not None
    region, _, part = edge.through.service.removeprefix("com.amazonaws.").partition(".")
    each = found.setdefault(place, _Found(part in _GATEWAYS, region, part))
    if edge.through.endpoint:
        each.endpoints.add(edge.through.endpoint)
    each.callers.setdefault(str(stage.key), (stage, []))[1].append(edge)


def _roles(reach: Reach, desired: Desired) -> Mapping[str, str]:
    """Give the ARNs of a segment's managed roles, by `namespace/segment/stage`."""
    found = (o["metadata"] for o in desired.in_cloud.objects if ObjectID.of(o).is_role)
    return {f"{reach.segment}/{m['labels'][names.STAGE_LABEL]}": m["annotations"][names.ARN_ANNOTATION] for m in found}


def _need(vpc: str, service: str, partition: str, found: _Found, roles: Mapping[str, str]) -> Need:
    callers, unread = [], []
    statements: list[dict[str, Any]] = []
    for key, (stage, edges) in sorted(found.callers.items()):
        role = roles.get(key) or (stage.cloud.role_arn if stage.cloud else "")
        because = tuple(dict.fromkeys(edge.because for edge in edges))
        callers.append(Caller(key, because, role))
        statements += _statements(stage, found.part, role)
        if found.part != services.STS and (
            stage.cloud is None or stage.cloud.rights is None or stage.cloud.rights.managed
        ):
            unread.append(key)
    if found.part == services.S3 and any(
        e.described.startswith("awsService ecr ") for _, edges in found.callers.values() for e in edges
    ):
        layers = _LAYERS.format(partition=partition, region=found.region)
        statements.append({**_allow("*", ["s3:GetObject"], [layers]), "Sid": "LayersOfImages"})
    document = {"Version": VERSION, "Statement": statements or [_nobody()]}
    return Need(service, vpc, found.gateway, tuple(sorted(found.endpoints)), tuple(callers), document, tuple(unread))


def _statements(stage: StageReach, part: str, role: str) -> Iterator[dict[str, Any]]:
    """Give what a stage's role may do there, and nothing that it may do elsewhere."""
    identity = stage.cloud
    if identity is None or not role or identity.withdrawn:
        return
    if part == services.STS:
        yield from _tokens(identity, role)
    for statement in (*identity.rights.statements, *identity.rights.lent) if identity.rights else ():
        actions = [action for action in statement.actions if _is_for(part, services.of_action(action))]
        if actions:
            yield _held(statement, actions, role)


def _is_for(part: str, service: str) -> bool:
    """Tell whether calls of a service's actions come to an endpoint; an image's layers are no calls of ECR's."""
    return service == part if part == services.S3 else part in services.parts(service)


def _held(statement: Statement, actions: list[str], role: str) -> dict[str, Any]:
    """Hold a statement to its role; by a condition, because gateways take no principal."""
    conditions: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for operator, keys in statement.conditions:
        conditions[operator] |= {key: list(values) for key, values in keys}
    made = _allow("*", actions, list(statement.resources))
    own = {"ArnEquals": {**conditions.pop("ArnEquals", {}), "aws:PrincipalArn": [role]}}
    return {**made, "Condition": {**conditions, **own}}


def _tokens(identity: CloudIdentity, role: str) -> Iterator[dict[str, Any]]:
    """Let tokens be changed into the role's credentials. Such a call is unsigned: it has no principal to compare."""
    if identity.way is Way.IRSA:
        yield _allow("*", ["sts:AssumeRoleWithWebIdentity"], [role])
    # Most tools ask first who they are, which needs no right but the endpoint's.
    who = _allow("*", ["sts:GetCallerIdentity"], ["*"])
    yield {**who, "Condition": {"ArnEquals": {"aws:PrincipalArn": [role]}}}


def _allow(principal: str, actions: list[str], resources: list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": actions, "Resource": resources}


def _nobody() -> dict[str, Any]:
    """Say 'nothing' as AWS takes it: a policy has at least one statement."""
    return {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}
