"""Install, upgrade, uninstall by the real helm and the real kubectl, on a control plane of this file's own.

Of its own, because CRDs and cluster roles belong to a whole cluster: other tests must not lose theirs.
"""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lab import yaml
from lab.api import Api, ApiError
from lab.controlplane import ControlPlane
from pipesegment import names

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "pipesegment"
INSTALL = ROOT / "manifests" / "install.yaml"
NAMESPACE = "pipesegment-system"
OURS = "app.kubernetes.io/name=pipesegment"
CHART_KINDS = [
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("apps/v1", "Deployment"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"),
]

CRD = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")
CRDS = [f"{plural}.{names.GROUP}" for plural, _, _ in names.KINDS.values()]
CLASS = {"apiVersion": names.API_VERSION, "kind": names.CLASS, "metadata": {"name": "default"}, "spec": {}}
SEGMENT = {
    "apiVersion": names.API_VERSION,
    "kind": names.SEGMENT,
    "metadata": {"name": "shop", "namespace": NAMESPACE},
    "spec": {"stages": [{"name": "build"}]},
}


@pytest.fixture
async def api(plane):
    async with plane.api() as client:
        yield client


@pytest.fixture(scope="module")
def system(plane: ControlPlane) -> str:
    """The operator's namespace, where only pods of the restricted standard are admitted."""
    plane.kubectl("create", "namespace", NAMESPACE)
    plane.kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    return NAMESPACE


@pytest.fixture
async def release(helm, plane, api, system):
    """Run a verb of helm on release `pipesegment`; afterwards nothing of ours is left in the cluster."""

    def run(verb: str, *arguments: object) -> str:
        return helm(verb, "pipesegment", *arguments, "--namespace", system, "--kubeconfig", plane.kubeconfig).stdout

    yield run
    run("uninstall", "--ignore-not-found")
    for version, kind in CHART_KINDS:
        for obj in await api.objects(version, kind, labels=OURS):
            await api.delete(version, kind, obj["metadata"]["name"], obj["metadata"].get("namespace"))
    # The garbage collector pauses for a while when CRDs come and go: what it would collect is deleted here.
    plane.kubectl("delete", "replicasets,pods", f"--selector={OURS}", f"--namespace={system}")
    await delete_crds(api, *CRDS)


async def delete_crds(api: Api, *crds: str) -> None:
    """Delete CRDs and wait until their objects are gone too: a few seconds, now and then minutes."""
    for name in crds:
        await api.delete(*CRD, name)
    for name in crds:
        await api.wait_gone(*CRD, name, within=300)


async def ours(api: Api) -> set[tuple[str, str]]:
    """Everything of the chart in the cluster but the CRDs, as (kind, name)."""
    return {
        (kind, obj["metadata"]["name"])
        for version, kind in CHART_KINDS
        for obj in await api.objects(version, kind, labels=OURS)
    }


def source(name: str) -> dict[str, Any]:
    """The repository's CRD of that name."""
    documents = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    (found,) = (crd for crd in documents if crd["metadata"]["name"] == name)
    return found


def columns(crd: dict[str, Any]) -> list[str]:
    return [column["name"] for column in crd["spec"]["versions"][0]["additionalPrinterColumns"]]


async def running(api: Api) -> list[dict[str, Any]]:
    """Wait for the two replicas."""
    return await api.wait_list(
        "v1",
        "Pod",
        NAMESPACE,
        labels=OURS,
        until=lambda pods: [pod["status"].get("phase") for pod in pods.values()] == ["Running"] * 2,
        within=90,
    )


async def test_what_helm_installs_is_admitted_by_the_restricted_standard(release, api):
    release("install", CHART)
    pods = await running(api)
    crds = [await api.wait(*CRD, name, until=established) for name in CRDS]

    assert {pod["spec"]["serviceAccountName"] for pod in pods} == {"pipesegment"}
    assert [crd["spec"]["names"]["kind"] for crd in crds] == list(names.KINDS)


def established(crd: dict[str, Any]) -> bool:
    conditions = crd.get("status", {}).get("conditions", [])
    return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)


async def test_an_upgrade_brings_the_newer_crds(release, api, tmp_path):
    older = tmp_path / "pipesegment"
    shutil.copytree(CHART, older)
    for path in (older / "files" / "crds").iterdir():
        crd = yaml.safe_load(path.read_text())
        crd["spec"]["versions"][0]["additionalPrinterColumns"] = [
            {"name": "Old", "type": "string", "jsonPath": ".metadata.name"}
        ]
        path.write_text(yaml.safe_dump(crd))
    release("install", older)
    before = {name: columns(await api.get(*CRD, name)) for name in CRDS}
    release("upgrade", CHART)
    after = {name: columns(await api.get(*CRD, name)) for name in CRDS}

    assert before == {name: ["Old"] for name in CRDS}
    assert after == {name: columns(source(name)) for name in CRDS}


async def test_an_upgrade_to_the_same_changes_nothing(release, api):
    release("install", CHART)
    pods = await running(api)
    before = {name: (await api.get(*CRD, name))["metadata"]["generation"] for name in CRDS}
    release("upgrade", CHART)
    deployment = await api.get("apps/v1", "Deployment", "pipesegment", NAMESPACE)

    assert deployment["metadata"]["generation"] == 1
    assert {name: (await api.get(*CRD, name))["metadata"]["generation"] for name in CRDS} == before
    assert {pod["metadata"]["uid"] for pod in await running(api)} == {pod["metadata"]["uid"] for pod in pods}


