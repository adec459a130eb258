"""What a NetworkPolicy says of each shape of edge, and what it never says."""

from dataclasses import replace

import pytest

from pipesegment import names
from pipesegment.compile.segment import compile_segment
from pipesegment.facts.selectors import Requirement, Selector
from pipesegment.reach.edges import AddressPeer, Edge, Mode, PodPeer, PortRange
from pipesegment.reach.graph import RunnerReach
from tests.unit.compile.building import (
    NAMESPACE,
    UID,
    egress,
    governed,
    grant,
    ingress,
    linked,
    names_of,
    only,
    reach,
    selector_of,
    stage,
)


def policy_of(*edges: Edge, **fields):
    return only(compile_segment(reach(stage("build", egress=edges), **fields)), "NetworkPolicy")["spec"]


def test_stage_without_edges_is_closed_both_ways():
    spec = policy_of()
    assert spec == {
        "podSelector": {"matchLabels": {"pipeline": "shop", "stage": "build"}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [],
        "egress": [],
    }


def test_both_halves_of_an_edge_are_rendered_on_their_stages():
    desired = compile_segment(reach(*linked(stage("build"), stage("test", 1))))
    out = only(desired, "NetworkPolicy", "shop-build")["spec"]
    into = only(desired, "NetworkPolicy", "shop-test")["spec"]
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}
    ports = [{"protocol": "TCP", "port": 8080}]
    assert out["egress"] == [
        {"to": [{"namespaceSelector": namespace, "podSelector": selector_of("test").render()}], "ports": ports}
    ]
    assert into["ingress"] == [
        {"from": [{"namespaceSelector": namespace, "podSelector": selector_of("build").render()}], "ports": ports}
    ]
    assert (out["ingress"], into["egress"]) == ([], [])


def test_pod_peer_is_one_item_with_both_selectors():
    expressions = Selector.of({"app": "db"}, Requirement("tier", "NotIn", ("test",)))
    (rule,) = policy_of(egress(PodPeer("data", expressions)))["egress"]
    assert rule["to"] == [
        {
            "namespaceSelector": {"matchLabels": {names.NAMESPACE_NAME_LABEL: "data"}},
            "podSelector": {
                "matchLabels": {"app": "db"},
                "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["test"]}],
            },
        }
    ]


@pytest.mark.parametrize(
    ("port", "rendered"),
    [
        (PortRange("TCP", 443), {"protocol": "TCP", "port": 443}),
        (PortRange("UDP", 53), {"protocol": "UDP", "port": 53}),
        (PortRange("SCTP", 3868), {"protocol": "SCTP", "port": 3868}),
        (PortRange("TCP", "metrics"), {"protocol": "TCP", "port": "metrics"}),
        (PortRange("TCP", 9000, 9010), {"protocol": "TCP", "port": 9000, "endPort": 9010}),
        (PortRange("TCP", 9000, 9000), {"protocol": "TCP", "port": 9000}),
    ],
)
def test_port_always_names_its_protocol(port, rendered):
    (rule,) = policy_of(egress(ports=(port,)))["egress"]
    assert rule["ports"] == [rendered]


def test_ports_are_sorted_by_number_not_by_text():
    ports = (PortRange("UDP", 53), PortRange("TCP", "web"), PortRange("TCP", 443), PortRange("TCP", 80))
    (rule,) = policy_of(egress(ports=ports))["egress"]
    assert [p["port"] for p in rule["ports"]] == [80, 443, "web", 53]


def test_every_port_is_said_by_leaving_ports_out():
    (rule,) = policy_of(egress(ports=()))["egress"]
    assert list(rule) == ["to"]


def test_closed_edge_is_not_rendered():
    assert policy_of(egress(open=False, peers=()), egress(open=False))["egress"] == []


