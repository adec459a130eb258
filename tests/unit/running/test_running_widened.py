"""Policies of others: the event of one is enough, and wakes whom it may concern and nobody else."""

import pytest

from tests.unit.running.twin import Twin, leading, seeded, segment, stage, surroundings, target_of

MESHED = [*surroundings(mesh=True)]
ALLOW = {
    "apiVersion": "security.istio.io/v1",
    "kind": "AuthorizationPolicy",
    "metadata": {"name": "theirs", "namespace": "ci"},
    "spec": {"rules": [{}]},
}
POLICY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "theirs", "namespace": "ci"},
    "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
}
ROOT = ALLOW | {"metadata": {"name": "everywhere", "namespace": "istio-system"}}
CILIUM = {
    "apiVersion": "cilium.io/v2",
    "kind": "CiliumClusterwideNetworkPolicy",
    "metadata": {"name": "theirs"},
    "spec": {"endpointSelector": {}, "egress": [{}]},
}
PLAINTEXT = {
    "apiVersion": "security.istio.io/v1",
    "kind": "PeerAuthentication",
    "metadata": {"name": "theirs", "namespace": "ci"},
    "spec": {"selector": {"matchLabels": {"app": "a"}}, "mtls": {"mode": "PERMISSIVE"}},
}
SHOP, PROD = segment(stage("a", app="a")), segment(stage("d", app="d"), name="run", namespace="prod")


def conforming(twin: Twin, document) -> tuple[str, str]:
    found = twin.cluster.peek(target_of(document))
    return next((c["reason"], c["message"]) for c in found["status"]["conditions"] if c["type"] == "Conforming")


def told(twin: Twin) -> list[str]:
    return [e["note"] for e in twin.cluster.events if e["reason"] == "Widened"]


@pytest.mark.parametrize(
    ("theirs", "concerned"),
    [(ALLOW, {"shop"}), (POLICY, {"shop"}), (PLAINTEXT, {"shop"}), (ROOT, {"shop", "run"}), (CILIUM, {"shop", "run"})],
    ids=lambda value: value["kind"] + value["metadata"]["name"] if isinstance(value, dict) else "",
)
async def test_one_event_is_told_by_whom_it_concerns(theirs, concerned):
    cluster = seeded([*MESHED, SHOP, PROD])
    async with leading(cluster) as twin:
        assert conforming(twin, SHOP)[0] != "Widened"
        looked = []
        walk = twin.operator._looks.at_segment

        async def looking(key):
            looked.append(key.name)
            return await walk(key)

        twin.operator._looks.at_segment = looking

        cluster.seed(theirs)
        await twin.quiet()

        assert set(looked) == concerned
        assert len(looked) == len(concerned)
        reason, message = conforming(twin, SHOP)
        assert reason == "Widened"
        assert theirs["metadata"]["name"] in message
        assert len(told(twin)) == len(concerned)
        assert twin.metrics.registry.get_sample_value("pipesegment_not_conforming", {"reason": "Widened"}) == len(
            concerned
        )

        cluster.drop(cluster.existing(target_of(theirs)))
        await twin.quiet()

        assert conforming(twin, SHOP)[0] != "Widened"
        assert twin.metrics.registry.get_sample_value("pipesegment_not_conforming", {"reason": "Widened"}) is None


async def test_a_second_one_is_an_event_of_its_own():
    cluster = seeded([*MESHED, SHOP])
    async with leading(cluster) as twin:
        cluster.seed(ALLOW)
        await twin.quiet()
        second = ALLOW | {"metadata": {"name": "second", "namespace": "ci"}}
        cluster.seed(second)
        await twin.quiet()

        assert len(told(twin)) == 2
        assert "ci/second" in told(twin)[1]
        assert "ci/theirs" not in told(twin)[1]


async def test_what_was_told_before_a_restart_is_not_told_again():
    cluster = seeded([*MESHED, SHOP, ALLOW])
    async with leading(cluster) as twin:
        assert len(told(twin)) == 1
    async with leading(cluster) as twin:
        assert len(told(twin)) == 1
