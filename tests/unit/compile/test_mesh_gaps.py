"""What a mesh cannot say closes the edge everywhere, and says so once."""

from dataclasses import replace

import pytest

from pipesegment.compile.capture import MAX_PORTS
from pipesegment.compile.expressible import MAX_PEERS, MAX_RULES, split
from pipesegment.compile.segment import compile_segment
from pipesegment.facts.selectors import Requirement, Selector
from pipesegment.reach.edges import AddressPeer, HttpRule, Mesh, Mode, PodPeer, PortRange, Principal, Target
from pipesegment.reach.graph import RunnerReach, StageReach
from tests.unit.compile.building import (
    NAMESPACE,
    WEB,
    egress,
    governed,
    grant,
    ingress,
    linked,
    meshed,
    names_of,
    only,
    reach,
    selector_of,
    stage,
)

GET = (HttpRule(("GET",), ("/api/*",)),)
COARSE = governed(network={"inexact": {"http": "Coarse"}})


def network_rules(desired):
    """Give every rule of every NetworkPolicy."""
    policies = [o["spec"] for o in desired.objects if o["kind"] == "NetworkPolicy"]
    return [rule for spec in policies for rule in (*spec["ingress"], *spec.get("egress", ()))]


def mesh_rules(desired):
    policies = [o["spec"] for o in desired.objects if o["kind"] == "AuthorizationPolicy"]
    return [rule for spec in policies for rule in spec.get("rules", ())]


def assert_closed(desired, *reasons):
    assert [g.reason for g in desired.gaps] == list(reasons)
    assert network_rules(desired) == []
    assert mesh_rules(desired) == []


