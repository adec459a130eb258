"""`pipesegment verify --probe` where packets flow: its program runs in pods of the lab, and Felix stands between them.

The image and the user of a probe are not shown here, for no container runs; nor is any engine but Calico's.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator

import pytest

from lab.api import Api
from lab.network import objects
from lab.network.kubelet import Kubelet
from lab.network.lab import NetworkLab
from pipesegment.lint.catalogue import CATALOGUE
from pipesegment.probe.pods import LABEL
from tests.cluster.operator import (
    ACCOUNT,
    NAMESPACE,
    POLICY,
    ROOT,
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

SPACE = "ci-probes"
#: Whoever calls, whom, and at which port; build reaches test at a port for which a pod needs leave.
STAGES = ("build", "test", "deploy")
DECLARED = {("build", "test", "TCP/80"): True, ("deploy", "build", "TCP/8443"): True}


@pytest.fixture
async def api(network_lab: NetworkLab) -> AsyncIterator[Api]:
    async with network_lab.plane.api() as client:
        yield client


@pytest.fixture
async def enforced(network_lab: NetworkLab, api: Api, tmp_path) -> AsyncIterator[NetworkLab]:
    """A segment that an operator has enforced; the operator is gone, so that nobody mends anything."""
    install(network_lab.plane)
    await api.apply(objects.namespace(SPACE))
    operator = Operator(
        network_lab.plane, network_lab.plane.kubeconfig_for(service_account=(NAMESPACE, ACCOUNT)), tmp_path
    ).start()
    try:
        build = stage("build", to_stage("test", 80), dns="None")
        deploy = stage("deploy", to_stage("build", 8443), dns="None")
        await api.apply(segment("shop", SPACE, build, stage("test", dns="None"), deploy))
        await settled(api, "shop", SPACE)
    finally:
        operator.stop()
    yield network_lab
    await api.delete(VERSION, "PipelineSegment", "shop", SPACE)
    for policy in await api.objects(*POLICY, SPACE):
        await api.delete(*POLICY, policy["metadata"]["name"], SPACE)
    await api.delete("coordination.k8s.io/v1", "Lease", "pipesegment", NAMESPACE)


async def verified(lab: NetworkLab, api: Api) -> tuple[set[str], Object]:
    """Run it as people do, with a kubelet for its pods; give the reasons of its findings, and all that it told."""
    command = [sys.executable, "-m", "pipesegment", "verify", "shop", "-n", SPACE, "-o", "json", "--probe"]
    command += ["--kubeconfig", str(lab.plane.kubeconfig), "--probe-image", "registry.example.com/pipesegment"]
    async with Kubelet(lab, api, LABEL):
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT / "operator")},
        )
        out, err = await asyncio.wait_for(process.communicate(), 180)
        assert await api.objects("v1", "Pod", SPACE, labels=LABEL) == []
    told = json.loads(out) if out else {}
    assert told, err.decode()
    assert process.returncode == (1 if told["differences"] else 0), err.decode()
    (one,) = told["segments"]
    reasons = {entry.code: entry.reason for entry in CATALOGUE.values()}
    return {reasons[found["code"]] for found in one["findings"]}, one


def probed(one: Object) -> dict[tuple[str, str, str], bool | None]:
    """What was seen between stages."""
    found = {(e["from"], e["to"], e["port"]): e["probed"] for e in one["edges"]}
    short = {f"{SPACE}/shop-{name}": name for name in STAGES}
    return {(short[s], short[d], port): seen for (s, d, port), seen in found.items() if d in short}


def at(one: Object) -> set[tuple[str, str, str]]:
    """The ways that are not as declared."""
    short = {f"{SPACE}/shop-{name}": name for name in STAGES}
    return {
        (short[e["from"]], short[e["to"]], e["port"])
        for e in one["edges"]
        if e["to"] in short and e["probed"] is not None and e["probed"] != e["declared"]
    }


async def test_what_is_declared_is_what_the_kernel_lets_through(enforced: NetworkLab, api: Api) -> None:
    reasons, one = await verified(enforced, api)

    seen = probed(one)
    assert {way for way, is_open in seen.items() if is_open} == set(DECLARED)
    assert None not in seen.values()
    assert len(seen) > 2 * len(DECLARED)
    # No agent of a known engine is a DaemonSet here: what was blocked is what tells that somebody enforces.
    assert reasons == set()
    assert {(e["to"], e["probed"]) for e in one["edges"] if e["to"] == "169.254.169.254"} == {
        ("169.254.169.254", False)
    }


async def test_what_others_open_is_seen_to_be_open(enforced: NetworkLab, api: Api) -> None:
    everybody = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]}
    meta = {"name": "allow-all", "namespace": SPACE}
    await api.create({"apiVersion": POLICY[0], "kind": POLICY[1], "metadata": meta, "spec": everybody})

    reasons, one = await verified(enforced, api)

    assert all(probed(one).values())
    assert at(one) == set(probed(one)) - set(DECLARED)
    # Nothing was blocked, so nothing shows that anybody enforces.
    assert reasons == {"Widened", "EngineUnknown"}


async def test_what_is_closed_by_mistake_is_seen_to_be_closed(enforced: NetworkLab, api: Api) -> None:
    await api.patch(*POLICY, "shop-build", {"spec": {"egress": []}}, SPACE)

    reasons, one = await verified(enforced, api)

    assert at(one) == {("build", "test", "TCP/80")}
    assert reasons == {"Drifted"}
