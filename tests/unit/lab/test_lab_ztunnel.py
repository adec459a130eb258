"""How the ambient lab reads what istiod tells ztunnel; no istiod is needed for that."""

import base64
from typing import Any

import pytest

from lab.errors import LabError
from lab.mesh.ztunnel import Call, read

BUILD = "cluster.local/ns/ci/sa/build"


def told(*policies: dict[str, Any], own: tuple[str, ...] = ("ci/p",), captured: bool = True) -> Any:
    pod = {"uid": "Kubernetes//Pod/ci/web", "name": "web", "namespace": "ci", "authorizationPolicies": list(own)}
    if captured:
        pod["tunnelProtocol"] = "HBONE"
    slice_ = {"uid": "Kubernetes/discovery.k8s.io/EndpointSlice/ci/x/192.0.2.1", "name": "x", "namespace": "ci"}
    return read({"workloads": [pod, slice_], "services": None, "policies": list(policies)})


def policy(*groups: Any, deny: bool = False, name: str = "p", namespace: str = "ci", scope: str = "WORKLOAD_SELECTOR"):
    found: dict[str, Any] = {"name": name, "namespace": namespace, "groups": list(groups)}
    # As JSON is made of them: a field with its first value is left out.
    found |= {"scope": scope} if scope != "GLOBAL" else {}
    return found | ({"action": "DENY"} if deny else {})


def of(**match: Any) -> dict[str, Any]:
    return {"rules": [{"matches": [match]}]}


def test_without_any_policy_everybody_comes_in():
    assert told().allows("ci/web", Call(None, 80))


def test_where_an_allow_is_somebody_must_be_meant_and_a_deny_wins():
    allow = policy(of(principals=[{"exact": BUILD}]))
    deny = policy(of(destinationPorts=[22]), deny=True, name="d")
    both = told(allow, deny, own=("ci/p", "ci/d"))
    assert both.allows("ci/web", Call(BUILD, 80))
    assert not both.allows("ci/web", Call(BUILD, 22))
    assert not both.allows("ci/web", Call(None, 80))
    assert not told(policy()).allows("ci/web", Call(BUILD, 80))


def test_groups_and_matches_are_alternatives_rules_and_fields_hold_together():
    port, who = {"destinationPorts": [80]}, {"principals": [{"exact": BUILD}]}
    apart = told(policy({"rules": [{"matches": [port, who]}]}))
    together = told(policy({"rules": [{"matches": [port]}, {"matches": [who]}]}))
    assert apart.allows("ci/web", Call(None, 80))
    assert apart.allows("ci/web", Call(BUILD, 81))
    assert not together.allows("ci/web", Call(BUILD, 81))
    assert not told(policy(of(**port, **who))).allows("ci/web", Call(None, 80))


def test_a_match_without_fields_never_holds_and_a_group_without_rules_always_does():
    """ztunnel's own test is `rbac_empty_policy`."""
    assert told(policy(of(), deny=True)).allows("ci/web", Call(None, 80))
    assert not told(policy({}, deny=True)).allows("ci/web", Call(None, 80))
    assert not told(policy({"rules": [{}]}, deny=True)).allows("ci/web", Call(None, 80))


def test_a_policy_holds_for_its_own_workloads_its_namespace_or_the_mesh():
    for scope, namespace, reaches in (
        ("WORKLOAD_SELECTOR", "ci", False),
        ("NAMESPACE", "ci", True),
        ("NAMESPACE", "other", False),
        ("GLOBAL", "istio-system", True),
    ):
        found = told(policy({}, deny=True, namespace=namespace, scope=scope), own=())
        assert found.allows("ci/web", Call(None, 80)) is not reaches


@pytest.mark.parametrize(
    ("match", "call", "holds"),
    [
        ({"principals": [{"prefix": "cluster.local/"}]}, Call(BUILD, 80), True),
        ({"principals": [{"suffix": "/build"}]}, Call(BUILD, 80), True),
        ({"principals": [{"suffix": ""}]}, Call(None, 80), False),
        ({"principals": [{"presence": {}}]}, Call(None, 80), False),
        ({"notPrincipals": [{"presence": {}}]}, Call(None, 80), True),
        ({"notPrincipals": [{"presence": {}}]}, Call(BUILD, 80), False),
        ({"namespaces": [{"exact": "ci"}]}, Call(BUILD, 80), True),
        ({"notNamespaces": [{"exact": "ci"}]}, Call(None, 80), True),
        ({"serviceAccounts": [{"namespace": "ci", "serviceAccount": "build"}]}, Call(BUILD, 80), True),
        ({"serviceAccounts": [{"namespace": "prod", "serviceAccount": "build"}]}, Call(BUILD, 80), False),
        ({"notDestinationPorts": [80]}, Call(BUILD, 80), False),
        ({"notDestinationPorts": [80]}, Call(BUILD, 81), True),
        (
            {"sourceIps": [{"address": base64.b64encode(bytes([10, 0, 0, 0])).decode(), "length": 8}]},
            Call(None, 1),
            False,
        ),
        (
            {"sourceIps": [{"address": base64.b64encode(bytes([10, 0, 0, 0])).decode(), "length": 8}]},
            Call(None, 1, "10.9.9.9"),
            True,
        ),
    ],
)
def test_each_field_by_its_own(match, call, holds):
    assert told(policy(of(**match), deny=True)).allows("ci/web", call) is not holds


@pytest.mark.parametrize(
    "odd",
    [
        {"name": "p", "namespace": "ci", "dryRun": True},
        {"name": "p", "namespace": "ci", "groups": [{"rules": [], "mood": 1}]},
        {"name": "p", "namespace": "ci", "groups": [of(destinationPlanet=[1])]},
    ],
)
def test_what_is_not_known_is_no_rule_less_but_an_error(odd):
    with pytest.raises(LabError, match="not known here"):
        told(odd)


def test_a_pod_that_ztunnel_does_not_capture_is_judged_by_nobody():
    with pytest.raises(LabError, match="does not stand in front of ci/web"):
        told(captured=False).allows("ci/web", Call(None, 80))
