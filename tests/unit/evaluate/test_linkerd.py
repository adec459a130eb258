"""What Linkerd's sidecars let in, by Servers, by who is authorized there, and by the pod's default."""

from typing import Any

import pytest

from pipesegment.evaluate.endpoints import AddressEnd, PodEnd, Port
from pipesegment.evaluate.linkerd import Caller, Linkerd
from pipesegment.evaluate.world import World
from pipesegment.facts.ends import address
from pipesegment.facts.snapshot import ContainerPort

OPEN = "all-unauthenticated"
PORTS = (ContainerPort("web", 8080, "TCP"),)
LABELS = {"app": "cache"}


def end(name: str, default: str = OPEN) -> PodEnd:
    ips = ("10.0.0.1",)
    return PodEnd("ci", name, {"app": name}, ips=ips, ports=PORTS, service_account=name, linkerd=default)


CACHE = end("cache")


def obj(kind: str, spec: Any, name: str = "one", namespace: str = "ci") -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "policy.linkerd.io/v1beta3", "kind": kind, "metadata": meta, "spec": spec}


def server(port: Any = 8080, labels: Any = LABELS, **spec: Any) -> dict[str, Any]:
    return obj("Server", {"podSelector": {"matchLabels": labels}, "port": port, **spec}, "cache")


def authorize(*refs: Any, target: Any = None, name: str = "one", namespace: str = "ci") -> dict[str, Any]:
    target = target or {"group": "policy.linkerd.io", "kind": "Server", "name": "cache"}
    return obj("AuthorizationPolicy", {"targetRef": target, "requiredAuthenticationRefs": list(refs)}, name, namespace)


def ref(kind: str = "MeshTLSAuthentication", name: str = "who", **more: str) -> dict[str, str]:
    return {"kind": kind, "name": name, **more}


def who(*identities: str, **spec: Any) -> dict[str, Any]:
    return obj("MeshTLSAuthentication", {"identities": list(identities), **spec}, "who")


def identity(account: str, namespace: str = "ci") -> str:
    return f"{account}.{namespace}.serviceaccount.identity.linkerd.cluster.local"


def caller(account: str | None = "build", namespace: str = "ci", ip: str = "10.0.0.9") -> Caller:
    return Caller((account and (namespace, account, identity(account, namespace))) or None, address(ip))


def passes(*objects: Any, pod: PodEnd = CACHE, port: int = 8080, by: Caller | None = None) -> bool:
    return Linkerd(objects).verdict(pod, port, by or caller()).allowed


class TestServers:
    def test_one_denies_whom_nothing_authorizes_at_its_port_alone(self) -> None:
        assert not passes(server())
        assert passes(server(), port=9090)
        assert passes(server(labels={"app": "other"}))

    def test_a_port_by_name_is_what_the_pod_says(self) -> None:
        assert not passes(server("web"))
        assert passes(server("admin"))

    @pytest.mark.parametrize(
        ("policy", "known", "unknown"),
        [
            ("deny", False, False),
            ("audit", True, True),
            (OPEN, True, True),
            ("all-authenticated", True, False),
            ("?", False, False),
        ],
    )
    def test_its_access_policy_is_for_everybody_else(self, policy: str, known: bool, unknown: bool) -> None:
        assert passes(server(accessPolicy=policy)) is known
        assert passes(server(accessPolicy=policy), by=caller(None)) is unknown

    @pytest.mark.parametrize(
        ("default", "known", "unknown"),
        [
            ("deny", False, False),
            ("audit", True, True),
            ("cluster-unauthenticated", True, True),
            ("cluster-authenticated", True, False),
        ],
    )
    def test_without_one_the_pods_default_decides(self, default: str, known: bool, unknown: bool) -> None:
        assert passes(pod=end("cache", default)) is known
        assert passes(pod=end("cache", default), by=caller(None)) is unknown

    def test_some_ports_pass_the_sidecar_by(self) -> None:
        assert passes(server(4567), port=4567, by=caller(None))


