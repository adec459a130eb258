"""The operator's rights, verb by verb: what is not in this file it may not do."""

from collections import defaultdict
from typing import Any

import pytest

from pipesegment.world import kinds

FOLLOW = {"list", "watch"}
WRITE = FOLLOW | {"get", "create", "patch", "delete"}

CLUSTER = {
    ("pipesegment.dev", "pipelinesegments"): FOLLOW,
    ("pipesegment.dev", "segmentgrants"): FOLLOW,
    ("pipesegment.dev", "segmentclasses"): FOLLOW,
    ("pipesegment.dev", "segmentexceptions"): FOLLOW,
    ("pipesegment.dev", "segmentapprovals"): FOLLOW,
    ("pipesegment.dev", "pipelinesegments/status"): {"patch"},
    ("pipesegment.dev", "segmentgrants/status"): {"patch"},
    ("pipesegment.dev", "segmentclasses/status"): {"patch"},
    ("pipesegment.dev", "segmentexceptions/status"): {"patch"},
    ("pipesegment.dev", "segmentapprovals/status"): {"patch"},
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"): FOLLOW,
    ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"): FOLLOW,
    ("", "namespaces"): FOLLOW,
    ("", "nodes"): FOLLOW,
    ("", "pods"): FOLLOW,
    ("", "services"): FOLLOW,
    ("discovery.k8s.io", "endpointslices"): FOLLOW,
    ("apps", "daemonsets"): FOLLOW,
    ("gateway.networking.k8s.io", "gateways"): FOLLOW,
    ("apiextensions.k8s.io", "customresourcedefinitions"): FOLLOW,
    ("policy.linkerd.io", "serverauthorizations"): FOLLOW,
    ("cilium.io", "ciliumclusterwidenetworkpolicies"): FOLLOW,
    ("", "serviceaccounts"): WRITE,
    ("networking.k8s.io", "networkpolicies"): WRITE,
    ("rbac.authorization.k8s.io", "rolebindings"): WRITE,
    ("security.istio.io", "authorizationpolicies"): WRITE,
    ("security.istio.io", "peerauthentications"): WRITE,
    ("networking.istio.io", "sidecars"): WRITE,
    ("networking.istio.io", "serviceentries"): WRITE,
    ("policy.linkerd.io", "servers"): WRITE,
    ("policy.linkerd.io", "authorizationpolicies"): WRITE,
    ("policy.linkerd.io", "meshtlsauthentications"): WRITE,
    ("policy.linkerd.io", "httproutes"): WRITE,
    ("policy.linkerd.io", "networkauthentications"): WRITE,
    ("cilium.io", "ciliumnetworkpolicies"): WRITE,
    ("vpcresources.k8s.aws", "securitygrouppolicies"): WRITE,
    ("events.k8s.io", "events"): {"create"},
}
OWN_NAMESPACE = {("coordination.k8s.io", "leases"): {"get", "create", "update"}}

#: Never, in any role of ours, for anybody.
FORBIDDEN_VERBS = {"*", "escalate", "bind", "impersonate", "deletecollection"}
FORBIDDEN_RESOURCES = {
    "*",
    "secrets",
    "serviceaccounts/token",
    "nodes/proxy",
    "pods/exec",
    "pods/attach",
    "pods/portforward",
    "pods/ephemeralcontainers",
    "mutatingwebhookconfigurations",
    "validatingwebhookconfigurations",
    "roles",
    "clusterroles",
    "clusterrolebindings",
    "certificatesigningrequests",
}


def roles(install, kind: str) -> dict[str, dict[str, Any]]:
    return {obj["metadata"]["name"]: obj for obj in install if obj["kind"] == kind}


