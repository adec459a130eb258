"""The admission policies of the chart: that they fail closed, lock nobody out, and follow the values."""

import re
from typing import Any

import pytest

from charts import render as charts_render
from lab import yaml
from pipesegment import names
from pipesegment.facts.parse import snapshot
from pipesegment.world.kinds import CONTROLLED
from tests.packaging.test_chart_values import CHART, SCHEMA

POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
#: binding -> (the value that says what it does, what it does by default)
ACTIONS = {
    "stage-pods-wired": ("stagePods", "Deny"),
    "stage-pods-unwired": ("unwiredStagePods", "Warn"),
    "stage-creators": ("stageCreators", "Deny"),
    "stage-bypass": ("bypass", "Deny"),
    "stage-debugging": ("ephemeralContainers", "Deny"),
    "lockdown": ("lockdown", "Deny"),
    "exclusive": ("exclusive", "Deny"),
    "stage-tokens": ("tokens", "Deny"),
    "pod-status": ("podStatus", "Deny"),
    "managed-objects": ("managedObjects", "Deny"),
    "account-roles": ("accountRoles", "Deny"),
    "declarations": ("declarations", "Deny"),
    "guardrails": ("guardrails", "Deny"),
    "sealed-segments": ("sealedSegments", "Deny"),
    "segmentexceptions": ("segmentExceptions", "Deny"),
    "segmentapprovals": ("segmentApprovals", "Deny"),
}
SELECTED = {
    "stage-pods-wired": {names.WIRED_LABEL: "true"},
    "lockdown": {names.LOCKDOWN_LABEL: "true"},
    "exclusive": {names.EXCLUSIVE_LABEL: "true"},
    "sealed-segments": {names.SEALED_LABEL: "true"},
    "stage-creators": {names.CONTROLLERS_LABEL: "named"},
}
SPARED = {"kube-system", "kube-public", "kube-node-lease", "pipesegment-system"}
#: They hold people to who they are, and the operator believes what they let pass: nobody and no namespace is exempt.
SPARING_NOBODY = {"segmentexceptions", "segmentapprovals"}
CLUSTERWIDE = {"declarations"} | SPARING_NOBODY


def by_name(objects: list[dict[str, Any]], kind: str, release: str = "pipesegment") -> dict[str, dict[str, Any]]:
    prefix = f"{release}-"
    return {obj["metadata"]["name"].removeprefix(prefix): obj["spec"] for obj in objects if obj["kind"] == kind}


def controllers(objects: list[dict[str, Any]]) -> str:
    """Give the expression that says which controllers may write which roles."""
    variables = by_name(objects, POLICY)["managed-objects"]["variables"]
    (found,) = (variable["expression"] for variable in variables if variable["name"] == "controllers")
    return found


def test_every_policy_is_bound_and_every_binding_has_a_policy(install):
    policies, bindings = by_name(install, POLICY), by_name(install, BINDING)

    assert set(bindings) == set(ACTIONS)
    assert {binding["policyName"].removeprefix("pipesegment-") for binding in bindings.values()} == set(policies)


def test_every_policy_fails_closed(install):
    assert {name: spec["failurePolicy"] for name, spec in by_name(install, POLICY).items()} == dict.fromkeys(
        by_name(install, POLICY), "Fail"
    )


def test_no_policy_waits_for_a_kind_that_may_be_missing(install):
    """A policy whose parameter's kind is not served refuses everything: NetworkPolicies are always served."""
    policies = by_name(install, POLICY)
    # Without a class nobody may approve; nothing but the making of approvals waits for it.
    assert policies["segmentapprovals"]["paramKind"]["kind"] == names.CLASS
    assert [r["operations"] for r in policies["segmentapprovals"]["matchConstraints"]["resourceRules"]] == [["CREATE"]]
    # Nor does anything but the writing of segments wait for one.
    assert policies["guardrails"]["paramKind"]["kind"] == names.CLASS
    (rule,) = policies["guardrails"]["matchConstraints"]["resourceRules"]
    assert (rule["resources"], rule["operations"]) == (["pipelinesegments"], ["CREATE", "UPDATE"])
    others = (spec for name, spec in policies.items() if name not in {"segmentapprovals", "guardrails"})
    kinds = [spec["paramKind"] for spec in others if "paramKind" in spec]

    assert kinds == [{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}] * len(kinds) != []