class TestAuthorizations:
    def test_an_identity_is_matched_as_a_whole(self) -> None:
        assert passes(server(), authorize(ref()), who(identity("build")))
        assert not passes(server(), authorize(ref()), who(identity("buil")))
        assert not passes(server(), authorize(ref()), who(identity("build")), by=caller("build", "cd"))
        assert not passes(server(), authorize(ref()), who(identity("build")), by=caller(None))

    def test_a_star_in_front_is_every_account_of_a_domain(self) -> None:
        every = who("*.ci.serviceaccount.identity.linkerd.cluster.local")
        assert passes(server(), authorize(ref()), every)
        assert not passes(server(), authorize(ref()), every, by=caller("build", "xci"))
        assert passes(server(), authorize(ref()), who("*"), by=caller("any", "cd"))
        assert not passes(server(), authorize(ref()), who("*"), by=caller(None))

    def test_all_that_is_required_must_hold(self) -> None:
        near = obj("NetworkAuthentication", {"networks": [{"cidr": "10.0.0.0/24", "except": ["10.0.0.8/32"]}]}, "near")
        both = (server(), authorize(ref(), ref("NetworkAuthentication", "near")), who(identity("build")), near)
        assert passes(*both)
        assert not passes(*both, by=caller(ip="10.0.0.8"))
        assert not passes(*both, by=caller(ip="10.0.1.1"))
        assert not passes(*both, by=caller("test"))

    def test_one_that_names_what_does_not_exist_counts_for_nothing(self) -> None:
        assert not passes(server(), authorize(ref()))
        assert not passes(server(), authorize(ref(namespace="cd")), who(identity("build")))

    def test_one_that_requires_nothing_authorizes_everybody(self) -> None:
        assert passes(server(), authorize(), by=caller(None))

    @pytest.mark.parametrize("kind", ["ServiceAccount", "Namespace"])
    def test_accounts_and_namespaces_may_be_referred_to(self, kind: str) -> None:
        name = "build" if kind == "ServiceAccount" else "ci"
        for policies in (
            [authorize(ref(kind, name))],
            [authorize(ref()), who(identityRefs=[{"kind": kind, "name": name}])],
        ):
            assert passes(server(), *policies)
            assert not passes(server(), *policies, by=caller("build", "cd"))

    def test_it_is_about_a_server_of_its_own_namespace(self) -> None:
        assert not passes(server(), authorize(ref(), namespace="cd"), who("*"))
        assert not passes(server(), authorize(ref(), target={"kind": "Server", "name": "other"}), who("*"))
        assert passes(server(), authorize(ref(), target={"kind": "Namespace", "name": "ci"}), who("*"))
        assert not passes(server(), authorize(ref(), target={"kind": "HTTPRoute", "name": "cache"}), who("*"))

    def test_the_older_kind_opens_the_servers_that_it_means(self) -> None:
        assert passes(server(), obj("ServerAuthorization", {"server": {"name": "cache"}}))
        assert not passes(server(), obj("ServerAuthorization", {"server": {"name": "other"}}))


def network(direction: str, port: int) -> dict[str, Any]:
    side = {"Egress": "to", "Ingress": "from"}[direction]
    rule = {side: [{"podSelector": {}}], "ports": [{"port": port, "protocol": "TCP"}]}
    spec = {"podSelector": {}, "policyTypes": [direction], direction.lower(): [rule]}
    return {"kind": "NetworkPolicy", "metadata": {"namespace": "ci", "name": direction}, "spec": spec}


class TestOnTheNetwork:
    BUILD, PORT = end("build"), Port("TCP", 8080)
    HELD = (server(), authorize(ref()), who(identity("build")))

    @pytest.mark.parametrize(("port", "open_"), [(4143, True), (8080, True), (9090, False)])
    def test_between_sidecars_calls_go_to_one_port_or_to_their_own(self, port: int, open_: bool) -> None:
        world = World([*self.HELD, network("Egress", port), network("Ingress", port)])
        assert world.judge(self.BUILD, CACHE, self.PORT).enforced is open_

    def test_the_one_port_carries_every_other(self) -> None:
        world = World([*self.HELD, network("Ingress", 4143)])
        assert world.judge(self.BUILD, CACHE, Port("TCP", 22)).enforced
        assert not world.judge(self.BUILD, end("cache", "deny"), Port("TCP", 22)).enforced

    def test_whoever_has_no_sidecar_has_no_identity(self) -> None:
        bare = PodEnd("ci", "bare", {"app": "bare"}, ips=("10.0.0.5",), service_account="build")
        for other in (bare, AddressEnd("192.0.2.1")):
            assert not World(self.HELD).judge(other, CACHE, self.PORT).enforced
            assert World([]).judge(other, CACHE, self.PORT).enforced

    def test_the_trust_domain_is_part_of_the_identity(self) -> None:
        assert World(self.HELD).judge(self.BUILD, CACHE, self.PORT).enforced
        assert not World(self.HELD, trust_domain="example.org").judge(self.BUILD, CACHE, self.PORT).enforced
