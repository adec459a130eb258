"""Roles as custom resources: what people and controllers try with what the operator wrote; nothing here runs an operator."""

from typing import Any

import pytest

from tests.cluster.admission import Scene
from tests.cluster.attempts import Request, change, create, delete
from tests.cluster.controlled import (
    ACK_ASSOCIATION,
    ACK_ROLE,
    ASSOCIATION,
    ATTACHMENT,
    EVERYTHING,
    MADE,
    NAME,
    POLICY,
    READ,
    ROLE,
    SYNCED,
    TRUST,
    wish,
)

DENIED = "Deny managed-objects"


def changed(kind: str, patch: dict[str, Any], subresource: str = "") -> Request:
    return change(kind, MADE[kind]["metadata"].get("namespace", ""), NAME, patch, subresource)


def spec(kind: str, **fields: Any) -> Request:
    return changed(kind, {"spec": fields if ".services." in kind else {"forProvider": fields}})


def gone(kind: str) -> Request:
    return delete(kind, MADE[kind]["metadata"].get("namespace", ""), NAME)


DISOWNED = {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}
ELSEWHERE = {"metadata": {"annotations": {"pipesegment.dev/arn": "arn:aws:iam::444455556666:role/mine"}}}
FINALIZER = {"metadata": {"finalizers": ["finalizers.iam.services.k8s.aws/Role"]}}
EXTERNAL = {"metadata": {"annotations": {"crossplane.io/external-name": "a-0123456789abcdef"}}}
ADOPTED = {"metadata": {"annotations": {"services.k8s.aws/adoption-policy": "adopt"}}}
MORE = {"more": EVERYTHING}
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"

