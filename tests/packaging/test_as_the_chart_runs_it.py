"""The operator as the chart's account, on a control plane of this file's own: rights that fit, and nothing for Argo CD.

One life of one operator: a class, a grant and a segment as Argo CD syncs them, a stage less, a restart.
"""

import asyncio
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import lupa.lua51
import pytest

from lab import crds, yaml
from lab.controlplane import ControlPlane
from pipesegment import names
from tests.cluster.operator import (
    ACCOUNT,
    NAMESPACE,
    ROOT,
    Operator,
    Record,
    condition,
    install,
    probed_pod,
    rights,
    segment,
    segment_class,
    stage,
    to_stage,
)

pytestmark = pytest.mark.cluster

LABEL = "lab.example.com/fenced"
ARGO = "argocd-controller"
TRACKING = "argocd.argoproj.io/tracking-id"
INSTANCE = "app.kubernetes.io/instance"
OWNED = [
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("v1", "ServiceAccount"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("security.istio.io/v1", "AuthorizationPolicy"),
    ("security.istio.io/v1", "PeerAuthentication"),
    ("networking.istio.io/v1", "Sidecar"),
    ("networking.istio.io/v1", "ServiceEntry"),
    ("cilium.io/v2", "CiliumNetworkPolicy"),
    ("vpcresources.k8s.aws/v1beta1", "SecurityGroupPolicy"),
]
LINKERD = [
    ("policy.linkerd.io/v1beta3", "Server"),
    ("policy.linkerd.io/v1alpha1", "AuthorizationPolicy"),
    ("policy.linkerd.io/v1alpha1", "MeshTLSAuthentication"),
    ("policy.linkerd.io/v1beta3", "HTTPRoute"),
    ("policy.linkerd.io/v1alpha1", "NetworkAuthentication"),
]
#: In a namespace that says that it is in Linkerd.
ASKING = to_stage("test", 8080) | {"http": [{"paths": ["/v1/*"]}]}
LINKED = segment("shop", "ci-linked", stage("build", ASKING), stage("test"))
#: Verbs that the authorizer asks for without a request of their own: an apply that makes an object needs `create`.
MADE = 201

#: A role without rights: whoever binds it must not lack any of them, and needs no `bind`.
ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "lab-nothing"},
    "rules": [],
}
LISTED = {"kind": "ClusterRole", "name": "lab-nothing"}
BOUND = {"roleRefs": [LISTED]}

GROUPED = {"securityGroupIDs": ["sg-0123456789abcdef0"]}

SHOP = segment(
    "shop",
    "ci-shop",
    stage(
        "build",
        to_stage("test", 8080),
        {"service": {"name": "web", "namespace": "shop-prod"}},
        serviceAccount=BOUND,
        aws=GROUPED,
    ),
    stage(
        "test",
        {"fqdn": {"names": ["a.example.com"]}, "ports": [{"port": 443}]},
        serviceAccount=BOUND,
        aws=GROUPED,
    ),
)
SHOP["metadata"] |= {
    "annotations": {TRACKING: "shop:pipesegment.dev/PipelineSegment:ci-shop/shop"},
    "labels": {INSTANCE: "shop"},
}
GRANT = {
    "apiVersion": names.API_VERSION,
    "kind": names.GRANT,
    "metadata": {"name": "shop", "namespace": "shop-prod"},
    "spec": {"from": [{"namespace": "ci-shop"}], "to": {"service": {"name": "web"}}},
}
#: About no stage that there is: they open and close nothing, and get a status.
SEAL = {
    "apiVersion": names.API_VERSION,
    "kind": names.EXCEPTION,
    "metadata": {"name": "nobody", "namespace": "shop-prod"},
    "spec": {
        "segment": "nobody",
        "stage": "nobody",
        "effect": "Seal",
        "reason": "none",
        "requestedBy": {"username": "ada"},
    },
}
APPROVAL = {
    "apiVersion": names.API_VERSION,
    "kind": names.APPROVAL,
    "metadata": {"name": "nobody", "namespace": "shop-prod"},
    "spec": {
        "exception": {"name": "nobody", "uid": "u", "specHash": "0" * 64, "requestedBy": {"username": "ada"}},
        "class": {"name": "c", "uid": "c"},
        "approvedBy": {"username": "grace"},
    },
}
WEB = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "shop-prod"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
}


class Life(NamedTuple):
    """What was seen: the segment once it had settled, what it owned, and every call of the operator."""

    converged: dict[str, Any]
    drift: dict[str, Any]
    owned: list[dict[str, Any]]
    record: Record