class TestBetweenStages:
    """Each gap closes both halves, and is told once, in the words of the stage that declared it."""

    @pytest.mark.parametrize(
        ("source", "target", "fields", "reason"),
        [
            (stage("build"), meshed("test", 1), {}, "NotInMesh"),
            (meshed("build"), meshed("test", 1), {"hosts": ()}, "NoService"),
            (meshed("build"), meshed("test", 1), {"ports": (PortRange("TCP", "web"),)}, "NamedPort"),
            (meshed("build"), meshed("test", 1), {"ports": (PortRange("TCP", 1, MAX_PORTS + 1),)}, "PortRange"),
            (stage("build"), stage("test", 1), {"http": GET}, "HttpNotEnforced"),
            (meshed("build"), stage("test", 1), {"http": GET}, "HttpNotEnforced"),
            (
                meshed("build"),
                meshed("test", 1),
                {"http": GET, "ports": (WEB, PortRange("UDP", 8080))},
                "HttpNotEnforced",
            ),
            (meshed("build"), meshed("test", 1), {"http": GET, "ports": (PortRange("UDP", 80),)}, "HttpNotEnforced"),
            (meshed("build"), meshed("test", 1), {"http": GET, "ports": (PortRange("SCTP", 80),)}, "HttpNotEnforced"),
            (stage("build"), stage("test", 1), {"http": GET, "ports": (PortRange("TCP", "w"),)}, "HttpNotEnforced"),
            (meshed("build"), meshed("test", 1), {"http": (HttpRule((), ("/a/{*}",)),)}, "HttpNotEnforced"),
            (meshed("build"), meshed("test", 1), {"http": (HttpRule((), ("*/a",)),)}, "HttpNotEnforced"),
        ],
    )
    def test_gap_closes_the_edge_in_network_and_mesh(self, source, target, fields, reason):
        desired = compile_segment(reach(*linked(source, target, **fields)))
        assert_closed(desired, reason)
        (gap,) = desired.gaps
        assert (gap.path, gap.target, gap.object) == ("spec.stages[0].reaches[0]", "stage test", "ci-shop/shop")
        assert gap.message
        assert gap.fix

    @pytest.mark.parametrize(
        ("source", "target", "fields"),
        [
            (stage("build"), stage("test", 1), {}),
            (stage("build"), stage("test", 1), {"ports": (PortRange("TCP", "web"),)}),
            (meshed("build"), stage("test", 1), {}),
            (meshed("build"), meshed("test", 1), {}),
            (meshed("build"), meshed("test", 1), {"ports": (PortRange("TCP", 1, MAX_PORTS),)}),
            (meshed("build"), meshed("test", 1), {"http": GET}),
            (meshed("build"), meshed("test", 1), {"http": (HttpRule(("GET",), ("/a", "/b/*", "/*")),)}),
        ],
    )
    def test_what_can_be_said_is_open_on_both_halves(self, source, target, fields):
        desired = compile_segment(reach(*linked(source, target, **fields)))
        assert desired.gaps == desired.coarse == ()
        assert len(network_rules(desired)) == 2
        assert len(mesh_rules(desired)) == (target.mesh is Mesh.ISTIO)

    @pytest.mark.parametrize("protocol", ["UDP", "SCTP"])
    def test_what_no_sidecar_captures_is_carried_by_the_network_alone(self, protocol):
        ports = (PortRange(protocol, 5000), PortRange("TCP", 15020))
        desired = compile_segment(reach(*linked(stage("build"), meshed("test", 1), ports=ports, hosts=())))
        assert desired.gaps == ()
        assert len(network_rules(desired)) == 2
        assert "rules" not in only(desired, "AuthorizationPolicy")["spec"]

    def test_gap_seen_from_one_half_alone_closes_the_other(self):
        # Only the receiving stage knows that Istio cannot select its pods, so that nothing reads HTTP there.
        odd = Selector.of({"stage": "test"}, Requirement("canary", "DoesNotExist"))
        desired = compile_segment(reach(*linked(meshed("build"), meshed("test", 1, selector=odd), http=GET)))
        assert network_rules(desired) == []
        assert [(g.path, g.reason) for g in desired.gaps] == [
            ("spec.stages[0].reaches[0]", "HttpNotEnforced"),
            ("spec.stages[1].podSelector", "MeshSelector"),
        ]

    def test_egress_half_that_points_at_a_service_of_the_stage_is_closed_too(self):
        source, target = linked(meshed("build"), meshed("test", 1), hosts=())
        narrower = PodPeer(NAMESPACE, selector_of("test") & Selector.of({"app": "web"}))
        service = replace(
            source.egress[0], target=Target.SERVICE, described="service ci-shop/web", peers=(narrower,), hosts=("h",)
        )
        assert_closed(compile_segment(reach(replace(source, egress=(service,)), target)), "NoService")

    def test_one_declaration_for_several_stages_closes_only_the_stage_that_it_cannot_serve(self):
        common = "spec.common.reaches[0]"
        target = meshed("test", 2)
        inside, target = linked(meshed("build"), target, because=common)
        outside, target = linked(stage("lint", 1), target, because=common)
        desired = compile_segment(reach(inside, outside, target))
        (gap,) = desired.gaps
        assert (gap.path, gap.reason) == (common, "NotInMesh")
        assert "stage lint" in gap.message
        assert only(desired, "NetworkPolicy", "shop-lint")["spec"]["egress"] == []
        assert len(only(desired, "NetworkPolicy", "shop-build")["spec"]["egress"]) == 1
        assert len(only(desired, "NetworkPolicy", "shop-test")["spec"]["ingress"]) == 1

    def test_same_entry_with_other_ports_stays_open(self):
        source, target = linked(meshed("build"), meshed("test", 1), because="x")
        source, target = linked(source, target, ports=(PortRange("TCP", "web"),), because="x")
        desired = compile_segment(reach(source, target))
        assert [g.reason for g in desired.gaps] == ["NamedPort"]
        assert [r["ports"] for r in network_rules(desired)] == [[{"protocol": "TCP", "port": 8080}]] * 2

    def test_other_entry_with_the_same_ports_is_an_edge_of_its_own(self):
        source, target = linked(meshed("build"), meshed("test", 1), because="x")
        source, target = linked(source, target, because="y")
        unknown = replace(source.egress[1], hosts=())
        desired = compile_segment(reach(replace(source, egress=(source.egress[0], unknown)), target))
        assert [(g.path, g.reason) for g in desired.gaps] == [("y", "NoService")]
        assert (len(network_rules(desired)), len(mesh_rules(desired))) == (2, 1)

    def test_refused_stage_is_reached_by_nobody(self):
        source, target = linked(stage("build"), stage("test", 1, closed=True))
        desired = compile_segment(reach(source, target))
        assert network_rules(desired) == []
        assert desired.gaps == ()


