"""Pods that ztunnel captures: the ways to them, and who is held to what on each."""

from typing import Any

import pytest

from pipesegment.evaluate.endpoints import AddressEnd, PodEnd, Port
from pipesegment.evaluate.world import Http, World
from pipesegment.facts.parse import snapshot

PORT = Port("TCP", 8080)
AMBIENT = {"istio.io/dataplane-mode": "ambient"}
GATE = {"gateway.networking.k8s.io/gateway-name": "gate"}


def end(name: str, namespace: str = "ci", *, ambient: bool = True, around: Any = AMBIENT, **labels: str) -> PodEnd:
    return PodEnd(
        namespace, name, {"app": name, **labels}, around, ips=("10.0.0.1",), service_account=name, ambient=ambient
    )


BUILD, TEST, CACHE = end("build"), end("test"), end("cache")
PLAIN = end("plain", ambient=False)


def istio(kind: str, spec: dict[str, Any], name: str = "cache") -> dict[str, Any]:
    meta = {"namespace": "ci", "name": name}
    return {"apiVersion": "security.istio.io/v1", "kind": kind, "metadata": meta, "spec": spec}


def allow(*rules: Any, name: str = "cache", **about: Any) -> dict[str, Any]:
    about = about or {"selector": {"matchLabels": {"app": "cache"}}}
    return istio("AuthorizationPolicy", {**about, "rules": list(rules)}, name)


def source(account: str, **operation: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"from": [{"source": {"principals": [f"cluster.local/ns/ci/sa/{account}"]}}]}
    return found | ({"to": [{"operation": operation}]} if operation else {})


def network(app: str, direction: str, *rules: Any) -> dict[str, Any]:
    spec = {"podSelector": {"matchLabels": {"app": app}}, "policyTypes": [direction], direction.lower(): list(rules)}
    return {"kind": "NetworkPolicy", "metadata": {"namespace": "ci", "name": f"{app}-{direction}"}, "spec": spec}


def tunnel(key: str, labels: dict[str, str], port: int = 15008) -> dict[str, Any]:
    return {key: [{"podSelector": {"matchLabels": labels}}], "ports": [{"port": port, "protocol": "TCP"}]}


STRICT = istio("PeerAuthentication", {"selector": {"matchLabels": {"app": "cache"}}, "mtls": {"mode": "STRICT"}})
AT_SERVICE = {"targetRefs": [{"group": "", "kind": "Service", "name": "cache"}]}


def world(*objects: Any, waypoint: str = "gate", handles: str = "service", headless: bool = False) -> World:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    spec = {"selector": {"app": "cache"}, "ports": ports, "clusterIP": "None" if headless else "10.96.0.1"}
    service = {"kind": "Service", "metadata": {"namespace": "ci", "name": "cache"}, "spec": spec}
    if waypoint:
        service["metadata"]["labels"] = {"istio.io/use-waypoint": waypoint}
    meta = {"namespace": "ci", "name": "gate", "labels": {"istio.io/waypoint-for": handles}}
    gateway = {"kind": "Gateway", "metadata": meta, "spec": {"gatewayClassName": "istio-waypoint"}}
    facts = snapshot([service, gateway])
    return World(objects, facts.services["ci"].values(), facts.gateways["ci"].values())


class TestTheTunnel:
    def test_it_carries_every_port_to_one(self) -> None:
        """A policy that opens the called port alone closes the tunnel, and the tunnel's port opens every one."""
        declared = network("build", "Egress", tunnel("to", {"app": "cache"}, 8080))
        carried = network("build", "Egress", tunnel("to", {"app": "cache"}))
        assert not world(declared, STRICT).judge(BUILD, CACHE, PORT).enforced
        assert world(carried, STRICT).judge(BUILD, CACHE, PORT).enforced
        assert world(carried, STRICT).judge(BUILD, CACHE, Port("TCP", 22)).enforced
        assert not world(carried, STRICT).judge(BUILD, CACHE, Port("UDP", 8080)).enforced

    def test_both_pods_policies_see_it(self) -> None:
        closed = network("cache", "Ingress", tunnel("from", {"app": "build"}, 8080))
        assert not world(closed, STRICT).judge(BUILD, CACHE, PORT).enforced
        assert (
            world(network("cache", "Ingress", tunnel("from", {"app": "build"})), STRICT)
            .judge(BUILD, CACHE, PORT)
            .enforced
        )

    def test_ztunnel_holds_callers_to_ports_by_their_accounts(self) -> None:
        found = world(allow(source("build", ports=["8080"])), STRICT, waypoint="")
        assert found.judge(BUILD, CACHE, PORT).enforced
        assert not found.judge(BUILD, CACHE, Port("TCP", 22)).enforced
        assert not found.judge(TEST, CACHE, PORT).enforced

    def test_ztunnel_keeps_nothing_of_a_rule_that_asks_for_requests(self) -> None:
        found = world(allow(source("build", methods=["GET"])), STRICT, waypoint="")
        assert not found.judge(BUILD, CACHE, PORT, Http("GET", "/")).enforced
        assert not found.judge(BUILD, CACHE, PORT).enforced

    @pytest.mark.parametrize("caller", [PLAIN, AddressEnd("192.0.2.1")])
    def test_without_an_identity_only_permissive_lets_in(self, caller: Any) -> None:
        assert not world(STRICT).judge(caller, CACHE, PORT).enforced
        assert world().judge(caller, CACHE, PORT).enforced

    def test_disable_takes_no_identity_away(self) -> None:
        disabled = istio("PeerAuthentication", {"mtls": {"mode": "DISABLE"}}, "all")
        assert world(disabled, allow(source("build"))).judge(BUILD, CACHE, PORT).enforced

    def test_nothing_passes_at_any_port_only_where_no_waypoint_is(self) -> None:
        closed = network("cache", "Ingress")
        assert world(closed, waypoint="").never(BUILD, CACHE)
        assert world(closed).never(BUILD, CACHE) is None


