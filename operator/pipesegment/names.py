"""Every name the product is known by: API group, kinds, labels, and the names of the objects it owns.

Nothing of ours is imported here, so that every room may use it.
"""

import hashlib
from typing import Final

GROUP: Final = "pipesegment.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

SEGMENT: Final = "PipelineSegment"
GRANT: Final = "SegmentGrant"
CLASS: Final = "SegmentClass"
EXCEPTION: Final = "SegmentException"
APPROVAL: Final = "SegmentApproval"
EVIDENCE: Final = "GateEvidence"

#: kind -> (plural, short name, namespaced), as the CRDs declare them.
KINDS: Final = {
    SEGMENT: ("pipelinesegments", "pseg", True),
    GRANT: ("segmentgrants", "psgrant", True),
    CLASS: ("segmentclasses", "psclass", False),
    EXCEPTION: ("segmentexceptions", "psexc", True),
    APPROVAL: ("segmentapprovals", "psappr", True),
}

FIELD_MANAGER: Final = "pipesegment"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "pipesegment"
SEGMENT_LABEL: Final = f"{GROUP}/segment"
STAGE_LABEL: Final = f"{GROUP}/stage"
#: On objects in another namespace than the segment's: where the segment lives.
ORIGIN_LABEL: Final = f"{GROUP}/origin"
#: On objects that a SegmentClass owns.
CLASS_LABEL: Final = f"{GROUP}/class"
#: Hash of what the operator applied last, on owned objects only.
HASH_ANNOTATION: Final = f"{GROUP}/hash"
#: The UID of the segment an object was made for, on owned objects in other namespaces.
SEGMENT_UID_ANNOTATION: Final = f"{GROUP}/segment-uid"
AWS_FINALIZER: Final = f"{GROUP}/aws"
#: On a segment, by its author: another value has everything looked at anew now, in AWS too.
CHECK_ANNOTATION: Final = f"{GROUP}/check"

#: What is made in AWS, as objects beside those of Kubernetes; the versions are those of AWS's own APIs.
IAM_API_VERSION: Final = "iam.amazonaws.com/2010-05-08"
EKS_API_VERSION: Final = "eks.amazonaws.com/2017-11-01"
CLOUD_API_VERSIONS: Final = frozenset({IAM_API_VERSION, EKS_API_VERSION})
IAM_ROLE: Final = "IAMRole"
POD_IDENTITY_ASSOCIATION: Final = "PodIdentityAssociation"
#: Custom resources by which another controller makes the same: AWS's own (ACK), or Crossplane's provider.
ACK_IAM: Final = "iam.services.k8s.aws/v1alpha1"
ACK_EKS: Final = "eks.services.k8s.aws/v1alpha1"
CROSSPLANE_IAM: Final = "iam.aws.upbound.io/v1beta1"
CROSSPLANE_EKS: Final = "eks.aws.upbound.io/v1beta1"
CONTROLLED_API_VERSIONS: Final = frozenset({ACK_IAM, ACK_EKS, CROSSPLANE_IAM, CROSSPLANE_EKS})
#: What a role is called among those.
CONTROLLED_ROLE: Final = "Role"
#: On objects in AWS: the whole of what their name leaves out.
ARN_ANNOTATION: Final = f"{GROUP}/arn"
#: Tags in AWS that say whose something is, beside the labels above; the cluster is an ARN, or its OIDC issuer.
CLUSTER_TAG: Final = f"{GROUP}/cluster"
NAMESPACE_TAG: Final = f"{GROUP}/namespace"
NAMESPACE_UID_TAG: Final = f"{GROUP}/namespace-uid"
SEGMENT_UID_TAG: Final = f"{GROUP}/segment-uid"
#: Of a role: the sessions of before this moment are to be cut. It says nothing of whose the role is.
OWED_TAG: Final = f"{GROUP}/sessions-to-cut-before"