class TestFromOutside:
    @pytest.mark.parametrize(
        ("edge", "reason"),
        [
            (
                ingress(AddressPeer("10.0.0.0/8"), target=Target.CIDR, principals=(), described="cidr 10.0.0.0/8"),
                "NotInMesh",
            ),
            (ingress(other_mesh=Mesh.NONE), "NotInMesh"),
            (ingress(principals=()), "NotInMesh"),
            (ingress(ports=(PortRange("TCP", "web"),)), "NamedPort"),
            (ingress(ports=(WEB, PortRange("TCP", 1, MAX_PORTS))), "PortRange"),
            (ingress(http=GET, ports=()), "HttpNotEnforced"),
        ],
    )
    def test_mesh_stage_cannot_admit(self, edge, reason):
        desired = compile_segment(reach(meshed("build", ingress=(edge,))))
        assert_closed(desired, reason)
        assert desired.gaps[0].path == "spec.stages[0].accepts[0]"
        assert desired.gaps[0].target == edge.described

    def test_pods_of_a_mesh_need_a_service_to_call(self):
        assert_closed(compile_segment(reach(meshed("build", ingress=(ingress(hosts=()),)))), "NoService")

    @pytest.mark.parametrize(
        "edge",
        [
            ingress(AddressPeer("10.0.0.0/8"), target=Target.CIDR, principals=()),
            ingress(other_mesh=Mesh.NONE),
            ingress(ports=(PortRange("TCP", "web"),)),
        ],
    )
    def test_stage_without_mesh_admits_them_all(self, edge):
        desired = compile_segment(reach(stage("build", ingress=(edge,))))
        assert desired.gaps == ()
        assert len(network_rules(desired)) == 1

    def test_fix_names_the_service_to_add(self):
        edge = ingress(ports=(WEB, PortRange("TCP", 9000, 9001)), hosts=())
        (gap,) = compile_segment(reach(meshed("build", ingress=(edge,)))).gaps
        assert gap.fix.endswith("selects 'pipeline=shop,stage=build' in namespace ci-shop at port 8080, 9000-9001")
        (gap,) = compile_segment(reach(*linked(meshed("build"), meshed("test", 1), hosts=()))).gaps
        assert gap.fix.endswith("selects 'pipeline=shop,stage=test' in namespace ci-shop at port 8080")

    def test_fix_names_the_service_to_extend(self):
        spread = tuple(PortRange("TCP", n) for n in range(9000, 9020, 2))
        here, there = ingress(hosts=(), fronts=("ci-shop/web",)), ingress(ports=spread, hosts=(), fronts=("a/b", "a/c"))
        other, one = compile_segment(reach(meshed("build", ingress=(here, there)))).gaps
        assert one.fix == "give Service ci-shop/web port 8080, with the same targetPort"
        assert "none of its Services (ci-shop/web) leads to port 8080" in one.message
        assert other.fix.startswith("give Service a/b or a/c port 9000, 9002,")
        assert other.fix.endswith("9014, …, with the same targetPort")

    def test_fix_does_not_ask_addresses_into_the_mesh(self):
        by_address = ingress(AddressPeer("10.0.0.0/8"), target=Target.CIDR, principals=())
        by_pods = ingress(other_mesh=Mesh.NONE)
        fixes = [compile_segment(reach(meshed("build", ingress=(e,)))).gaps[0].fix for e in (by_address, by_pods)]
        assert fixes == [
            "name the callers as pods or a stage, or give stage build `mesh: None`",
            "bring pods callers: app=caller into the mesh, or give stage build `mesh: None`",
        ]


class TestHttp:
    EDGES = (
        egress(http=GET),
        egress(PodPeer("web", Selector.of({"app": "web"})), target=Target.SERVICE, hosts=("web/web",), http=GET),
    )

    @pytest.mark.parametrize("edge", EDGES)
    @pytest.mark.parametrize("source", [stage("build"), meshed("build")])
    def test_nobody_of_ours_reads_it_at_foreign_targets(self, source, edge):
        assert_closed(compile_segment(reach(replace(source, egress=(edge,)))), "HttpNotEnforced")

    @pytest.mark.parametrize("edge", EDGES)
    def test_coarse_class_opens_without_it_and_says_so(self, edge):
        desired = compile_segment(reach(stage("build", egress=(edge,)), governance=COARSE))
        assert desired.gaps == ()
        assert [(c.path, c.reason) for c in desired.coarse] == [("spec.stages[0].reaches[0]", "HttpNotEnforced")]
        assert len(network_rules(desired)) == 1

    def test_coarse_edge_between_stages_is_told_once_and_opens_both_halves(self):
        ports = (WEB, PortRange("UDP", 8080))
        linked_up = linked(meshed("build"), meshed("test", 1), ports=ports, http=GET)
        desired = compile_segment(reach(*linked_up, governance=COARSE))
        assert (len(desired.gaps), len(desired.coarse)) == (0, 1)
        assert len(network_rules(desired)) == 2
        (rule,) = mesh_rules(desired)
        assert rule["to"] == [{"operation": {"ports": ["8080"]}}]

    def test_coarse_class_keeps_what_the_mesh_can_read(self):
        desired = compile_segment(reach(*linked(meshed("build"), meshed("test", 1), http=GET), governance=COARSE))
        assert desired.coarse == ()
        assert mesh_rules(desired)[0]["to"][0]["operation"]["methods"] == ["GET"]

    def test_coarse_opens_nothing_else(self):
        source, target = linked(stage("build"), meshed("test", 1), http=GET)
        desired = compile_segment(reach(source, target, governance=COARSE))
        assert_closed(desired, "NotInMesh")
        assert desired.coarse == ()


