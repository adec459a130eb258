"""Crossplane's provider for AWS: a Role, a RolePolicy for each inline policy, an attachment for each managed one.

They live in no namespace. Each is deleted in AWS with its object, but for a Role that is retained. Sources: the types and
the external names of provider-upjet-aws.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

from pipesegment import names
from pipesegment.compile.desired import Object, ObjectID
from pipesegment.compile.iam import controlled
from pipesegment.compile.iam.controlled import Held, Verdict
from pipesegment.compile.iam.policy import POLICY, REVOKED
from pipesegment.compile.iam.values import DESCRIPTION, Association, Document, Role, document, text

#: What a resource is called in AWS.
_EXTERNAL: Final = "crossplane.io/external-name"
#: By which people tell a provider to leave AWS as it is.
_PAUSED: Final = "crossplane.io/paused"
_ALL: Final = ("*",)
_POLICY: Final = "RolePolicy"
_ATTACHMENT: Final = "RolePolicyAttachment"


class Crossplane:
    """See `controlled.Backend`."""

    def role(self, held: Held, *, retained: bool) -> list[Object]:
        """Write a Role and what gives it rights."""
        role = held.role
        given = {
            "path": role.path,
            "description": DESCRIPTION,
            "assumeRolePolicy": text(role.trust),
            "permissionsBoundary": role.boundary,
            "maxSessionDuration": role.session_seconds,
            "tags": dict(sorted(role.tags.items())),
        }
        annotations = {_EXTERNAL: role.name, names.ARN_ANNOTATION: role.arn}
        own = _object(names.CONTROLLED_ROLE, role.name, role.tags, given, annotations, retained=retained)
        inline = {**role.inline, **({REVOKED: held.revoked} if held.revoked is not None else {})}
        policies = [self._policy(role, name, document) for name, document in sorted(inline.items())]
        return [own, *policies, *(self._attachment(role, arn) for arn in sorted(role.managed))]

    def association(self, association: Association, name: str, region: str) -> Object:
        """Write a PodIdentityAssociation."""
        given = {
            "region": region,
            "clusterName": association.cluster.rpartition("/")[2],
            "namespace": association.namespace,
            "serviceAccount": association.account,
            "roleArn": association.role_arn,
            "tags": dict(sorted(association.tags.items())),
        }
        kind = names.POD_IDENTITY_ASSOCIATION
        return _object(kind, name, association.tags, given, {}, version=names.CROSSPLANE_EKS)

    def roles(self, objects: Iterable[Object]) -> dict[str, Held]:
        """Read roles with their policies; a policy whose Role is not there gives nobody any rights that could be told."""
        own: dict[str, Object] = {}
        inline: defaultdict[str, dict[str, Document]] = defaultdict(dict)
        managed: defaultdict[str, set[str]] = defaultdict(set)
        for obj in objects:
            name, given = self.role_of(obj), (obj.get("spec") or {}).get("forProvider") or {}
            if name and obj["kind"] == names.CONTROLLED_ROLE:
                own[name] = obj
            elif name and obj["kind"] == _POLICY:
                inline[name][_external(obj)] = document(given.get("policy"))
            elif name:
                managed[name].add(str(given.get("policyArn", "")))
        return {name: _held(obj, inline[name], managed[name]) for name, obj in own.items()}

    def role_of(self, obj: Object) -> str:
        """Name the role that an object is, or gives rights to."""
        if obj["apiVersion"] != names.CROSSPLANE_IAM:
            return ""
        if obj["kind"] == names.CONTROLLED_ROLE:
            return str(obj["metadata"]["name"])
        return str(((obj.get("spec") or {}).get("forProvider") or {}).get("role", ""))

    def verdict(self, obj: Object) -> Verdict | None:
        """Read Crossplane's conditions."""
        found, target = controlled.conditions(obj), ObjectID.of(obj)
        paused = (obj["metadata"].get("annotations") or {}).get(_PAUSED) == "true"
        if paused or set((obj.get("spec") or {}).get("managementPolicies") or _ALL) != set(_ALL):
            what = f"the annotation {_PAUSED}" if paused else "other managementPolicies than '*'"
            return Verdict("fails", f"{target} has {what}: take that off; its provider may leave AWS as it is")
        synced, ready = found.get("Synced", ("", "")), found.get("Ready", ("", ""))
        if synced[0] == "False":
            return Verdict("fails", f"{target}: {synced[1]}")
        if (synced[0], ready[0]) != ("True", "True"):
            return Verdict("waits", f"{target} is not ready yet{': ' if ready[1] else ''}{ready[1]}")
        made = ((obj.get("status") or {}).get("atProvider") or {}).get("arn", "")
        return controlled.elsewhere(obj, str(made))

    def _policy(self, role: Role, name: str, document: Document) -> Object:
        given = {"role": role.name, "policy": text(document)}
        called = role.name if name == POLICY else f"{role.name}-{name.removeprefix(f'{POLICY}-')}"
        return _object(_POLICY, called, role.tags, given, {_EXTERNAL: name})

    def _attachment(self, role: Role, arn: str) -> Object:
        called = f"{role.name}-{sha256(arn.encode()).hexdigest()[:8]}"
        return _object(_ATTACHMENT, called, role.tags, {"role": role.name, "policyArn": arn}, {})


def _object(
    kind: str,
    name: str,
    tags: Mapping[str, str],
    given: Mapping[str, Any],
    annotations: Mapping[str, str],
    *,
    version: str = names.CROSSPLANE_IAM,
    retained: bool = False,
) -> Object:
    spec = {"deletionPolicy": "Orphan" if retained else "Delete", "forProvider": dict(given)}
    return controlled.made(version, kind, name, tags, spec, annotations)


def _external(obj: Object) -> str:
    return str((obj["metadata"].get("annotations") or {}).get(_EXTERNAL, obj["metadata"]["name"]))


def _held(obj: Object, inline: Mapping[str, Document], managed: Iterable[str]) -> Held:
    given = (obj.get("spec") or {}).get("forProvider") or {}
    partition, account = controlled.home(obj)
    role = Role(
        name=_external(obj),
        path=given.get("path", "/"),
        account=account,
        partition=partition,
        trust=document(given.get("assumeRolePolicy")),
        boundary=given.get("permissionsBoundary") or "",
        tags=dict(given.get("tags") or {}),
        inline={name: document for name, document in inline.items() if name != REVOKED},
        managed=tuple(sorted(managed)),
        session_seconds=int(given.get("maxSessionDuration") or 3600),
    )
    return Held(role, inline.get(REVOKED))