# Marks on a stage's NetworkPolicy: the parameters of the admission policies (docs/adr/0039). What is absent is the default.
#: What the policy is beside a stage's own: `runner` (ARC's runner pods), `closed` (its stage was refused).
PART_LABEL: Final = f"{GROUP}/part"
#: What it says of a DENY that holds a stage in another namespace.
DENIAL: Final = "denial"
#: The stage's pods have been seen to run as its account, and none as another: from here on they must.
WIRED_LABEL: Final = f"{GROUP}/wired"
#: The class closes exec, attach and port-forward where the stage is.
LOCKDOWN_LABEL: Final = f"{GROUP}/lockdown"
#: The class lets nobody else open anything at the stage's pods.
EXCLUSIVE_LABEL: Final = f"{GROUP}/exclusive"
#: On a stage's NetworkPolicy: a SegmentException has sealed it.
SEALED_LABEL: Final = f"{GROUP}/sealed"
#: `named`: the class says who may create the stage's pods, and CONTROLLERS_ANNOTATION who that is.
CONTROLLERS_LABEL: Final = f"{GROUP}/controllers"
#: The stage's account, where it is not called like the policy.
ACCOUNT_ANNOTATION: Final = f"{GROUP}/service-account"
#: Who may create the stage's pods: one user in a line; everybody when absent.
CONTROLLERS_ANNOTATION: Final = f"{GROUP}/controllers"
#: The ways around the fence that the class leaves to the stage's pods, separated by spaces.
EXEMPT_ANNOTATION: Final = f"{GROUP}/exempt"
#: The mesh's data plane, where the stage is in a mesh.
MESH_ANNOTATION: Final = f"{GROUP}/mesh"
#: On what hangs on a route of Linkerd's: the Server that the route is one of.
SERVER_ANNOTATION: Final = f"{GROUP}/server"

#: What the names of the chart's admission policies begin with, as long as the release says nothing else.
ADMISSION: Final = "pipesegment"

DEFAULT_DENY: Final = "pipesegment-default-deny"
NAMESPACE_NAME_LABEL: Final = "kubernetes.io/metadata.name"

#: RFC 1123 label, the length of every name that we make.
MAX_NAME: Final = 63
#: The length of a role's name in IAM.
MAX_ROLE_NAME: Final = 64


def object_name(segment: str, stage: str) -> str:
    """Name every namespaced object of a stage: `<segment>-<stage>`, cut and hashed past 63 characters."""
    return _bounded(f"{segment}-{stage}", f"{segment}/{stage}")


def suffixed_name(segment: str, stage: str, suffix: str) -> str:
    """Name a further object of a stage (`suffix` tells which).

    The hash is always present: `shop` + `build-runner` and `shop-build` + `runner` must not meet by accident. A stage that
    is named after it on purpose is refused (`compile.namesakes`).
    """
    digest = _digest(f"{segment}/{stage}/{suffix}")
    return f"{f'{segment}-{stage}-{suffix}'[: MAX_NAME - 9].rstrip('-')}-{digest}"


def foreign_name(origin: str, segment: str, stage: str, discriminator: str) -> str:
    """Name an object in another namespace; injective over (namespace of the segment, segment, stage, discriminator).

    The people of that namespace have a say in the discriminator, hence a digest in which nobody finds two alike.
    """
    digest = _digest(f"{origin}/{segment}/{stage}/{discriminator}", 32)
    return f"{f'{origin}-{segment}-{stage}'[: MAX_NAME - 33].rstrip('-')}-{digest}"


def role_name(account: str, cluster: str, namespace: str, segment: str, stage: str) -> str:
    """Name a stage's role in IAM; injective over all five, in upper and lower case alike.

    Every account has one set of names for all its clusters, and whoever writes segments chooses what goes into the digest.
    None of the five holds a line feed.
    """
    digest = _digest(f"{account}\n{cluster}\n{namespace}\n{segment}\n{stage}", 20)
    return f"{f'{namespace}-{segment}-{stage}'[: MAX_ROLE_NAME - 21].rstrip('-')}-{digest}"


def label_value(name: str) -> str:
    """Write an object's name as a label value, which holds 63 characters where a name may have 253."""
    return _bounded(name, name)


def _bounded(name: str, key: str) -> str:
    if len(name) <= MAX_NAME:
        return name
    return f"{name[: MAX_NAME - 9].rstrip('-')}-{_digest(key)}"


def _digest(key: str, digits: int = 8) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:digits]
