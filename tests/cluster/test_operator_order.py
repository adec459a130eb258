"""The safe order on the real API server: its own watch tells every state that there was, and the judge looks at each.

The same on many more changes, and with a death at every write, is played on the in-memory twin (tests/unit/running,
tests/properties).
"""

import asyncio
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from pipesegment.evaluate.endpoints import AddressEnd, PodEnd, Port
from pipesegment.evaluate.world import World
from pipesegment.facts.parse import service as parsed
from pipesegment.settings import Settings
from pipesegment.world import kinds
from pipesegment.world.access import Access
from pipesegment.world.api import Api
from pipesegment.world.port import Selection
from tests.cluster.operator import POLICY, VERSION, segment, segment_class, settled, stage

FENCES = (kinds.NETWORK_POLICY, kinds.AUTHORIZATION_POLICY, kinds.PEER_AUTHENTICATION)
PORTS = (Port("TCP", 80), Port("TCP", 81))
INTERNET = {"internet": {}, "ports": [{"port": 80}]}


class History:
    """Every state of the policies of a namespace, in the order in which the API server made them."""

    def __init__(self, namespace):
        self.namespace = namespace
        self.events = []
        self.news = asyncio.Event()

    @asynccontextmanager
    async def recorded(self, cluster):
        """Record from here on."""
        tasks = []
        for kind in FENCES:
            version = (await cluster.list(kind, Selection(namespace=self.namespace))).resource_version
            tasks.append(asyncio.create_task(self._follow(cluster, kind, version)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, cluster, kind, version):
        async for event in cluster.watch(kind, version, Selection(namespace=self.namespace)):
            if event.type in {"ADDED", "MODIFIED", "DELETED"}:
                named = {"apiVersion": kind.api_version, "kind": kind.kind}
                self.events.append((event.type, {**event.object, **named}))
                self.news.set()

    def states(self):
        """Give the policies after each event, the first state being empty."""
        objects = {}
        yield []
        for what, obj in sorted(self.events, key=lambda event: int(event[1]["metadata"]["resourceVersion"])):
            key = (obj["kind"], obj["metadata"]["name"])
            if what == "DELETED":
                objects.pop(key, None)
            else:
                objects[key] = obj
            yield list(objects.values())

    async def caught_up(self, cluster):
        """Wait until what was recorded is what is there, and tell how many states there were."""
        while True:
            there = set()
            for kind in FENCES:
                page = await cluster.list(kind, Selection(namespace=self.namespace))
                there |= {obj["metadata"]["resourceVersion"] for obj in page.items}
            self.news.clear()
            states = list(self.states())
            if {obj["metadata"]["resourceVersion"] for obj in states[-1]} == there:
                return len(states)
            async with asyncio.timeout(10):
                await self.news.wait()


def service(name, namespace):
    ports = [{"name": "http", "port": 80}, {"name": "more", "port": 81}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": ports},
    }


def to(name, port):
    return {"stage": {"name": name}, "ports": [{"port": port}]}


def at(name, app, *reaches):
    selector = {"matchLabels": {"app": app}}
    # The account goes with the pods, whatever the stage is called.
    return stage(name, *reaches, podSelector=selector, serviceAccount={"name": f"runs-{app}"})


@pytest.fixture
async def cluster(installed):
    """Our own client as the administrator: its watches say what was, event by event."""
    async with Api(Access(str(installed.kubeconfig)), Settings()) as client:
        yield client


async def test_every_state_on_the_way_lies_within_old_and_new(operator, istio_crds, namespaces, api, cluster):
    """A segment comes, turns an edge round, is renamed, swaps its pods, is tightened by its class, and goes."""
    label = f"lab.example.com/{(await namespaces('label'))[-8:]}"
    namespace = await namespaces("ci", labels={label: "yes"})
    named = f"order-{namespace[-8:]}"
    isolating = {"isolation": {"mode": "Namespace"}}
    services = [service(name, namespace) for name in "abc"]
    for made in services:
        await api.apply(made)
    changes = [
        segment("shop", namespace, at("a", "a", to("b", 80), INTERNET), at("b", "b", to("c", 80)), at("c", "c")),
        segment("shop", namespace, at("a", "a", to("b", 81), INTERNET), at("b", "b"), at("c", "c", to("b", 80))),
        segment("shop", namespace, at("z", "a", to("c", 80), INTERNET), at("b", "b"), at("c", "c", to("b", 80))),
        segment("shop", namespace, at("z", "b", to("c", 80), INTERNET), at("b", "a"), at("c", "c", to("b", 80))),
    ]

    history = History(namespace)
    async with history.recorded(cluster):
        await api.apply(segment_class(named, label, network=isolating))
        await api.wait(*POLICY, "pipesegment-default-deny", namespace)
        ends = [await history.caught_up(cluster)]
        for change in changes:
            await api.apply(change)
            await settled(api, "shop", namespace)
            ends.append(await history.caught_up(cluster))
        await api.apply(segment_class(named, label, network=isolating | {"allowInternet": False}))
        await settled(api, "shop", namespace, "Invalid")
        ends.append(await history.caught_up(cluster))
        await api.delete(VERSION, "PipelineSegment", "shop", namespace)
        await api.wait_list(*POLICY, namespace, until=lambda found: len(found) == 1)
        ends.append(await history.caught_up(cluster))

    states = list(history.states())
    opened = [what_is_open(objects, services) for objects in states]
    # Something happened in every step, and what was to be closed is closed.
    assert all(begin < end for begin, end in pairwise(ends))
    internet = [any(way[1] == "8.8.8.8" for way in opened[end - 1]) for end in ends]
    assert internet == [False, True, True, True, True, False, False]
    assert [bool(opened[end - 1]) for end in ends] == [False, True, True, True, True, True, False]
    for begin, end in pairwise(ends):
        allowed = opened[begin - 1] | opened[end - 1]
        for number in range(begin, end):
            assert opened[number] <= allowed, f"state {number} of {ends}"
    await api.delete(VERSION, "SegmentClass", named)


def what_is_open(objects, services):
    """Give every way between three pods of the namespace, a stranger there, and two addresses outside."""
    namespace = services[0]["metadata"]["namespace"]
    pods = [
        PodEnd(
            namespace,
            app,
            {"app": app},
            ips=(f"10.244.9.{number}",),
            service_account=f"runs-{app}",
            meshed=app != "stranger",
        )
        for number, app in enumerate(("a", "b", "c", "stranger"), start=1)
    ]
    everybody = [*pods, AddressEnd("8.8.8.8"), AddressEnd("10.99.0.1")]
    judge = World(objects, [parsed(found) for found in services])
    return {
        (str(a), str(b), str(port))
        for a in everybody
        for b in everybody
        if a is not b and (a in pods or b in pods)
        for port in PORTS
        if judge.judge(a, b, port).enforced
    }