async def test_uninstall_keeps_crds_and_segments_and_a_new_install_takes_them_back(release, api):
    release("install", CHART)
    for name in CRDS:
        await api.wait(*CRD, name, until=established)
    segment = await api.apply(SEGMENT)
    await api.apply(CLASS)
    installed = await ours(api)
    told = release("uninstall")

    assert all(name in told for name in CRDS)
    assert installed
    assert await ours(api) == set()
    kept = await api.get(names.API_VERSION, names.SEGMENT, "shop", NAMESPACE)
    assert kept["metadata"]["uid"] == segment["metadata"]["uid"]
    assert await api.get(names.API_VERSION, names.CLASS, "default")

    release("install", CHART)
    assert await ours(api) == installed
    await running(api)


async def test_crds_that_somebody_else_installed_are_left_alone(release, api):
    await api.install_crds(source(name) for name in CRDS)
    release("install", CHART, "--set", "crds.install=false")
    release("uninstall")

    for name in CRDS:
        assert "helm.sh/chart" not in (await api.get(*CRD, name))["metadata"].get("labels", {})


async def test_the_rendered_manifest_installs_the_same_without_helm(plane, release, api):
    release("install", CHART)
    with_helm = await ours(api)
    release("uninstall")
    for name in CRDS:
        await delete_crds(api, name)

    plane.kubectl("apply", "--server-side", "--filename", str(INSTALL))
    without_helm = await ours(api)
    versions = {name: (await api.get(*CRD, name))["metadata"]["generation"] for name in CRDS}
    again = plane.kubectl("apply", "--server-side", "--filename", str(INSTALL), "--output=json")

    assert without_helm == with_helm
    await running(api)
    for obj in json.loads(again)["items"]:
        if obj["kind"] == "CustomResourceDefinition":
            assert obj["metadata"]["generation"] == versions[obj["metadata"]["name"]]


#: (cluster role bound in a namespace, verb, resource, allowed)
MAY = [
    ("view", "get", "pipelinesegments", True),
    ("view", "list", "segmentgrants", True),
    ("view", "create", "pipelinesegments", False),
    ("edit", "get", "pipelinesegments", True),
    ("edit", "create", "pipelinesegments", False),
    ("edit", "delete", "segmentgrants", False),
    ("admin", "create", "pipelinesegments", True),
    ("admin", "delete", "segmentgrants", True),
    ("admin", "update", "pipelinesegments/status", False),
    ("admin", "patch", "segmentgrants/status", False),
    ("admin", "create", "segmentclasses", False),
    ("pipesegment-author", "patch", "pipelinesegments", True),
    ("pipesegment-author", "create", "segmentgrants", False),
    ("pipesegment-author", "create", "networkpolicies", False),
    ("pipesegment-granter", "create", "segmentgrants", True),
    ("pipesegment-granter", "create", "pipelinesegments", False),
    ("pipesegment-approver", "get", "pipelinesegments", True),
    ("pipesegment-approver", "update", "pipelinesegments", False),
]


async def test_people_may_what_their_roles_say(plane, release, api):
    release("install", CHART)
    # The aggregation is a controller's work: it has arrived when `admin` holds the rule.
    await api.wait("rbac.authorization.k8s.io/v1", "ClusterRole", "admin", until=holds_segments)
    await api.wait("rbac.authorization.k8s.io/v1", "ClusterRole", "view", until=holds_segments)
    for role in {role for role, *_ in MAY}:
        await api.create(binding("RoleBinding", role))

    for role, verb, resource, allowed in MAY:
        if allowed:
            await until_allowed(api, role, verb, resource)

    assert [(*case[:3], await may(api, *case[:3])) for case in MAY] == MAY


async def test_the_platform_role_decides_classes_in_the_whole_cluster(release, api):
    release("install", CHART)
    platform = binding("ClusterRoleBinding", "pipesegment-platform")
    await api.create(platform)

    await until_allowed(api, "pipesegment-platform", "create", "segmentclasses", namespace=None)
    assert not await may(api, "pipesegment-platform", "create", "pipelinesegments")
    await api.delete("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", platform["metadata"]["name"])


def holds_segments(role: dict[str, Any]) -> bool:
    return any(names.GROUP in rule.get("apiGroups", []) for rule in role["rules"])


def binding(kind: str, role: str) -> dict[str, Any]:
    metadata = {"name": f"test-{role}"} | ({"namespace": NAMESPACE} if kind == "RoleBinding" else {})
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": f"user-{role}"}],
    }


async def until_allowed(api: Api, *question: str, namespace: str | None = NAMESPACE) -> None:
    """Wait until the authorizer has heard of the binding: it follows by a watch of its own, which nobody can see."""
    async with asyncio.timeout(10):
        while not await may(api, *question, namespace=namespace):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.05)


async def may(api: Api, role: str, verb: str, resource: str, namespace: str | None = NAMESPACE) -> bool:
    """Ask the API server whether the user of that role may."""
    plural, _, subresource = resource.partition("/")
    group = "networking.k8s.io" if plural == "networkpolicies" else names.GROUP
    attributes = {"verb": verb, "group": group, "resource": plural, "subresource": subresource}
    if namespace:
        attributes["namespace"] = namespace
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "metadata": {},
        "spec": {"user": f"user-{role}", "resourceAttributes": attributes},
    }
    return (await api.create(review))["status"]["allowed"]


async def test_a_field_that_does_not_exist_is_refused_by_server_side_apply(release, api):
    release("install", CHART)
    for name in CRDS:
        await api.wait(*CRD, name, until=established)
    wrong = {**SEGMENT, "spec": {"stages": [{"name": "build", "reachs": []}]}}

    with pytest.raises(ApiError) as refused:
        await api.apply(wrong)
    assert "reachs" in refused.value.message
