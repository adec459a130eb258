"""NetworkPolicies and the mesh together."""

from typing import Any

import pytest

from pipesegment.evaluate.endpoints import AddressEnd, PodEnd, Port
from pipesegment.evaluate.world import Http, World, matrix
from pipesegment.facts.parse import snapshot
from pipesegment.facts.snapshot import ContainerPort, Service

PORT = Port("TCP", 8080)
BUILD = PodEnd("ci", "build", {"app": "build"}, ips=("10.0.0.1",), service_account="build", meshed=True)
PLAIN = PodEnd("ci", "plain", {"app": "plain"}, ips=("10.0.0.2",))
CACHE = PodEnd(
    "ci", "cache", {"app": "cache"}, ips=("10.0.0.3",), ports=(ContainerPort("web", 8080, "TCP"),), meshed=True
)


def services(
    name: str = "http",
    target: int | str = "web",
    selector: dict[str, str] | None = None,
    *,
    port: int = 80,
    app_protocol: str | None = None,
    **spec: str,
) -> list[Service]:
    ports = [{"name": name, "port": port, "targetPort": target, "appProtocol": app_protocol}]
    raw = {
        "kind": "Service",
        "metadata": {"name": "cache", "namespace": "ci"},
        "spec": {"selector": selector or {"app": "cache"}, "ports": ports, **spec},
    }
    return list(snapshot([raw]).services["ci"].values())


def istio(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": kind,
        "metadata": {"namespace": "ci", "name": "cache"},
        "spec": {"selector": {"matchLabels": {"app": "cache"}}, **spec},
    }


def network(spec: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "NetworkPolicy", "metadata": {"namespace": "ci", "name": "net"}, "spec": spec}


STRICT = istio("PeerAuthentication", {"mtls": {"mode": "STRICT"}})
ONLY_BUILD = istio(
    "AuthorizationPolicy", {"rules": [{"from": [{"source": {"principals": ["cluster.local/ns/ci/sa/build"]}}]}]}
)
ONLY_GET = istio("AuthorizationPolicy", {"rules": [{"to": [{"operation": {"methods": ["GET"], "paths": ["/api/*"]}}]}]})


def test_both_must_let_it_through() -> None:
    """NetworkPolicy first, then the sidecar; the reason is the one that refuses, or both."""
    closed = network({"podSelector": {"matchLabels": {"app": "cache"}}})
    found = World([closed, STRICT, ONLY_BUILD], services()).judge(BUILD, CACHE, PORT)
    assert (found.enforced, found.because) == (False, "no ingress rule of NetworkPolicy ci/net allows it")
    world = World([STRICT, ONLY_BUILD], services())
    assert world.judge(PLAIN, CACHE, PORT).because == "plaintext is refused by PeerAuthentication ci/cache"
    found = world.judge(BUILD, CACHE, PORT)
    assert found.enforced
    assert found.because.endswith("; allowed by AuthorizationPolicy ci/cache rules[0]")


@pytest.mark.parametrize(
    "known",
    [
        services(),
        services(target=8080),
        services(name="tcp"),
        services(name=""),
        services(name="grpc-web"),
        services(port=8080, clusterIP="None"),
    ],
)
def test_an_identity_goes_through_a_service_that_targets_the_port(known: list[Service]) -> None:
    """By number or by name."""
    assert World([STRICT, ONLY_BUILD], known).judge(BUILD, CACHE, PORT).enforced


@pytest.mark.parametrize(
    "known",
    [
        [],
        services(target=9090),
        services(target="admin"),
        services(selector={"app": "x"}),
        services(clusterIP="None"),
        services(port=8080, target=9090, clusterIP="None"),
        services(type="ExternalName", externalName="cache.example.com"),
    ],
)
def test_without_such_a_service_a_caller_is_a_stranger(known: list[Service]) -> None:
    """The client's sidecar sends plaintext, which STRICT refuses."""
    assert not World([STRICT], known).judge(BUILD, CACHE, PORT).enforced
    assert World([], known).judge(BUILD, CACHE, PORT).enforced