#: what is tried -> (who, what, verdict)
ATTEMPTS: dict[str, tuple[str, Request, str]] = {
    # Rights that somebody takes.
    "a right added to an ACK role": ("alice", spec(ACK_ROLE, inlinePolicies=MORE), DENIED),
    "a right added by a cluster administrator": ("root", spec(ACK_ROLE, inlinePolicies=MORE), DENIED),
    "a managed policy added to an ACK role": ("alice", spec(ACK_ROLE, policies=[ADMIN]), DENIED),
    "whom an ACK role trusts": ("alice", spec(ACK_ROLE, assumeRolePolicyDocument=EVERYTHING), DENIED),
    "the boundary of an ACK role": ("alice", spec(ACK_ROLE, permissionsBoundary=None), DENIED),
    "an ACK association with another role": ("alice", spec(ACK_ASSOCIATION, roleARN=ADMIN), DENIED),
    "an ACK association for another account": ("alice", spec(ACK_ASSOCIATION, serviceAccount="mine"), DENIED),
    "the rights of a Crossplane role": ("alice", spec(POLICY, policy=EVERYTHING), DENIED),
    "a managed policy of a Crossplane role": ("alice", spec(ATTACHMENT, policyArn=ADMIN), DENIED),
    "whom a Crossplane role trusts": ("alice", spec(ROLE, assumeRolePolicy=EVERYTHING), DENIED),
    "the boundary of a Crossplane role": ("root", spec(ROLE, permissionsBoundary=None), DENIED),
    "a Crossplane association with another role": ("alice", spec(ASSOCIATION, roleArn=ADMIN), DENIED),
    "a role left in AWS": ("alice", changed(ROLE, {"spec": {"deletionPolicy": "Orphan"}}), DENIED),
    "a role that is not looked after": ("alice", changed(ROLE, {"spec": {"managementPolicies": ["Observe"]}}), DENIED),
    # Whose it is.
    "an ACK role disowned": ("alice", changed(ACK_ROLE, DISOWNED), DENIED),
    "a Crossplane role disowned": ("alice", changed(ROLE, DISOWNED), DENIED),
    "an ACK role said to be another": ("alice", changed(ACK_ROLE, ELSEWHERE), DENIED),
    "a Crossplane role given to another one in AWS": ("alice", changed(ROLE, EXTERNAL), DENIED),
    "an ACK role that adopts": ("alice", changed(ACK_ROLE, ADOPTED), DENIED),
    "an ACK role that poses as ours": (
        "alice",
        create(wish(ACK_ROLE, {"name": "x", "assumeRolePolicyDocument": TRUST}, name="x")),
        DENIED,
    ),
    "a Crossplane policy that poses as ours": (
        "alice",
        create(wish(POLICY, {"policy": EVERYTHING, "role": NAME}, name="x")),
        DENIED,
    ),
    "an ACK role of somebody else": (
        "alice",
        create(wish(ACK_ROLE, {"name": "x", "assumeRolePolicyDocument": TRUST}, name="x", labels={})),
        "Allow",
    ),
    "a Crossplane role of somebody else": (
        "alice",
        create(wish(ROLE, {"assumeRolePolicy": TRUST}, name="x", labels={})),
        "Allow",
    ),
    # What is said of it.
    "the status of an ACK role": ("alice", changed(ACK_ROLE, SYNCED, "status"), DENIED),
    "the status of a Crossplane role": ("root", changed(ROLE, SYNCED, "status"), DENIED),
    "the status of an association": ("alice", changed(ASSOCIATION, SYNCED, "status"), DENIED),
    # That it goes.
    "an ACK role deleted": ("alice", gone(ACK_ROLE), DENIED),
    "a Crossplane policy deleted": ("alice", gone(POLICY), DENIED),
    "an association deleted by a namespace's account": ("bot", gone(ACK_ASSOCIATION), DENIED),
    "a role deleted by whoever may delete the admission policy": ("root", gone(ROLE), "Allow"),
    "an ACK role deleted with its namespace": ("namespaces", gone(ACK_ROLE), "Allow"),
    # The operator.
    "rights written by the operator": ("operator", spec(ACK_ROLE, inlinePolicies={"pipesegment": EVERYTHING}), "Allow"),
    "a role made by the operator": ("operator", create(wish(ROLE, {"assumeRolePolicy": TRUST}, name="x")), "Allow"),
    "a role deleted by the operator": ("operator", gone(ATTACHMENT), "Allow"),
    # The controllers.
    "its controller tells of an ACK role": ("ack", changed(ACK_ROLE, SYNCED, "status"), "Allow"),
    "the other one of an association": ("ack-eks", changed(ACK_ASSOCIATION, SYNCED, "status"), "Allow"),
    "Crossplane tells of a role": ("crossplane", changed(ROLE, SYNCED, "status"), "Allow"),
    "Crossplane tells of an association": ("crossplane", changed(ASSOCIATION, SYNCED, "status"), "Allow"),
    "its controller puts a finalizer on": ("ack", changed(ACK_ROLE, FINALIZER), "Allow"),
    "its controller fills in a path": ("ack", spec(ACK_ROLE, path="/", maxSessionDuration=3600), "Allow"),
    "its controller writes the trust as AWS has it": (
        "ack",
        spec(ACK_ROLE, assumeRolePolicyDocument=TRUST.replace(":", ": ")),
        "Allow",
    ),
    "Crossplane notes the name in AWS": ("crossplane", changed(ASSOCIATION, EXTERNAL), "Allow"),
    "Crossplane fills in a path": ("crossplane", spec(ROLE, path="/"), "Allow"),
    "its controller adds a right": ("ack", spec(ACK_ROLE, inlinePolicies=MORE), DENIED),
    "its controller adds a managed policy": ("ack", spec(ACK_ROLE, policies=[ADMIN]), DENIED),
    "its controller takes the boundary off": ("ack", spec(ACK_ROLE, permissionsBoundary=None), DENIED),
    "Crossplane changes the rights": ("crossplane", spec(POLICY, policy=EVERYTHING), DENIED),
    "Crossplane leaves nothing of them": ("crossplane", spec(POLICY, policy=None), DENIED),
    "its controller disowns a role": ("ack", changed(ACK_ROLE, DISOWNED), DENIED),
    "its controller says that it is another": ("ack", changed(ACK_ROLE, ELSEWHERE), DENIED),
    "Crossplane disowns a role": ("crossplane", changed(ROLE, DISOWNED), DENIED),
    "its controller makes one that poses as ours": (
        "ack",
        create(wish(ACK_ROLE, {"name": "x", "assumeRolePolicyDocument": TRUST}, name="x")),
        DENIED,
    ),
    "its controller deletes a role": ("ack", gone(ACK_ROLE), DENIED),
    "Crossplane at an ACK role": ("crossplane", changed(ACK_ROLE, SYNCED, "status"), DENIED),
    "an ACK controller at a Crossplane role": ("ack", changed(ROLE, SYNCED, "status"), DENIED),
    "another account of the controller's namespace": ("another", changed(ACK_ROLE, SYNCED, "status"), DENIED),
    "a controller at a stage's policy": (
        "ack",
        change("NetworkPolicy", "ci", "shop-build", {"spec": {"egress": [{}]}}),
        DENIED,
    ),
}


@pytest.mark.parametrize(("who", "request_", "verdict"), ATTEMPTS.values(), ids=ATTEMPTS.keys())
def test_verdict(guarded: Scene, who: str, request_: Request, verdict: str):
    answer = guarded.tries(who, request_)

    assert answer.verdict == verdict, answer


def test_a_controller_that_nobody_named_is_told_where_it_belongs(guarded: Scene):
    answer = guarded.tries("another", changed(ACK_ROLE, SYNCED, "status"))

    assert "belongs into the value admission.controllers of the chart" in answer.message
    assert "admission.controllers" not in guarded.tries("alice", delete("NetworkPolicy", "ci", "shop-build")).message


def test_what_a_controller_read_is_what_stands(guarded: Scene):
    """Nothing that was tried has left anything behind."""
    assert READ in guarded.plane.kubectl("get", "roles.iam.services.k8s.aws", NAME, "-n", "ci", "-o", "yaml")
