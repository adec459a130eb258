"""Roles and associations as custom resources, and the controllers that make them in AWS; part of the scene in admission.py."""

from typing import Any

from pipesegment import names
from tests.cluster.attempts import Object

#: who -> the account, as the controllers' own charts call them
CONTROLLERS = {
    "ack": ("ack-system", "ack-iam-controller"),
    "ack-eks": ("ack-system", "ack-eks-controller"),
    "crossplane": ("crossplane-system", "provider-aws-iam-5c1f8d2a"),
    "another": ("ack-system", "default"),
}
NAME = "ci-shop-build"
ACK_ROLE, ACK_ASSOCIATION = "iam.services.k8s.aws/Role", "eks.services.k8s.aws/PodIdentityAssociation"
ROLE, POLICY = "iam.aws.upbound.io/Role", "iam.aws.upbound.io/RolePolicy"
ATTACHMENT, ASSOCIATION = "iam.aws.upbound.io/RolePolicyAttachment", "eks.aws.upbound.io/PodIdentityAssociation"
EVERYTHING = '{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
READ = '{"Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}'
TRUST = '{"Statement":[{"Effect":"Allow","Principal":{"Service":"pods.eks.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
_BOUNDARY = "arn:aws:iam::111122223333:policy/boundary"
_ARN = f"arn:aws:iam::111122223333:role/{NAME}"


def wish(kind: str, spec: Object, *, name: str = NAME, **metadata: Any) -> Object:
    """A custom resource as the operator would write it."""
    group = kind.partition("/")[0]
    ack = group.endswith(".services.k8s.aws")
    given = {
        "name": name,
        **({"namespace": "ci"} if ack else {}),
        "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY},
        "annotations": {names.ARN_ANNOTATION: _ARN},
        **metadata,
    }
    version = "v1alpha1" if ack else "v1beta1"
    body = spec if ack else {"forProvider": spec}
    return {"apiVersion": f"{group}/{version}", "kind": kind.partition("/")[2], "metadata": given, "spec": body}


#: What stands there already.
MADE: dict[str, Object] = {
    ACK_ROLE: wish(
        ACK_ROLE,
        {
            "name": NAME,
            "assumeRolePolicyDocument": TRUST,
            "inlinePolicies": {"pipesegment": READ},
            "policies": [],
            "permissionsBoundary": _BOUNDARY,
        },
    ),
    ACK_ASSOCIATION: wish(
        ACK_ASSOCIATION, {"clusterName": "prod", "namespace": "ci", "serviceAccount": "shop-build", "roleARN": _ARN}
    ),
    ROLE: wish(ROLE, {"assumeRolePolicy": TRUST, "permissionsBoundary": _BOUNDARY}),
    POLICY: wish(POLICY, {"policy": READ, "role": NAME}),
    ATTACHMENT: wish(ATTACHMENT, {"policyArn": "arn:aws:iam::111122223333:policy/scan", "role": NAME}),
    ASSOCIATION: wish(
        ASSOCIATION,
        {
            "region": "eu-west-1",
            "clusterName": "prod",
            "namespace": "ci",
            "serviceAccount": "shop-build",
            "roleArn": _ARN,
        },
    ),
}
SYNCED: Object = {"status": {"conditions": [{"type": "ACK.ResourceSynced", "status": "True"}]}}
