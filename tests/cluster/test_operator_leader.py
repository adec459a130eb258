"""Two replicas and one Lease: only the leader writes, and it never goes on when it cannot know that it leads."""

import asyncio

import pytest

from tests.cluster.gateway import Gateway
from tests.cluster.operator import NAMESPACE, POLICY, segment, settled, stage

LEASE = ("coordination.k8s.io/v1", "Lease", "pipesegment", NAMESPACE)
SHORT = {"lease_duration": 5, "lease_renew": 4, "lease_retry": 0.3, "lease_timeout": 2}


@pytest.fixture(autouse=True)
async def _free_lease(api):
    """Leave no Lease behind that a dead leader holds: whoever comes next would wait for its end."""
    yield
    await api.delete(*LEASE)


async def holds(api, identity, within=30.0):
    """Wait until the Lease says so."""
    await api.wait(*LEASE, until=lambda obj: obj["spec"].get("holderIdentity") == identity, within=within)


@pytest.mark.cluster("audit")
async def test_only_the_leader_works_and_a_leader_that_ends_hands_over_at_once(
    operators, plain, namespaces, api, record_from_here
):
    """The candidate is ready, holds nothing but the Lease in view, and leads within seconds after SIGTERM."""
    namespace = await namespaces("ci", labels=plain)
    first, second = operators(identity="first"), operators(identity="second")
    first.start()
    await holds(api, "first")
    second.start()
    record = record_from_here()
    await api.apply(segment("shop", namespace, stage("build")))
    await settled(api, "shop", namespace)

    assert (first.metric("leader"), second.metric("leader")) == (1, 0)
    assert second.lines(audit=True) == []
    assert {line["user"] for line in first.lines(audit=True)} == {"first"}
    # A candidate takes a list of nothing: facts that it followed for hours would be old when it takes over.
    assert second.metric("api_requests_total", verb="list") == 0
    assert record.writes([namespace])

    first.terminate()
    # The Lease lasts 15 seconds: that it is taken over much earlier shows that it was handed over.
    await holds(api, "second", within=10)
    assert first.ended() == 0
    await api.delete(*POLICY, "shop-build", namespace)
    await api.wait(*POLICY, "shop-build", namespace)
    await asyncio.to_thread(second.wait, "/readyz")
    assert second.metric("leader") == 1


async def test_a_leader_that_is_killed_is_succeeded_when_its_lease_has_run_out(operators, plain, namespaces, api):
    """Nobody hands over; the candidate waits for the Lease's whole duration by its own clock."""
    namespace = await namespaces("ci", labels=plain)
    first, second = operators(identity="first", **SHORT), operators(identity="second", **SHORT)
    first.start()
    await holds(api, "first")
    second.start()

    first.kill()
    await api.apply(segment("shop", namespace, stage("build")))
    await settled(api, "shop", namespace)

    await holds(api, "second")
    transitions = (await api.get(*LEASE))["spec"]["leaseTransitions"]
    assert transitions >= 2


async def test_a_leader_that_loses_the_api_server_ends_itself(operators, namespaces, api, installed, tmp_path):
    """It cannot know whether another one leads by now, so it must not write: exit code 1, and the kubelet starts anew."""
    async with Gateway(installed.admin).running() as gateway:
        operator = operators(gateway.kubeconfig(operators.kubeconfig, tmp_path), identity="lonely", **SHORT)
        await asyncio.to_thread(operator.start)
        await holds(api, "lonely")
    # The way to the API server is gone.
    assert await asyncio.to_thread(operator.ended) == 1
    assert operator.lines(level="CRITICAL")
