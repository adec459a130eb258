"""`verify` on a real API server: a cluster is broken in each way, and it says so; what it starts it takes away again.

Nothing runs in the pods of this control plane, so what probes see is shown elsewhere: here only that the API server takes
them, that they are bounded in time, and that they go.
"""

import asyncio
import json
import os
import sys

import pytest

from lab import yaml
from pipesegment import names
from pipesegment.lint.catalogue import CATALOGUE
from tests.cluster.operator import POLICY, ROOT, network_policy, segment, settled, stage, to_stage

STRICT = {"pod-security.kubernetes.io/enforce": "restricted"}
LABELS = {"pipesegment.dev/segment": "shop"}
PEER = ("security.istio.io/v1", "PeerAuthentication")


async def verify(kubeconfig, namespace, *args, expect=None):
    """Run `pipesegment verify` as people do; give (reason, what it is about) of every finding."""
    command = [sys.executable, "-m", "pipesegment", "verify", "--kubeconfig", str(kubeconfig), "-n", namespace]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "operator")}
    process = await asyncio.create_subprocess_exec(
        *command,
        *("-o", "json", *args),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
    )
    out, err = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == (1 if expect is None else expect), err.decode() + out.decode()
    told = json.loads(out)
    reasons = {entry.code: entry.reason for entry in CATALOGUE.values()}
    return {(reasons[f["code"]], f["object"]) for one in told["segments"] for f in one["findings"]}


def daemon_set(name, namespace, *containers):
    """An engine's agent by its looks. No node is meant: nobody shall start it."""
    labels = {"agent": name}
    shown = [{"image": "registry.example.com/agent", **container} for container in containers]
    pod = {"nodeSelector": {"lab.example.com/nowhere": "yes"}, "containers": shown}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


