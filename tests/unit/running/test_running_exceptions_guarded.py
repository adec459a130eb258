"""Approvals are believed while the admission policies cover everybody: what is left out of them is told."""

import copy

import pytest

from tests.unit.emergencies import approval, guards
from tests.unit.running.test_running_exceptions import GOVERNING, HOTFIX, SHOP, leading, opened, ready
from tests.unit.running.twin import seeded, surroundings

POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
RULE = {"apiGroups": ["pipesegment.dev"], "apiVersions": ["*"], "operations": ["*"], "resources": ["segmentapprovals"]}
CLASSES = "the paramRef of its binding does not name every SegmentClass, or lets through what finds none"


def rules(**over):
    return {"matchConstraints": {"resourceRules": [{**RULE, **over}]}}


@pytest.mark.parametrize(
    ("kind", "changed", "why"),
    [
        (POLICY, {"matchConditions": [{"name": "x", "expression": "false"}]}, "its matchConditions leave requests out"),
        (POLICY, rules(apiVersions=["v1"]), "it does not look at everything that is made, of every version"),
        (POLICY, rules(scope="Cluster"), "it does not look at everything that is made, of every version"),
        (POLICY, rules(resourceNames=["x"]), "it does not look at everything that is made, of every version"),
        (POLICY, {"validations": []}, "it has no validations"),
        (POLICY, {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}, "its paramKind is not SegmentClass"),
        (POLICY, {"failurePolicy": "Ignore"}, "its failurePolicy is not Fail"),
        (
            POLICY,
            {"matchConstraints": {"resourceRules": [RULE], "objectSelector": {"matchLabels": {"a": "b"}}}},
            "its objectSelector leaves objects out",
        ),
        (
            BINDING,
            {"matchResources": {"namespaceSelector": {"matchLabels": {"a": "b"}}}},
            "the matchResources of its binding leave objects out",
        ),
        (BINDING, {"paramRef": None}, CLASSES),
        (BINDING, {"paramRef": {"name": "lax", "parameterNotFoundAction": "Deny"}}, CLASSES),
        (BINDING, {"paramRef": {"selector": {}, "parameterNotFoundAction": "Allow"}}, CLASSES),
        (BINDING, {"paramRef": {"selector": {"matchLabels": {"a": "b"}}, "parameterNotFoundAction": "Deny"}}, CLASSES),
        (
            BINDING,
            {"validationActions": ["Warn"]},
            "the validationActions of its binding do not deny",
        ),
    ],
)
async def test_what_a_policy_leaves_out_nobody_is_held_to(kind, changed, why):
    loose = copy.deepcopy(guards())
    for obj in loose:
        if (obj["kind"], obj["metadata"]["name"]) == (kind, "pipesegment-segmentapprovals"):
            obj["spec"] |= changed
    cluster = seeded([*surroundings(), GOVERNING, SHOP, *loose, HOTFIX, approval(HOTFIX)])
    async with leading(cluster):
        assert opened(cluster) == {"192.0.2.0/24"}
        _, reason, told = ready(cluster, HOTFIX)
        assert reason == "Unguarded"
        assert told.endswith(f"policies are not in force here: pipesegment-segmentapprovals ({why})")