class TestSelector:
    ODD = Selector.of({"pipeline": "shop"}, Requirement("stage", "NotIn", ("test",)))
    MANY = Selector.of({}, Requirement("stage", "In", tuple(f"s{n:02}" for n in range(17))))

    @pytest.mark.parametrize("selector", [ODD, MANY, Selector()])
    def test_stage_that_istio_cannot_select_has_no_mesh_object_and_is_not_ready(self, selector):
        build = meshed("build", selector=selector, ingress=(ingress(),))
        desired = compile_segment(reach(build))
        assert {o["kind"] for o in desired.objects} == {"NetworkPolicy", "ServiceAccount"}
        (gap,) = desired.gaps
        assert (gap.path, gap.reason, gap.target) == ("spec.stages[0].podSelector", "MeshSelector", "stage build")
        assert len(network_rules(desired)) == 1

    def test_outside_the_mesh_every_selector_is_fine(self):
        assert compile_segment(reach(stage("build", selector=self.ODD))).gaps == ()

    def test_refused_stage_is_not_told_about_it(self):
        assert compile_segment(reach(meshed("build", selector=self.ODD, closed=True))).gaps == ()


def test_gap_takes_the_granted_half_with_it():
    build = stage("build", egress=(egress(http=GET), egress(because="spec.stages[0].reaches[1]")))
    other = grant("spec.stages[0].reaches[1]", discriminator="other")
    desired = compile_segment(reach(build, stage("test", 1), granted=(grant(), other)))
    there = [o for o in desired.objects if o["metadata"]["namespace"] == "web"]
    assert len(there) == 1
    assert there[0]["metadata"]["name"] in names_of(compile_segment(reach(build, granted=(other,))), "NetworkPolicy")


def test_observed_stage_is_told_the_same_gaps():
    build = meshed("build", mode=Mode.OBSERVE, ingress=(ingress(other_mesh=Mesh.NONE),))
    desired = compile_segment(reach(build))
    assert [g.reason for g in desired.gaps] == ["NotInMesh"]
    assert "rules" not in only(desired, "AuthorizationPolicy")["spec"]


def test_runners_edges_are_judged_too():
    runner = RunnerReach(Selector.of({"app": "runner"}), (egress(http=GET, because="engine"),))
    assert_closed(compile_segment(reach(stage("build", runner=runner))), "HttpNotEnforced")


class TestSize:
    @staticmethod
    def blocks(count: int, at: int = 0):
        return tuple(AddressPeer(f"10.{at}.{n // 256}.{n % 256}/32") for n in range(count))

    def test_largest_edges_of_a_policy_are_closed_first(self):
        small = egress(*self.blocks(24, 1), because="small")
        large = egress(*self.blocks(MAX_PEERS), because="large", described="destination forge")
        for edges in ((small, large), (large, small)):
            desired = compile_segment(reach(stage("build", egress=edges)))
            assert [(g.path, g.reason, g.target) for g in desired.gaps] == [("large", "TooLarge", "destination forge")]
            (rule,) = network_rules(desired)
            assert len(rule["to"]) == 24

    def test_exactly_full_policy_is_fine(self):
        desired = compile_segment(reach(stage("build", egress=(egress(*self.blocks(MAX_PEERS)),))))
        assert desired.gaps == ()

    def test_prefixes_count_as_what_they_become(self):
        holes = tuple(f"10.0.{n // 128}.{2 * (n % 128)}/32" for n in range(MAX_PEERS + 1))
        build = stage("build", egress=(egress(AddressPeer("10.0.0.0/16", tuple(sorted(holes)))),))
        assert compile_segment(reach(build)).gaps == ()
        assert_closed(
            compile_segment(reach(build, governance=governed(network={"exceptStyle": "Prefixes"}))), "TooLarge"
        )

    def test_rules_are_bounded_and_both_halves_close(self):
        source: StageReach = meshed("build")
        target: StageReach = meshed("test", 1)
        for n in range(MAX_RULES + 2):
            source, target = linked(source, target, ports=(PortRange("TCP", n + 1),))
        desired = compile_segment(reach(source, target))
        assert [g.reason for g in desired.gaps] == ["TooLarge"] * 2
        assert len(network_rules(desired)) == 2 * MAX_RULES
        assert len(mesh_rules(desired)) == MAX_RULES


def test_split_leaves_a_reach_without_gaps_alone():
    given = reach(*linked(meshed("build"), meshed("test", 1)), granted=(grant("elsewhere"),))
    assert split(given) == (given, (), ())


def test_closed_edges_are_nobodys_gap():
    build = meshed("build", ingress=(ingress(open=False, principals=()),), egress=(egress(open=False, http=GET),))
    assert compile_segment(reach(build)).gaps == ()


def test_accounts_of_callers_are_unknown_only_to_the_network():
    edge = ingress(principals=(Principal("callers", "robot"),))
    assert compile_segment(reach(meshed("build", ingress=(edge,)))).gaps == ()