def test_a_caller_may_always_try_plaintext() -> None:
    """A DENY on a principal is dodged where plaintext passes."""
    denied = istio("AuthorizationPolicy", {"action": "DENY", "rules": ONLY_BUILD["spec"]["rules"]})
    assert World([denied], services()).judge(BUILD, CACHE, PORT).enforced
    assert not World([denied, STRICT], services()).judge(BUILD, CACHE, PORT).enforced


def test_the_trust_domain_is_part_of_an_identity() -> None:
    """A policy for another trust domain knows nobody here."""
    assert not World([STRICT, ONLY_BUILD], services(), trust_domain="mesh.example").judge(BUILD, CACHE, PORT).enforced


def test_one_request_may_be_asked_about() -> None:
    """Without a request any will do."""
    world = World([ONLY_GET], services())
    assert world.judge(BUILD, CACHE, PORT).enforced
    assert world.judge(BUILD, CACHE, PORT, Http("GET", "/api/x")).enforced
    assert not world.judge(BUILD, CACHE, PORT, Http("PUT", "/api/x")).enforced
    assert not world.judge(BUILD, CACHE, PORT, Http("GET", "/")).enforced


def test_http_rules_hold_bytes_off() -> None:
    """On a port that is read as bytes an HTTP rule opens nothing; a port of unknown reading may be HTTP."""
    assert not World([ONLY_GET], services(name="tcp-cache")).judge(BUILD, CACHE, PORT).enforced
    assert World([ONLY_GET], services(name="cache")).judge(BUILD, CACHE, PORT).enforced
    assert World([ONLY_GET]).judge(BUILD, CACHE, PORT).enforced


@pytest.mark.parametrize(
    ("known", "read"),
    [
        (services(name="http-cache"), True),
        (services(name="tcp-cache"), False),
        (services(name="cache"), True),
        (services(name="tcp-cache", app_protocol="HTTP"), True),
        (services(name="http-cache", app_protocol="tcp"), False),
        (services(name="cache", app_protocol="kubernetes.io/h2c"), True),
        (services(name="cache", app_protocol="kubernetes.io/wss"), False),
        (services(name="cache", port=3306), False),
        ([*services(name="tcp-cache"), *services(name="http-cache")], True),
    ],
)
def test_a_request_is_read_as_one_where_its_service_says_http(known: list[Service], read: bool) -> None:
    """Elsewhere it is bytes, whatever is sent; `appProtocol` counts before the name (a real sidecar was asked)."""
    assert World([ONLY_GET], known).judge(BUILD, CACHE, PORT, Http("GET", "/api/x")).enforced is read


def test_a_path_is_judged_as_it_is_normalized() -> None:
    """Neither a way round a rule nor a way out of it."""
    world = World([ONLY_GET], services())
    assert world.judge(BUILD, CACHE, PORT, Http("GET", "/x/../%61pi/y?z")).enforced
    assert not world.judge(BUILD, CACHE, PORT, Http("GET", "/api/%2e%2e/secret")).enforced


@pytest.mark.parametrize("protocol", ["UDP", "SCTP"])
def test_sidecars_see_tcp_alone(protocol: Any) -> None:
    """Datagrams pass them by."""
    assert World([STRICT, ONLY_BUILD]).judge(PLAIN, CACHE, Port(protocol, 8080)).enforced


def test_addresses_and_pods_without_a_sidecar_know_no_mesh() -> None:
    """Nobody enforces there."""
    world = World([istio("AuthorizationPolicy", {"selector": {}})])
    assert world.judge(BUILD, PLAIN, PORT).enforced
    assert world.judge(BUILD, AddressEnd("192.0.2.1"), PORT).enforced
    assert not world.judge(PLAIN, CACHE, PORT).enforced
    assert world.judge(CACHE, CACHE, PORT).enforced


