"""Pods of stages, and what people try with them, on a real API server: nothing here runs an operator.

A verdict is `Deny <policy>`, `Warn <policy>` or `Allow`. Objects: test_admission_objects.py.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.cluster.admission import Scene
from tests.cluster.attempts import Request, change, create, labels, marked, pod

BUILD, IMAGE, DEPLOY, TEST = (labels("shop", name) for name in ("build", "image", "deploy", "test"))
LINT = {"tekton.dev/pipeline": "tk", "tekton.dev/pipelineTask": "lint"}
REL = labels("rel", "deploy")


def ctx(**context: Any) -> dict[str, Any]:
    return {"securityContext": context}


def sidecar(name: str, *, command: bool = False, **context: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "image": "registry.example.com/istio/proxyv2:1.29", "args": ["proxy"]}
    return made | ({"command": ["sh"]} if command else {}) | ({"securityContext": context} if context else {})


def caps(*names: str) -> dict[str, Any]:
    return {"capabilities": {"add": list(names)}}


def relabel(namespace: str, name: str, marks: Mapping[str, str | None]) -> Request:
    return change("Pod", namespace, name, {"metadata": {"labels": marks}})


def bypass(
    namespace: str = "ci", account: str = "shop-build", marks: dict[str, str] | None = None, **spec: Any
) -> Request:
    return create(pod(namespace, account, marks or BUILD, **spec))


#: what is tried -> (who, what, verdict)
ATTEMPTS: dict[str, tuple[str, Request, str]] = {
    # A stage's labels and its account belong together.
    "a pod of a stage as the stage": ("alice", create(pod("ci", "shop-build", BUILD)), "Allow"),
    "…with other labels beside": ("alice", create(pod("ci", "shop-build", BUILD | {"run": "7"})), "Allow"),
    "borrowed labels, default account": ("alice", create(pod("ci", "", BUILD)), "Deny stage-pods"),
    "borrowed labels, another account": ("alice", create(pod("ci", "other", BUILD)), "Deny stage-pods"),
    "borrowed labels, another stage's account": ("alice", create(pod("ci", "shop-image", BUILD)), "Deny stage-pods"),
    "borrowed account, no labels": ("alice", create(pod("ci", "shop-build")), "Deny stage-pods"),
    "borrowed account, half of the labels": (
        "alice",
        create(pod("ci", "shop-build", {"pipesegment.dev/segment": "shop"})),
        "Deny stage-pods",
    ),
    "borrowed account, another stage's labels": ("alice", create(pod("ci", "shop-build", IMAGE)), "Deny stage-pods"),
    "an account of another name": ("alice", create(pod("ci", "deployer", DEPLOY)), "Allow"),
    "that account without labels": ("alice", create(pod("ci", "deployer", {"app": "web"})), "Deny stage-pods"),
    "a stage whose account is called otherwise, by its own name": (
        "alice",
        create(pod("ci", "other", DEPLOY)),
        "Deny stage-pods",
    ),
    "a cluster administrator with borrowed labels": ("root", create(pod("ci", "other", BUILD)), "Deny stage-pods"),
    "the operator with borrowed labels": ("operator", create(pod("ci", "other", BUILD)), "Deny stage-pods"),
    "a controller with borrowed labels": ("jobs", create(pod("ci", "other", BUILD)), "Deny stage-pods"),
    "a controller with a pod of the stage": ("jobs", create(pod("ci", "shop-build", BUILD)), "Allow"),
    "a pod that is nobody's": ("alice", create(pod("ci", "other", {"app": "web"})), "Allow"),
    "a pod without anything": ("alice", create(pod("ci")), "Allow"),
    "a preset's labels as the stage": ("alice", create(pod("ci", "tk-compile", LINT)), "Allow"),
    "a preset's labels as somebody else": ("alice", create(pod("ci", "other", LINT)), "Deny stage-pods"),
    "a preset's pipeline, a task of no stage": (
        "alice",
        create(pod("ci", "other", LINT | {"tekton.dev/pipelineTask": "notify"})),
        "Allow",
    ),
    "a preset's account for a task of no stage": (
        "alice",
        create(pod("ci", "tk-compile", LINT | {"tekton.dev/pipelineTask": "notify"})),
        "Deny stage-pods",
    ),
    # Until the pods were seen to run as the stage: told, not refused.
    "an unwired stage's labels, another account": ("alice", create(pod("ci", "other", TEST)), "Warn stage-pods"),
    "an unwired stage's account, no labels": ("alice", create(pod("ci", "shop-test")), "Warn stage-pods"),
    "an unwired stage as it should be": ("alice", create(pod("ci", "shop-test", TEST)), "Allow"),
    # Observed: nothing blocks, nothing warns.
    "an observed stage's labels": ("alice", create(pod("ci", "other", labels("shop", "watch"))), "Allow"),
    "an observed stage's account": ("alice", create(pod("ci", "shop-watch")), "Allow"),
    "an observed stage on the node's network": (
        "alice",
        create(pod("ci", "shop-watch", labels("shop", "watch"), hostNetwork=True)),
        "Allow",
    ),
    # Labels do not change.
    "labels put on a running pod": ("alice", relabel("ci", "plain-1", BUILD), "Deny stage-pods"),
    "labels taken off a running pod": ("alice", relabel("ci", "build-1", dict.fromkeys(BUILD)), "Deny stage-pods"),
    "one of them taken off": ("alice", relabel("ci", "build-1", {"pipesegment.dev/stage": None}), "Deny stage-pods"),
    "a pod moved to another stage": ("alice", relabel("ci", "build-1", IMAGE), "Deny stage-pods"),
    "a stray pod's labels taken off": ("alice", relabel("ci", "stray-1", dict.fromkeys(BUILD)), "Deny stage-pods"),
    "an observed stage's labels put on": ("alice", relabel("ci", "plain-1", labels("shop", "watch")), "Allow"),
    "another label on a stage's pod": ("alice", relabel("ci", "build-1", {"run": "8"}), "Allow"),
    "another label on a stray pod": ("alice", relabel("ci", "stray-1", {"run": "8"}), "Allow"),
    "the labels put on a pod that has the account": ("alice", relabel("ci", "lost-1", BUILD), "Allow"),
    "an annotation on a pod that lacks its labels": ("alice", marked("Pod", "ci", "lost-1", {"a": "b"}), "Allow"),
    "labels put on by way of the status": (
        "alice",
        change("Pod", "ci", "plain-1", {"metadata": {"labels": BUILD}}, "status"),
        "Deny pod-status",
    ),
    "a status as a kubelet writes it": (
        "node",
        change("Pod", "ci", "build-1", {"status": {"message": "pulling"}}, "status"),
        "Allow",
    ),
    # Who may make such pods, where the class says so.
    "the engine's controller": ("tekton", create(pod("ci-locked", "rel-deploy", REL)), "Allow"),
    "anybody else, all as it should be": ("alice", create(pod("ci-locked", "rel-deploy", REL)), "Deny stage-creators"),
    "another controller": ("jobs", create(pod("ci-locked", "rel-deploy", REL)), "Deny stage-creators"),
    "a pod that becomes the stage's by its labels": (
        "alice",
        relabel("ci-locked", "lost-1", REL),
        "Deny stage-creators",
    ),
    "…by the engine's controller": ("tekton", relabel("ci-locked", "lost-1", REL), "Allow"),
    "anybody's own pod there": ("alice", create(pod("ci-locked", "other")), "Allow"),
    "where no class names controllers": ("bot", create(pod("ci", "shop-build", BUILD)), "Allow"),
    # Ways around the fence.
    "the node's network": ("alice", bypass(hostNetwork=True), "Deny stage-bypass"),
    "the node's processes": ("alice", bypass(hostPID=True), "Deny stage-bypass"),
    "the node's IPC": ("alice", bypass(hostIPC=True), "Deny stage-bypass"),
    "the node's files": (
        "alice",
        bypass(volumes=[{"name": "h", "hostPath": {"path": "/var/run"}}]),
        "Deny stage-bypass",
    ),
    "a privileged container": ("alice", bypass(container=ctx(privileged=True)), "Deny stage-bypass"),
    "a privileged container beside": (
        "alice",
        bypass(more=[{"name": "b", "image": "registry.example.com/b", **ctx(privileged=True)}]),
        "Deny stage-bypass",
    ),
    "a privileged init container": (
        "alice",
        bypass(initContainers=[{"name": "i", "image": "registry.example.com/i", **ctx(privileged=True)}]),
        "Deny stage-bypass",
    ),
    "NET_ADMIN": ("alice", bypass(container=ctx(**caps("NET_ADMIN"))), "Deny stage-bypass"),
    "NET_RAW": ("alice", bypass(container=ctx(**caps("NET_RAW"))), "Deny stage-bypass"),
    "NET_ADMIN by its long name": ("alice", bypass(container=ctx(**caps("CAP_NET_ADMIN"))), "Deny stage-bypass"),
    "every capability": ("alice", bypass(container=ctx(**caps("ALL"))), "Deny stage-bypass"),
    "a harmless capability": ("alice", bypass(container=ctx(**caps("CHOWN"))), "Allow"),
    "uid 1337": ("alice", bypass(container=ctx(runAsUser=1337)), "Deny stage-bypass"),
    "uid 1337 for the pod": ("alice", bypass(securityContext={"runAsUser": 1337}), "Deny stage-bypass"),
    "gid 1337": ("alice", bypass(container=ctx(runAsGroup=1337)), "Deny stage-bypass"),
    "any other uid": ("alice", bypass(container=ctx(runAsUser=1000)), "Allow"),
    "an image builder that the class exempts": (
        "alice",
        create(pod("ci", "shop-image", IMAGE, container=ctx(privileged=True))),
        "Allow",
    ),
    "…that wants more than that": (
        "alice",
        create(pod("ci", "shop-image", IMAGE, container=ctx(privileged=True), hostNetwork=True)),
        "Deny stage-bypass",
    ),
    "a privileged pod that is nobody's": (
        "alice",
        create(pod("ci", "other", {"app": "web"}, container=ctx(privileged=True), hostNetwork=True)),
        "Allow",
    ),
    "opting out where there is no mesh": (
        "alice",
        bypass(annotations={"sidecar.istio.io/inject": "false"}),
        "Allow",
    ),
    "opting out of the mesh by annotation": (
        "alice",
        bypass("ci-mesh", annotations={"sidecar.istio.io/inject": "false"}),
        "Deny stage-bypass",
    ),
    "opting out of the mesh by label": (
        "alice",
        bypass("ci-mesh", marks=BUILD | {"sidecar.istio.io/inject": "false"}),
        "Deny stage-bypass",
    ),
    "ports that pass by the sidecar": (
        "alice",
        bypass("ci-mesh", annotations={"traffic.sidecar.istio.io/excludeOutboundPorts": "443"}),
        "Deny stage-bypass",
    ),
    "ports that pass by the sidecar, inbound": (
        "alice",
        bypass("ci-mesh", annotations={"traffic.sidecar.istio.io/excludeInboundPorts": "15020,8080"}),
        "Deny stage-bypass",
    ),
    "a sidecar that captures nothing": (
        "alice",
        bypass("ci-mesh", annotations={"sidecar.istio.io/interceptionMode": "NONE"}),
        "Deny stage-bypass",
    ),
    "a sidecar of one's own making": (
        "alice",
        bypass("ci-mesh", annotations={"proxy.istio.io/config": '{"interceptionMode": "NONE"}'}),
        "Deny stage-bypass",
    ),
    "a sidecar of one's own making, with something harmless": (
        "alice",
        bypass(
            "ci-mesh",
            annotations={
                "proxy.istio.io/config": '{"interceptionMode": "NONE", "holdApplicationUntilProxyStarts": true}'
            },
        ),
        "Deny stage-bypass",
    ),
    "waiting for the sidecar": (
        "alice",
        bypass("ci-mesh", annotations={"proxy.istio.io/config": '{"holdApplicationUntilProxyStarts": true}'}),
        "Allow",
    ),
    "what an injector adds": (
        "alice",
        bypass(
            "ci-mesh",
            marks=BUILD | {"security.istio.io/tlsMode": "istio", "sidecar.istio.io/inject": "true"},
            annotations={
                "traffic.sidecar.istio.io/excludeInboundPorts": "15020",
                "traffic.sidecar.istio.io/includeOutboundIPRanges": "*",
                "traffic.sidecar.istio.io/excludeOutboundIPRanges": "",
                "sidecar.istio.io/interceptionMode": "REDIRECT",
            },
            initContainers=[sidecar("istio-init", runAsUser=0, **caps("NET_ADMIN", "NET_RAW"))],
            more=[sidecar("istio-proxy", runAsUser=1337, runAsGroup=1337)],
        ),
        "Allow",
    ),
    "a shell that is called like an injector's": (
        "alice",
        bypass("ci-mesh", initContainers=[sidecar("istio-init", command=True, **caps("NET_ADMIN"))]),
        "Deny stage-bypass",
    ),
    "an injector's container with every capability": (
        "alice",
        bypass("ci-mesh", initContainers=[sidecar("istio-init", **caps("SYS_ADMIN"))]),
        "Deny stage-bypass",
    ),
    "an injector's container where there is no mesh": (
        "alice",
        bypass(initContainers=[sidecar("istio-init", **caps("NET_ADMIN"))]),
        "Deny stage-bypass",
    ),
}


@pytest.mark.parametrize(("who", "request_", "verdict"), ATTEMPTS.values(), ids=ATTEMPTS.keys())
def test_verdict(guarded: Scene, who: str, request_: Request, verdict: str):
    answer = guarded.tries(who, request_)

    assert answer.verdict == verdict, answer


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("istio.io/dataplane-mode", "none"),
        ("istio.io/use-waypoint", "none"),
        ("security.istio.io/tlsMode", "disabled"),
        ("linkerd.io/inject", "disabled"),
    ],
)
def test_a_label_that_leads_out_of_the_mesh(guarded: Scene, key: str, value: str):
    answer = guarded.tries("alice", bypass("ci-mesh", marks=BUILD | {key: value}))

    assert answer.verdict == "Deny stage-bypass", answer


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("linkerd.io/inject", "disabled"),
        ("config.linkerd.io/skip-outbound-ports", "443"),
        ("config.linkerd.io/skip-inbound-ports", "8080"),
        ("config.linkerd.io/skip-subnets", "192.0.2.0/24"),
        ("config.linkerd.io/default-inbound-policy", "all-unauthenticated"),
        ("sidecar.istio.io/bootstrapOverride", "mine"),
        ("sidecar.istio.io/proxyImage", "registry.example.com/mine"),
        ("proxy.istio.io/overrides", "{}"),
        ("inject.istio.io/templates", "mine"),
        ("ambient.istio.io/bypass-inbound-capture", "true"),
        ("traffic.sidecar.istio.io/excludeOutboundIPRanges", "192.0.2.0/24"),
        ("traffic.sidecar.istio.io/includeOutboundIPRanges", "192.0.2.0/24"),
        ("traffic.sidecar.istio.io/includeInboundPorts", "8080"),
        ("traffic.sidecar.istio.io/excludeInterfaces", "eth1"),
    ],
)
def test_an_annotation_that_leads_out_of_the_mesh(guarded: Scene, key: str, value: str):
    answer = guarded.tries("alice", bypass("ci-mesh", annotations={key: value}))

    assert answer.verdict == "Deny stage-bypass", answer