class TestAWaypoint:
    GATED = (
        network("cache", "Ingress", tunnel("from", GATE)),
        allow(source("gate", ports=["8080"]), name="straight"),
        STRICT,
    )

    def test_it_calls_under_its_own_identity_and_holds_callers_at_the_services_port(self) -> None:
        found = world(*self.GATED, allow(source("build", ports=["80"], methods=["GET"]), **AT_SERVICE))
        assert found.judge(BUILD, CACHE, PORT, Http("GET", "/")).enforced
        assert not found.judge(BUILD, CACHE, PORT, Http("PUT", "/")).enforced
        assert not found.judge(TEST, CACHE, PORT, Http("GET", "/")).enforced
        assert (
            not world(*self.GATED, allow(source("build", ports=["8080"]), **AT_SERVICE))
            .judge(BUILD, CACHE, PORT)
            .enforced
        )

    def test_without_a_policy_it_lets_everybody_pass(self) -> None:
        assert world(*self.GATED).judge(TEST, CACHE, PORT).enforced

    def test_a_policy_by_selector_says_nothing_there(self) -> None:
        """It holds ztunnel, which sees the waypoint alone."""
        found = world(*self.GATED, allow(source("build"), name="more"))
        assert found.judge(TEST, CACHE, PORT).enforced

    def test_a_policy_at_its_gateway_holds_every_service(self) -> None:
        gateway = {"targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gate"}]}
        found = world(*self.GATED, allow(source("build"), name="all", **gateway))
        assert found.judge(BUILD, CACHE, PORT).enforced
        assert not found.judge(TEST, CACHE, PORT).enforced

    def test_the_caller_has_to_reach_it(self) -> None:
        shut = network("build", "Egress", tunnel("to", {"app": "cache"}))
        assert not world(*self.GATED, shut).judge(BUILD, CACHE, PORT).enforced
        assert world(*self.GATED, network("build", "Egress", tunnel("to", GATE))).judge(BUILD, CACHE, PORT).enforced

    @pytest.mark.parametrize(
        "how", [{"waypoint": "none"}, {"waypoint": "other"}, {"headless": True}, {"handles": "none"}]
    )
    def test_it_is_passed_by_where_it_is_not_used(self, how: Any) -> None:
        assert not world(*self.GATED, **how).judge(BUILD, CACHE, PORT).enforced

    def test_calls_to_pods_are_held_by_no_services_policy(self) -> None:
        pod = end("cache", **{"istio.io/use-waypoint": "gate"})
        nobody = allow(**AT_SERVICE, name="nobody")
        assert world(*self.GATED, nobody, handles="workload").judge(BUILD, pod, PORT).enforced
        assert not world(*self.GATED, nobody, handles="service").judge(BUILD, pod, PORT).enforced

    def test_a_namespace_uses_it_for_every_service(self) -> None:
        everywhere = end("cache", around={**AMBIENT, "istio.io/use-waypoint": "gate"})
        assert world(*self.GATED, waypoint="").judge(BUILD, everywhere, PORT).enforced
        assert not world(*self.GATED, waypoint="none").judge(BUILD, everywhere, PORT).enforced


class TestWhatIsLeftAtZtunnel:
    """Requests fall out of every policy. An ALLOW then lets nobody in, a DENY holds by what is left of each of its parts."""

    @pytest.mark.parametrize(
        ("rule", "passes"),
        [
            ({"to": [{"operation": {"methods": ["PUT"], "ports": ["8080"]}}]}, False),
            ({"to": [{"operation": {"methods": ["PUT"], "ports": ["22"]}}]}, True),
            ({"to": [{"operation": {"methods": ["PUT"]}}]}, True),
            ({"to": [{"operation": {"methods": ["PUT"]}}, {"operation": {"ports": ["8080"]}}]}, False),
            ({"to": [{"operation": {"methods": ["PUT"]}}, {"operation": {"ports": ["22"]}}]}, True),
            ({"from": [{"source": {"requestPrincipals": ["*"]}}]}, True),
            ({"from": [{"source": {"remoteIpBlocks": ["0.0.0.0/0"]}}]}, True),
            ({"when": [{"key": "request.headers[x-way]", "values": ["a"]}]}, True),
            ({"when": [{"key": "source.serviceAccount", "values": ["ci/build"]}]}, True),
            ({"when": [{"key": "source.namespace", "values": ["ci"]}]}, False),
            ({}, False),
        ],
    )
    def test_a_deny_holds_by_what_is_left_of_each_part(self, rule: Any, passes: bool) -> None:
        about = {"selector": {"matchLabels": {"app": "cache"}}, "action": "DENY", "rules": [rule]}
        denied = istio("AuthorizationPolicy", about)
        assert world(denied, STRICT, waypoint="").judge(BUILD, CACHE, PORT).enforced is passes

    @pytest.mark.parametrize("key", ["source.serviceAccount", "remote.ip", "request.headers[x-way]"])
    def test_an_allow_with_a_condition_that_ztunnel_does_not_know_lets_nobody_in(self, key: str) -> None:
        rule = {"when": [{"key": key, "values": ["10.0.0.0/8" if key == "remote.ip" else "ci/build"]}]}
        assert not world(allow(rule), STRICT, waypoint="").judge(BUILD, CACHE, PORT).enforced
