"""The operator at work, seen from the kernel: what it opens, closes and leaves alone while traffic flows."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from lab.api import Api
from lab.network import objects
from lab.network.lab import NetworkLab
from lab.network.matrix import Matrix, Way
from lab.network.world import World
from tests.cluster import test_exceptions as emergency
from tests.cluster.operator import (
    ACCOUNT,
    NAMESPACE,
    POLICY,
    VERSION,
    Object,
    Operator,
    install,
    segment,
    settled,
    stage,
    to_stage,
)

pytestmark = pytest.mark.enforcement
pytest_plugins = ["lab.network.fixtures"]

LEASE = ("coordination.k8s.io/v1", "Lease", "pipesegment", NAMESPACE)
PORTS = ("TCP/8080", "TCP/9090")
SPACE = "ci-operator"


def way(source: str, destination: str, port: int = 8080) -> Way:
    return Way(f"{SPACE}/{source}", f"{SPACE}/{destination}", f"TCP/{port}")


#: build → test is kept in every test, test → build is never declared.
KEPT, NEVER, STRANGE = way("build", "test"), way("test", "build"), way("stranger", "test")
DEPLOY = way("build", "deploy")


def shop(*reached: str) -> Object:
    """A segment whose stage `build` reaches these stages."""
    build = stage("build", *(to_stage(name, 8080) for name in reached), dns="None")
    return segment("shop", SPACE, build, stage("test", dns="None"), stage("deploy", dns="None"))


def fenced(found: Matrix) -> set[Way]:
    """What is open from or to the stages' pods."""
    stages = {f"{SPACE}/{name}" for name in ("build", "test", "deploy")}
    return {w for w in found if w.source in stages or w.destination in stages}


@pytest.fixture(scope="module")
def installed(network_lab: NetworkLab) -> NetworkLab:
    install(network_lab.plane)
    return network_lab


