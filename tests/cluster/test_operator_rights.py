"""An operator on a cluster that is not ready for it yet, and the rights that it has used in the end: all of them.

On a control plane of this file's own: elsewhere our kinds and Istio's are there already.
"""

import asyncio
import json

import pytest

from lab import crds
from lab.api import ApiError
from lab.errors import LabError
from tests.cluster.operator import (
    ACCOUNT,
    CILIUM_KIND,
    LINKERD_KINDS,
    NAMES_KIND,
    NAMESPACE,
    OWNED,
    POLICY,
    VERSION,
    Operator,
    Record,
    install,
    install_crds,
    owned,
    probed_pod,
    rights,
    segment,
    segment_class,
    settled,
    stage,
    to_cidr,
    to_stage,
)
from tests.planes import started

GROUPS_KIND = ("vpcresources.k8s.aws/v1beta1", "SecurityGroupPolicy")
#: Granted and never seen in the audit log, with the reason.
UNSEEN = {}


@pytest.fixture(scope="module")
def fresh(request, tmp_path_factory):
    """A control plane that knows none of our kinds, an operator on it that runs already, and its record."""
    with started(request) as plane:
        install(plane, crds=False)
        record = Record(plane)
        kubeconfig = plane.kubeconfig_for(service_account=(NAMESPACE, ACCOUNT))
        operator = Operator(plane, kubeconfig, tmp_path_factory.mktemp("operator")).start()
        yield plane, operator, record
        operator.stop()


@pytest.fixture
async def api(fresh):
    async with fresh[0].api() as client:
        yield client


async def namespace_of(api, name, annotations=None):
    metadata = {"name": name} | ({"annotations": annotations} if annotations else {})
    await api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    return name


async def test_kinds_that_come_late_are_taken_in(fresh, api):
    """First our own kinds, then a mesh: no restart is needed, and what exists gets what it lacks."""
    plane, operator, _ = fresh
    namespace = await namespace_of(api, "late")
    await asyncio.to_thread(install_crds, plane)
    await api.apply(segment("shop", namespace, stage("build", to_cidr("198.51.100.0/24", 443))))
    await settled(api, "shop", namespace)
    assert {kind for kind, _ in await owned(api, namespace)} == {"NetworkPolicy", "ServiceAccount"}

    documents = {"apiVersion": "v1", "kind": "List", "items": crds.istio()}
    await asyncio.to_thread(plane.kubectl, "apply", "--server-side", "--filename=-", stdin=json.dumps(documents))
    for version, kind in OWNED:
        await wait_served(api, version, kind, "shop-build", namespace)

    assert operator.alive
    # The mesh's objects are followed like all others.
    await api.delete("networking.istio.io/v1", "Sidecar", "shop-build", namespace)
    await api.wait("networking.istio.io/v1", "Sidecar", "shop-build", namespace)


async def wait_served(api, version, kind, name, namespace):
    """Wait for an object of a kind that may just be appearing."""
    async with asyncio.timeout(90):
        while True:
            try:
                await api.wait(version, kind, name, namespace)
            except (LabError, ApiError):
                await asyncio.sleep(0.1)
            else:
                return


async def wait_list(api, version, kind, namespace, until):
    """Wait for the objects of a kind that may just be appearing."""
    async with asyncio.timeout(60):
        while True:
            try:
                await api.wait_list(version, kind, namespace, until=until)
            except (LabError, ApiError):
                await asyncio.sleep(0.1)
            else:
                return


