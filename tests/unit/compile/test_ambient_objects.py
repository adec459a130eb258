"""What the ambient mesh is told: ztunnel by selector, waypoints by targetRefs, and the network about the tunnel."""

from typing import Any

import pytest

from pipesegment.compile.segment import compile_segment
from pipesegment.facts.selectors import Requirement, Selector
from pipesegment.reach.edges import Front, HttpRule, Mesh, Mode, PodPeer, PortRange, Principal, Tunnel, Waypoint
from tests.unit.compile.building import NAMESPACE, WEB, egress, governed, ingress, linked, names_of, only, reach, stage

GATE = Waypoint(NAMESPACE, "gate", "gate-account")
FRONT = Front("web", GATE, ((80, 8080), (90, 9090)))
GUARDED = Tunnel(guarded=True)
BEHIND = Tunnel(guarded=True, waypoints=(GATE,), fronts=(FRONT,))
GET = (HttpRule(("GET",), ("/api/*",)),)
KINDS = ("AuthorizationPolicy", "PeerAuthentication", "Sidecar")


def ambient(name: str, index: int = 0, **fields: Any) -> Any:
    return stage(name, index, **{"mesh": Mesh.AMBIENT, **fields})


def compiled(tunnel: Tunnel = GUARDED, ports: Any = (WEB,), target: Any = None, **fields: Any) -> Any:
    build, test = linked(ambient("build"), target or ambient("test", 1), ports, tunnel=tunnel, **fields)
    return compile_segment(reach(build, test))


def ports_of(desired: Any, name: str, direction: str) -> list[Any]:
    rules = only(desired, "NetworkPolicy", name)["spec"][direction]
    return [[p["port"] for p in rule["ports"]] for rule in rules if "ipBlock" not in str(rule)]


def test_callers_are_held_to_ports_by_their_accounts():
    spec = only(compiled(), "AuthorizationPolicy", "shop-test")["spec"]
    assert spec["rules"] == [
        {
            "from": [{"source": {"principals": [f"cluster.local/ns/{NAMESPACE}/sa/shop-build"]}}],
            "to": [{"operation": {"ports": ["8080"]}}],
        }
    ]
    assert only(compiled(), "PeerAuthentication", "shop-test")["spec"]["mtls"] == {"mode": "STRICT"}
    assert names_of(compiled(), "Sidecar") == []


def test_the_network_opens_the_tunnel_on_both_sides_beside_what_is_declared():
    desired = compiled(ports=(WEB, PortRange("UDP", 53)))
    assert ports_of(desired, "shop-build", "egress") == [[8080, 15008, 53]]
    assert ports_of(desired, "shop-test", "ingress") == [[8080, 15008, 53]]


def test_what_is_not_tcp_needs_no_tunnel():
    desired = compiled(ports=(PortRange("UDP", 53),))
    assert ports_of(desired, "shop-build", "egress") == [[53]]
    assert "rules" not in only(desired, "AuthorizationPolicy", "shop-test")["spec"]


def test_probes_of_the_node_come_in():
    rules = only(compiled(), "NetworkPolicy", "shop-build")["spec"]["ingress"]
    assert [[peer["ipBlock"]["cidr"] for peer in rule["from"]] for rule in rules] == [
        ["169.254.7.127/32", "fd16:9254:7127:1337:ffff:ffff:ffff:ffff/128"]
    ]


@pytest.mark.parametrize("port", [15020, 15021, 15090])
def test_a_sidecars_own_ports_are_ordinary_ones(port):
    spec = only(compiled(ports=(PortRange("TCP", port),)), "AuthorizationPolicy", "shop-test")["spec"]
    assert spec["rules"][0]["to"] == [{"operation": {"ports": [str(port)]}}]