def rights(role: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for rule in role["rules"]:
        assert not rule.get("nonResourceURLs")
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found[group, resource] |= set(rule["verbs"])
    return dict(found)


def test_the_cluster_role_is_exactly_the_list(install):
    assert rights(roles(install, "ClusterRole")["pipesegment-operator"]) == CLUSTER


def test_the_list_knows_the_kinds_that_the_program_knows():
    by_others = {kind for found in kinds.CONTROLLED.values() for kind in found}
    known = {(kind.group, kind.plural) for kind in kinds.KNOWN.values() if kind not in by_others}
    owned = {(kind.group, kind.plural) for kind in kinds.OWNED}
    whole = {resource for resource in [*CLUSTER, *OWN_NAMESPACE] if "/" not in resource[1]}

    # Everybody who is authenticated may ask what he himself may.
    assert whole == known - {(kind.group, kind.plural) for kind in (kinds.ACCESS_REVIEW, kinds.SELF_REVIEW)}
    assert {resource for resource, verbs in CLUSTER.items() if "delete" in verbs} == owned


@pytest.mark.parametrize("backends", [["ACK"], ["Crossplane"], ["ACK", "Crossplane"]])
def test_other_controllers_resources_are_written_where_the_values_name_the_controller(render, backends):
    found = rights(roles(render({"aws": {"backends": backends}}), "ClusterRole")["pipesegment-operator"])
    theirs = {(kind.group, kind.plural): WRITE for name in backends for kind in kinds.CONTROLLED[name]}
    finalizer = {("pipesegment.dev", "pipelinesegments"): CLUSTER["pipesegment.dev", "pipelinesegments"] | {"patch"}}

    assert found == {**CLUSTER, **theirs, **finalizer}


def test_the_role_in_the_own_namespace_is_the_lease_alone(install):
    role = roles(install, "Role")["pipesegment-leader"]

    assert list(roles(install, "Role")) == ["pipesegment-leader"]
    assert role["metadata"]["namespace"] == "pipesegment-system"
    assert rights(role) == OWN_NAMESPACE
    # 'create' cannot be held to a name, the API server does not know it yet.
    named = [rule for rule in role["rules"] if "create" not in rule["verbs"]]
    assert [rule["resourceNames"] for rule in named] == [["pipesegment"]]


def test_the_account_is_bound_to_these_two_and_nothing_else(install):
    subject = {"kind": "ServiceAccount", "name": "pipesegment", "namespace": "pipesegment-system"}
    bindings = [obj for obj in install if obj["kind"] in {"ClusterRoleBinding", "RoleBinding"}]

    assert {(obj["kind"], obj["roleRef"]["kind"], obj["roleRef"]["name"]) for obj in bindings} == {
        ("ClusterRoleBinding", "ClusterRole", "pipesegment-operator"),
        ("RoleBinding", "Role", "pipesegment-leader"),
    }
    assert [obj["subjects"] for obj in bindings] == [[subject], [subject]]


@pytest.mark.parametrize("kind", ["ClusterRole", "Role"])
def test_no_role_holds_what_is_never_needed(install, kind):
    for role in roles(install, kind).values():
        for rule in role["rules"]:
            assert not FORBIDDEN_VERBS & set(rule["verbs"])
            assert not FORBIDDEN_RESOURCES & set(rule["resources"])
            assert "*" not in rule["apiGroups"]


def test_the_operator_binds_the_roles_that_the_values_name_and_no_others(render):
    named = [
        {"kind": "ClusterRole", "name": "view"},
        {"kind": "ClusterRole", "name": "deployer"},
        {"kind": "Role", "name": "releases"},
    ]
    rules = roles(render({"rbac": {"roleRefs": named}}), "ClusterRole")["pipesegment-operator"]["rules"]
    binding = [rule for rule in rules if "bind" in rule["verbs"]]

    assert binding == [
        {
            "apiGroups": ["rbac.authorization.k8s.io"],
            "resources": ["clusterroles"],
            "resourceNames": ["deployer", "view"],
            "verbs": ["bind"],
        },
        {
            "apiGroups": ["rbac.authorization.k8s.io"],
            "resources": ["roles"],
            "resourceNames": ["releases"],
            "verbs": ["bind"],
        },
    ]