def test_a_namespace_without_stages_is_left_alone(install):
    """Where no policy gives pods a reach there is nothing to borrow; what poses as one the operator alone can write."""
    for name, binding in by_name(install, BINDING).items():
        if name == "segmentapprovals":
            assert binding["paramRef"] == {"parameterNotFoundAction": "Deny", "selector": {}}
            continue
        if name == "guardrails":
            assert binding["paramRef"] == {"parameterNotFoundAction": "Allow", "selector": {}}
            continue
        if "paramRef" not in binding:
            assert "paramKind" not in by_name(install, POLICY)[name]
            continue
        reference = binding["paramRef"]
        expressions = {(e["key"], e["operator"]) for e in reference["selector"]["matchExpressions"]}
        assert reference["parameterNotFoundAction"] == "Allow"
        # No namespace: the parameters are those of the request's own.
        assert "namespace" not in reference
        assert reference["selector"]["matchLabels"] == {names.MANAGED_BY_LABEL: names.MANAGED_BY} | SELECTED.get(
            name, {}
        )
        assert {
            (names.STAGE_LABEL, "Exists"),
            (names.ORIGIN_LABEL, "DoesNotExist"),
            (names.PART_LABEL, "DoesNotExist"),
        } <= expressions


def test_a_stage_is_wired_or_it_is_not(install):
    unwired = by_name(install, BINDING)["stage-pods-unwired"]["paramRef"]["selector"]

    assert {"key": names.WIRED_LABEL, "operator": "NotIn", "values": ["true"]} in unwired["matchExpressions"]


def test_the_control_plane_and_the_operator_are_never_locked_out(install):
    for name, spec in by_name(install, POLICY).items():
        selector = spec["matchConstraints"].get("namespaceSelector")
        if name in CLUSTERWIDE:
            assert selector is None
            continue
        (expression,) = selector["matchExpressions"]
        assert (expression["key"], expression["operator"]) == (names.NAMESPACE_NAME_LABEL, "NotIn")
        assert set(expression["values"]) == SPARED


def test_deletion_is_looked_at_for_what_the_operator_made_and_for_seals_and_for_nothing_else(install):
    deleting = {
        name
        for name, spec in by_name(install, POLICY).items()
        for rule in spec["matchConstraints"]["resourceRules"]
        if {"DELETE", "*"} & set(rule["operations"])
    }

    assert deleting == {"managed-objects", "segmentexceptions", "sealed-segments"}
    selector = by_name(install, POLICY)["managed-objects"]["matchConstraints"]["objectSelector"]
    assert selector == {"matchLabels": {names.MANAGED_BY_LABEL: names.MANAGED_BY}}


