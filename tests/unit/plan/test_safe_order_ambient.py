"""A stage comes behind a waypoint, or leaves it: at no moment does the waypoint pass somebody whom nobody holds."""

from typing import Any

import pytest

from pipesegment.evaluate.ambient import Http
from pipesegment.evaluate.endpoints import PodEnd, Port
from pipesegment.evaluate.world import World
from pipesegment.facts.parse import snapshot
from tests.unit.plan.scenes import Scene, allow_policy, strict

GATE = "cluster.local/ns/ci/sa/gate"
BUILD = "cluster.local/ns/ci/sa/build"
TEST = "cluster.local/ns/ci/sa/test"
LABELS = {"app": "cache"}
PODS = [
    PodEnd("ci", n, {"app": n}, ips=(f"10.0.0.{i}",), service_account=n, ambient=True)
    for i, n in enumerate(("build", "test", "cache"), 1)
]
REQUESTS = (None, Http("GET", "/"), Http("PUT", "/"))


def rule(principal: str, **operation: Any) -> dict[str, Any]:
    return {"from": [{"source": {"principals": [principal]}}], "to": [{"operation": operation}]}


def at_service(*rules: Any) -> dict[str, Any]:
    made = allow_policy("shop-cache-at-cache", {}, rules)
    made["spec"] = {"targetRefs": [{"group": "", "kind": "Service", "name": "cache"}], **made["spec"]}
    del made["spec"]["selector"]
    return made


STRAIGHT = [allow_policy("shop-cache", LABELS, [rule(BUILD, ports=["8080"])]), strict("shop-cache", LABELS)]
GATED = [
    allow_policy("shop-cache", LABELS, [rule(GATE, ports=["8080"])]),
    strict("shop-cache", LABELS),
    at_service(rule(BUILD, ports=["80"], methods=["GET"])),
]
OTHERS = [*GATED[:2], at_service(rule(TEST, ports=["80"]))]


def flows(objects: Any) -> frozenset[tuple[str, str, Http | None]]:
    service = {
        "kind": "Service",
        "metadata": {"namespace": "ci", "name": "cache", "labels": {"istio.io/use-waypoint": "gate"}},
        "spec": {
            "selector": LABELS,
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
            "clusterIP": "10.96.0.1",
        },
    }
    gateway = {
        "kind": "Gateway",
        "metadata": {"namespace": "ci", "name": "gate"},
        "spec": {"gatewayClassName": "istio-waypoint"},
    }
    facts = snapshot([service, gateway])
    world = World(objects, facts.services["ci"].values(), facts.gateways["ci"].values())
    return frozenset(
        (str(source), str(PODS[2]), http)
        for source in PODS[:2]
        for http in REQUESTS
        if world.judge(source, PODS[2], Port("TCP", 8080), http).enforced
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [([], GATED), (GATED, []), (STRAIGHT, GATED), (GATED, STRAIGHT), (GATED, OTHERS), (OTHERS, GATED)],
)
def test_after_every_write_what_is_open_was_open_before_or_is_after(old: Any, new: Any) -> None:
    scene = Scene(list(old), list(new))
    either = flows(old) | flows(new)
    states = list(scene.states(scene.sequence().steps))
    assert [flows(state) - either for state in states] == [frozenset()] * len(states)
    assert flows(states[-1]) == flows(new)


def test_a_waypoint_is_admitted_only_behind_a_policy_of_its_own() -> None:
    scene = Scene(list(STRAIGHT), list(GATED))
    for state in scene.states(scene.sequence().steps):
        named = {o["metadata"]["name"]: o for o in state if o["kind"] == "AuthorizationPolicy"}
        assert GATE not in str(named["shop-cache"]["spec"]) or "shop-cache-at-cache" in named
