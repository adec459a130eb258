"""What the operator itself may do in AWS: as little as its work needs (docs/adr/0033).

Roles of its path and of its cluster alone, never without the boundary; and nothing that changes the boundary. Whoever holds
this policy can give no role more than the boundary has, and cannot touch what another cluster made.
"""

from collections.abc import Iterator
from typing import Any

from pipesegment import names
from pipesegment.compile.iam.backends import DIRECT
from pipesegment.compile.iam.trust import VERSION
from pipesegment.compile.iam.values import Document
from pipesegment.spec.classaws import ClassAws

_TAGGED = f"aws:ResourceTag/{names.CLUSTER_TAG}"
_TAGGING = f"aws:RequestTag/{names.CLUSTER_TAG}"


def needed(aws: ClassAws, *, endpoints: bool = False) -> tuple[str, ...]:
    """Name what a class has to say before the policy can be written."""
    direct = aws.backend == DIRECT
    found = {"accountID": aws.account_id, "permissionsBoundaryARN": aws.permissions_boundary_arn} if direct else {}
    if direct and not aws.oidc_issuer:
        found |= {"region": aws.region, "clusterName": aws.cluster_name}
    if endpoints:
        found |= {"accountID": aws.account_id, "region": aws.region, "vpcID": aws.vpc_id}
    return tuple(field for field, value in found.items() if not value)


def operator_policy(aws: ClassAws, *, endpoints: bool = False) -> Document:
    """Write the operator's own policy for what a class lets stages have; nothing that is `needed` may be missing.

    With `endpoints` it has what `pipesegment aws endpoints --apply` needs as well; the operator never does. Where another
    controller makes the roles, the operator reads endpoints, if anything: then there may be no statement.
    """
    making = _making(aws) if endpoints else ()
    if aws.backend != DIRECT:
        return {"Version": VERSION, "Statement": [*_endpoints(aws), *making]}
    statements = [*_roles(aws), *_associations(aws), *_endpoints(aws), *making, *_never(aws)]
    return {"Version": VERSION, "Statement": statements}


def _roles(aws: ClassAws) -> Iterator[dict[str, Any]]:
    roles, cluster = _role_arns(aws), aws.cluster
    bounded = {"iam:PermissionsBoundary": aws.permissions_boundary_arn}
    yield _allow("ReadRoles", ["GetRole", "GetRolePolicy", "ListAttachedRolePolicies", "ListRolePolicies"], roles)
    # What was made and not recorded, for somebody died in between, is found by its path alone; AWS knows no smaller resource.
    yield _allow("ListRoles", ["ListRoles"], "*")
    yield _allow("CreateRoles", ["CreateRole"], roles, {"StringEquals": {**bounded, _TAGGING: cluster}})
    # A role that another cluster made must not become this one's by a tag; a new one has none yet.
    own = {"StringEquals": {_TAGGING: cluster}, "StringEqualsIfExists": {_TAGGED: cluster}}
    yield _allow("TagRoles", ["TagRole"], roles, own)
    rights = ["PutRolePermissionsBoundary", "PutRolePolicy"]
    yield _allow("GiveRightsWithinTheBoundary", rights, roles, {"StringEquals": {**bounded, _TAGGED: cluster}})
    if aws.allowed_managed_policy_arns:
        listed = {"ArnEquals": {"iam:PolicyARN": sorted(aws.allowed_managed_policy_arns)}}
        attached = {"StringEquals": {**bounded, _TAGGED: cluster}, **listed}
        yield _allow("AttachListedPolicies", ["AttachRolePolicy"], roles, attached)
    taking = ["DeleteRolePolicy", "DetachRolePolicy", "UpdateAssumeRolePolicy", "UpdateRole"]
    taking += ["DeleteRole"] if aws.deletion_policy == "Delete" else []
    yield _allow("ChangeOwnRoles", sorted(taking), roles, {"StringEquals": {_TAGGED: cluster}})


