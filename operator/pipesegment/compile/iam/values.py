"""What is made in AWS, as frozen values that become objects like those of Kubernetes.

`compile` makes such values from a Reach, `world` from what AWS answers; both become objects by the same function, so that
plan, diff, order, audit and inventory never ask where an object lives. Metadata says nothing that the tags do not say:
whose a role is stands on the role.

An object's fingerprint is one of its content, whoever read it: a live role is as we want it when the two are equal.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipesegment import names
from pipesegment.compile.canonical import canonical_bytes, stamped
from pipesegment.compile.desired import Object
from pipesegment.compile.objects import owners

#: A policy document: JSON as IAM takes it.
Document = Mapping[str, Any]
#: What IAM is told that a managed role is.
DESCRIPTION: Final = "Made by pipesegment for one stage of a pipeline; its tags say which."
_LABELS: Final = (names.MANAGED_BY_LABEL, names.SEGMENT_LABEL, names.STAGE_LABEL)


@dataclass(frozen=True, slots=True)
class Role:
    """A managed role of IAM. `tags` hold `names.*_TAG` and the labels of owned objects; `boundary` is '' only on live ones."""

    name: str
    path: str
    account: str
    partition: str
    trust: Document
    boundary: str
    tags: Mapping[str, str]
    inline: Mapping[str, Document] = field(default_factory=dict)
    managed: tuple[str, ...] = ()
    session_seconds: int = 3600

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"arn:{self.partition}:iam::{self.account}:role{self.path}{self.name}"

    def object(self, uid: str = "") -> dict[str, Any]:
        """Give it as an object; `uid` is the RoleId of a live one."""
        return _object(
            names.IAM_API_VERSION,
            names.IAM_ROLE,
            self.name,
            self.arn,
            self.tags,
            {
                "roleName": self.name,
                "path": self.path,
                "assumeRolePolicyDocument": self.trust,
                "inlinePolicies": dict(sorted(self.inline.items())),
                "managedPolicyARNs": sorted(self.managed),
                "permissionsBoundary": self.boundary,
                "maxSessionDuration": self.session_seconds,
                "tags": dict(sorted(self.tags.items())),
            },
            uid,
        )

    @classmethod
    def of(cls, obj: Object) -> "Role":
        """Read one off its object."""
        spec, arn = obj["spec"], obj["metadata"]["annotations"][names.ARN_ANNOTATION].split(":")
        return cls(
            name=spec["roleName"],
            path=spec["path"],
            account=arn[4],
            partition=arn[1],
            trust=spec["assumeRolePolicyDocument"],
            boundary=spec["permissionsBoundary"],
            tags=spec["tags"],
            inline=spec["inlinePolicies"],
            managed=tuple(spec["managedPolicyARNs"]),
            session_seconds=spec["maxSessionDuration"],
        )


@dataclass(frozen=True, slots=True)
class Association:
    """A Pod Identity association: the role that a service account's pods are given. `cluster` is the cluster's ARN."""

    cluster: str
    namespace: str
    account: str
    role_arn: str
    tags: Mapping[str, str]

    @property
    def name(self) -> str:
        """How it is known among a segment's objects; AWS knows it by cluster, namespace and account."""
        return names.object_name(self.tags.get(names.SEGMENT_LABEL, ""), self.tags.get(names.STAGE_LABEL, ""))

    def object(self, uid: str = "") -> dict[str, Any]:
        """Give it as an object; `uid` is the associationId of a live one."""
        return _object(
            names.EKS_API_VERSION,
            names.POD_IDENTITY_ASSOCIATION,
            self.name,
            self.cluster,
            self.tags,
            {
                "clusterName": self.cluster.rpartition("/")[2],
                "namespace": self.namespace,
                "serviceAccount": self.account,
                "roleARN": self.role_arn,
                "tags": dict(sorted(self.tags.items())),
            },
            uid,
        )

    @classmethod
    def of(cls, obj: Object) -> "Association":
        """Read one off its object."""
        spec, cluster = obj["spec"], obj["metadata"]["annotations"][names.ARN_ANNOTATION]
        return cls(cluster, spec["namespace"], spec["serviceAccount"], spec["roleARN"], spec["tags"])


def text(document: Document) -> str:
    """Write a policy document as calls and other controllers take it."""
    return canonical_bytes(document).decode()


def document(raw: Any) -> Document:
    """Read a policy document, whichever way it came; one that is none compares unequal to every one."""
    try:
        found = json.loads(raw) if isinstance(raw, str) else raw
    except ValueError:
        found = None
    return found if isinstance(found, Mapping) else {"Unreadable": str(raw)}


def _object(
    api_version: str, kind: str, name: str, arn: str, tags: Mapping[str, str], spec: dict[str, Any], uid: str
) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": tags.get(names.NAMESPACE_TAG, ""),
        "labels": {key: tags[key] for key in _LABELS if key in tags},
        "annotations": {names.ARN_ANNOTATION: arn},
    }
    metadata |= owners(
        names.SEGMENT, tags.get(names.SEGMENT_LABEL, ""), tags.get(names.SEGMENT_UID_TAG, ""), controller=True
    )
    made = stamped({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})
    return {**made, "metadata": {**made["metadata"], "uid": uid}} if uid else made