@pytest.fixture(scope="module")
def operator(installed: NetworkLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator that leads; a test that kills it has it come back."""
    plane = installed.plane
    kubeconfig = plane.kubeconfig_for(service_account=(NAMESPACE, ACCOUNT))
    made = Operator(plane, kubeconfig, tmp_path_factory.mktemp("operator"), admission_name=emergency.PREFIX)
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
async def api(installed: NetworkLab) -> AsyncIterator[Api]:
    async with installed.plane.api() as client:
        yield client


@pytest.fixture
async def pipeline(operator: Operator, world: World, api: Api) -> AsyncIterator[World]:
    """Three stages' pods and a stranger, under an operator that has enforced the segment: build reaches test."""
    await world.namespace(SPACE)
    labels = {
        name: {"pipesegment.dev/segment": "shop", "pipesegment.dev/stage": name} for name in ("build", "test", "deploy")
    }
    await world.add([objects.pod(SPACE, name, labels.get(name)) for name in (*labels, "stranger")])
    await world.baseline(PORTS)
    await api.apply(shop("test"))
    await settled(api, "shop", SPACE)
    yield world
    await api.delete(VERSION, "PipelineSegment", "shop", SPACE)
    await api.wait_list(*POLICY, SPACE, until=lambda found: not found)


async def come_back(operator: Operator, api: Api) -> None:
    """Start a killed operator and wait until it leads, as if the dead one's Lease had run out."""
    await api.delete(*LEASE)
    operator.start()
    await api.wait(*LEASE, until=lambda found: found["spec"].get("holderIdentity"))


async def test_what_the_operator_says_is_enforced_is_what_the_kernel_lets_through(pipeline: World) -> None:
    assert fenced(await pipeline.sweep(PORTS)) == {KEPT}


async def test_tightening_closes_what_is_taken_back_and_interrupts_nothing_else(pipeline: World, api: Api) -> None:
    await api.apply(shop("test", "deploy"))
    await settled(api, "shop", SPACE)
    await pipeline.settled()
    async with pipeline.traffic(KEPT, DEPLOY, NEVER, STRANGE) as flow:
        await api.apply(shop("test"))
        await settled(api, "shop", SPACE)
        await pipeline.settled()

    assert flow.open_always(KEPT)
    assert flow.turned(DEPLOY, to=False)
    assert flow.open_never(NEVER)
    assert flow.open_never(STRANGE)


async def test_widening_opens_what_is_added_and_nothing_more_on_the_way(pipeline: World, api: Api) -> None:
    await pipeline.settled()
    async with pipeline.traffic(KEPT, DEPLOY, NEVER, STRANGE) as flow:
        await api.apply(shop("test", "deploy"))
        await settled(api, "shop", SPACE)
        await pipeline.settled()

    assert flow.open_always(KEPT)
    assert flow.turned(DEPLOY, to=True)
    assert flow.open_never(NEVER)
    assert flow.open_never(STRANGE)


async def test_moving_an_edge_has_no_moment_in_which_more_is_open_than_before_and_after(
    pipeline: World, api: Api
) -> None:
    await pipeline.settled()
    async with pipeline.traffic(KEPT, DEPLOY, NEVER, STRANGE, way("build", "test", 9090)) as flow:
        await api.apply(shop("deploy"))
        await settled(api, "shop", SPACE)
        await pipeline.settled()

    assert flow.turned(KEPT, to=False)
    assert flow.turned(DEPLOY, to=True)
    assert all(flow.open_never(w) for w in (NEVER, STRANGE, way("build", "test", 9090)))


async def test_a_dead_operator_leaves_everything_as_it_is_also_for_new_pods(
    operator: Operator, pipeline: World, api: Api
) -> None:
    await pipeline.settled()
    operator.kill()
    labels = {"pipesegment.dev/segment": "shop", "pipesegment.dev/stage": "test"}
    await pipeline.add([objects.pod(SPACE, "test-2", labels)])

    found = await pipeline.sweep(PORTS)
    await come_back(operator, api)

    assert fenced(found) == {KEPT, way("build", "test-2")}


async def test_a_restarted_operator_interrupts_nothing_and_opens_nothing(
    operator: Operator, pipeline: World, api: Api
) -> None:
    await pipeline.settled()
    async with pipeline.traffic(KEPT, DEPLOY, NEVER, STRANGE) as flow:
        operator.kill()
        await come_back(operator, api)
        await settled(api, "shop", SPACE)
        await pipeline.settled()

    assert flow.open_always(KEPT)
    assert all(flow.open_never(w) for w in (DEPLOY, NEVER, STRANGE))
    assert fenced(await pipeline.sweep(PORTS)) == {KEPT}


async def test_what_was_taken_down_while_it_was_dead_is_closed_again_by_a_restarted_operator(
    operator: Operator, pipeline: World, api: Api
) -> None:
    operator.kill()
    await api.delete(*POLICY, "shop-test", SPACE)
    await pipeline.settled()
    async with pipeline.traffic(STRANGE) as flow:
        await come_back(operator, api)
        await api.wait(*POLICY, "shop-test", SPACE)
        await pipeline.settled()

    assert flow.turned(STRANGE, to=False)
    assert fenced(await pipeline.sweep(PORTS)) == {KEPT}


async def test_a_policy_that_somebody_deletes_is_there_again(pipeline: World, api: Api) -> None:
    first = await api.get(*POLICY, "shop-test", SPACE)
    await api.delete(*POLICY, "shop-test", SPACE)
    await api.wait(
        *POLICY, "shop-test", SPACE, until=lambda found: found["metadata"]["uid"] != first["metadata"]["uid"]
    )

    assert fenced(await pipeline.sweep(PORTS)) == {KEPT}


async def test_deleting_the_segment_opens_its_pods(pipeline: World, api: Api) -> None:
    await api.delete(VERSION, "PipelineSegment", "shop", SPACE)
    await api.wait_list(*POLICY, SPACE, until=lambda found: not found)

    assert {NEVER, STRANGE, DEPLOY, KEPT} <= await pipeline.sweep(PORTS)


@pytest.fixture
async def governed(pipeline: World, api: Api) -> AsyncIterator[World]:
    """The pipeline under a class that lets people approve, with the admission policies in force."""
    selector = {"matchLabels": {"kubernetes.io/metadata.name": SPACE}}
    rules = {"approverGroups": ["sre"]}
    governing = {
        "apiVersion": VERSION,
        "kind": "SegmentClass",
        "metadata": {"name": "emergency"},
        "spec": {"namespaceSelector": selector, "breakGlass": rules},
    }
    made = [governing, *emergency.guards(), *emergency.rights()]
    for obj in made:
        await api.apply(obj)
    await asyncio.sleep(emergency.NOTICE)
    yield pipeline
    for obj in made:
        await api.delete(obj["apiVersion"], obj["kind"], obj["metadata"]["name"])
    for kind in ("SegmentApproval", "SegmentException"):
        for obj in await api.objects(VERSION, kind, SPACE):
            await api.delete(VERSION, kind, obj["metadata"]["name"], SPACE)


async def test_an_exception_opens_when_it_is_approved_and_closes_by_itself(governed: World, api: Api) -> None:
    """Nothing else opens with it, and what was open is not interrupted."""
    await governed.settled()
    async with governed.traffic(KEPT, DEPLOY, NEVER, STRANGE) as flow:
        reaches = [to_stage("deploy", 8080)]
        asked = await emergency.put(api, emergency.exception(SPACE, duration="20s", stage="build", reaches=reaches))
        await emergency.phase(api, SPACE, "Pending")
        await emergency.approved(api, asked)
        await emergency.phase(api, SPACE, "Open")
        await governed.settled()
        opened = fenced(await governed.sweep(PORTS))
        await emergency.phase(api, SPACE, "Expired")
        await governed.settled()

    assert opened == {KEPT, DEPLOY}
    assert fenced(await governed.sweep(PORTS)) == {KEPT}
    assert flow.open_always(KEPT)
    assert flow.open_never(NEVER)
    assert flow.open_never(STRANGE)


async def test_a_seal_cuts_what_flows_and_lifting_it_lets_it_flow_again(governed: World, api: Api) -> None:
    await governed.settled()
    async with governed.traffic(KEPT, STRANGE) as flow:
        made = emergency.seal(SPACE)
        made["spec"]["stage"] = "test"
        await emergency.put(api, made)
        await settled(api, "shop", SPACE, "Sealed")
        await governed.settled()

    assert flow.turned(KEPT, to=False)
    assert flow.open_never(STRANGE)
    assert fenced(await governed.sweep(PORTS)) == set()

    await api.delete(VERSION, "SegmentException", "incident", SPACE)
    await settled(api, "shop", SPACE)
    await governed.settled()
    assert fenced(await governed.sweep(PORTS)) == {KEPT}
