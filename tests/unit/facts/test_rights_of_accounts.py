"""What an account may do by others' bindings, as far as roles are known."""

import pytest

from pipesegment import names
from pipesegment.facts.parse import snapshot
from pipesegment.lint.surroundings import check
from pipesegment.reach.resolve import resolve
from tests.unit.reach.reaching import segment

API = "rbac.authorization.k8s.io/v1"
ACCOUNT = {"kind": "ServiceAccount", "namespace": "ci", "name": "shop-build"}


def role(name, *rules, kind="Role", namespace="ci"):
    meta = {"name": name} | ({"namespace": namespace} if kind == "Role" else {})
    return {"apiVersion": API, "kind": kind, "metadata": meta, "rules": list(rules)}


def rule(groups, resources, verbs, **more):
    return {"apiGroups": groups, "resources": resources, "verbs": verbs, **more}


def bind(name, *subjects, kind="RoleBinding", to="Role", namespace="ci", labels=None):
    meta = {"name": "b", "labels": labels or {}} | ({"namespace": namespace} if kind == "RoleBinding" else {})
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": to, "name": name}
    return {"apiVersion": API, "kind": kind, "metadata": meta, "roleRef": ref, "subjects": list(subjects or (ACCOUNT,))}


def powers(*objects):
    found = snapshot(objects).others.rights.of("ci", "shop-build")
    return sorted({(power.what, power.namespace) for power in found})


SECRETS = rule([""], ["secrets"], ["get"])


@pytest.mark.parametrize(
    ("why", "objects", "expected"),
    [
        ("reads secrets", [role("r", SECRETS), bind("r")], [("reads Secrets", "ci")]),
        ("creates pods", [role("r", rule([""], ["pods"], ["create"])), bind("r")], [("creates pods", "ci")]),
        ("by jobs", [role("r", rule(["batch"], ["jobs"], ["*"])), bind("r")], [("creates pods", "ci")]),
        (
            "every subresource of a name",
            [role("r", rule([""], ["*/token"], ["create"])), bind("r")],
            [("makes tokens of accounts", "ci")],
        ),
        (
            "every resource of a group",
            [role("r", rule(["networking.k8s.io"], ["*"], ["*"])), bind("r")],
            [("writes NetworkPolicies", "ci")],
        ),
        ("harmless", [role("r", rule([""], ["pods", "configmaps"], ["get", "list"])), bind("r")], []),
        ("one secret by its name", [role("r", {**SECRETS, "resourceNames": ["mine"]}), bind("r")], []),
        ("a role that is not known", [bind("r")], []),
        (
            "cluster-admin is known",
            [bind("cluster-admin", kind="ClusterRoleBinding", to="ClusterRole")],
            [("may do everything", "")],
        ),
        (
            "edit in one namespace",
            [bind("edit", to="ClusterRole")],
            [
                (p, "ci")
                for p in (
                    "creates pods",
                    "enters pods",
                    "makes tokens of accounts",
                    "reads Secrets",
                    "writes NetworkPolicies",
                )
            ],
        ),
        (
            "everything by its rules",
            [role("root", rule(["*"], ["*"], ["*"]), kind="ClusterRole"), bind("root", to="ClusterRole")],
            [("may do everything", "ci")],
        ),
        (
            "all accounts of the namespace",
            [role("r", SECRETS), bind("r", {"kind": "Group", "name": "system:serviceaccounts:ci"})],
            [("reads Secrets", "ci")],
        ),
        (
            "everybody",
            [role("r", SECRETS), bind("r", {"kind": "Group", "name": "system:authenticated"})],
            [("reads Secrets", "ci")],
        ),
        (
            "as a user",
            [role("r", SECRETS), bind("r", {"kind": "User", "name": "system:serviceaccount:ci:shop-build"})],
            [("reads Secrets", "ci")],
        ),
        ("somebody else", [role("r", SECRETS), bind("r", {**ACCOUNT, "name": "other"})], []),
        ("a namesake elsewhere", [role("r", SECRETS), bind("r", {**ACCOUNT, "namespace": "prod"})], []),
        (
            "the role of another namespace",
            [role("r", SECRETS, namespace="prod"), bind("r")],
            [],
        ),
        (
            "in another namespace",
            [role("r", SECRETS, namespace="prod"), bind("r", namespace="prod")],
            [("reads Secrets", "prod")],
        ),
    ],
)
def test_powers(why, objects, expected):
    assert powers(*objects) == expected, why


def test_lint_tells_what_others_gave_and_not_what_we_gave():
    build = segment([{"name": "build"}])
    known = snapshot([build, role("r", SECRETS), bind("r")])
    shop = known.segment("ci", "shop")
    assert shop is not None
    (told,) = [f for f in check(shop, resolve(shop, known), known) if f.reason == "StageRights"]
    assert (told.path, told.target) == ("spec.stages[0].serviceAccount", "stage build")
    assert "RoleBinding ci/b, which is not ours" in told.message
    assert told.message.endswith("in ci: it reads Secrets")

    ours = bind("r", labels={names.MANAGED_BY_LABEL: names.MANAGED_BY})
    ours["metadata"]["ownerReferences"] = [
        {"apiVersion": names.API_VERSION, "kind": names.SEGMENT, "name": "shop", "uid": "u-shop", "controller": True}
    ]
    assert powers(role("r", SECRETS), ours) == []
