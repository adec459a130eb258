"""Who may take a role: one service account of one cluster, or exactly the jobs of a forge. Nothing here is a pattern.

IAM compares `StringEquals` letter by letter; whatever is not in a token does not match (semantics, § AWS).
"""

from typing import Any, Final

from pipesegment.compile.iam.values import Document
from pipesegment.reach.aws.values import CloudIdentity, Way
from pipesegment.reach.graph import StageReach

VERSION: Final = "2012-10-17"
AUDIENCE: Final = "sts.amazonaws.com"
_SCHEME: Final = "https://"


def trust(stage: StageReach, identity: CloudIdentity) -> Document:
    """Write the trust policy of a stage's managed role."""
    match identity.way:
        case Way.IRSA:
            subject = f"system:serviceaccount:{stage.key.namespace}:{stage.account.name}"
            statement = _web_identity(identity, identity.home.issuer, AUDIENCE, subject)
        case Way.FORGE:
            assert identity.forge is not None
            subjects = list(identity.forge.subjects)
            told = subjects[0] if len(subjects) == 1 else subjects
            statement = _web_identity(identity, identity.forge.issuer, identity.forge.audience, told)
        case Way.POD_IDENTITY:
            statement = _pod_identity(stage, identity)
    return {"Version": VERSION, "Statement": [statement]}


def _web_identity(identity: CloudIdentity, issuer: str, audience: str, subject: str | list[str]) -> dict[str, Any]:
    host = issuer.removeprefix(_SCHEME)
    provider = f"arn:{identity.home.partition}:iam::{identity.home.account}:oidc-provider/{host}"
    return {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{host}:aud": audience, f"{host}:sub": subject}},
    }


def _pod_identity(stage: StageReach, identity: CloudIdentity) -> dict[str, Any]:
    """Trust the service for this cluster and account alone.

    Without the tags whoever may make associations could give the role to any other account; the cluster's ARN says the
    region too, and a cluster's name does not.
    """
    return {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {
            "StringEquals": {
                "aws:SourceAccount": identity.home.account,
                "aws:RequestTag/eks-cluster-arn": identity.home.cluster,
                "aws:RequestTag/kubernetes-namespace": stage.key.namespace,
                "aws:RequestTag/kubernetes-service-account": stage.account.name,
            }
        },
    }