@pytest.fixture(scope="module")
def life(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Life:
    # Not an async fixture: the loops of a module's fixtures and of its tests are not the same.
    return asyncio.run(lived(plane, tmp_path_factory.mktemp("operator")))


async def lived(plane: ControlPlane, folder: Path) -> Life:
    async with plane.api() as api:
        await api.install_crds([*crds.istio(), *crds.cilium(), *crds.gateways(), *crds.linkerd(), *crds.aws()])
        install(plane)
        record = Record(plane)
        kubeconfig = plane.kubeconfig_for(service_account=(NAMESPACE, ACCOUNT))
        operator = Operator(plane, kubeconfig, folder)
        try:
            # Right after its kinds were installed, the API server may put a watch off: the next bookmark is a minute away.
            operator.start(within=120)
            for name, more in (("ci-shop", {"istio-injection": "enabled"}), ("shop-prod", {})):
                labels = {LABEL: "yes", **more}
                await api.create(
                    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
                )
            linked = {"name": "ci-linked", "annotations": {"linkerd.io/inject": "enabled"}, "labels": {LABEL: "yes"}}
            await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": linked})
            await api.apply(LINKED, manager=ARGO)
            await api.wait("v1", "ServiceAccount", "shop-test", "ci-linked", until=bool, within=60)
            await api.create(probed_pod("ci-linked", "test", 8080))
            for version, kind in LINKERD:
                await api.wait_list(version, kind, "ci-linked", until=bool, within=60)
            rails = {"roleRefs": [LISTED]}
            isolating = segment_class(
                "fenced",
                LABEL,
                network={"isolation": {"mode": "Namespace"}, "inexact": {"fqdn": "Coarse"}},
                guardrails=rails,
                aws={"allowedSecurityGroupIDs": GROUPED["securityGroupIDs"]},
            )
            for obj in (ROLE, isolating, WEB, GRANT, SEAL, APPROVAL, SHOP):
                await api.apply(obj, manager=ARGO)
            converged = await settled(api)
            await api.wait(names.API_VERSION, names.GRANT, "shop", "shop-prod", until=lambda g: condition(g, "Ready"))
            for kind in (names.EXCEPTION, names.APPROVAL):
                await api.wait(names.API_VERSION, kind, "nobody", "shop-prod", until=lambda o: o.get("status"))
            drift = await api.apply(SHOP, manager=ARGO, force=False)
            owned = [obj for version, kind in OWNED for obj in await ours(api, version, kind)]

            await api.apply({**SHOP, "spec": {"stages": SHOP["spec"]["stages"][1:]}}, manager=ARGO)
            await settled(api)
            operator.stop()
            operator.start(within=120)
            # A new process knows nothing of what the last one wrote, and reads it.
            await api.apply({**SHOP, "spec": {"suspend": False, "stages": SHOP["spec"]["stages"][1:]}}, manager=ARGO)
            await settled(api)
            await api.apply({**LINKED, "spec": {"stages": [stage("build"), stage("test")]}}, manager=ARGO)
            for version, kind in LINKERD:
                await api.wait_list(version, kind, "ci-linked", until=nothing, within=60)
            await api.delete(names.API_VERSION, names.SEGMENT, "shop", "ci-shop")
            for version, kind in OWNED:
                await api.wait_list(version, kind, "ci-shop", labels=f"{names.SEGMENT_LABEL}=shop", until=nothing)
            assert operator.alive
        finally:
            operator.stop()
            # Shown where something failed.
            sys.stderr.write(operator.tail())
        return Life(converged, drift, owned, record)


async def settled(api) -> dict[str, Any]:
    """Wait until the operator has judged what is declared now."""
    return await api.wait(
        names.API_VERSION, names.SEGMENT, "shop", "ci-shop", until=lambda obj: condition(obj, "Ready"), within=60
    )


async def ours(api, version: str, kind: str) -> list[dict[str, Any]]:
    return await api.objects(version, kind, labels=f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY}")


def nothing(objects) -> bool:
    return not objects


def granted() -> dict[tuple[str, str], set[str]]:
    """(group, resource with subresource) -> verbs, from the roles of manifests/install.yaml that bind the account."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for role in rights():
        if role["kind"] == "Role" or role["metadata"]["name"] == "pipesegment-operator":
            for rule in role.get("rules", ()):
                for group in rule["apiGroups"]:
                    for resource in rule["resources"]:
                        found[group, resource] |= set(rule["verbs"])
    return dict(found)


def used(record: Record) -> dict[tuple[str, str], set[str]]:
    """The same from the audit log; paths that are no resources, and asking about oneself, need no right of ours."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for call in record.calls():
        resource, _, group = call.resource.partition(".")
        if not resource or group == "authorization.k8s.io":
            continue
        verbs = {call.verb, "create"} if call.verb == "patch" and call.code == MADE else {call.verb}
        found[group, f"{resource}/{call.subresource}" if call.subresource else resource] |= verbs
    return dict(found)


def test_no_call_is_denied(life):
    assert life.record.denied() == []


def test_every_right_is_used_and_every_call_has_its_right(life):
    assert used(life.record) == granted()


def test_nothing_but_the_status_is_written_to_a_segment(life):
    metadata = life.converged["metadata"]
    managers = {(entry["manager"], entry.get("subresource", "")) for entry in metadata["managedFields"]}

    assert managers == {(ARGO, ""), (names.FIELD_MANAGER, "status")}
    assert metadata["annotations"] == SHOP["metadata"]["annotations"]
    assert metadata["labels"] == SHOP["metadata"]["labels"]
    assert "finalizers" not in metadata


def test_a_converged_segment_is_what_git_says(life):
    """Argo CD asks for the same apply, without force, and compares: the spec is as declared, the object not written."""
    assert life.converged["spec"] == SHOP["spec"]
    assert life.drift["metadata"]["resourceVersion"] == life.converged["metadata"]["resourceVersion"]


def test_what_the_operator_makes_carries_no_tracking_mark(life):
    assert {obj["kind"] for obj in life.owned} == {kind for _, kind in OWNED}
    for obj in life.owned:
        assert TRACKING not in obj["metadata"].get("annotations", {})
        assert INSTANCE not in obj["metadata"]["labels"]
        assert obj["metadata"]["ownerReferences"]


def test_argo_cd_sees_its_health(life):
    config_map = yaml.safe_load((ROOT / "manifests" / "argocd" / "argocd-cm.yaml").read_text())
    lua = lupa.lua51.LuaRuntime(register_eval=False, register_builtins=False)
    lua.globals().obj = lua.table_from(life.converged, recursive=True)
    result = lua.execute(config_map["data"][f"resource.customizations.health.{names.GROUP}_{names.SEGMENT}"])

    ready = condition(life.converged, "Ready")
    assert (ready["status"], result["status"]) in {("True", "Healthy"), ("False", "Degraded")}
    assert result["message"].startswith(ready["reason"])
