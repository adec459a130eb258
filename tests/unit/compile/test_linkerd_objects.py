"""What Linkerd is told: a Server for each port, an authorization for each caller, an identity behind it."""

from dataclasses import replace
from typing import Any

import pytest

from pipesegment.compile.segment import compile_segment
from pipesegment.facts.selectors import Requirement, Selector
from pipesegment.reach.edges import HttpRule, Mesh, Mode, PodPeer, PortRange, Principal, Tunnel
from tests.unit.compile.building import NAMESPACE, WEB, egress, governed, ingress, linked, only, reach, stage

GUARDED = Tunnel(guarded=True)
KINDS = ("Server", "AuthorizationPolicy", "MeshTLSAuthentication")


def meshed(name: str, index: int = 0, **fields: Any) -> Any:
    return stage(name, index, **{"mesh": Mesh.LINKERD, **fields})


def compiled(ports: Any = (WEB,), target: Any = None, **fields: Any) -> Any:
    build, test = linked(meshed("build"), target or meshed("test", 1), ports, **{"tunnel": GUARDED, **fields})
    return compile_segment(reach(build, test))


def of(desired: Any, kind: str) -> list[dict[str, Any]]:
    return [o for o in desired.objects if o["kind"] == kind]


def ports_of(desired: Any, name: str, direction: str) -> list[Any]:
    return [[p["port"] for p in rule["ports"]] for rule in only(desired, "NetworkPolicy", name)["spec"][direction]]


def test_a_caller_is_authorized_at_the_server_of_its_port():
    desired = compiled()
    server, policy, who = (of(desired, kind)[0] for kind in KINDS)
    assert server["apiVersion"] == "policy.linkerd.io/v1beta3"
    assert server["spec"] == {
        "podSelector": {"matchLabels": {"pipeline": "shop", "stage": "test"}},
        "port": 8080,
        "proxyProtocol": "unknown",
        "accessPolicy": "deny",
    }
    assert policy["spec"]["targetRef"] == {
        "group": "policy.linkerd.io",
        "kind": "Server",
        "name": server["metadata"]["name"],
    }
    assert [r["name"] for r in policy["spec"]["requiredAuthenticationRefs"]] == [who["metadata"]["name"]]
    assert who["spec"] == {"identities": [f"shop-build.{NAMESPACE}.serviceaccount.identity.linkerd.cluster.local"]}


def test_no_policy_ever_requires_nothing_or_two_things():
    some = ingress(principals=(Principal("a", "x"), Principal("a", None), Principal("b", "x")), tunnel=GUARDED)
    desired = compile_segment(reach(meshed("test", ingress=(some,))))
    refs = [policy["spec"]["requiredAuthenticationRefs"] for policy in of(desired, "AuthorizationPolicy")]
    assert [len(found) for found in refs] == [1, 1, 1]
    assert sorted(who["spec"]["identities"][0].partition(".serviceaccount")[0] for who in of(desired, KINDS[2])) == [
        "*.a",
        "x.a",
        "x.b",
    ]


def test_callers_of_the_same_name_elsewhere_have_names_of_their_own():
    names = set()
    for domain, principal in (
        ("a.org", Principal("a", "x")),
        ("b.org", Principal("a", "x")),
        ("a.org", Principal("a", None)),
    ):
        made = meshed("test", ingress=(ingress(principals=(principal,), tunnel=GUARDED),))
        desired = compile_segment(reach(made, governance=governed(mesh={"trustDomain": domain})))
        names |= {o["metadata"]["name"] for o in of(desired, KINDS[2])}
    assert len(names) == 3


def test_a_caller_more_changes_no_other_object():
    def objects(*accounts: str) -> dict[str, Any]:
        found = tuple(Principal("a", account) for account in accounts)
        desired = compile_segment(reach(meshed("test", ingress=(ingress(principals=found, tunnel=GUARDED),))))
        return {o["metadata"]["name"]: o["spec"] for kind in KINDS for o in of(desired, kind)}

    one, two = objects("x"), objects("x", "y")
    assert {name: two[name] for name in one} == one
    assert len(two) == len(one) + 2


@pytest.mark.parametrize(("port", "opaque"), [(8080, False), (5432, True), (7000, True)])
def test_ports_that_carry_bytes_say_so(port, opaque):
    desired = compiled(ports=(PortRange("TCP", port),), target=meshed("test", 1, opaque=(7000,)))
    assert of(desired, "Server")[0]["spec"]["proxyProtocol"] == ("opaque" if opaque else "unknown")


def test_labels_beside_expressions_become_expressions():
    odd = Selector.of({"app": "x"}, Requirement("canary", "DoesNotExist"))
    found = of(compiled(target=meshed("test", 1, selector=odd)), "Server")[0]["spec"]["podSelector"]
    assert found == {
        "matchExpressions": [
            {"key": "app", "operator": "In", "values": ["x"]},
            {"key": "canary", "operator": "DoesNotExist"},
        ]
    }
    assert compiled(target=meshed("test", 1, selector=odd)).gaps == ()


def test_observe_audits_and_a_refused_stage_has_nothing():
    assert of(compiled(target=meshed("test", 1, mode=Mode.OBSERVE)), "Server")[0]["spec"]["accessPolicy"] == "audit"
    refused = compile_segment(reach(meshed("test", closed=True, ingress=(ingress(tunnel=GUARDED),))))
    assert not [o for kind in KINDS for o in of(refused, kind)]


def test_the_network_opens_the_port_between_sidecars_beside_what_is_declared():
    desired = compiled(ports=(WEB, PortRange("UDP", 53)))
    assert ports_of(desired, "shop-build", "egress") == [[4143, 8080, 53]]
    assert ports_of(desired, "shop-test", "ingress") == [[4143, 8080, 53]]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"http": (HttpRule(("GET",)),), "ports": (PortRange("TCP", 6379),)}, "HttpNotEnforced"),
        ({"http": (HttpRule((), ("*/x",)),)}, "HttpNotEnforced"),
        ({"ports": (PortRange("TCP", "web"),)}, "NamedPort"),
        ({"ports": (PortRange("TCP", 1, 65),)}, "PortRange"),
        ({"ports": ()}, "PortRange"),
    ],
)
def test_what_it_cannot_say_is_a_gap_and_closed(fields, reason):
    desired = compiled(**fields)
    assert {g.reason for g in desired.gaps} == {reason}
    assert ports_of(desired, "shop-build", "egress") == []
    assert of(desired, "Server") == []


def test_other_meshes_are_not_met():
    build, test = linked(stage("build", mesh=Mesh.ISTIO), meshed("test", 1), tunnel=GUARDED)
    assert "MixedMesh" in [g.reason for g in compile_segment(reach(build, test)).gaps]


class TestWithoutADefaultThatDenies:
    def test_the_edge_is_coarse_and_says_what_to_do(self):
        (told,) = compiled(tunnel=Tunnel(guarded=False)).coarse
        assert told.reason == "TunnelOpen"
        assert "default-inbound-policy: deny" in told.fix

    def test_towards_pods_of_no_stage_too(self):
        edge = egress(PodPeer("web", Selector.of({"app": "web"})), tunnel=Tunnel(guarded=False))
        assert [c.reason for c in compile_segment(reach(meshed("build", egress=(edge,)))).coarse] == ["TunnelOpen"]
        assert compile_segment(reach(meshed("build", egress=(replace(edge, tunnel=None),)))).coarse == ()
