"""How the ambient mesh carries calls to stages and to other pods, and which waypoints can be held to anything."""

from typing import Any

import pytest

from pipesegment.reach.edges import Front, Mesh, Tunnel, Waypoint
from tests.unit.reach.reaching import namespace, plain, pod, reach, segment, segment_class, service, stage, way

AMBIENT = {"istio.io/dataplane-mode": "ambient"}
GATE = Waypoint("ci", "gate", "gate")
STAGES = [
    {"name": "build", "reaches": [{"stage": {"name": "cache"}, "ports": [{"port": 8080}]}]},
    {"name": "cache", "podSelector": {"matchLabels": {"app": "cache"}}},
]


def ambient(name: str = "ci", **more: str) -> dict[str, Any]:
    found = namespace(name)
    found["metadata"]["labels"] = {**AMBIENT, **more}
    return found


def front(name: str = "cache", uses: str = "gate", selector: Any = None, ports: Any = None, at: str = "ci") -> Any:
    found = service(at, name, selector or {"app": "cache"}, ports)
    found["metadata"]["labels"] = {"istio.io/use-waypoint": uses}
    return found


def gate(name: str = "gate", at: str = "ci", handles: str = "service", annotations: Any = None, **listener: Any) -> Any:
    spec = {"gatewayClassName": "istio-waypoint", "listeners": [{"name": "mesh", **listener}]}
    found = plain("Gateway", at, name, spec, {"istio.io/waypoint-for": handles} if handles else {})
    found["metadata"]["annotations"] = annotations or {}
    return found


def of(*facts: Any, stages: Any = STAGES) -> tuple[Tunnel | None, tuple[Front, ...]]:
    found = reach(segment(stages), ambient(), *facts)
    (edge,) = way(found, "build")
    (inbound,) = stage(found, "cache").ingress
    assert edge.tunnel == inbound.tunnel
    return edge.tunnel, stage(found, "cache").fronts


def test_without_a_waypoint_calls_go_straight_to_the_stage() -> None:
    assert of() == (Tunnel(guarded=True), ())
    assert of(front()) == (Tunnel(guarded=True), ())  # it is not there (yet): Istio calls straight


def test_outside_of_the_ambient_mesh_nothing_is_carried() -> None:
    (edge,) = way(reach(segment(STAGES)), "build")
    assert edge.tunnel is None


@pytest.mark.parametrize("handles", ["", "service"])
def test_services_behind_a_waypoint_are_its_fronts(handles: str) -> None:
    expected = (Front("cache", GATE, ((80, 8080),)),)
    assert of(front(), gate(handles=handles)) == (Tunnel(True, (GATE,), expected), expected)


def test_a_waypoint_runs_as_its_annotation_says() -> None:
    tunnel, _ = of(front(), gate(annotations={"gateway.istio.io/service-account": "runner"}))
    assert tunnel is not None
    assert tunnel.waypoints == (Waypoint("ci", "gate", "runner"),)


def test_a_stage_that_observes_guards_nothing() -> None:
    tunnel, _ = of(stages=[STAGES[0], {**STAGES[1], "mode": "Observe"}])
    assert tunnel == Tunnel(guarded=False)


def test_named_targets_are_what_pods_say() -> None:
    named = [{"name": "http", "port": 80, "targetPort": "web"}]
    running = pod("ci", "cache-1", {"app": "cache"}, containers=[{"ports": [{"name": "web", "containerPort": 8088}]}])
    assert of(front(ports=named), gate())[1] == (Front("cache", GATE, ()),)
    assert of(front(ports=named), gate(), running)[1] == (Front("cache", GATE, ((80, 8088),)),)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ((front(), gate(handles="all")), "passes calls to pods"),
        ((front(), gate(handles="workload")), "passes calls to pods"),
        ((front(), gate(allowedRoutes={"namespaces": {"from": "All"}})), "serves more namespaces"),
        ((front(selector={"tier": "x"}), gate(), pod("ci", "p", {"tier": "x", "app": "cache"})), "pods of others too"),
        ((front(), gate(), segment_class(network={"isolation": {"mode": "Namespace"}})), "isolates namespace ci"),
    ],
)
def test_what_cannot_be_held_is_told_and_admits_nothing(facts: Any, why: str) -> None:
    tunnel, fronts = of(*facts)
    assert tunnel is not None
    assert why in tunnel.distrusted
    assert fronts == ()


def test_a_waypoint_of_another_namespace_serves_more_than_this_one() -> None:
    service = front()
    service["metadata"]["labels"]["istio.io/use-waypoint-namespace"] = "infra"
    tunnel, fronts = of(service, gate(at="infra"))
    assert tunnel is not None
    assert "serves more namespaces" in tunnel.distrusted
    assert fronts == ()


def test_pods_may_not_have_a_waypoint_of_their_own() -> None:
    own = {"matchLabels": {"app": "cache", "istio.io/use-waypoint": "gate"}}
    tunnel, _ = of(gate(), stages=[STAGES[0], {**STAGES[1], "podSelector": own}])
    assert tunnel is not None
    assert "a waypoint of their own" in tunnel.distrusted


def test_an_isolating_class_may_leave_the_waypoint_out() -> None:
    key = "gateway.networking.k8s.io/gateway-name"
    isolation = {"mode": "Namespace", "exceptPods": [{"matchLabels": {key: "gate"}}]}
    tunnel, _ = of(front(), gate(), segment_class(network={"isolation": isolation}))
    assert tunnel is not None
    assert not tunnel.distrusted


def test_other_services_behind_the_waypoint_are_named() -> None:
    tunnel, _ = of(front(), gate(), front("stray", selector={"app": "stray"}), front("other", uses="none"))
    assert tunnel is not None
    assert tunnel.beside == ("ci/stray",)


OUT = [{"name": "build", "reaches": [{"service": {"name": "api", "namespace": "prod"}}]}]


def to_api(*facts: Any) -> Tunnel | None:
    (edge,) = way(reach(segment(OUT), ambient(), service("prod", "api", {"app": "api"}), *facts), "build")
    return edge.tunnel


def test_pods_of_no_stage_are_carried_to_where_their_namespace_is_captured() -> None:
    assert to_api(namespace("prod")) is None
    assert to_api(ambient("prod")) == Tunnel(guarded=False)
    behind = front("api", selector={"app": "api"}, at="prod")
    assert to_api(ambient("prod"), behind, gate(at="prod")) == Tunnel(False, (Waypoint("prod", "gate", "gate"),))


def test_a_caller_that_nobody_captures_calls_in_plaintext() -> None:
    mine = segment([{**OUT[0], "mesh": "None"}])
    (edge,) = way(reach(mine, ambient(), ambient("prod"), service("prod", "api", {"app": "api"})), "build")
    assert edge.tunnel is None


@pytest.mark.parametrize(
    ("label", "namespaces", "expected"),
    [
        (None, AMBIENT, Mesh.AMBIENT),
        ("none", AMBIENT, Mesh.NONE),
        ("ambient", {"istio-injection": "enabled"}, Mesh.AMBIENT),
        ("none", {"istio-injection": "enabled"}, Mesh.ISTIO),
        ("ambient", {}, Mesh.NONE),
    ],
)
def test_a_label_of_all_its_pods_counts_before_the_namespaces(label: Any, namespaces: Any, expected: Mesh) -> None:
    labels = {"app": "x"} | ({"istio.io/dataplane-mode": label} if label else {})
    around = namespace("ci")
    around["metadata"]["labels"] = namespaces
    found = reach(segment([{"name": "build", "podSelector": {"matchLabels": labels}}]), around)
    assert stage(found, "build").mesh is expected
