"""AWS as the platform team allows it."""

from typing import Annotated, Literal

from pydantic import Field

from pipesegment.spec.base import Model, Rule, Unique, unless
from pipesegment.spec.cloud import Action, ARNs, Issuer, Permissions, SecurityGroup
from pipesegment.spec.units import ARN, URL, Bool, Grammar, Int, Label, Word, between, size, text

AccountID = Annotated[str, text(12, 12), Grammar("[0-9]{12}", "is not an account id", "give its 12 digits, in quotes")]
Actions = Annotated[tuple[Action, ...], size(256), Unique()]


class PermissionSet(Model):
    """Statements that segments use by name; ${namespace}, ${segment} and ${stage} are filled in, nothing else."""

    name: Word = Field(description="The name that segments use.")
    permissions: Permissions = Field((), description="The statements.")


class ClassAws(Model):
    """The account, and what stages may have of it. An absent or empty `allowed` list allows nothing."""

    account_id: AccountID | None = Field(None, description="The account.")
    region: Label | None = Field(None, description="The region of the cluster.")
    partition: Literal["aws", "aws-cn", "aws-us-gov"] = Field("aws", description="The partition; aws when absent.")
    cluster_name: (
        Annotated[
            str,
            text(100, 1),
            Grammar("[0-9A-Za-z][-_0-9A-Za-z]*", "is not the name of a cluster", "use letters, digits, '-' and '_'"),
        ]
        | None
    ) = Field(None, description="The name of the EKS cluster.")
    oidc_issuer: URL | None = Field(None, description="The cluster's OIDC issuer, for IRSA.")
    permissions_boundary_arn: ARN | None = Field(
        None, description="The permissions boundary of every managed role; required for managed roles."
    )
    role_path: Annotated[
        str,
        text(512, 1),
        Grammar("/([!-)+-.0->@-~]+/)*", "is not a path of IAM", "start and end it with '/', as `/pipesegment/`"),
    ] = Field("/pipesegment/", description="The IAM path of managed roles; /pipesegment/ when absent.")
    backend: Literal["Direct", "ACK", "Crossplane"] = Field(
        "Direct",
        description="Who makes the roles: the operator, or another controller by its resources. Direct when absent.",
    )
    calls_per_second: Annotated[Int, between(1, 100)] = Field(
        5, description="The most calls to IAM in a second; 5 when absent."
    )
    allowed_actions: Actions = Field(
        (), description="Actions that stages may have; the built-in deny list always holds."
    )
    denied_actions: Actions = Field((), description="Actions that no stage may have.")
    allowed_accounts: Annotated[tuple[AccountID, ...], size(64), Unique()] = Field(
        (), description="Other accounts whose resources stages may name."
    )
    allowed_managed_policy_arns: ARNs = Field((), description="Managed policies that stages may attach.")
    allowed_role_arns: ARNs = Field((), description="Roles that stages may use as they are.")
    allowed_security_group_ids: Annotated[tuple[SecurityGroup, ...], size(64), Unique()] = Field(
        (), description="Security groups that stages may ask for."
    )
    permission_sets: Annotated[tuple[PermissionSet, ...], size(64), Unique("name")] = Field(
        (), description="Statements that segments use by name."
    )
    forge_issuers: Annotated[tuple[Issuer, ...], size(16), Unique()] = Field(
        (), description="OIDC issuers of forges that stages may trust."
    )
    vpc_id: (
        Annotated[
            str, text(32, 1), Grammar("vpc-[0-9a-f]+", "is not a VPC", "write its id, as `vpc-0123456789abcdef0`")
        ]
        | None
    ) = Field(None, description="The VPC of the cluster.")
    ensure_endpoints: Bool = Field(
        False,
        description="Whether `pipesegment aws endpoints --apply` may make missing VPC endpoints. False when absent.",
    )
    deletion_policy: Literal["Retain", "Delete"] = Field(
        "Retain", description="What becomes of a role that nobody declares any more. Retain when absent."
    )

    rules = (
        Rule(
            cel="!has(self.region) || (has(self.partition) ? self.partition : 'aws') == "
            "(self.region.startsWith('cn-') ? 'aws-cn' : self.region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws')",
            problem="is not the partition of the region",
            fix="use aws-cn for regions that begin with cn-, aws-us-gov with us-gov-, and aws for all others",
            offences=unless(
                lambda aws: aws.region is None or aws.partition == _partition(aws.region),
                "partition",
                value=lambda aws: f"{aws.partition}, {aws.region}",
            ),
            field=".partition",
        ),
    )

    @property
    def cluster(self) -> str:
        """Name the cluster as the tags of its roles do: by its ARN, else by its issuer; '' when neither is given."""
        if self.cluster_name and self.region and self.account_id:
            return f"arn:{self.partition}:eks:{self.region}:{self.account_id}:cluster/{self.cluster_name}"
        return self.oidc_issuer or ""


def _partition(region: str) -> str:
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
