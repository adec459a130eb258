"""Cilium's kind on a real API server: it takes what we compile as it is, and the operator keeps it.

The kind is on the cluster for this module alone: with it there, other tests' segments would get Cilium's policies.
"""

import asyncio
import json
from pathlib import Path

import pytest

from lab import crds, yaml
from tests.cluster.operator import (
    CILIUM_KIND,
    condition,
    owned,
    segment,
    segment_class,
    settled,
    stage,
    to_cidr,
    to_stage,
)

CASES = Path(__file__).parents[1] / "golden" / "cases"
NET = "198.51.100.0/24"
POLICIES = [
    (case.name.removesuffix(".out.yaml"), obj)
    for case in sorted(CASES.glob("*.out.yaml"))
    for obj in yaml.safe_load(case.read_text())["objects"]
    if obj["kind"] == CILIUM_KIND[1]
]


@pytest.fixture(scope="module")
def cilium_crd(control_plane):
    """Cilium's kind is served, for this module."""
    definition = crds.cilium()[0]

    async def install():
        async with control_plane.api() as api:
            await api.install_crds([definition])

    asyncio.run(install())
    yield
    control_plane.kubectl("delete", f"crd/{definition['metadata']['name']}", "--wait")


@pytest.fixture
def cilium_class(installed):
    """A class whose network is Cilium's, without a mesh."""
    made = segment_class("lab-cilium", "lab-cilium", network={"provider": "Cilium"}, mesh={"provider": "None"})
    installed.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(made))
    yield {"lab-cilium": "yes"}
    installed.kubectl("delete", "segmentclass", "lab-cilium")


@pytest.mark.parametrize(("case", "policy"), POLICIES, ids=[f"{c}-{p['metadata']['name']}" for c, p in POLICIES])
async def test_what_we_compile_is_taken_as_it_is(cilium_crd, namespaces, api, case, policy):
    """Every field is known, and none is defaulted or left out: nothing would ever look drifted."""
    namespace = await namespaces()
    metadata = {"name": policy["metadata"]["name"], "namespace": namespace}
    made = await api.create({**policy, "metadata": metadata})
    assert made["spec"] == policy["spec"]


async def test_the_operator_keeps_ciliums_policies(operator, cilium_crd, cilium_class, namespaces, api):
    """They are made, repaired and taken away; the NetworkPolicies beside them only close."""
    namespace = await namespaces("ci", labels=cilium_class)
    build = stage("build", to_stage("cache", 8080), {"fqdn": {"names": ["git.example.com"]}})
    await api.apply(segment("shop", namespace, build, stage("cache")))

    made = await settled(api, "shop", namespace)

    objects = await owned(api, namespace)
    kinds = ("CiliumNetworkPolicy", "NetworkPolicy", "ServiceAccount")
    assert set(objects) == {(kind, f"shop-{name}") for kind in kinds for name in ("build", "cache")}
    for name in ("build", "cache"):
        spec = objects["NetworkPolicy", f"shop-{name}"]["spec"]
        assert not spec.get("ingress")
        assert not spec.get("egress")
        assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert "2 CiliumNetworkPolicies" in condition(made, "NetworkReady")["message"]

    uid = objects["CiliumNetworkPolicy", "shop-build"]["metadata"]["uid"]
    await api.delete(*CILIUM_KIND, "shop-build", namespace)
    await api.wait(*CILIUM_KIND, "shop-build", namespace, until=lambda obj: obj["metadata"]["uid"] != uid)

    await api.apply(segment("shop", namespace, stage("build", to_cidr(NET, 443))))
    await api.wait_gone(*CILIUM_KIND, "shop-cache", namespace)
    await settled(api, "shop", namespace)
    (rule, *_) = (await api.get(*CILIUM_KIND, "shop-build", namespace))["spec"]["egress"]
    assert rule["toCIDRSet"] == [{"cidr": NET}]


async def test_a_class_that_turns_to_cilium_and_back_leaves_no_stage_open(
    operator, cilium_crd, cilium_class, namespaces, api
):
    """The NetworkPolicy is there all the time; what opens moves from one kind to the other."""
    namespace = await namespaces("ci", labels=cilium_class)
    await api.apply(segment("shop", namespace, stage("build", to_cidr(NET, 443))))
    await settled(api, "shop", namespace)
    uid = (await owned(api, namespace))["NetworkPolicy", "shop-build"]["metadata"]["uid"]

    plain = {"provider": "NetworkPolicy"}
    await api.apply(segment_class("lab-cilium", "lab-cilium", network=plain, mesh={"provider": "None"}))
    await api.wait_gone(*CILIUM_KIND, "shop-build", namespace)
    opened = await api.wait(
        "networking.k8s.io/v1", "NetworkPolicy", "shop-build", namespace, until=lambda obj: obj["spec"].get("egress")
    )
    assert opened["metadata"]["uid"] == uid
    assert opened["spec"]["egress"][0]["to"] == [{"ipBlock": {"cidr": NET}}]
