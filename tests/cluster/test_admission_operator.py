"""The admission policies and the operator together: they never hold it up, and hold when it is not there."""

import asyncio
from collections.abc import Iterator

import pytest

from lab.controlplane import ControlPlane
from pipesegment import names
from tests.cluster import admission
from tests.cluster.admission import Scene
from tests.cluster.attempts import Person, create, labels, marked, pod
from tests.cluster.conftest import Operators, operating
from tests.cluster.operator import POLICY, VERSION, install, segment, settled, stage, to_cidr
from tests.planes import new_room, started

BUILD = labels("shop", "build")


@pytest.fixture(scope="module")
def plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """A control plane of this file's own, with the policies: they are clusterwide."""
    with started(request) as plane:
        install(plane)
        admission.enforce(plane, admission.policies())
        yield plane


@pytest.fixture
def own_operators(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operators]:
    yield from operating(plane, tmp_path_factory)


@pytest.fixture
async def room(plane: ControlPlane) -> str:
    """A new namespace in which pods can be made."""
    return await new_room(plane)


async def test_the_operator_lives_behind_its_own_policies(plane: ControlPlane, own_operators: Operators, room: str):
    """A stage's pods are told about, then seen to be right, then held to it: with the operator up, down and starting."""
    scene = Scene(plane, {"root": Person(plane.admin)})
    root, borrowed = scene.people["root"], create(pod(room, "default", BUILD))
    operator = own_operators().start()
    async with plane.api() as api:
        await api.apply(segment("shop", room, stage("build", to_cidr("198.51.100.0/24", 443))))
        await settled(api, "shop", room)
        # In a thread: whoever waits here must not keep the loop of the client from its watches.
        await asyncio.to_thread(scene.await_verdict, "root", borrowed, "Warn stage-pods")

        root.does(create(pod(room, "shop-build", BUILD, name="right")))
        await api.wait(*POLICY, "shop-build", room, until=is_wired)
        await asyncio.to_thread(scene.await_verdict, "root", borrowed, "Deny stage-pods")
        await api.delete("v1", "Pod", "right", room)
        await api.apply(segment("shop", room, stage("build", to_cidr("198.51.100.0/25", 443))))
        await settled(api, "shop", room)
        assert is_wired(await api.get(*POLICY, "shop-build", room))

        operator.kill()
        assert scene.tries("root", borrowed).verdict == "Deny stage-pods"
        late = create(pod(room, "default", labels("late", "build")))
        await api.apply(segment("late", room, stage("build")))
        assert scene.tries("root", late).verdict == "Allow"

        operator.start()
        await settled(api, "late", room)
        await asyncio.to_thread(scene.await_verdict, "root", late, "Warn stage-pods")
        assert scene.tries("root", borrowed).verdict == "Deny stage-pods"

        await api.delete(VERSION, "PipelineSegment", "shop", room)
        await api.wait_gone(*POLICY, "shop-build", room)
        await api.wait_gone("v1", "ServiceAccount", "shop-build", room)
        await asyncio.to_thread(scene.await_verdict, "root", borrowed, "Allow")


async def test_what_the_operator_repairs_nobody_else_may_touch(
    plane: ControlPlane, own_operators: Operators, room: str
):
    operator = own_operators().start()
    root = Person(plane.admin)
    async with plane.api() as api:
        await api.apply(segment("shop", room, stage("build")))
        await settled(api, "shop", room)

        answer = root.tries(marked("NetworkPolicy", room, "shop-build", {names.EXEMPT_ANNOTATION: "Privileged"}))
        assert answer.verdict == "Deny managed-objects", answer
        # Whoever may delete the admission policies may delete what they guard; the operator brings it back.
        before = await api.get(*POLICY, "shop-build", room)
        await api.delete(*POLICY, "shop-build", room)
        await api.wait(*POLICY, "shop-build", room, until=lambda o: o["metadata"]["uid"] != before["metadata"]["uid"])

        await api.delete("v1", "Namespace", room)
        await api.wait_gone("v1", "Namespace", room, within=60)
    assert operator.alive


def is_wired(policy) -> bool:
    return policy["metadata"]["labels"].get(names.WIRED_LABEL) == "true"