def test_peer_whose_exceptions_leave_nothing_drops_its_rule():
    nothing = AddressPeer("10.0.0.0/8", ("10.0.0.0/8",))
    halves = AddressPeer("10.0.0.0/8", ("10.0.0.0/9", "10.128.0.0/9"))
    assert policy_of(egress(nothing), egress(halves, ports=(PortRange("TCP", 1),)))["egress"] == []


def test_same_edge_declared_twice_is_one_rule():
    spec = policy_of(egress(), egress(because="spec.common.reaches[0]"))
    assert len(spec["egress"]) == 1


def test_order_of_edges_peers_and_ports_does_not_matter():
    one = egress(
        AddressPeer("192.0.2.0/24"), AddressPeer("198.51.100.0/24"), ports=(PortRange("TCP", 1), PortRange("UDP", 1))
    )
    other = replace(one, peers=one.peers[::-1], ports=one.ports[::-1])
    second = egress(AddressPeer("203.0.113.0/24"))
    assert policy_of(one, second) == policy_of(second, other)


class TestAddresses:
    PEER = AddressPeer("10.0.0.0/30", ("10.0.0.1/32",))

    @pytest.mark.parametrize(
        ("network", "blocks"),
        [
            ({}, [{"cidr": "10.0.0.0/30", "except": ["10.0.0.1/32"]}]),
            ({"exceptStyle": "Except"}, [{"cidr": "10.0.0.0/30", "except": ["10.0.0.1/32"]}]),
            ({"exceptStyle": "Prefixes"}, [{"cidr": "10.0.0.0/32"}, {"cidr": "10.0.0.2/31"}]),
            ({"provider": "AmazonVPC"}, [{"cidr": "10.0.0.0/32"}, {"cidr": "10.0.0.2/31"}]),
            (
                {"provider": "AmazonVPC", "exceptStyle": "Except"},
                [{"cidr": "10.0.0.0/30", "except": ["10.0.0.1/32"]}],
            ),
        ],
    )
    def test_exceptions_are_written_as_the_class_wants(self, network, blocks):
        (rule,) = policy_of(egress(self.PEER), governance=governed(network=network))["egress"]
        assert [item["ipBlock"] for item in rule["to"]] == blocks

    def test_block_without_exceptions_has_no_except(self):
        (rule,) = policy_of(egress(AddressPeer("2001:db8::/32")))["egress"]
        assert rule["to"] == [{"ipBlock": {"cidr": "2001:db8::/32"}}]


def test_observed_stage_has_no_policy_anywhere():
    observed = stage("build", mode=Mode.OBSERVE, egress=(egress(),))
    desired = compile_segment(reach(observed, stage("test", 1), granted=(grant(),)))
    assert names_of(desired, "NetworkPolicy") == ["shop-test"]
    assert names_of(desired, "ServiceAccount") == ["shop-build", "shop-test"]


def test_refused_stage_has_a_policy_without_allows():
    runner = RunnerReach(Selector.of({"app": "runner"}), (egress(),))
    refused = stage("build", closed=True, egress=(egress(),), ingress=(ingress(),), runner=runner)
    desired = compile_segment(reach(refused, granted=(grant(),)))
    policies = [o for o in desired.objects if o["kind"] == "NetworkPolicy"]
    assert len(policies) == 2
    assert all(o["spec"]["ingress"] == o["spec"]["egress"] == [] for o in policies)
    assert desired.gaps == ()


def test_runner_pods_have_a_policy_of_their_own():
    pods = Selector.of({"app.kubernetes.io/component": "runner"})
    needs = egress(AddressPeer("203.0.113.7/32"), because="engine")
    build = stage("build", ingress=(ingress(),), runner=RunnerReach(pods, (needs,)))
    desired = compile_segment(reach(build))
    name = names.suffixed_name("shop", "build", "runner")
    runner = only(desired, "NetworkPolicy", name)["spec"]
    assert runner["podSelector"] == pods.render()
    assert runner["egress"] == [
        {"to": [{"ipBlock": {"cidr": "203.0.113.7/32"}}], "ports": [{"protocol": "TCP", "port": 8080}]}
    ]
    assert runner["ingress"] == []
    assert only(desired, "NetworkPolicy", "shop-build")["spec"]["egress"] == []


