"""Policies of others in namespaces whose class says `exclusive`: what people try, on a real API server.

A policy is refused when it opens anything and may select a stage's pods; when no pod can be both, it is nobody's concern.
"""

import asyncio
from typing import Any

import pytest

from lab import crds
from tests.cluster import admission
from tests.cluster.admission import Scene
from tests.cluster.attempts import Request, change, create, delete, marked, opening
from tests.cluster.operator import NAMESPACE

SEGMENT, STAGE = "pipesegment.dev/segment", "pipesegment.dev/stage"
#: What no pod of either stage in `ci-own` can have: `build` is told by its labels, `image` by app a or b.
APART = [{"key": STAGE, "operator": "DoesNotExist"}, {"key": "app", "operator": "NotIn", "values": ["a", "b"]}]
DENY = "Deny exclusive"


def expressions(*found: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return opening("ci-own", podSelector={"matchExpressions": list(found)}, **spec)


def mesh(kind: str, namespace: str, version: str, spec: dict[str, Any], **annotations: str) -> dict[str, Any]:
    metadata = {"name": "attempt", "namespace": namespace, "annotations": annotations}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def authorization(namespace: str = "ci-own-istio", /, dry_run: str = "", **spec: Any) -> Request:
    annotations = {"istio.io/dry-run": dry_run} if dry_run else {}
    rules = {"rules": [{"from": [{"source": {"namespaces": ["quiet"]}}]}]}
    return create(mesh("AuthorizationPolicy", namespace, "security.istio.io/v1", {**rules, **spec}, **annotations))


def authentication(**spec: Any) -> Request:
    return create(mesh("PeerAuthentication", "ci-own-istio", "security.istio.io/v1", spec))


def sidecar(**spec: Any) -> Request:
    egress = {"egress": [{"hosts": ["*/*"]}]}
    return create(mesh("Sidecar", "ci-own-istio", "networking.istio.io/v1", egress | spec))


def server(namespace: str = "ci-own-linkerd", **spec: Any) -> Request:
    return create(mesh("Server", namespace, "policy.linkerd.io/v1beta3", {"port": 8080} | spec))


def route(server: str) -> Request:
    spec = {"parentRefs": [{"group": "policy.linkerd.io", "kind": "Server", "name": server}]}
    return create(mesh("HTTPRoute", "ci-own-linkerd", "policy.linkerd.io/v1beta3", spec))


def linkerd(kind: str, name: str) -> Request:
    target = {"targetRef": {"group": "policy.linkerd.io", "kind": kind, "name": name}, "requiredAuthenticationRefs": []}
    return create(mesh("AuthorizationPolicy", "ci-own-linkerd", "policy.linkerd.io/v1alpha1", target))


def server_authorization(**target: Any) -> Request:
    spec = {"server": target, "client": {"unauthenticated": True}}
    return create(mesh("ServerAuthorization", "ci-own-linkerd", "policy.linkerd.io/v1beta1", spec))


def cilium(**spec: Any) -> Request:
    return create(mesh("CiliumNetworkPolicy", "ci-own", "cilium.io/v2", {"egress": [{}]} | spec))


OTHER = {SEGMENT: "other", "app": "web"}
SELECTS_OTHER = {"matchLabels": OTHER}
MINE = {"matchLabels": {STAGE: "build"}}

#: what is tried -> (who, what, verdict)
ATTEMPTS: dict[str, tuple[str, Request, str]] = {
    "a policy that opens every pod": ("alice", create(opening("ci-own")), DENY),
    "one that opens exactly a stage": ("alice", create(opening("ci-own", {STAGE: "build"})), DENY),
    "one for pods that may be a stage's too": ("alice", create(opening("ci-own", {"team": "web"})), DENY),
    "one by a cluster administrator": ("root", create(opening("ci-own")), DENY),
    "one by a controller of the control plane": ("jobs", create(opening("ci-own")), DENY),
    "one by the operator": ("operator", create(opening("ci-own")), "Allow"),
    "one that lets in": (
        "alice",
        create(opening("ci-own", policyTypes=["Ingress"], ingress=[{}], egress=[])),
        DENY,
    ),
    "one that only closes": ("alice", create(opening("ci-own", egress=[])), "Allow"),
    "one whose rules are of a direction that it does not have": (
        "alice",
        create(opening("ci-own", policyTypes=["Ingress"])),
        "Allow",
    ),
    "one for pods of neither stage": ("alice", create(opening("ci-own", OTHER)), "Allow"),
    "one that excludes both by expressions": ("alice", create(expressions(*APART)), "Allow"),
    "one that excludes only the first": ("alice", create(expressions(APART[0])), DENY),
    "one that excludes only the second": ("alice", create(expressions(APART[1])), DENY),
    "one that excludes one of two values": (
        "alice",
        create(expressions(APART[0], {"key": "app", "operator": "NotIn", "values": ["a"]})),
        DENY,
    ),
    "one that wants another value of the first and some of the second's": (
        "alice",
        create(expressions(APART[0], {"key": "app", "operator": "In", "values": ["b", "c"]})),
        DENY,
    ),
    "one that wants other values of both": (
        "alice",
        create(expressions(APART[0], {"key": "app", "operator": "In", "values": ["c", "d"]})),
        "Allow",
    ),
    "one that wants the label, whatever it says": (
        "alice",
        create(expressions({"key": STAGE, "operator": "Exists"}, APART[1])),
        DENY,
    ),
    "one of before that is marked": ("alice", marked("NetworkPolicy", "ci-own", "from-before", {"a": "b"}), "Allow"),
    "one of before that opens more": (
        "alice",
        change("NetworkPolicy", "ci-own", "from-before", {"spec": {"policyTypes": ["Egress", "Ingress"]}}),
        DENY,
    ),
    "one of before that is narrowed until it excludes the stages": (
        "alice",
        change("NetworkPolicy", "ci-own", "from-before", {"spec": {"podSelector": {"matchExpressions": APART}}}),
        "Allow",
    ),
    "one of before that is deleted": ("alice", delete("NetworkPolicy", "ci-own", "from-before"), "Allow"),
    "one elsewhere": ("alice", create(opening("ci")), "Allow"),
    "one in the operator's namespace": ("alice", create(opening(NAMESPACE)), "Allow"),
    # Istio.
    "an ALLOW for the whole namespace": ("alice", authorization(), DENY),
    "an ALLOW for a stage": ("alice", authorization(action="ALLOW", selector=MINE), DENY),
    "an ALLOW for others": ("alice", authorization(selector=SELECTS_OTHER), "Allow"),
    "an ALLOW without rules": ("alice", authorization(rules=[]), "Allow"),
    "an ALLOW that is a dry run": ("alice", authorization(dry_run="true"), "Allow"),
    "an ALLOW that is no dry run": ("alice", authorization(dry_run="false"), DENY),
    "a DENY": ("alice", authorization(action="DENY"), "Allow"),
    "an ALLOW where no stage is in the mesh": ("alice", authorization("ci-own"), "Allow"),
    "an ALLOW by the operator": ("operator", authorization(), "Allow"),
    "an ALLOW at a Service in the ambient mesh": (
        "alice",
        authorization("ci-own-ambient", targetRefs=[{"kind": "Service", "group": "", "name": "build"}]),
        DENY,
    ),
    "an ALLOW at a gateway where sidecars stand": (
        "alice",
        authorization(targetRefs=[{"kind": "Gateway", "group": "gateway.networking.k8s.io", "name": "in"}]),
        "Allow",
    ),
    "plaintext for a stage": ("alice", authentication(selector=MINE, mtls={"mode": "PERMISSIVE"}), DENY),
    "plaintext at one port of a stage": (
        "alice",
        authentication(selector=MINE, mtls={"mode": "STRICT"}, portLevelMtls={"8080": {"mode": "DISABLE"}}),
        DENY,
    ),
    "plaintext for others": ("alice", authentication(selector=SELECTS_OTHER, mtls={"mode": "DISABLE"}), "Allow"),
    "plaintext for the namespace, to which the stage's own word is prior": (
        "alice",
        authentication(mtls={"mode": "PERMISSIVE"}),
        "Allow",
    ),
    "mutual TLS for a stage": ("alice", authentication(selector=MINE, mtls={"mode": "STRICT"}), "Allow"),
    "a Sidecar for a stage": ("alice", sidecar(workloadSelector={"labels": {STAGE: "build"}}), DENY),
    "a Sidecar for others": ("alice", sidecar(workloadSelector={"labels": OTHER}), "Allow"),
    "a Sidecar for the namespace": ("alice", sidecar(), "Allow"),
    # Linkerd.
    "a Server at a stage's pods": ("alice", server(podSelector=MINE, accessPolicy="all-unauthenticated"), DENY),
    "a Server at a stage's pods that something may hang on": ("alice", server(podSelector=MINE), DENY),
    "a Server at others": ("alice", server(podSelector=SELECTS_OTHER), "Allow"),
    "a Server where no stage is in the mesh": ("alice", server("ci-own", podSelector=MINE), "Allow"),
    "leave for the whole namespace": ("alice", linkerd("Namespace", "ci-own-linkerd"), DENY),
    "leave at a stage's Server": ("alice", linkerd("Server", "shop-build-port-8080"), DENY),
    "leave at a Server of one's own": ("alice", linkerd("Server", "web"), "Allow"),
    "leave at a route of a stage's Server": ("alice", linkerd("HTTPRoute", "shop-build-port-8080-http-1"), DENY),
    "leave at a route of one's own": ("alice", linkerd("HTTPRoute", "web"), "Allow"),
    "a route at a stage's Server": ("alice", route("shop-build-port-8080"), DENY),
    "a route at a Server of one's own": ("alice", route("web"), "Allow"),
    "a ServerAuthorization at a stage's Server": ("alice", server_authorization(name="shop-build-port-8080"), DENY),
    "a ServerAuthorization by labels": ("alice", server_authorization(selector={"matchLabels": {"a": "b"}}), DENY),
    "a ServerAuthorization at a Server of one's own": ("alice", server_authorization(name="web"), "Allow"),
    # Cilium.
    "a policy of Cilium's for every pod": ("alice", cilium(endpointSelector={}), DENY),
    "a policy of Cilium's for a stage": (
        "alice",
        cilium(endpointSelector={"matchLabels": {f"k8s:{STAGE}": "build"}}),
        DENY,
    ),
    "a policy of Cilium's for others": (
        "alice",
        cilium(endpointSelector={"matchLabels": {f"k8s:{SEGMENT}": "other", "any:app": "web"}}),
        "Allow",
    ),
    "a policy of Cilium's for another account": (
        "alice",
        cilium(endpointSelector={"matchLabels": {"k8s:io.cilium.k8s.policy.serviceaccount": "other"}}),
        "Allow",
    ),
    "a policy of Cilium's that only denies": (
        "alice",
        cilium(endpointSelector={}, egress=[], egressDeny=[{}]),
        "Allow",
    ),
    "several of Cilium's in one": (
        "alice",
        create(
            {
                "apiVersion": "cilium.io/v2",
                "kind": "CiliumNetworkPolicy",
                "metadata": {"name": "attempt", "namespace": "ci-own"},
                "specs": [
                    {"endpointSelector": SELECTS_OTHER, "egress": [{}]},
                    {"endpointSelector": {}, "ingress": [{}]},
                ],
            }
        ),
        DENY,
    ),
}


@pytest.fixture(scope="module")
def meshed(guarded: Scene) -> Scene:
    """The scene with the kinds of every mesh and of Cilium."""

    async def install() -> None:
        async with guarded.plane.api() as api:
            await api.install_crds([*crds.istio(), *crds.linkerd(), *crds.cilium()])

    asyncio.run(install())
    # The API server finds out by and by which kinds a policy matches.
    for request, verdict in (
        (authorization(), DENY),
        (sidecar(workloadSelector={"labels": {STAGE: "build"}}), DENY),
        (server(podSelector=MINE), DENY),
        (cilium(endpointSelector={}), DENY),
    ):
        guarded.await_verdict("alice", request, verdict)
    return guarded


@pytest.mark.parametrize(("who", "request_", "verdict"), ATTEMPTS.values(), ids=ATTEMPTS.keys())
def test_verdict(meshed: Scene, who: str, request_: Request, verdict: str):
    answer = meshed.tries(who, request_)

    assert answer.verdict == verdict, answer


async def test_with_the_kinds_of_every_mesh_the_api_server_finds_no_expression_doubtful(meshed: Scene):
    """It checks types when a policy is made, against the kinds that there are: here it is made once more."""
    name = "pipesegment-exclusive"
    (policy,) = (
        obj for obj in admission.policies() if obj["metadata"]["name"] == name and "matchConstraints" in obj["spec"]
    )
    async with meshed.plane.api() as api:
        await api.delete(policy["apiVersion"], policy["kind"], name)
        await api.create(policy)
        found = await api.wait(
            policy["apiVersion"], policy["kind"], name, until=lambda o: "typeChecking" in o.get("status", {})
        )
    await asyncio.to_thread(meshed.await_verdict, "alice", create(opening("ci-own")), DENY)

    assert found["status"]["typeChecking"] == {}


def test_the_refusal_says_whose_pods_and_what_to_do(meshed: Scene):
    # It cannot meet the other stage: of several, the API server tells any.
    answer = meshed.tries("alice", create(opening("ci-own", {"app": "web"})))

    assert "open anything at stage shop/build, whose pods this policy may select" in answer.message
    assert f"{STAGE} DoesNotExist, or another value than build" in answer.message