def test_every_kind_that_the_operator_makes_is_guarded(render):
    install = render({"aws": {"enabled": True, "backends": ["ACK", "Crossplane"]}})
    made = {
        (group, resource)
        for obj in install
        if obj["kind"] == "ClusterRole" and obj["metadata"]["name"] == "pipesegment-operator"
        for rule in obj["rules"]
        if "delete" in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    guarded = {
        (group, resource)
        for rule in by_name(install, POLICY)["managed-objects"]["matchConstraints"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }

    assert made <= guarded
    # What other controllers say of an object is believed, so their word is guarded too.
    assert {(kind.group, f"{kind.plural}/status") for found in CONTROLLED.values() for kind in found} <= guarded


@pytest.mark.parametrize("action", ["Deny", "Warn", "Audit"])
@pytest.mark.parametrize(("name", "value"), [(name, value) for name, (value, _) in ACTIONS.items()])
def test_each_action_follows_its_value(render, name, value, action):
    bindings = by_name(render({"admission": {"actions": {value: action}}}), BINDING)
    expected = {other: default for other, (_, default) in ACTIONS.items()} | {name: action}
    if name in SPARING_NOBODY and action != "Deny":
        # The one that denies is as old as its denying: the operator believes nothing that was made before.
        expected[f"{name}-{action.lower()}"] = expected.pop(name)

    assert {other: spec["validationActions"] for other, spec in bindings.items()} == {
        other: list(dict.fromkeys([wanted, "Audit"])) for other, wanted in expected.items()
    }


def test_the_values_name_every_action():
    values = yaml.safe_load((CHART / "values.yaml").read_text())["admission"]["actions"]

    assert values == dict(ACTIONS.values())
    assert set(SCHEMA["properties"]["admission"]["properties"]["actions"]["properties"]) == set(values)


def test_all_of_them_can_be_left_out(render):
    assert not [obj for obj in render({"admission": {"enabled": False}}) if obj["kind"] in {POLICY, BINDING}]


def test_who_is_exempt_is_exempt_from_all_but_being_who_he_is(render):
    exempt = {"users": ["system:serviceaccount:argocd:controller"], "groups": ["break-glass"], "namespaces": ["legacy"]}
    policies = by_name(render({"admission": {"exempt": exempt}}), POLICY)

    for name in SPARING_NOBODY:
        assert "matchConditions" not in policies[name]
        assert "namespaceSelector" not in policies.pop(name)["matchConstraints"]
    for name, spec in policies.items():
        (condition,) = [c["expression"] for c in spec["matchConditions"] if c["name"] == "not-exempt"]
        assert '["system:serviceaccount:argocd:controller"]' in condition
        assert '["break-glass"]' in condition
        if name not in CLUSTERWIDE:
            assert set(spec["matchConstraints"]["namespaceSelector"]["matchExpressions"][0]["values"]) == SPARED | {
                "legacy"
            }


def test_the_operator_is_known_by_the_account_that_it_runs_as(render):
    objects = render({"serviceAccount": {"create": False, "name": "mine"}}, release="edge")
    expressions = [
        c["expression"]
        for spec in by_name(objects, POLICY, "edge-pipesegment").values()
        for c in spec.get("matchConditions", ())
        if c["name"] == "not-the-operator"
    ]

    assert set(expressions) == {"request.userInfo.username != 'system:serviceaccount:pipesegment-system:mine'"}


def test_the_meshs_own_images_can_be_named(render):
    policies = by_name(render({"admission": {"sidecarImages": ["registry.example.com/istio/proxyv2"]}}), POLICY)
    (others,) = [v["expression"] for v in policies["stage-bypass"]["variables"] if v["name"] == "others"]

    assert '["registry.example.com/istio/proxyv2"].exists(i,' in others


def test_the_operator_believes_what_these_policies_let_pass(install):
    """What it asks of them is what they are as delivered."""
    assert snapshot([obj for obj in install if obj["kind"] in {POLICY, BINDING}]).guards.missing == ()


def test_the_operator_knows_these_policies_word_for_word(install):
    assert charts_render.SHIPPED.read_text() == charts_render.shipped(install), "run `make chart`"


def test_the_charts_template_is_what_was_rendered(install):
    """Without helm: the template of the policies that the operator believes says nothing but what it knows."""
    text = (CHART / "templates" / "admission-exceptions.yaml").read_text()
    text = re.sub(r"(?m)^ *\{\{-? (\$labels \| nindent 4|if .*|end|\$\w+ :?= .*) -?\}\}\n", "", text)
    for expression, value in (
        ("$name", "pipesegment"),
        ("$operator", "system:serviceaccount:pipesegment-system:pipesegment"),
        *(
            (f'include "pipesegment.admission.softly" $actions.segment{what}', "")
            for what in ("Exceptions", "Approvals")
        ),
        *(
            (f'include "pipesegment.admission.actions" $actions.segment{what}', "[Deny, Audit]")
            for what in ("Exceptions", "Approvals")
        ),
    ):
        text = text.replace(f"{{{{ {expression} }}}}", value)
    assert "{{" not in text, "the template has parts that differ from release to release: see docs/adr/0071"
    written = {(obj["kind"], obj["metadata"]["name"]): obj["spec"] for obj in yaml.safe_load_all(text)}

    assert written == {
        (obj["kind"], obj["metadata"]["name"]): obj["spec"]
        for obj in install
        if obj["kind"] in {POLICY, BINDING} and obj["metadata"]["name"].rpartition("-")[2] in SPARING_NOBODY
    }, "run `make chart`"


def test_the_controllers_that_the_values_name_are_those_of_their_own_kinds_alone(render):
    given = {"admission": {"controllers": {"ack": ["arn:aws:sts::111122223333:assumed-role/ack/x"]}}}

    assert controllers(render(given)) == (
        'variables.isACK ? ["arn:aws:sts::111122223333:assumed-role/ack/x"] '
        ': variables.isCrossplane ? ["system:serviceaccounts:crossplane-system"] : []'
    )


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"fullnameOverride": "fences"},
        {"serviceAccount": {"create": False, "name": "mine"}},
        {"admission": {"exempt": {"users": ["ann"], "groups": ["sre"], "namespaces": ["legacy"]}}},
        {"admission": {"sidecarImages": ["registry.example.com/istio/proxyv2"]}},
        {"admission": {"actions": {"managedObjects": "Warn", "exclusive": "Audit"}}},
    ],
    ids=str,
)
def test_no_value_makes_them_others_than_the_operator_knows(render, values):
    found = snapshot([obj for obj in render(values, release="edge") if obj["kind"] in {POLICY, BINDING}]).guards

    assert found.prefix == values.get("fullnameOverride", "edge-pipesegment")
    assert found.missing == ()


@pytest.mark.parametrize("action", ["Warn", "Audit"])
def test_what_does_not_deny_is_not_believed(render, action):
    given = {"admission": {"actions": {"segmentApprovals": action}}}
    found = snapshot([obj for obj in render(given) if obj["kind"] in {POLICY, BINDING}]).guards

    assert found.missing == ("pipesegment-segmentapprovals (the validationActions of its binding do not deny)",)
