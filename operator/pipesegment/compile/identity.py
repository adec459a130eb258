"""ServiceAccounts, one for each stage, so that identity is (namespace, account) and nobody borrows it; and their roles."""

from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from pipesegment import names
from pipesegment.compile.objects import owned
from pipesegment.errors import Refused
from pipesegment.findings import Refusal
from pipesegment.reach.graph import Reach, StageReach


def service_accounts(reach: Reach, bindings: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    """Render the accounts of the stages that want theirs made; one that must exist already is never written.

    `bindings` are the annotations that bind a stage's account to its role, by stage.

    Raises Refused when two stages would run as one account: each would have the other's rights.
    """
    uses = Counter(stage.account.name for stage in reach.stages)
    shared = [stage for stage in reach.stages if uses[stage.account.name] > 1]
    if shared:
        raise Refused([_refusal(reach, stage) for stage in shared])
    mine = [stage for stage in reach.stages if stage.account.create]
    return [_service_account(reach, stage, bindings.get(stage.key.stage, {})) for stage in mine]


def _service_account(reach: Reach, stage: StageReach, binding: Mapping[str, str]) -> dict[str, Any]:
    account = stage.account
    annotations = {**dict(account.annotations), **binding}
    made = owned(reach, "v1", "ServiceAccount", account.name, stage, annotations=annotations)
    made["automountServiceAccountToken"] = account.automount
    if account.image_pull_secrets:
        made["imagePullSecrets"] = [{"name": name} for name in sorted(set(account.image_pull_secrets))]
    return made


def role_bindings(reach: Reach) -> list[dict[str, Any]]:
    """Render a RoleBinding for each role of a stage; a stage that was refused gets none.

    A binding's role cannot be changed, so it is part of the name: another role is another object.
    """
    return [
        _role_binding(reach, stage, *role) for stage in reach.stages if not stage.closed for role in stage.account.roles
    ]


def _role_binding(reach: Reach, stage: StageReach, kind: str, role: str) -> dict[str, Any]:
    key = stage.key
    name = names.suffixed_name(key.segment, key.stage, f"role-{sha256(f'{kind}/{role}'.encode()).hexdigest()[:8]}")
    made = owned(reach, "rbac.authorization.k8s.io/v1", "RoleBinding", name, stage)
    made["roleRef"] = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}
    made["subjects"] = [{"kind": "ServiceAccount", "name": stage.account.name, "namespace": key.namespace}]
    return made


def _refusal(reach: Reach, stage: StageReach) -> Refusal:
    return Refusal(
        f"{stage.path}.serviceAccount.name",
        "is the account of another stage too",
        stage.account.name,
        "give every stage an account of its own",
        object=str(reach.segment),
    )
