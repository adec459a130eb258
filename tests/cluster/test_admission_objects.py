"""Running pods, tokens, and what the operator made: what people try, on a real API server; nothing here runs an operator.

A verdict is `Deny <policy>`, `Warn <policy>` or `Allow`. Pods that are made or changed: test_admission_pods.py.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.cluster.admission import Scene
from tests.cluster.attempts import Request, change, connect, create, debug, delete, labels, marked, pod, token
from tests.cluster.operator import NAMESPACE, segment, stage

BUILD = labels("shop", "build")
ARN = {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/mine"}
KOPF = {"kopf.zalando.org/last-handled-configuration": "{}"}
OURS = {"app.kubernetes.io/managed-by": "pipesegment"}


def annotated(obj: dict[str, Any], annotations: Mapping[str, str]) -> dict[str, Any]:
    return obj | {"metadata": {**obj["metadata"], "annotations": annotations}}


def managed(kind: str, version: str, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "attempt", "namespace": "ci", "labels": OURS},
        **more,
    }


RESTRICTED = {
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 1337,
    }
}
SECCOMP = {"seccompProfile": {"type": "RuntimeDefault"}}
POLICY_SPEC = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}
BINDING = {
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
    "subjects": [{"kind": "ServiceAccount", "name": "shop-build", "namespace": "ci"}],
}

#: what is tried -> (who, what, verdict)
ATTEMPTS: dict[str, tuple[str, Request, str]] = {
    # Into running pods.
    "a debugging container in a stage's pod": ("alice", debug("ci", "build-1"), "Deny stage-debugging"),
    "a debugging container in the pod of a preset": ("alice", debug("ci", "lint-1"), "Deny stage-debugging"),
    "a debugging container in a pod that has the account": ("alice", debug("ci", "lost-1"), "Deny stage-debugging"),
    "a debugging container elsewhere": ("alice", debug("ci", "plain-1"), "Allow"),
    "exec where the class locks down": ("alice", connect("ci-locked", "deploy-1", "exec"), "Deny lockdown"),
    "exec by a cluster administrator": ("root", connect("ci-locked", "deploy-1", "exec"), "Deny lockdown"),
    "attach": ("alice", connect("ci-locked", "deploy-1", "attach"), "Deny lockdown"),
    "port-forward": ("alice", connect("ci-locked", "deploy-1", "portforward"), "Deny lockdown"),
    "the API server's proxy": ("alice", connect("ci-locked", "deploy-1", "proxy"), "Deny lockdown"),
    "exec into another pod of that namespace": ("alice", connect("ci-locked", "plain-1", "exec"), "Deny lockdown"),
    "exec by the engine's controller": ("tekton", connect("ci-locked", "deploy-1", "exec"), "Allow"),
    "exec where no class locks down": ("alice", connect("ci", "build-1", "exec"), "Allow"),
    # Tokens.
    "a token of a stage's account": ("alice", token("ci", "shop-build"), "Deny stage-tokens"),
    "a token of an account of another name": ("alice", token("ci", "deployer"), "Deny stage-tokens"),
    "a token for a cluster administrator": ("root", token("ci", "shop-build"), "Deny stage-tokens"),
    "a token for the kubelet": ("node", token("ci", "shop-build"), "Allow"),
    "a token of an account that is no stage's": ("alice", token("ci", "other"), "Allow"),
    "a token of a namesake in another namespace": ("alice", token("quiet", "shop-build"), "Allow"),
    # What the operator made.
    "a stage's policy opened": (
        "alice",
        change("NetworkPolicy", "ci", "shop-build", {"spec": {"egress": [{}]}}),
        "Deny managed-objects",
    ),
    "a stage's policy deleted": ("alice", delete("NetworkPolicy", "ci", "shop-build"), "Deny managed-objects"),
    "a stage's policy disowned": (
        "alice",
        change("NetworkPolicy", "ci", "shop-build", {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}),
        "Deny managed-objects",
    ),
    "a stage unwired by hand": (
        "alice",
        change("NetworkPolicy", "ci", "shop-build", {"metadata": {"labels": {"pipesegment.dev/wired": None}}}),
        "Deny managed-objects",
    ),
    "an exemption by hand": (
        "alice",
        marked("NetworkPolicy", "ci", "shop-build", {"pipesegment.dev/exempt": "Privileged"}),
        "Deny managed-objects",
    ),
    "a stage's policy opened by a cluster administrator": (
        "root",
        change("NetworkPolicy", "ci", "shop-build", {"spec": {"egress": [{}]}}),
        "Deny managed-objects",
    ),
    "a stage's policy deleted by whoever may delete the admission policy": (
        "root",
        delete("NetworkPolicy", "ci", "shop-build"),
        "Allow",
    ),
    "a stage's policy deleted by the garbage collector": (
        "collector",
        delete("NetworkPolicy", "ci", "shop-build"),
        "Allow",
    ),
    "a stage's policy deleted by another controller of the control plane": (
        "jobs",
        delete("NetworkPolicy", "ci", "shop-build"),
        "Allow",
    ),
    "a stage's policy written by the operator": (
        "operator",
        change("NetworkPolicy", "ci", "shop-build", {"spec": {"egress": []}}),
        "Allow",
    ),
    "a policy that poses as ours": (
        "alice",
        create(managed("NetworkPolicy", "networking.k8s.io/v1", spec=POLICY_SPEC)),
        "Deny managed-objects",
    ),
    "a binding that poses as ours": (
        "alice",
        create(managed("RoleBinding", "rbac.authorization.k8s.io/v1", **BINDING)),
        "Deny managed-objects",
    ),
    "somebody's own policy": (
        "alice",
        change("NetworkPolicy", "ci", "somebodys", {"spec": {"ingress": []}}),
        "Allow",
    ),
    "a role put on a stage's account": (
        "alice",
        marked("ServiceAccount", "ci", "shop-build", ARN),
        "Deny managed-objects",
    ),
    "a stage's account that mounts its token": (
        "alice",
        change("ServiceAccount", "ci", "shop-build", {"automountServiceAccountToken": True}),
        "Deny managed-objects",
    ),
    "a stage's account deleted": ("alice", delete("ServiceAccount", "ci", "shop-build"), "Deny managed-objects"),
    "a mark of another controller on a stage's account": (
        "alice",
        marked("ServiceAccount", "ci", "shop-build", {"example.com/seen": "yes"}),
        "Allow",
    ),
    "a pull secret for a stage's account": (
        "alice",
        change("ServiceAccount", "ci", "shop-build", {"imagePullSecrets": [{"name": "pull"}]}),
        "Allow",
    ),
    "a role put on an account that a stage only uses": (
        "alice",
        marked("ServiceAccount", "ci", "used", ARN),
        "Deny account-roles",
    ),
    "that account by its owner, its role left alone": (
        "alice",
        marked("ServiceAccount", "ci", "used", {"example.com/seen": "yes"}),
        "Allow",
    ),
    "a role put on an account that is no stage's": (
        "alice",
        marked("ServiceAccount", "ci", "other", ARN),
        "Allow",
    ),
    # Declarations.
    "a segment with a forged annotation": (
        "alice",
        create(annotated(segment("forged", "quiet", stage("build")), KOPF)),
        "Deny declarations",
    ),
    "a segment": ("alice", create(segment("fine", "quiet", stage("build"))), "Allow"),
    "a forged annotation put on a segment": (
        "alice",
        marked("PipelineSegment", "quiet", "late", KOPF),
        "Deny declarations",
    ),
    "another annotation on a segment": (
        "alice",
        marked("PipelineSegment", "quiet", "late", {"a": "b"}),
        "Allow",
    ),
    "a segment deleted": ("alice", delete("PipelineSegment", "quiet", "late"), "Allow"),
    # Nobody is locked out.
    "deleting a stage's pod": ("alice", delete("Pod", "ci", "build-1"), "Allow"),
    "deleting a stray pod": ("alice", delete("Pod", "ci", "stray-1"), "Allow"),
    "deleting a namespace with stages": ("alice", delete("Namespace", "", "ci-locked"), "Allow"),
    "a pod of a namespace without stages": ("alice", create(pod("quiet", "bot", BUILD)), "Allow"),
    "a namesake of a stage's account elsewhere": ("alice", create(pod("quiet", "shop-build")), "Allow"),
    "a pod in kube-system": ("jobs", create(pod("kube-system", "job-controller", BUILD, hostNetwork=True)), "Allow"),
    "a pod of the operator": (
        "alice",
        create(pod(NAMESPACE, "pipesegment", BUILD, container=RESTRICTED, securityContext=SECCOMP)),
        "Allow",
    ),
    "taking a policy away": (
        "root",
        delete("ValidatingAdmissionPolicyBinding", "", "pipesegment-stage-pods-wired"),
        "Allow",
    ),
}


@pytest.mark.parametrize(("who", "request_", "verdict"), ATTEMPTS.values(), ids=ATTEMPTS.keys())
def test_verdict(guarded: Scene, who: str, request_: Request, verdict: str):
    answer = guarded.tries(who, request_)

    assert answer.verdict == verdict, answer
