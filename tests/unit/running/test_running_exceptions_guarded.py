"""Approvals are believed while the admission policies cover everybody: what is left out of them is told."""

import copy

import pytest

from pipesegment.facts.guards import SHIPPED
from pipesegment.facts.parse import snapshot
from tests.unit.emergencies import approval, guards
from tests.unit.running.test_running_exceptions import GOVERNING, HOTFIX, SHOP, leading, opened, ready
from tests.unit.running.twin import seeded, surroundings

POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
CLASSES = "the paramRef of its binding does not name every SegmentClass, or lets through what finds none"
SHIPS = "of the chart of this version"


def rules(**over):
    (rule,) = SHIPPED["segmentapprovals"]["matchConstraints"]["resourceRules"]
    return {"matchConstraints": {"resourceRules": [{**rule, **over}]}}


def validations(number, **over):
    given = copy.deepcopy(SHIPPED["segmentapprovals"]["validations"])
    given[number] |= over
    return {"validations": given}


def without(number):
    return {"validations": [v for n, v in enumerate(SHIPPED["segmentapprovals"]["validations"]) if n != number]}


NARROW = {**rules()["matchConstraints"], "objectSelector": {"matchLabels": {"a": "b"}}}
ELSEWHERE = {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["ci"]}]}


@pytest.mark.parametrize(
    ("kind", "changed", "why"),
    [
        (POLICY, {"validations": [{"expression": "true"}]}, f"its spec.validations[0].expression is not that {SHIPS}"),
        (POLICY, validations(3, expression="true"), f"its spec.validations[3].expression is not that {SHIPS}"),
        (POLICY, validations(1, message="no"), f"its spec.validations[1].message is not that {SHIPS}"),
        (POLICY, without(3), f"its spec.validations are 3, and 4 in {SHIPS[3:]}"),
        (POLICY, {"validations": []}, f"it lacks the spec.validations that {SHIPS[3:]} has"),
        (POLICY, {"variables": []}, f"it lacks the spec.variables that {SHIPS[3:]} has"),
        (
            POLICY,
            {"matchConditions": [{"name": "x", "expression": "false"}]},
            f"{SHIPS[3:]} has no spec.matchConditions",
        ),
        (
            POLICY,
            rules(apiVersions=["v1"]),
            f"its spec.matchConstraints.resourceRules[0].apiVersions[0] is not that {SHIPS}",
        ),
        (POLICY, rules(scope="Cluster"), f"its spec.matchConstraints.resourceRules[0].scope is not that {SHIPS}"),
        (
            POLICY,
            rules(resourceNames=["x"]),
            f"{SHIPS[3:]} has no spec.matchConstraints.resourceRules[0].resourceNames",
        ),
        (
            POLICY,
            {"matchConstraints": rules()["matchConstraints"] | {"matchPolicy": "Exact"}},
            f"its spec.matchConstraints.matchPolicy is not that {SHIPS}",
        ),
        (
            POLICY,
            {"matchConstraints": rules()["matchConstraints"] | {"namespaceSelector": ELSEWHERE}},
            f"{SHIPS[3:]} has no spec.matchConstraints.namespaceSelector",
        ),
        (POLICY, {"matchConstraints": NARROW}, f"{SHIPS[3:]} has no spec.matchConstraints.objectSelector"),
        (
            POLICY,
            {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}},
            f"its spec.paramKind.apiVersion is not that {SHIPS}",
        ),
        (POLICY, {"failurePolicy": "Ignore"}, f"its spec.failurePolicy is not that {SHIPS}"),
        (
            BINDING,
            {"matchResources": {"namespaceSelector": {"matchLabels": {"a": "b"}}}},
            "the matchResources of its binding leave objects out",
        ),
        (
            BINDING,
            {"matchResources": {"objectSelector": {"matchLabels": {"a": "b"}}}},
            "the matchResources of its binding leave objects out",
        ),
        (BINDING, {"matchResources": {"matchPolicy": "Exact"}}, "the matchResources of its binding leave objects out"),
        (BINDING, {"paramRef": None}, CLASSES),
        (BINDING, {"paramRef": {"name": "lax", "parameterNotFoundAction": "Deny"}}, CLASSES),
        (BINDING, {"paramRef": {"selector": {}, "parameterNotFoundAction": "Allow"}}, CLASSES),
        (BINDING, {"paramRef": {"selector": {"matchLabels": {"a": "b"}}, "parameterNotFoundAction": "Deny"}}, CLASSES),
        (BINDING, {"validationActions": ["Warn"]}, "the validationActions of its binding do not deny"),
        (BINDING, {"validationActions": ["Audit"]}, "the validationActions of its binding do not deny"),
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


#: What the API server fills in (`kubectl get -o yaml`), and what it leaves out.
FILLED = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}


@pytest.mark.parametrize("account", ["pipesegment-system:pipesegment", "tools:edge-pipesegment.v2"])
def test_what_the_api_server_fills_in_and_whose_the_account_is_makes_no_difference(account):
    found = guards(prefix="edge", account=f"system:serviceaccount:{account}")
    for obj in found:
        if obj["kind"] == POLICY:
            obj["spec"] |= {"failurePolicy": "Fail", "matchConditions": [], "auditAnnotations": None}
            obj["spec"]["matchConstraints"] |= copy.deepcopy(FILLED) | {"excludeResourceRules": []}
            for rule in obj["spec"]["matchConstraints"]["resourceRules"]:
                rule |= {"scope": "*", "resourceNames": []}
        else:
            obj["spec"]["matchResources"] = copy.deepcopy(FILLED)
        obj["metadata"]["labels"] = {"app.kubernetes.io/name": "pipesegment", "example.com/mine": "yes"}

    assert snapshot(found).guards.missing == ()


@pytest.mark.parametrize(
    "account",
    [
        "system:serviceaccount:ci",
        "admin",
        "system:serviceaccount:a:b' || request.userInfo.username != 'x",
        "system:serviceaccount:a:b', 'system:serviceaccount:ci:default",
        "",
    ],
)
def test_the_status_is_written_by_one_account(account):
    (told,) = snapshot(guards(account=account)).guards.missing

    assert told == f"pipesegment-segmentexceptions (its spec.validations[0].expression is not that {SHIPS})"


def test_a_policy_of_another_name_is_nothing_to_us():
    assert snapshot([*guards(), *(guards(prefix="other")[:1])]).guards.missing == ()