async def test_every_right_is_used_and_no_other_is_missed(fresh, api):
    """What the chart grants and what the audit log shows are the same set, verb by verb."""
    plane, operator, record = fresh
    await asyncio.to_thread(install_crds, plane)
    await asyncio.to_thread(
        plane.kubectl,
        *("apply", "--server-side", "--filename=-"),
        stdin=json.dumps(
            {
                "apiVersion": "v1",
                "kind": "List",
                "items": [*crds.istio(), *crds.cilium(), *crds.gateways(), *crds.linkerd(), *crds.aws()],
            }
        ),
    )
    denying = {"linkerd.io/inject": "enabled", "config.linkerd.io/default-inbound-policy": "deny"}
    linked = await namespace_of(api, "linked", annotations=denying)
    asking = to_stage("test", 8080) | {"http": [{"paths": ["/v1/*"]}]}
    await api.apply(segment("shop", linked, stage("build", asking), stage("test")))
    await wait_served(api, "v1", "ServiceAccount", "shop-test", linked)
    await api.create(probed_pod(linked, "test", 8080))
    for version, kind in LINKERD_KINDS:
        await wait_list(api, version, kind, linked, bool)
    namespace = await namespace_of(api, "rights")
    # Whoever binds a role without rights must not lack any of them.
    role = {"kind": "ClusterRole", "name": "lab-nothing"}
    await api.apply(
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "lab-nothing"}}
    )
    group = "sg-0123456789abcdef0"
    governing = segment_class(
        "rights",
        "lab.example.com/nobody",
        guardrails={"roleRefs": [role]},
        network={"inexact": {"fqdn": "Coarse"}},
        aws={"allowedSecurityGroupIDs": [group]},
    )
    governing["spec"]["namespaceSelector"] = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    await api.apply(governing)
    grant = {
        "from": [{"namespace": namespace}],
        "to": {"podSelector": {"matchLabels": {"a": "b"}}},
        "ports": [{"port": 1}],
    }
    metadata = {"name": "rights", "namespace": namespace}
    await api.apply({"apiVersion": VERSION, "kind": "SegmentGrant", "metadata": metadata, "spec": grant})
    sealing = {
        "segment": "nobody",
        "stage": "nobody",
        "effect": "Seal",
        "reason": "none",
        "requestedBy": {"username": "ada"},
    }
    await api.apply({"apiVersion": VERSION, "kind": "SegmentException", "metadata": metadata, "spec": sealing})
    excepted = {"name": "rights", "uid": "u", "specHash": "0" * 64, "requestedBy": {"username": "ada"}}
    approving = {"exception": excepted, "class": {"name": "c", "uid": "c"}, "approvedBy": {"username": "grace"}}
    await api.apply({"apiVersion": VERSION, "kind": "SegmentApproval", "metadata": metadata, "spec": approving})
    opened = to_cidr("198.51.100.0/24", 443)
    more = {"serviceAccount": {"roleRefs": [role]}, "aws": {"securityGroupIDs": [group]}}
    named = {"fqdn": {"names": ["a.example.com"]}, "ports": [{"port": 443}]}
    bound = stage("build", opened, **more)
    await api.apply(segment("shop", namespace, bound, stage("test", named, **more)))
    await settled(api, "shop", namespace)
    for version, kind in (*OWNED, NAMES_KIND, CILIUM_KIND, GROUPS_KIND):
        await wait_served(api, version, kind, "shop-test", namespace)
    # After a restart everything is read as a whole.
    operator.terminate()
    await asyncio.to_thread(operator.ended)
    await asyncio.to_thread(operator.start)
    other = stage("build", to_cidr("198.51.100.0/25", 443), **more)
    await api.apply(segment("shop", namespace, other, stage("test", named, **more)))
    await settled(api, "shop", namespace)
    await api.apply(segment("shop", namespace, bound))
    await api.wait_gone(*POLICY, "shop-test", namespace)
    await settled(api, "shop", namespace)
    await api.apply(segment("shop", linked, stage("build", to_stage("test", 9090)), stage("test")))
    await settled(api, "shop", linked)
    await api.apply(segment("shop", linked, stage("build"), stage("test")))
    for version, kind in LINKERD_KINDS:
        await wait_list(api, version, kind, linked, lambda found: not found)
    for kind in ("SegmentGrant", "SegmentClass"):
        place = namespace if kind == "SegmentGrant" else None
        await api.wait(VERSION, kind, "rights", place, until=lambda obj: obj.get("status"))
    # A watch is in the log when it is over.
    operator.terminate()
    assert await asyncio.to_thread(operator.ended) == 0

    assert record.denied() == []
    used = set()
    for event in record.calls():
        resource = f"{event.resource}/{event.subresource}" if event.subresource else event.resource
        used.add((resource, event.verb))
        if event.verb == "patch" and event.code == 201:
            # An apply that makes an object is asked for both rights; the log names one.
            used.add((resource, "create"))
    assert granted() - used == set(UNSEEN)
    # Discovery needs no right of its own.
    assert {right for right in used if right[0]} - granted() == set()


def granted():
    """Give every (resource, verb) of the operator's own roles."""
    found = set()
    for role in rights():
        if role["kind"] in {"ClusterRole", "Role"} and role["metadata"]["name"] in {
            "pipesegment-operator",
            "pipesegment-leader",
        }:
            for rule in role["rules"]:
                for group in rule["apiGroups"]:
                    for resource in rule["resources"]:
                        plural, _, sub = resource.partition("/")
                        name = f"{plural}.{group}" if group else plural
                        found |= {(f"{name}/{sub}" if sub else name, verb) for verb in rule["verbs"]}
    return found
