"""The roles of a segment's stages, and what binds their accounts to them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from pipesegment import names
from pipesegment.compile.desired import Object
from pipesegment.compile.iam.backends import CONTROLLERS, DIRECT
from pipesegment.compile.iam.controlled import Held
from pipesegment.compile.iam.policy import POLICY, allow, inline
from pipesegment.compile.iam.trust import VERSION, trust
from pipesegment.compile.iam.values import Association, Document, Role, text
from pipesegment.findings import Finding
from pipesegment.reach.aws.values import INLINE_CHARACTERS, CloudIdentity, Rights, Statement, Way
from pipesegment.reach.graph import Reach, StageReach

_EKS: Final = "eks.amazonaws.com"
#: What IAM takes of a trust policy, in characters; white space does not count.
_TRUST: Final = 2_048
#: More than the denial takes that cuts sessions (`plan.aws.revocation`): there is always room for it.
_DENIAL: Final = 256


@dataclass(slots=True)
class Identities:
    """What is made in AWS, what accounts say of it (by stage), and which stages have no role for want of room."""

    objects: list[Object] = field(default_factory=list)
    annotations: dict[str, Mapping[str, str]] = field(default_factory=dict)
    gaps: list[Finding] = field(default_factory=list)


def identities(reach: Reach, backend: str | None = None) -> Identities:
    """Compile every stage's identity; a stage whose documents IAM would not take has no role and no annotation.

    With a `backend` in its language instead of the class's.
    """
    found, made_by = Identities(), backend or reach.governance.spec.aws.backend
    for stage in reach.stages:
        if stage.cloud is not None:
            _add(found, reach, stage, stage.cloud, made_by)
    return found


def _add(found: Identities, reach: Reach, stage: StageReach, identity: CloudIdentity, made_by: str) -> None:
    role_arn, tags = identity.role_arn, _tags(reach, stage, identity)
    if identity.rights is not None:
        rights, crowded = _with_room(stage, identity.rights)
        found.gaps += crowded
        role = _role(stage, identity, rights, tags)
        gaps = list(_too_large(stage, role))
        if gaps:
            found.gaps += gaps
            return
        found.objects += _written(reach, role, made_by)
        role_arn = role.arn
    elif identity.withdrawn:
        # Its rights are not ours to take away: what is withheld is the account's way to them.
        return
    match identity.way:
        case Way.IRSA:
            found.annotations[stage.key.stage] = {
                f"{_EKS}/role-arn": role_arn,
                f"{_EKS}/sts-regional-endpoints": "true",
                f"{_EKS}/token-expiration": str(identity.token_seconds),
            }
        case Way.POD_IDENTITY:
            bound = Association(identity.home.cluster, stage.key.namespace, stage.account.name, role_arn, tags)
            found.objects.append(_bound(stage, identity, bound, made_by))
        case Way.FORGE:
            pass  # its jobs run elsewhere


def _written(reach: Reach, role: Role, made_by: str) -> list[Object]:
    """Write a role in the language of whoever makes it."""
    if made_by == DIRECT:
        return [role.object()]
    return CONTROLLERS[made_by].role(Held(role), retained=reach.governance.spec.aws.deletion_policy == "Retain")


def _bound(stage: StageReach, identity: CloudIdentity, association: Association, made_by: str) -> Object:
    if made_by == DIRECT:
        return association.object()
    name = names.role_name(identity.home.account, identity.home.cluster, *_place(stage))
    return CONTROLLERS[made_by].association(association, name, identity.home.region)


def _role(stage: StageReach, identity: CloudIdentity, rights: Rights, tags: Mapping[str, str]) -> Role:
    home = identity.home
    return Role(
        name=names.role_name(home.account, home.cluster, *_place(stage)),
        path=rights.role_path,
        account=home.account,
        partition=home.partition,
        trust=trust(stage, identity),
        boundary=rights.boundary,
        tags=tags,
        inline={} if identity.withdrawn else inline(rights),
        managed=() if identity.withdrawn else rights.managed,
        session_seconds=rights.session_seconds,
    )


def _place(stage: StageReach) -> tuple[str, str, str]:
    return stage.key.namespace, stage.key.segment, stage.key.stage


def _tags(reach: Reach, stage: StageReach, identity: CloudIdentity) -> dict[str, str]:
    """Say whose it is, and what Pod Identity's sessions say of themselves: IRSA's have nothing but the role's own tags."""
    tags = {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.CLUSTER_TAG: identity.home.cluster,
        names.NAMESPACE_TAG: stage.key.namespace,
        names.NAMESPACE_UID_TAG: identity.namespace_uid,
        names.SEGMENT_LABEL: stage.key.segment,
        names.SEGMENT_UID_TAG: reach.uid,
        names.STAGE_LABEL: stage.key.stage,
    }
    if identity.way is not Way.FORGE:
        tags |= {
            "kubernetes-namespace": stage.key.namespace,
            "kubernetes-service-account": stage.account.name,
            "eks-cluster-name": identity.home.cluster_name,
        }
    # Offline nothing has a uid.
    return {key: value for key, value in tags.items() if value}


def _with_room(stage: StageReach, rights: Rights) -> tuple[Rights, list[Finding]]:
    """Leave out what exceptions give beyond what IAM takes: they are told so, and the stage keeps its own rights.

    Whoever was first stays, and there is always room for the denial that cuts sessions.
    """
    if not rights.lent:
        return rights, []
    own = inline(replace(rights, lent=())) or {POLICY: {"Version": VERSION, "Statement": []}}
    room = INLINE_CHARACTERS - _DENIAL - _size(own.values())
    kept: list[Statement] = []
    left: list[Statement] = []
    for each in rights.lent:
        size = _size([allow(each)]) + 1
        (kept if size <= room else left).append(each)
        room -= size if size <= room else 0
    told = (
        f"a role's policies hold {INLINE_CHARACTERS} characters, and beside the rights of stage {stage.key.stage} there is no "
        "room for this; it is not given"
    )
    fix = "use wildcards where they say the same, or ask for fewer rights"
    findings = [Finding(each.because, "RoleTooLarge", f"stage {stage.key.stage}", told, fix) for each in left]
    return replace(rights, lent=tuple(kept)), findings


def _size(documents: Iterable[Document]) -> int:
    return sum(len(text(document)) for document in documents)


def _too_large(stage: StageReach, role: Role) -> Iterator[Finding]:
    rights = _size(role.inline.values())
    trusting = _size([role.trust])
    assert stage.cloud is not None
    for place, what, size, most, fix in (
        (
            "permissions",
            "the rights",
            rights,
            INLINE_CHARACTERS - _DENIAL,
            "use wildcards where they say the same, or a managed policy",
        ),
        ("forge.subjects", "the trust policy", trusting, _TRUST, "name fewer subjects, or part the stage in two"),
    ):
        if size > most:
            kept = f" beside the {_DENIAL} for the denial that cuts sessions" if most != _TRUST else ""
            message = f"{what} of stage {stage.key.stage} would be {size} characters, and IAM takes {most}{kept}; there is no role"
            yield Finding(f"{stage.cloud.path}.{place}", "RoleTooLarge", f"stage {stage.key.stage}", message, fix)
