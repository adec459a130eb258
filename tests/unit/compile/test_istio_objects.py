"""What Istio is told: who may call, mTLS, and what a sidecar knows."""

from dataclasses import replace

import pytest

from pipesegment import names
from pipesegment.compile.segment import compile_segment
from pipesegment.facts.selectors import Requirement, Selector
from pipesegment.reach.edges import AddressPeer, Edge, HttpRule, Mode, PodPeer, PortRange, Principal, Target
from tests.unit.compile.building import WEB, egress, governed, ingress, linked, meshed, names_of, only, reach, stage

MESH_KINDS = ("AuthorizationPolicy", "PeerAuthentication", "Sidecar")


def rules_of(*edges, **fields):
    return only(compile_segment(reach(meshed("build", ingress=edges), **fields)), "AuthorizationPolicy")["spec"][
        "rules"
    ]


def sidecar_of(*edges):
    return only(compile_segment(reach(meshed("build", egress=edges))), "Sidecar")["spec"]


def test_stage_outside_the_mesh_has_no_mesh_object():
    assert {o["kind"] for o in compile_segment(reach(stage("build"))).objects} == {"NetworkPolicy", "ServiceAccount"}


def test_stage_that_accepts_nothing_admits_nobody():
    obj = only(compile_segment(reach(meshed("build"))), "AuthorizationPolicy")
    assert obj["apiVersion"] == "security.istio.io/v1"
    assert obj["spec"] == {
        "selector": {"matchLabels": {"pipeline": "shop", "stage": "build"}},
        "action": "ALLOW",
    }


def test_mesh_stage_takes_mutual_tls_only():
    obj = only(compile_segment(reach(meshed("build"))), "PeerAuthentication")
    assert obj["apiVersion"] == "security.istio.io/v1"
    assert obj["spec"] == {
        "selector": {"matchLabels": {"pipeline": "shop", "stage": "build"}},
        "mtls": {"mode": "STRICT"},
    }


class TestCallers:
    def test_stage_is_admitted_by_its_exact_principal(self):
        desired = compile_segment(reach(*linked(meshed("build"), meshed("test", 1))))
        spec = only(desired, "AuthorizationPolicy", "shop-test")["spec"]
        assert spec["rules"] == [
            {
                "from": [{"source": {"principals": ["cluster.local/ns/ci-shop/sa/shop-build"]}}],
                "to": [{"operation": {"ports": ["8080"]}}],
            }
        ]
        assert "rules" not in only(desired, "AuthorizationPolicy", "shop-build")["spec"]

    def test_trust_domain_is_the_classs(self):
        governance = governed(mesh={"trustDomain": "mesh.example.com"})
        (rule,) = rules_of(ingress(principals=(Principal("a", "b"),)), governance=governance)
        assert rule["from"] == [{"source": {"principals": ["mesh.example.com/ns/a/sa/b"]}}]

    def test_accounts_and_whole_namespaces_are_sources_of_their_own(self):
        principals = (Principal("z", None), Principal("a", "y"), Principal("a", "x"), Principal("b", None))
        (rule,) = rules_of(ingress(principals=principals))
        assert rule["from"] == [
            {"source": {"principals": ["cluster.local/ns/a/sa/x", "cluster.local/ns/a/sa/y"]}},
            {"source": {"namespaces": ["b", "z"]}},
        ]


class TestOperations:
    def test_ports_are_numbers_as_text_in_order(self):
        ports = (PortRange("TCP", 9000, 9002), PortRange("TCP", 80), PortRange("UDP", 53), PortRange("TCP", 9001))
        (rule,) = rules_of(ingress(ports=ports))
        assert rule["to"] == [{"operation": {"ports": ["80", "9000", "9001", "9002"]}}]

    def test_every_port_is_said_by_leaving_operations_out(self):
        (rule,) = rules_of(ingress(ports=()))
        assert list(rule) == ["from"]

    def test_each_request_rule_is_an_operation_with_the_ports(self):
        http = (HttpRule(("POST", "GET"), ("/b", "/a/*")), HttpRule(("GET",)), HttpRule((), ("/health",)))
        (rule,) = rules_of(ingress(http=http))
        assert sorted(map(repr, rule["to"])) == sorted(
            map(
                repr,
                [
                    {"operation": {"ports": ["8080"], "methods": ["GET", "POST"], "paths": ["/a/*", "/b"]}},
                    {"operation": {"ports": ["8080"], "methods": ["GET"]}},
                    {"operation": {"ports": ["8080"], "paths": ["/health"]}},
                ],
            )
        )

    def test_ports_that_sidecars_leave_out_are_not_named(self):
        assert rules_of(ingress(ports=(WEB, PortRange("TCP", 15090)))) == rules_of(ingress())

    def test_same_edge_declared_twice_is_one_rule(self):
        assert len(rules_of(ingress(), ingress(because="spec.common.accepts[0]"))) == 1

    def test_order_of_input_does_not_matter(self):
        one = ingress(principals=(Principal("a", "x"),), http=(HttpRule(("GET",)), HttpRule(("POST",))))
        two = ingress(ports=(PortRange("TCP", 1),))
        assert rules_of(one, two) == rules_of(two, replace(one, http=one.http[::-1]))