def pod(name, namespace, of, account, **spec):
    """A pod of a stage."""
    containers = [{"name": "main", "image": "registry.example.com/x"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": LABELS | {"pipesegment.dev/stage": of}},
        "spec": {"serviceAccountName": account, "containers": containers, **spec},
    }


@pytest.fixture
async def shop(operators, plain, namespaces, api):
    """The namespace of a converged segment whose operator has gone, so that nothing is mended."""
    namespace = await namespaces("verify", labels=plain)
    operator = operators().start()
    await api.apply(segment("shop", namespace, stage("build", to_stage("test", 80)), stage("test")))
    await settled(api, "shop", namespace)
    operator.stop()
    await api.create(daemon_set("calico-node", namespace, {"name": "calico-node"}))
    yield namespace
    # An engine's agents count in the whole cluster, and a namespace takes its time to go.
    for agent in await api.objects("apps/v1", "DaemonSet", namespace):
        await api.delete("apps/v1", "DaemonSet", agent["metadata"]["name"], namespace)
        await api.wait_gone("apps/v1", "DaemonSet", agent["metadata"]["name"], namespace)


async def test_each_break_is_told(shop, api, control_plane, operators):
    kubeconfig = control_plane.kubeconfig
    assert await verify(kubeconfig, shop, expect=0) == set()
    known = set()

    async def told():
        """What is told now and was not before."""
        nonlocal known
        found = await verify(kubeconfig, shop)
        new, known = found - known, found
        return new

    made = await api.get(*POLICY, "shop-test", shop)
    await api.delete(*POLICY, "shop-test", shop)
    await api.wait_gone(*POLICY, "shop-test", shop)
    assert await told() == {("Missing", f"NetworkPolicy {shop}/shop-test")}

    await api.patch(*POLICY, "shop-build", {"spec": {"egress": [{}]}}, shop)
    assert await told() == {("Drifted", f"NetworkPolicy {shop}/shop-build")}

    kept = {key: made["metadata"][key] for key in ("labels", "ownerReferences")}
    old = {**made, "metadata": {**kept, "name": "shop-old", "namespace": shop}}
    await api.create(old)
    assert await told() == {("Leftover", f"NetworkPolicy {shop}/shop-old")}

    await api.create(network_policy("allow-all", shop, policyTypes=["Egress"], egress=[{}]))
    assert await told() == {("Widened", f"{shop}/allow-all")}

    await api.create(pod("on-host", shop, "build", "shop-build", hostNetwork=True))
    assert await told() == {("HostNetwork", "on-host")}

    await api.create(pod("stranger", shop, "test", "default"))
    assert await told() == {("Unwired", "stranger")}

    crd = "ciliumnetworkpolicies.cilium.io"
    await api.install_crds([cilium()])
    try:
        policy = {"endpointSelector": {"matchLabels": LABELS}, "ingress": [{}]}
        metadata = {"name": "cilium", "namespace": shop}
        await api.create(
            {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": metadata, "spec": policy}
        )
        # With the kind there, ways are opened by policies of Cilium, and no operator is there to write them.
        missing = {("Missing", f"CiliumNetworkPolicy {shop}/shop-{stage}") for stage in ("build", "test")}
        assert await told() == {("Widened", f"{shop}/cilium")} | missing
    finally:
        await api.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", crd)
        await api.wait_gone("apiextensions.k8s.io/v1", "CustomResourceDefinition", crd)
    assert await told() == set()

    agents = ("apps/v1", "DaemonSet")
    await api.delete(*agents, "calico-node", shop)
    await api.wait_gone(*agents, "calico-node", shop)
    assert await told() == {("EngineUnknown", shop)}

    await api.create(daemon_set("kube-flannel", shop, {"name": "kube-flannel"}))
    assert await told() == {("NotEnforced", shop)}

    on = ["--enable-network-policy=true"]
    await api.create(
        daemon_set("aws-node", shop, {"name": "aws-node"}, {"name": "aws-network-policy-agent", "args": on})
    )
    assert await told() == {("StartupWindow", shop), ("BarePods", "on-host"), ("BarePods", "stranger")}

    # What is the operator's to mend it mends; the rest is for people.
    operator = operators().start()
    await settled(api, "shop", shop)
    await api.wait_gone(*POLICY, "shop-old", shop)
    operator.stop()
    mended = {reason for reason, _ in known} - {reason for reason, _ in await verify(kubeconfig, shop)}
    assert mended == {"Missing", "Drifted", "Leftover"}


async def test_in_the_mesh(operators, istio_crds, namespaces, api, control_plane):
    namespace = await namespaces("verify-mesh")
    operator = operators().start()
    await api.apply(segment("shop", namespace, stage("build")))
    await settled(api, "shop", namespace)
    await api.wait(*PEER, "shop-build", namespace)
    await api.create(daemon_set("calico-node", namespace, {"name": "calico-node"}))
    assert await verify(control_plane.kubeconfig, namespace, expect=0) == set()

    await api.create(pod("bare", namespace, "build", "shop-build"))
    # The stage is wired now; its policy says so before there is nobody to write it.
    await api.wait(*POLICY, "shop-build", namespace, until=lambda o: names.WIRED_LABEL in o["metadata"]["labels"])
    operator.stop()
    selector = {"selector": {"matchLabels": LABELS}}
    foreign = {"metadata": {"name": "lax", "namespace": namespace}}
    spec = {**selector, "mtls": {"mode": "PERMISSIVE"}}
    await api.create({"apiVersion": PEER[0], "kind": PEER[1], **foreign, "spec": spec})
    allow = {**selector, "action": "ALLOW", "rules": [{}]}
    await api.create({"apiVersion": PEER[0], "kind": "AuthorizationPolicy", **foreign, "spec": allow})

    assert await verify(control_plane.kubeconfig, namespace) == {
        ("NoSidecar", "bare"),
        ("LaxMutualTLS", f"{namespace}/lax"),
        ("Widened", f"{namespace}/lax"),
    }


async def test_whoever_may_not_look_is_told_so(shop, api, control_plane):
    """Everything but DaemonSets may be read: that is neither 'no engine' nor 'fine'."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader", "namespace": shop}}
    await api.create(account)
    rbac = "rbac.authorization.k8s.io"
    rules = [
        {
            "apiGroups": [
                "",
                "networking.k8s.io",
                "discovery.k8s.io",
                "pipesegment.dev",
                "apiextensions.k8s.io",
                "security.istio.io",
                "networking.istio.io",
            ],
            "resources": ["*"],
            "verbs": ["list"],
        }
    ]
    role = {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": shop}, "rules": rules}
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": shop},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": shop},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": shop}],
    }
    await api.create(role)
    await api.create(binding)
    try:
        kubeconfig = await asyncio.to_thread(control_plane.kubeconfig_for, service_account=(shop, "reader"))

        assert await verify(kubeconfig, shop) == {("NotRead", "DaemonSet")}
        assert await verify(kubeconfig, shop, "--probe", "--probe-image", "registry.example.com/x") == {
            ("NotRead", "DaemonSet"),
            ("NotProbed", shop),
        }
    finally:
        await api.delete(f"{rbac}/v1", "ClusterRoleBinding", shop)
        await api.delete(f"{rbac}/v1", "ClusterRole", shop)


async def test_probes_are_accepted_bounded_and_taken_away(shop, api, control_plane):
    """By a namespace that holds its pods to the restricted standard. Nothing answers: that is told, and differs."""
    await api.patch("v1", "Namespace", shop, {"metadata": {"labels": STRICT}})
    seen = set()

    async def watch():
        async for pods in api.states("v1", "Pod", shop, labels="pipesegment.dev/probe"):
            seen.update(pods)

    watching = asyncio.create_task(watch())
    found = await verify(
        control_plane.kubeconfig, shop, *("--probe", "--probe-image", "registry.example.com/x", "--probe-timeout", "10")
    )
    await api.wait_list("v1", "Pod", shop, labels="pipesegment.dev/probe", until=lambda pods: not pods)
    watching.cancel()

    assert {reason for reason, _ in found} == {"NotProbed"}
    names = sorted(name.split("-", 3)[3] for _, name in seen)
    assert names == ["call-0", "call-1", "listen-0", "listen-1"]


def cilium():
    """As much of Cilium's definition as the API server needs."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    text = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ciliumnetworkpolicies.cilium.io}
spec:
  group: cilium.io
  scope: Namespaced
  names: {kind: CiliumNetworkPolicy, listKind: CiliumNetworkPolicyList, plural: ciliumnetworkpolicies, singular: ciliumnetworkpolicy}
"""
    made = yaml.safe_load(text)
    made["spec"]["versions"] = [{"name": "v2", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]
    return made
