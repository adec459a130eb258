"""Identity in AWS: what a stage may ask for."""

from typing import Annotated, Literal

from pydantic import Field

from pipesegment.spec.base import Model, Rule, Unique, unless
from pipesegment.spec.units import ARN, Bool, Grammar, Int, Word, between, size, text

Action = Annotated[
    str,
    text(128, 1),
    Grammar(r"\*|[a-z0-9-]+:[A-Za-z0-9*?]+", "is not an action", "write it as `s3:GetObject` or `s3:Get*`"),
]
Resource = Annotated[
    str,
    text(2048, 1),
    Grammar(r"\*|arn:[ -~]+", "is not a resource", "write it as an ARN, such as `arn:aws:s3:::your-bucket`"),
]
SecurityGroup = Annotated[
    str, text(20, 1), Grammar("sg-[0-9a-f]{8,17}", "is not a security group", "write its id, as `sg-0123456789abcdef0`")
]
Issuer = Annotated[
    str,
    text(512, 1),
    Grammar(
        "https://[!-)+->@-~]*[!-)+-.0->@-~]",
        "is not one issuer",
        "write it in full, without '*', '?' and a '/' at its end",
    ),
]
ARNs = Annotated[tuple[ARN, ...], size(64), Unique()]
#: As many as every version of the kind SecurityGroupPolicy takes, and as a network interface has without a raised quota.
SecurityGroups = Annotated[tuple[SecurityGroup, ...], size(5), Unique()]
#: operator -> key -> values, as IAM's Condition.
Conditions = Annotated[
    dict[
        Annotated[str, text(64, 1)],
        Annotated[
            dict[
                Annotated[str, text(128, 1)],
                Annotated[tuple[Annotated[str, text(1024)], ...], size(32, 1)],
            ],
            size(16, 1),
        ],
    ],
    size(16),
]


class Permission(Model):
    """One Allow statement."""

    sid: Annotated[str, text(64, 1), Grammar("[A-Za-z0-9]+", "is not a sid", "use letters and digits only")] | None = (
        Field(None, description="A name for the statement.")
    )
    actions: Annotated[tuple[Action, ...], size(64, 1), Unique()] = Field(description="The actions, as `service:Name`.")
    resources: Annotated[tuple[Resource, ...], size(64, 1), Unique()] = Field(
        description="The ARNs that the actions may touch."
    )
    conditions: Conditions = Field({}, description="IAM conditions: operator, key, values.")


Permissions = Annotated[tuple[Permission, ...], size(32)]


class Forge(Model):
    """A code forge that signs the jobs' tokens itself."""

    issuer: Issuer = Field(description="The forge's OIDC issuer.")
    audience: Annotated[
        str, text(253, 1), Grammar("[!-)+->@-~]+", "is not one audience", "write it in full, without '*' and '?'")
    ] = Field("sts.amazonaws.com", description="The tokens' audience; sts.amazonaws.com when absent.")
    subjects: Annotated[tuple[Annotated[str, text(512, 1)], ...], size(16, 1), Unique()] = Field(
        description="The subjects that may take the role, each exact."
    )


class StageAws(Model):
    """The stage's identity in AWS."""

    identity: Literal["IRSA", "PodIdentity", "ForgeOIDC", "None"] | None = Field(
        None, description="How the pods become the role; IRSA when absent and a role is asked for."
    )
    forge: Forge | None = Field(None, description="The forge that signs the tokens, with ForgeOIDC.")
    role_arn: ARN | None = Field(
        None, description="A role to use as it is; the class must list it. Excludes everything that makes a role."
    )
    permission_sets: Annotated[tuple[Word, ...], size(16), Unique()] = Field(
        (), description="Permission sets of the class."
    )
    permissions: Permissions = Field((), description="Statements of the managed role's policy.")
    managed_policy_arns: ARNs = Field((), description="Managed policies to attach; the class must list them.")
    reach_services: Literal["Derived", "Declared"] = Field(
        "Derived",
        description="Derived: the services of the actions are added to what the stage reaches. Derived when absent.",
    )
    max_session_seconds: Annotated[Int, between(900, 43_200)] = Field(
        3600, description="The longest session of the role, in seconds; 3600 when absent."
    )
    token_seconds: Annotated[Int, between(600, 86_400)] = Field(
        3600, description="The life of the pods' token, in seconds; 3600 when absent."
    )
    require_vpc_endpoint: Bool = Field(
        False, description="Deny calls from outside the class's VPC endpoints. False when absent."
    )
    security_group_ids: SecurityGroups = Field(
        (), description="Security groups of the pods that are scheduled from now on; the class must list them."
    )

    @property
    def asks(self) -> bool:
        """Tell whether the stage asks for a role; one that does not gets none, and no annotation."""
        return bool(self.permissions or self.permission_sets or self.managed_policy_arns or self.role_arn)

    @property
    def pods(self) -> Literal["IRSA", "PodIdentity"] | None:
        """How the stage's own pods become a role; None when they do not."""
        way = self.identity or "IRSA"
        return way if self.asks and way in {"IRSA", "PodIdentity"} else None

    rules = (
        Rule(
            cel="has(self.forge) == (has(self.identity) && self.identity == 'ForgeOIDC')",
            problem="belongs to the identity ForgeOIDC, and only to it",
            fix="give both or neither",
            offences=unless(
                lambda a: a.has("forge") == (a.identity == "ForgeOIDC"),
                "forge",
                value=lambda a: a.identity or "no identity",
            ),
            field=".forge",
        ),
        Rule(
            cel="!has(self.roleARN) || !("
            "(has(self.permissionSets) && size(self.permissionSets) > 0)"
            " || (has(self.permissions) && size(self.permissions) > 0)"
            " || (has(self.managedPolicyARNs) && size(self.managedPolicyARNs) > 0))",
            problem="names a role that is never changed, but permissions are given too",
            fix="remove roleARN, or permissions, permissionSets and managedPolicyARNs",
            offences=unless(
                lambda a: not (a.has("role_arn") and (a.permission_sets or a.permissions or a.managed_policy_arns)),
                "roleARN",
            ),
            field=".roleARN",
        ),
    )
