"""Services by their virtual addresses: kube-proxy leads there, and the policies still see who comes and where to.

A policy is about pods and their ports, an application asks for a Service and its port: here both are there at once.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from lab.api import Api
from lab.network import judges, scenario
from lab.network.lab import NetworkLab
from lab.network.play import build
from lab.network.traffic import Answer, Outcome
from lab.network.world import World

pytestmark = [pytest.mark.enforcement, pytest.mark.asyncio(loop_scope="module")]
pytest_plugins = ["lab.network.fixtures"]

FILE = Path(__file__).parent / "services" / "world.yaml"
SILENT = Answer(Outcome.SILENT)
WITHIN = 20.0


class Served:
    """The world with its Services, before and after the policies."""

    def __init__(self, world: World, api: Api) -> None:
        self.world, self._api = world, api

    async def addresses(self, namespace: str, name: str) -> list[str]:
        """The virtual addresses of a Service."""
        return (await self._api.get("v1", "Service", name, namespace))["spec"]["clusterIPs"]

    async def answered(self, source: str, address: str, port: str) -> str:
        """Ask until somebody answers, and say who; kube-proxy tells nobody when it is done."""
        async with asyncio.timeout(WITHIN):
            while (answer := await self.world.ask(source, address, port)).outcome is not Outcome.ANSWERED:
                pass
        return answer.name


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(network_lab_with_services: NetworkLab) -> AsyncIterator[Served]:
    """Every Service leads to its pods, and after that the compiled policies are enforced."""
    network_lab = network_lab_with_services
    async with network_lab.plane.api() as api, World(network_lab, api) as world:
        (moment,) = scenario.read(FILE, network_lab.addresses)
        own = await api.objects("v1", "Service", "default")
        own += await api.objects("discovery.k8s.io/v1", "EndpointSlice", "default")
        moment = replace(moment, facts=(*moment.facts, *own))
        (endpoint,) = (obj for obj in own if obj["kind"] == "EndpointSlice")
        await build(world, moment)
        world.outside("apiserver", endpoint["endpoints"][0]["addresses"][0])
        port = f"TCP/{endpoint['ports'][0]['port']}"
        await world.baseline([*moment.ports, port])
        made = Served(world, api)
        for source in ("ci/deploy", "ci/build"):
            for space, name, at in (
                ("prod", "web", "TCP/80"),
                ("prod", "web", "TCP/9090"),
                ("dns", "resolver", "UDP/53"),
            ):
                for address in await made.addresses(space, name):
                    await made.answered(source, address, at)
            assert await made.answered(source, *await made.addresses("default", "kubernetes"), "TCP/443") == "apiserver"
        await world.apply(judges.compiled(moment).objects)
        await world.settled()
        yield made
        network_lab.check()


async def test_a_service_is_reached_at_its_own_port_and_its_pods_answer(served: Served) -> None:
    for address in await served.addresses("prod", "web"):
        found = {(await served.world.ask("ci/deploy", address, "TCP/80")).name for _ in range(30)}
        assert found == {"prod/web-1", "prod/web-2"}


async def test_another_port_of_the_service_is_closed(served: Served) -> None:
    for address in await served.addresses("prod", "web"):
        assert await served.world.ask("ci/deploy", address, "TCP/9090") == SILENT


async def test_the_resolver_is_reached_by_its_service(served: Served) -> None:
    for address in await served.addresses("dns", "resolver"):
        assert (await served.world.ask("ci/deploy", address, "UDP/53")).name == "dns/resolver"


async def test_the_api_server_is_reached_by_its_service(served: Served) -> None:
    (address,) = await served.addresses("default", "kubernetes")

    assert (await served.world.ask("ci/deploy", address, "TCP/443")).name == "apiserver"


async def test_a_stage_that_declares_none_of_it_reaches_none_of_it(served: Served) -> None:
    for space, name, port in (
        ("prod", "web", "TCP/80"),
        ("prod", "web", "TCP/9090"),
        ("dns", "resolver", "UDP/53"),
        ("default", "kubernetes", "TCP/443"),
    ):
        for address in await served.addresses(space, name):
            assert await served.world.ask("ci/build", address, port) == SILENT


async def test_whoever_no_policy_closes_reaches_every_port_of_a_service(served: Served) -> None:
    for address in await served.addresses("prod", "web"):
        assert (await served.world.ask("dns/resolver", address, "TCP/80")).outcome is Outcome.ANSWERED
        assert (await served.world.ask("dns/resolver", address, "TCP/9090")).outcome is Outcome.ANSWERED