class TestSidecar:
    HOST = "shop/web.shop.svc.cluster.local"
    SERVICE = egress(PodPeer("shop", Selector.of({"app": "web"})), target=Target.SERVICE, hosts=(HOST,))

    def test_stage_that_reaches_nothing_knows_nothing(self):
        assert sidecar_of() == {
            "workloadSelector": {"labels": {"pipeline": "shop", "stage": "build"}},
            "egress": [{"hosts": ["~/*"]}],
            "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
        }

    def test_every_target_in_the_registry_closes_the_rest(self):
        spec = sidecar_of(self.SERVICE, replace(self.SERVICE, hosts=("a/b",), ports=(PortRange("TCP", 1),)))
        assert spec["egress"] == [{"hosts": ["a/b", self.HOST]}]
        assert spec["outboundTrafficPolicy"] == {"mode": "REGISTRY_ONLY"}

    @pytest.mark.parametrize("port", [PortRange("TCP", 443), PortRange("TCP", 15020), PortRange("TCP", "web")])
    def test_one_target_outside_the_registry_opens_the_unknown(self, port):
        spec = sidecar_of(self.SERVICE, egress(AddressPeer("203.0.113.0/24"), ports=(PortRange("UDP", 1), port)))
        assert spec["egress"] == [{"hosts": [self.HOST]}]
        assert spec["outboundTrafficPolicy"] == {"mode": "ALLOW_ANY"}

    def test_plain_pods_bring_the_services_of_their_namespace(self):
        spec = sidecar_of(egress(PodPeer("data", Selector.of({"app": "db"})), target=Target.PODS))
        assert spec["egress"] == [{"hosts": ["data/*"]}]
        assert spec["outboundTrafficPolicy"] == {"mode": "ALLOW_ANY"}

    def test_what_sidecars_do_not_capture_and_what_is_closed_does_not_count(self):
        spec = sidecar_of(self.SERVICE, egress(ports=(PortRange("UDP", 53),)), egress(open=False))
        assert spec["outboundTrafficPolicy"] == {"mode": "REGISTRY_ONLY"}

    def test_every_port_counts(self):
        assert sidecar_of(egress(ports=()))["outboundTrafficPolicy"] == {"mode": "ALLOW_ANY"}

    def test_no_sidecar_knows_the_whole_mesh(self):
        desired = compile_segment(reach(meshed("build", egress=(self.SERVICE, egress()))))
        assert "*/*" not in only(desired, "Sidecar")["spec"]["egress"][0]["hosts"]


class TestFanOut:
    SELECTOR = Selector.of({"pipeline": "shop"}, Requirement("task", "In", ("Compile", "package")))

    def test_each_value_becomes_an_object_of_every_kind_with_disjoint_labels(self):
        desired = compile_segment(reach(meshed("build", selector=self.SELECTOR, ingress=(ingress(),))))
        for kind in MESH_KINDS:
            objects = [o for o in desired.objects if o["kind"] == kind]
            selectors = [
                o["spec"].get("selector", {}).get("matchLabels") or o["spec"]["workloadSelector"]["labels"]
                for o in objects
            ]
            assert sorted(s["task"] for s in selectors) == ["Compile", "package"]
            assert all(s["pipeline"] == "shop" for s in selectors)
            assert len({o["metadata"]["name"] for o in objects}) == 2
            bare = [{k: v for k, v in o["spec"].items() if k not in {"selector", "workloadSelector"}} for o in objects]
            assert bare[0] == bare[1]

    def test_one_value_more_renames_nothing(self):
        more = Selector.of({"pipeline": "shop"}, Requirement("task", "In", ("Compile", "another", "package")))
        before, after = (
            set(names_of(compile_segment(reach(meshed("build", selector=s))), "Sidecar")) for s in (self.SELECTOR, more)
        )
        assert before < after

    def test_single_value_keeps_the_plain_name(self):
        one = Selector.of({}, Requirement("task", "In", ("compile",)))
        assert names_of(compile_segment(reach(meshed("build", selector=one))), "Sidecar") == ["shop-build"]


