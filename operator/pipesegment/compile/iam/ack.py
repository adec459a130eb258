"""AWS Controllers for Kubernetes: one Role holds everything of a role, inline policies and boundary included.

Sources: the types and hooks of iam-controller and eks-controller, the conditions and annotations of ACK's runtime.
"""

from collections.abc import Iterable
from typing import Final

from pipesegment import names
from pipesegment.compile.desired import Object, ObjectID
from pipesegment.compile.iam import controlled
from pipesegment.compile.iam.controlled import Held, Verdict
from pipesegment.compile.iam.policy import REVOKED
from pipesegment.compile.iam.values import DESCRIPTION, Association, Role, document, text

_DELETION: Final = "services.k8s.aws/deletion-policy"
_REGION: Final = "services.k8s.aws/region"
#: What tells the controller how to go about an object. Others than ours (read-only, adoption-policy…) are somebody else's.
_TELLING: Final = "services.k8s.aws/"


class Ack:
    """See `controlled.Backend`."""

    def role(self, held: Held, *, retained: bool) -> list[Object]:
        """Write a Role. Every field that gives rights is written even when it is empty: then nobody else's stands there."""
        role = held.role
        inline = {name: text(each) for name, each in role.inline.items()}
        if held.revoked is not None:
            inline[REVOKED] = text(held.revoked)
        spec = {
            "name": role.name,
            "path": role.path,
            "description": DESCRIPTION,
            "assumeRolePolicyDocument": text(role.trust),
            "permissionsBoundary": role.boundary,
            "maxSessionDuration": role.session_seconds,
            "inlinePolicies": dict(sorted(inline.items())),
            "policies": sorted(role.managed),
            "policyRefs": [],
            "tags": [{"key": key, "value": value} for key, value in sorted(role.tags.items())],
        }
        policy = "retain" if retained else "delete"
        annotations = {_DELETION: policy, names.ARN_ANNOTATION: role.arn}
        made = controlled.made(
            names.ACK_IAM, names.CONTROLLED_ROLE, role.name, role.tags, spec, annotations, namespaced=True
        )
        return [made]

    def association(self, association: Association, name: str, region: str) -> Object:
        """Write a PodIdentityAssociation; it goes with its object, whatever becomes of roles."""
        spec = {
            "clusterName": association.cluster.rpartition("/")[2],
            "namespace": association.namespace,
            "serviceAccount": association.account,
            "roleARN": association.role_arn,
            "tags": dict(sorted(association.tags.items())),
        }
        annotations = {_DELETION: "delete", **({_REGION: region} if region else {})}
        kind = names.POD_IDENTITY_ASSOCIATION
        return controlled.made(names.ACK_EKS, kind, name, association.tags, spec, annotations, namespaced=True)

    def roles(self, objects: Iterable[Object]) -> dict[str, Held]:
        """Read Roles."""
        return {obj["metadata"]["name"]: _held(obj) for obj in objects if self.role_of(obj)}

    def role_of(self, obj: Object) -> str:
        """Name the role that an object is."""
        own = obj["apiVersion"] == names.ACK_IAM and obj["kind"] == names.CONTROLLED_ROLE
        return str(obj["metadata"]["name"]) if own else ""

    def verdict(self, obj: Object) -> Verdict | None:
        """Read ACK's conditions; what is terminal waits for a person, what is recoverable is tried again."""
        found, target = controlled.conditions(obj), ObjectID.of(obj)
        marks = obj["metadata"].get("annotations") or {}
        if foreign := sorted(k for k in marks if k.startswith(_TELLING) and k not in {_DELETION, _REGION}):
            told = f"{target} has the annotation {', '.join(foreign)}, which is not ours: take it off"
            return Verdict("fails", f"{told}; its controller may leave AWS as it is")
        for kind in ("ACK.Terminal", "ACK.Recoverable"):
            status, message = found.get(kind, ("", ""))
            if status == "True":
                return Verdict("fails", f"{target}: {message}")
        synced = found.get("ACK.ResourceSynced") or found.get("Ready") or ("", "")
        if synced[0] != "True":
            return Verdict("waits", f"{target} is not synced yet{': ' if synced[1] else ''}{synced[1]}")
        made = ((obj.get("status") or {}).get("ackResourceMetadata") or {}).get("arn", "")
        return controlled.elsewhere(obj, str(made)) if self.role_of(obj) else None


def _held(obj: Object) -> Held:
    spec = obj.get("spec") or {}
    partition, account = controlled.home(obj)
    inline = {name: document(raw) for name, raw in (spec.get("inlinePolicies") or {}).items()}
    revoked = inline.pop(REVOKED, None)
    role = Role(
        name=spec.get("name", ""),
        path=spec.get("path", "/"),
        account=account,
        partition=partition,
        trust=document(spec.get("assumeRolePolicyDocument")),
        boundary=spec.get("permissionsBoundary") or "",
        tags={str(tag.get("key")): str(tag.get("value")) for tag in spec.get("tags") or ()},
        inline=inline,
        managed=tuple(sorted(spec.get("policies") or ())),
        session_seconds=spec.get("maxSessionDuration") or 3600,
    )
    return Held(role, revoked)