def test_pipeline_wide_policies_close_what_no_stage_names():
    first, second = Selector.of({"pipeline": "shop"}), Selector.of({"runner-pod": "yes"})
    desired = compile_segment(reach(stage("build"), closing=(first, second)))
    closing = [o for o in desired.objects if o["kind"] == "NetworkPolicy" and o["metadata"]["name"] != "shop-build"]
    assert [o["spec"]["podSelector"] for o in closing] == [first.render(), second.render()]
    assert closing[0]["metadata"]["name"] == "shop"
    for obj in closing:
        assert obj["spec"]["policyTypes"] == ["Ingress", "Egress"]
        assert obj["spec"]["ingress"] == obj["spec"]["egress"] == []
        assert names.STAGE_LABEL not in obj["metadata"]["labels"]


class TestGranted:
    def test_ingress_half_stands_in_the_grants_namespace_and_isolates_no_egress(self):
        obj = only(compile_segment(reach(stage("build"), granted=(grant(),))), "NetworkPolicy", self.NAME)
        assert obj["metadata"]["namespace"] == "web"
        assert obj["spec"] == {
            "podSelector": {"matchLabels": {"app": "web"}},
            "policyTypes": ["Ingress"],
            "ingress": [
                {
                    "from": [
                        {
                            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}},
                            "podSelector": selector_of("build").render(),
                        }
                    ],
                    "ports": [{"protocol": "TCP", "port": 8080}],
                }
            ],
        }

    NAME = names.foreign_name(NAMESPACE, "shop", "build", "from-ci/everyone")

    def test_it_is_owned_by_the_grant_which_is_no_controller(self):
        obj = only(compile_segment(reach(stage("build"), granted=(grant(),))), "NetworkPolicy", self.NAME)
        assert obj["metadata"]["ownerReferences"] == [
            {
                "apiVersion": "pipesegment.dev/v1alpha1",
                "kind": "SegmentGrant",
                "name": "from-ci",
                "uid": "a1",
                "controller": False,
                "blockOwnerDeletion": False,
            }
        ]
        assert obj["metadata"]["annotations"][names.SEGMENT_UID_ANNOTATION] == UID
        assert obj["metadata"]["labels"] == {
            "app.kubernetes.io/managed-by": "pipesegment",
            "pipesegment.dev/segment": "shop",
            "pipesegment.dev/stage": "build",
            "pipesegment.dev/origin": NAMESPACE,
        }

    def test_without_callers_there_is_no_object(self):
        desired = compile_segment(reach(stage("build"), granted=(grant(peers=()),)))
        assert names_of(desired, "NetworkPolicy") == ["shop-build"]


class TestMetadata:
    def test_owned_object_says_whose_it_is(self):
        meta = only(compile_segment(reach(stage("build"))), "NetworkPolicy")["metadata"]
        assert meta["namespace"] == NAMESPACE
        assert meta["labels"] == {
            "app.kubernetes.io/managed-by": "pipesegment",
            "pipesegment.dev/segment": "shop",
            "pipesegment.dev/stage": "build",
        }
        assert meta["ownerReferences"] == [
            {
                "apiVersion": "pipesegment.dev/v1alpha1",
                "kind": "PipelineSegment",
                "name": "shop",
                "uid": UID,
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ]

    def test_offline_there_is_no_owner(self):
        desired = compile_segment(reach(stage("build"), uid="", granted=(grant(grant_uid=""),)))
        assert all("ownerReferences" not in o["metadata"] for o in desired.objects)
        assert all(names.SEGMENT_UID_ANNOTATION not in o["metadata"]["annotations"] for o in desired.objects)