def test_observed_stage_is_only_watched():
    edges = {"ingress": (ingress(),), "egress": (egress(),)}
    enforced = compile_segment(reach(meshed("build", **edges)))
    observed = compile_segment(reach(meshed("build", mode=Mode.OBSERVE, **edges)))
    assert {o["kind"] for o in observed.objects} == {"AuthorizationPolicy", "ServiceAccount"}
    watching, holding = (only(d, "AuthorizationPolicy") for d in (observed, enforced))
    assert watching["metadata"]["annotations"]["istio.io/dry-run"] == "true"
    assert "istio.io/dry-run" not in holding["metadata"]["annotations"]
    assert watching["spec"] == holding["spec"]


def test_refused_stage_admits_nobody_and_leaves_its_pods_sidecars_to_their_owner():
    refused = meshed("build", closed=True, ingress=(ingress(),), egress=(egress(),))
    desired = compile_segment(reach(refused))
    assert {o["kind"] for o in desired.objects} == {"AuthorizationPolicy", "NetworkPolicy", "ServiceAccount"}
    assert "rules" not in only(desired, "AuthorizationPolicy")["spec"]


def test_mesh_objects_are_the_stages_own():
    desired = compile_segment(reach(meshed("build")))
    for kind in MESH_KINDS:
        meta = only(desired, kind)["metadata"]
        assert meta["name"] == "shop-build"
        assert meta["labels"][names.STAGE_LABEL] == "build"
        assert meta["ownerReferences"][0]["controller"] is True
        assert names.HASH_ANNOTATION in meta["annotations"]


class TestHostNames:
    HTTPS = (PortRange("TCP", 443),)

    @staticmethod
    def by_name(*found: str, ports: tuple[PortRange, ...] = HTTPS, target: Target = Target.FQDN) -> Edge:
        block = AddressPeer("0.0.0.0/0")
        return replace(egress(block, target=target, ports=ports), names=found, hosts=())

    def test_a_sidecar_that_knows_every_name_passes_on_nothing_else(self):
        desired = compile_segment(reach(meshed("build", egress=(self.by_name("b.example.com", "*.example.com"),))))
        sidecar, entry = only(desired, "Sidecar")["spec"], only(desired, "ServiceEntry")
        assert sidecar["egress"] == [{"hosts": ["ci-shop/*.example.com", "ci-shop/b.example.com"]}]
        assert sidecar["outboundTrafficPolicy"] == {"mode": "REGISTRY_ONLY"}
        assert entry["metadata"]["name"] == "shop-build"
        assert entry["spec"]["hosts"] == ["*.example.com", "b.example.com"]
        assert entry["spec"]["exportTo"] == ["."]

    def test_entries_for_one_host_say_the_same_whatever_is_declared(self):
        """Of several in a namespace a sidecar takes one."""
        found = (
            compile_segment(
                reach(meshed("build", egress=(self.by_name("a.example.com", ports=(PortRange("TCP", n),)),)))
            )
            for n in (80, 443)
        )
        one, other = (only(desired, "ServiceEntry")["spec"] for desired in found)
        assert one == other

    @pytest.mark.parametrize(
        "ports",
        [(PortRange("TCP", 22),), (PortRange("TCP", 443), PortRange("TCP", 8443)), (PortRange("TCP", 80, 443),), ()],
    )
    def test_where_names_cannot_be_told_apart_the_unknown_passes(self, ports):
        desired = compile_segment(reach(meshed("build", egress=(self.by_name("a.example.com", ports=ports),))))
        assert names_of(desired, "ServiceEntry") == []
        assert only(desired, "Sidecar")["spec"]["outboundTrafficPolicy"] == {"mode": "ALLOW_ANY"}

    def test_a_service_of_aws_is_no_host_name(self):
        edge = self.by_name("com.amazonaws.eu-west-1.s3", target=Target.AWS_SERVICE)
        assert names_of(compile_segment(reach(meshed("build", egress=(edge,)))), "ServiceEntry") == []

    @pytest.mark.parametrize("more", [{"mode": Mode.OBSERVE}, {"closed": True}])
    def test_without_a_sidecar_of_ours_there_is_no_entry(self, more):
        desired = compile_segment(reach(meshed("build", egress=(self.by_name("a.example.com"),), **more)))
        assert names_of(desired, "ServiceEntry") == []