def _associations(aws: ClassAws) -> Iterator[dict[str, Any]]:
    """Let Pod Identity be used in the one cluster; without its name nobody can."""
    if not (aws.cluster_name and aws.region):
        return
    place = f"arn:{aws.partition}:eks:{aws.region}:{aws.account_id}"
    own = f"{place}:podidentityassociation/{aws.cluster_name}/*"
    making = ["CreatePodIdentityAssociation", "ListPodIdentityAssociations"]
    changing = ["DeletePodIdentityAssociation", "DescribePodIdentityAssociation", "UpdatePodIdentityAssociation"]
    yield _allow("BindAccounts", making, aws.cluster, service="eks")
    yield _allow("ChangeBindings", [*changing, "TagResource"], own, service="eks")
    passed = {"StringEquals": {"iam:PassedToService": "pods.eks.amazonaws.com"}}
    yield _allow("PassRolesToPods", ["PassRole"], [_role_arns(aws), *sorted(aws.allowed_role_arns)], passed)


def _endpoints(aws: ClassAws) -> Iterator[dict[str, Any]]:
    if aws.vpc_id:
        reading = ["DescribeManagedPrefixLists", "DescribeNetworkInterfaces", "DescribeSecurityGroups"]
        reading += ["DescribeVpcEndpoints"]
        yield _allow("ReadEndpoints", reading, "*", service="ec2")
        lists = f"arn:{aws.partition}:ec2:*:aws:prefix-list/*"
        yield _allow("ReadPrefixLists", ["GetManagedPrefixListEntries"], lists, service="ec2")


def _making(aws: ClassAws) -> Iterator[dict[str, Any]]:
    """Let endpoints be made in the one VPC, with our tags from the first moment, and nothing be changed."""
    place = f"arn:{aws.partition}:ec2:{aws.region}:{aws.account_id}"
    made, vpc = f"{place}:vpc-endpoint/*", f"{place}:vpc/{aws.vpc_id}"
    tags = {f"aws:RequestTag/{names.MANAGED_BY_LABEL}": names.MANAGED_BY, _TAGGING: aws.cluster}
    yield _allow("ReadSubnets", ["DescribeRouteTables", "DescribeSubnets"], "*", service="ec2")
    yield _allow("MakeEndpoints", ["CreateVpcEndpoint"], made, {"StringEquals": tags}, service="ec2")
    yield _allow("MakeThemHere", ["CreateVpcEndpoint"], vpc, service="ec2")
    around = [f"{place}:{kind}/*" for kind in ("route-table", "security-group", "subnet")]
    yield _allow("MakeThemAmong", ["CreateVpcEndpoint"], around, {"ArnEquals": {"ec2:Vpc": vpc}}, service="ec2")
    creating = {"StringEquals": {"ec2:CreateAction": "CreateVpcEndpoint"}}
    yield _allow("TagNewEndpoints", ["CreateTags"], made, creating, service="ec2")
    zones = f"arn:{aws.partition}:route53:::hostedzone/*"
    yield _allow("NameThem", ["AssociateVPCWithHostedZone"], zones, service="route53")


def _never(aws: ClassAws) -> Iterator[dict[str, Any]]:
    """Deny what would lift the boundary, whatever else somebody attaches to the operator."""
    boundary = ["CreatePolicyVersion", "DeletePolicy", "DeletePolicyVersion", "SetDefaultPolicyVersion"]
    unbound = _allow("NeverUnbound", ["DeleteRolePermissionsBoundary"], "*")
    changed = _allow("NeverAnotherBoundary", boundary, str(aws.permissions_boundary_arn))
    yield from ({**statement, "Effect": "Deny"} for statement in (unbound, changed))


def _role_arns(aws: ClassAws) -> str:
    return f"arn:{aws.partition}:iam::{aws.account_id}:role{aws.role_path}*"


def _allow(
    sid: str,
    actions: list[str],
    resource: str | list[str],
    condition: dict[str, Any] | None = None,
    service: str = "iam",
) -> dict[str, Any]:
    found = {"Sid": sid, "Effect": "Allow", "Action": [f"{service}:{a}" for a in actions], "Resource": resource}
    return {**found, "Condition": condition} if condition else found
