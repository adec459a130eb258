"""What a stage's identity in AWS comes to."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pipesegment.spec.classaws import ClassAws

#: What IAM takes of a role's inline policies together, in characters; white space does not count.
INLINE_CHARACTERS: Final = 10_240
#: What holds a statement to an end: IAM compares the moment of each call.
UNTIL: Final = "DateLessThan"
NOW: Final = "aws:CurrentTime"
#: What the denial of calls from elsewhere is called among a role's statements.
ONLY_THROUGH: Final = "OnlyThroughTheEndpointsOfTheVPC"


class Way(StrEnum):
    """How a token becomes the role."""

    IRSA = "IRSA"
    POD_IDENTITY = "PodIdentity"
    FORGE = "ForgeOIDC"


@dataclass(frozen=True, slots=True)
class Home:
    """Where a class has its roles. `cluster` is the cluster's ARN, or its issuer where no name is given."""

    account: str
    partition: str
    cluster: str
    region: str = ""
    cluster_name: str = ""
    issuer: str = ""

    @classmethod
    def of(cls, aws: ClassAws) -> "Home":
        """Read it off what a class says; what the class leaves out is empty."""
        return cls(
            account=aws.account_id or "",
            partition=aws.partition,
            cluster=aws.cluster,
            region=aws.region or "",
            cluster_name=aws.cluster_name or "",
            issuer=aws.oidc_issuer or "",
        )


@dataclass(frozen=True, slots=True)
class Statement:
    """One Allow; `conditions` are (operator, ((key, values)…)). No two of an identity's `sid`s are equal; '' is none."""

    because: str
    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[tuple[str, tuple[tuple[str, tuple[str, ...]], ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class ForgeTrust:
    """Whose jobs may take the role: the forge's issuer, its tokens' audience, and exact subjects."""

    issuer: str
    audience: str
    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rights:
    """What a managed role may do. With `endpoints`, only through these: calls from elsewhere are denied; None: from anywhere.

    `lent` is what exceptions give for a while, as far as there is room for it.
    """

    role_path: str
    boundary: str
    statements: tuple[Statement, ...] = ()
    managed: tuple[str, ...] = ()
    endpoints: tuple[str, ...] | None = None
    session_seconds: int = 3600
    lent: tuple[Statement, ...] = ()


@dataclass(frozen=True, slots=True)
class CloudIdentity:
    """A stage's role: a managed one with its `rights`, or somebody else's (`role_arn`), which is never changed.

    `withdrawn`: the stage was refused, and a managed role keeps its name and none of its rights.
    """

    path: str  # `spec.stages[2].aws`
    way: Way
    home: Home
    role_arn: str = ""
    rights: Rights | None = None
    forge: ForgeTrust | None = None
    token_seconds: int = 3600
    namespace_uid: str = ""
    withdrawn: bool = False
