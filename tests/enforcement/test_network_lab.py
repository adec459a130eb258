"""The network lab tells the truth: what is open, what is closed, and that it does not know when its engine is dead."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest

from lab.errors import LabError
from lab.network import netns, objects
from lab.network.lab import NetworkLab
from lab.network.matrix import Way, every
from lab.network.world import World

pytestmark = pytest.mark.enforcement
pytest_plugins = ["lab.network.fixtures"]

PORTS = ("TCP/80", "TCP/8081", "UDP/80", "SCTP/80")
WEB = {"app": "web"}


@pytest.fixture
async def small(world: World) -> World:
    """Three pods and two outside hosts that all reach each other."""
    for name, labels in {"shop": {"team": "shop"}, "other": {}}.items():
        await world.namespace(name, labels)
    container = {"name": "main", "image": "registry.example.com/main"}
    ports = [{"name": "web", "containerPort": 8081, "protocol": "TCP"}]
    await world.add(
        [
            objects.pod("shop", "web", WEB, containers=[{**container, "ports": ports}]),
            objects.pod("shop", "client", {"role": "client"}),
            objects.pod("other", "client", {"role": "client"}),
        ]
    )
    world.outside("near", "203.0.113.10", "2001:db8::10")
    world.outside("far", "203.0.113.77")
    await world.baseline(PORTS)
    return world


def ingress(**rule: object) -> dict[str, object]:
    return objects.policy("shop", "web", WEB, policyTypes=["Ingress"], ingress=[rule])


def egress(**rule: object) -> dict[str, object]:
    return objects.policy("shop", "client", {"role": "client"}, policyTypes=["Egress"], egress=[rule])


def into(world: World, found: frozenset[Way], name: str) -> set[str]:
    """What comes into a pod, as `source port`."""
    return {f"{way.source} {way.port}" for way in found if way.destination == name}


def out_of(world: World, found: frozenset[Way], name: str) -> set[str]:
    """What a pod reaches, as `destination port`."""
    return {f"{way.destination} {way.port}" for way in found if way.source == name}


async def test_without_a_policy_everybody_reaches_everybody(small: World) -> None:
    assert await small.sweep(PORTS) == frozenset(every([end.member for end in small.ends()], PORTS))


async def test_a_deny_closes_its_pod_and_nothing_beside_it(small: World) -> None:
    before = await small.sweep(PORTS)
    await small.apply([objects.policy("shop", "web", WEB, policyTypes=["Ingress"])])

    after = await small.sweep(PORTS)

    assert before - after == {way for way in before if way.destination == "shop/web"}
    assert after < before


@pytest.mark.parametrize(
    ("ports", "opened"),
    [
        ([{"port": 80}], {"TCP/80"}),
        ([{"port": 80, "endPort": 8081}], {"TCP/80", "TCP/8081"}),
        ([{"port": 81, "endPort": 8080}], set()),
        ([{"port": "web"}], {"TCP/8081"}),
        ([{"port": 80, "protocol": "UDP"}], {"UDP/80"}),
        ([{"port": 80, "protocol": "SCTP"}], {"SCTP/80"}),
        ([{"protocol": "TCP"}], {"TCP/80", "TCP/8081"}),
        ([], {"TCP/80", "TCP/8081", "UDP/80", "SCTP/80"}),
    ],
    ids=["a port", "a range", "a range beside", "a name", "UDP", "SCTP", "a protocol", "all"],
)
async def test_ports(small: World, ports: list[dict[str, object]], opened: set[str]) -> None:
    await small.apply([ingress(ports=ports, **{"from": [{"podSelector": {"matchLabels": {"role": "client"}}}]})])

    assert into(small, await small.sweep(PORTS), "shop/web") == {f"shop/client {port}" for port in opened}


async def test_blocks_and_their_exceptions(small: World) -> None:
    blocks = [
        {"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.64/26"]}},
        {"ipBlock": {"cidr": "2001:db8::/64"}},
    ]
    await small.apply([ingress(**{"from": blocks}), egress(to=blocks, ports=[{"port": 80, "protocol": "UDP"}])])

    found = await small.sweep(PORTS)

    assert into(small, found, "shop/web") == {f"near {port}" for port in PORTS}
    assert out_of(small, found, "shop/client") == {"near UDP/80"}


async def test_a_relabelled_pod_is_what_it_says_now(small: World) -> None:
    await small.apply([ingress(**{"from": [{"podSelector": {"matchLabels": {"role": "client"}}}]})])
    await small.label("shop/client", {"role": "stranger"})

    assert into(small, await small.sweep(PORTS), "shop/web") == set()

    await small.label("shop/web", {})

    assert len(into(small, await small.sweep(PORTS), "shop/web")) == 4 * len(PORTS)


async def test_a_relabelled_namespace_is_what_it_says_now(small: World) -> None:
    await small.apply([ingress(**{"from": [{"namespaceSelector": {"matchLabels": {"team": "shop"}}}]})])
    assert into(small, await small.sweep(PORTS), "shop/web") == {f"shop/client {port}" for port in PORTS}

    await small.namespace("shop", {})
    await small.namespace("other", {"team": "shop"})

    assert into(small, await small.sweep(PORTS), "shop/web") == {f"other/client {port}" for port in PORTS}


async def test_a_connection_that_is_there_outlives_a_new_deny_and_a_new_one_is_not_made(small: World) -> None:
    way = Way("shop/client", "shop/web", "TCP/80")
    with small.connect(way) as connection:
        async with small.traffic(way) as flow:
            await small.apply([objects.policy("shop", "web", WEB, policyTypes=["Ingress"])])
            await small.settled()
        connection.sendall(b"still there?")
        assert connection.recv(100) == b"still there?"
    assert flow.turned(way, to=False)


async def test_a_policy_that_is_deleted_is_enforced_no_longer(small: World) -> None:
    await small.apply([objects.policy("shop", "web", WEB, policyTypes=["Ingress", "Egress"])])
    assert into(small, await small.sweep(PORTS), "shop/web") == set()

    await small.delete(*objects.POLICY, "web", "shop")

    assert await small.sweep(PORTS) == frozenset(every([end.member for end in small.ends()], PORTS))


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP], ids=["dead", "hanging"])
async def test_an_engine_that_does_not_work_is_no_proof_of_anything(
    network_lab: NetworkLab, small: World, sign: signal.Signals
) -> None:
    await small.apply([objects.policy("shop", "web", WEB, policyTypes=["Ingress"])])
    await small.sweep(PORTS)
    os.kill(network_lab.engines["node0"].service.pid, sign)
    try:
        with pytest.raises(LabError, match="Felix on node0"):
            await small.sweep(PORTS)
    finally:
        network_lab.restart_engine("node0")

    assert into(small, await small.sweep(PORTS), "shop/web") == set()


async def test_a_server_that_is_gone_is_no_block(network_lab: NetworkLab, small: World) -> None:
    (web,) = (end for end in small.ends() if end.name == "shop/web")
    network_lab.agent.close([web.host.namespace])

    with pytest.raises(LabError, match="the control of shop/web at TCP/80 failed"):
        await small.sweep(PORTS)


def test_what_a_killed_lab_leaves_behind_is_swept(network_lab: NetworkLab) -> None:
    script = "from lab.network import netns; import os; n = netns.named('x'); netns.ip(f'netns add {n}'); print(n, flush=True); os.kill(os.getpid(), 9)"
    left = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=False).stdout.strip()
    assert (netns.FOLDER / left).exists()

    with contextlib.suppress(LabError):
        NetworkLab(network_lab.plane)

    assert not (netns.FOLDER / left).exists()
    assert network_lab.fabric in netns.own()