def test_source_addresses_count_for_ip_blocks() -> None:
    """Either address of a caller may be the one it comes from."""
    only = istio("AuthorizationPolicy", {"rules": [{"from": [{"source": {"ipBlocks": ["10.0.0.2"]}}]}]})
    assert World([only]).judge(PLAIN, CACHE, PORT).enforced
    assert not World([only]).judge(BUILD, CACHE, PORT).enforced


def test_where_engines_differ_the_wider_answer_is_given_and_marked() -> None:
    """A block that holds a pod's address is open to some engines and closed to others."""
    block = network(
        {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}
    )
    world = World([block])
    inside = world.judge(BUILD, PLAIN, PORT)
    assert (inside.enforced, inside.certain) == (True, False)
    outside = world.judge(BUILD, AddressEnd("10.9.0.1"), PORT)
    assert (outside.enforced, outside.certain) == (True, True)
    closed = world.judge(BUILD, AddressEnd("192.0.2.1"), PORT)
    assert (closed.enforced, closed.certain) == (False, True)


def test_the_matrix_holds_every_ordered_pair_at_every_port() -> None:
    """Ends are not paired with themselves."""
    ends = [BUILD, PLAIN, AddressEnd("192.0.2.1")]
    found = list(matrix([], ends, [PORT, Port("UDP", 53)]))
    assert len(found) == 3 * 2 * 2
    assert {(str(j.source), str(j.destination), str(j.port)) for j in found} == {
        (str(a), str(b), port) for a in ends for b in ends if a is not b for port in ("TCP/8080", "UDP/53")
    }
    assert all(j.enforced for j in found)


BLOCKS = [
    network({"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/28", "except": ["10.0.0.8/30"]}}]}]}),
    istio("AuthorizationPolicy", {"rules": [{"from": [{"source": {"notIpBlocks": ["10.0.0.1"]}}]}]}),
    istio("AuthorizationPolicy", {"rules": [{"when": [{"key": "remote.ip", "values": ["10.0.0.2"]}]}]}),
]


@pytest.mark.parametrize(
    ("change", "alike"),
    [
        ({"name": "other"}, True),
        ({"labels": {"app": "a", "run": "7"}}, True),  # nobody asks
        ({"ips": ("10.0.0.5",)}, True),  # in the same blocks
        ({"ips": ("10.0.0.9",)}, False),  # an exception
        ({"ips": ("10.0.0.20",)}, False),  # outside
        ({"ips": ("10.0.0.1",)}, False),  # a source that a rule names
        ({"ips": ("10.0.0.2",)}, False),  # an address that a condition names
        ({"ips": ()}, False),
        ({"ips": ("10.0.0.4", "2001:db8::1")}, False),
        ({"namespace": "cd"}, False),
        ({"labels": {"app": "x"}}, False),
        ({"namespace_labels": {"team": "x"}}, False),
        ({"ports": (ContainerPort("web", 81, "TCP"),)}, False),
        ({"service_account": "x"}, False),
        ({"meshed": False}, False),
        ({"host_network": True}, False),
    ],
)
def test_pods_are_alike_when_only_what_nobody_asks_for_tells_them_apart(change: dict[str, Any], alike: bool) -> None:
    world = World(BLOCKS)
    pod = {
        "namespace": "ci",
        "name": "one",
        "labels": {"app": "a"},
        "ips": ("10.0.0.4",),
        "service_account": "a",
        "meshed": True,
    }

    assert (world.kin(PodEnd(**pod), {"app"}) == world.kin(PodEnd(**pod | change), {"app"})) is alike


def test_addresses_are_like_themselves_alone() -> None:
    world = World(BLOCKS)

    assert world.kin(AddressEnd("192.0.2.1"), ()) == world.kin(AddressEnd("192.0.2.1"), ())
    assert world.kin(AddressEnd("192.0.2.1"), ()) != world.kin(AddressEnd("192.0.2.2"), ())