class TestBehindAWaypoint:
    def target(self, **fields: Any) -> Any:
        return ambient("test", 1, fronts=(FRONT,), **fields)

    def test_requests_are_held_at_the_service_alone(self):
        desired = compiled(BEHIND, http=GET, target=self.target())
        (name,) = [n for n in names_of(desired, "AuthorizationPolicy") if n.startswith("shop-test-at-web")]
        spec = only(desired, "AuthorizationPolicy", name)["spec"]
        assert spec["targetRefs"] == [{"group": "", "kind": "Service", "name": "web"}]
        assert spec["rules"][0]["to"] == [{"operation": {"ports": ["80"], "methods": ["GET"], "paths": ["/api/*"]}}]
        straight = only(desired, "AuthorizationPolicy", "shop-test")["spec"]
        assert straight["rules"] == [
            {
                "from": [{"source": {"principals": [f"cluster.local/ns/{NAMESPACE}/sa/gate-account"]}}],
                "to": [{"operation": {"ports": ["8080"]}}],
            }
        ]

    def test_no_object_has_both_a_selector_and_targets(self):
        for obj in compiled(BEHIND, http=GET, target=self.target()).objects:
            assert not {"selector", "targetRefs"} <= obj.get("spec", {}).keys()

    def test_a_service_of_which_nothing_is_declared_admits_nobody_and_its_waypoint_neither(self):
        desired = compile_segment(reach(self.target()))
        for name in names_of(desired, "AuthorizationPolicy"):
            assert "rules" not in only(desired, "AuthorizationPolicy", name)["spec"]
        assert len(names_of(desired, "AuthorizationPolicy")) == 2

    def test_the_network_opens_the_waypoint_on_both_sides(self):
        desired = compiled(BEHIND, target=self.target())
        assert [15008] in ports_of(desired, "shop-build", "egress")
        assert [15008] in ports_of(desired, "shop-test", "ingress")

    def test_a_port_that_no_service_leads_to_is_not_held_there(self):
        desired = compiled(BEHIND, ports=(PortRange("TCP", 7000),), http=GET, target=self.target())
        assert [g.reason for g in desired.gaps] == ["HttpNotEnforced"]

    def test_a_service_that_is_named_has_to_be_behind_one(self):
        other = (f"{NAMESPACE}/other.{NAMESPACE}.svc.cluster.local",)
        desired = compiled(BEHIND, http=GET, hosts=other, target=self.target())
        assert [g.reason for g in desired.gaps] == ["HttpNotEnforced"]

    def test_one_that_cannot_be_held_is_a_gap_whatever_is_called(self):
        doubted = Tunnel(guarded=True, waypoints=(GATE,), distrusted="it serves everybody")
        desired = compiled(doubted)
        assert [g.reason for g in desired.gaps] == ["WaypointUnfit"]
        assert ports_of(desired, "shop-build", "egress") == []

    def test_a_refused_stage_gets_the_policy_that_admits_nobody_and_nothing_else(self):
        desired = compile_segment(reach(self.target(closed=True)))
        assert names_of(desired, "AuthorizationPolicy") == ["shop-test"]
        assert names_of(desired, "PeerAuthentication") == []


class TestWithoutAPolicyOfOurs:
    PODS = PodPeer("web", Selector.of({"app": "web"}))

    def desired(self, tunnel: Tunnel | None, **fields: Any) -> Any:
        return compile_segment(reach(ambient("build", egress=(egress(self.PODS, tunnel=tunnel, **fields),))))

    def test_the_edge_is_coarse_and_told(self):
        desired = self.desired(Tunnel(guarded=False))
        assert ports_of(desired, "shop-build", "egress") == [[8080, 15008]]
        assert [c.reason for c in desired.coarse] == ["TunnelOpen"]

    @pytest.mark.parametrize("tunnel", [None, GUARDED])
    def test_nothing_is_told_where_nothing_is_wider(self, tunnel):
        assert self.desired(tunnel).coarse == ()

    def test_every_port_is_not_wider_than_every_port(self):
        assert self.desired(Tunnel(guarded=False), ports=()).coarse == ()

    def test_other_services_behind_the_waypoint_are_named(self):
        (found,) = self.desired(Tunnel(True, (GATE,), (), ("web/more",))).coarse
        assert "web/more" in found.message

    def test_a_caller_outside_of_the_mesh_uses_no_tunnel(self):
        plain = stage("build", egress=(egress(self.PODS, tunnel=Tunnel(guarded=False)),))
        desired = compile_segment(reach(plain))
        assert ports_of(desired, "shop-build", "egress") == [[8080]]
        assert desired.coarse == ()


class TestGaps:
    def test_data_planes_do_not_meet(self):
        build, test = linked(stage("build", mesh=Mesh.ISTIO), ambient("test", 1), tunnel=GUARDED)
        assert "MixedMesh" in [g.reason for g in compile_segment(reach(build, test)).gaps]

    def test_addresses_have_no_identity(self):
        from_block = ingress(*egress().peers, principals=(), tunnel=GUARDED, described="cidr 198.51.100.0/24")
        assert [g.reason for g in compile_segment(reach(ambient("test", ingress=(from_block,)))).gaps] == ["NotInMesh"]

    def test_pods_that_istio_cannot_select_take_no_calls(self):
        odd = Selector.of({}, Requirement("app", "Exists"))
        desired = compiled(target=ambient("test", 1, selector=odd))
        assert {g.reason for g in desired.gaps} == {"MeshSelector"}
        assert ports_of(desired, "shop-test", "ingress") == []

    def test_observe_writes_nothing(self):
        desired = compiled(target=ambient("test", 1, mode=Mode.OBSERVE))
        assert not [o for o in desired.objects if o["metadata"]["name"] == "shop-test" and o["kind"] in KINDS]

    def test_accounts_narrow_and_namespaces_are_sources_of_their_own(self):
        some = ingress(principals=(Principal("callers", "a"), Principal("callers", None)), tunnel=GUARDED)
        desired = compile_segment(
            reach(ambient("test", ingress=(some,)), governance=governed(mesh={"trustDomain": "x.org"}))
        )
        (rule,) = only(desired, "AuthorizationPolicy", "shop-test")["spec"]["rules"]
        assert rule["from"] == [
            {"source": {"principals": ["x.org/ns/callers/sa/a"]}},
            {"source": {"namespaces": ["callers"]}},
        ]
