"""Rights of stages in a living cluster: given where class and chart list the role, and gone with the class's word."""

import asyncio
import json

import pytest

from lab.controlplane import ControlPlane
from tests.cluster.operator import ACCOUNT, NAMESPACE, VERSION, condition, segment, segment_class, settled, stage

BINDING = ("rbac.authorization.k8s.io/v1", "RoleBinding")
LABEL = "lab.example.com/bound"
ROLE = {"kind": "ClusterRole", "name": "lab-releaser"}


@pytest.fixture(scope="module")
def bindable(installed: ControlPlane) -> None:
    """A role with rights that the operator lacks, and `bind` on it, as `rbac.roleRefs` of the chart gives it."""
    group = "rbac.authorization.k8s.io"
    may_bind = {"apiGroups": [group], "resources": ["clusterroles"], "resourceNames": [ROLE["name"]], "verbs": ["bind"]}
    rights = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "update"]}
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    items = [
        {"kind": "ClusterRole", "metadata": {"name": ROLE["name"]}, "rules": [rights]},
        {"kind": "ClusterRole", "metadata": {"name": "lab-may-bind"}, "rules": [may_bind]},
        {
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "lab-may-bind"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "lab-may-bind"},
            "subjects": [subject],
        },
    ]
    listed = {"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": f"{group}/v1", **item} for item in items]}
    installed.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(listed))


async def test_a_role_is_bound_and_taken_away_with_the_classs_word(operator, bindable, plain, namespaces, api):
    namespace = await namespaces("ci", labels={LABEL: "yes"})
    # Above the class of the other tests, should one of them govern every namespace.
    listing = segment_class("lab-bound", LABEL, priority=5, mesh={"provider": "None"}, guardrails={"roleRefs": [ROLE]})
    await api.apply(listing)
    account = {"name": "deployer", "roleRefs": [ROLE]}
    await api.apply(segment("shop", namespace, stage("deploy", serviceAccount=account)))
    await settled(api, "shop", namespace)
    (binding,) = await api.objects(*BINDING, namespace)
    assert binding["roleRef"]["name"] == ROLE["name"]
    await authorized(api, namespace, "update", expected=True)

    await api.apply(segment_class("lab-bound", LABEL, priority=5, mesh={"provider": "None"}))
    await api.wait_gone(*BINDING, binding["metadata"]["name"], namespace)
    await authorized(api, namespace, "update", expected=False)
    refused = await api.wait(
        VERSION, "PipelineSegment", "shop", namespace, until=lambda o: condition(o, "Ready").get("reason") == "Invalid"
    )
    assert "roleRefs[0]" in condition(refused, "Ready")["message"]
    assert operator.alive
    await api.delete(VERSION, "SegmentClass", "lab-bound")


async def authorized(api, namespace: str, verb: str, *, expected: bool) -> None:
    """Wait until the API server judges so: its authorizer follows bindings by a watch of its own, and tells nobody."""
    async with asyncio.timeout(30):
        while await may(api, namespace, verb) is not expected:  # noqa: ASYNC110 - no event says it
            await asyncio.sleep(0.1)


async def may(api, namespace: str, verb: str) -> bool:
    """Whether the API server lets the stage's account do something."""
    attributes = {"namespace": namespace, "verb": verb, "resource": "configmaps"}
    user = f"system:serviceaccount:{namespace}:deployer"
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "metadata": {},
        "spec": {"user": user, "resourceAttributes": attributes},
    }
    answer = await api.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])
