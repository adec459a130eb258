"""`verify --probe` on the twin: what is tried, and what the answers say.

What is not shown here is that packets really pass or stop: tests/enforcement/test_probes.py shows that.
"""

import asyncio

from pipesegment.cli.probing import Limits
from pipesegment.compile.desired import ObjectID
from pipesegment.lint.results import of_finding
from tests.unit.probe.conftest import reasons, shown
from tests.unit.probe.kubelet import roles
from tests.unit.running.twin import segment, stage
from tests.unit.verify.conftest import CALICO, POLICY, enforced

AGENT = ObjectID.of(CALICO)


async def test_what_is_declared_is_open_and_nothing_else(probe):
    one, node = await probe(await enforced())

    assert shown(one) == {
        ("ci/shop-a → ci/shop-b", "TCP/80"): (True, True),
        ("ci/shop-a → ci/shop-b", "TCP/8080"): (False, False),
        ("ci/shop-a → ci/shop-c", "TCP/8080"): (False, False),
        ("ci/shop-a → 169.254.169.254", "TCP/80"): (False, False),
        ("ci/shop-b → ci/shop-a", "TCP/8080"): (False, False),
        ("ci/shop-b → ci/shop-c", "TCP/8080"): (False, False),
        ("ci/shop-b → 169.254.169.254", "TCP/80"): (False, False),
        ("ci/shop-c → ci/shop-a", "TCP/8080"): (False, False),
        ("ci/shop-c → ci/shop-b", "TCP/80"): (False, False),
        ("ci/shop-c → ci/shop-b", "TCP/8080"): (False, False),
        ("ci/shop-c → 169.254.169.254", "TCP/80"): (False, False),
    }
    assert (one.findings, one.differences) == ((), 0)
    assert roles(node.made) == ["listen-0", "listen-1", "listen-2", "call-0", "call-1", "call-2"]


async def test_every_closed_way_names_its_control(probe):
    one, _ = await probe(await enforced())

    because = {(e.source, e.destination, e.port): e.because for e in one.edges}
    assert "control: stage a reaches it at TCP/80" in because["ci/shop-c", "ci/shop-b", "TCP/8080"]
    assert "control: it answers at its own address" in because["ci/shop-a", "ci/shop-c", "TCP/8080"]
    assert "spec.stages[0].reaches[0]" in because["ci/shop-a", "ci/shop-b", "TCP/80"]


async def test_where_nobody_enforces_every_forbidden_way_differs(probe):
    cluster = await enforced()
    cluster.remove(AGENT)

    one, _ = await probe(cluster, enforces=False)

    between = {way: found for way, found in shown(one).items() if "169" not in way[0]}
    assert all(probed for _, probed in between.values())
    assert one.differences == sum(not declared for declared, _ in between.values()) + 1
    assert reasons(one) == ["EngineUnknown"]


async def test_what_is_seen_to_be_blocked_answers_who_enforces(probe):
    cluster = await enforced()
    cluster.remove(AGENT)

    one, _ = await probe(cluster)

    assert (one.findings, one.differences) == ((), 0)


async def test_a_way_that_should_be_open_and_is_not_differs(probe):
    cluster = await enforced()
    cluster.edit(POLICY, lambda obj: obj["spec"].update(egress=[]))

    one, _ = await probe(cluster)

    assert [(e.source, e.destination, e.port) for e in one.edges if e.differs] == [("ci/shop-a", "ci/shop-b", "TCP/80")]
    # Blocked all the same, and shown by whoever else is blocked: the listener answers itself.
    assert reasons(one) == ["Drifted"]


async def test_a_window_at_the_start_is_told(probe):
    one, _ = await probe(await enforced(), window=1)

    assert reasons(one) == ["StartupWindow"] * 3
    assert not [e for e in one.edges if e.differs]
    assert "otherwise in 1 of 4 tries" in one.edges[-1].because


SERVED = [
    {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "default"}},
    {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["198.51.100.10"]}],
        "ports": [{"port": 6443, "protocol": "TCP"}],
    },
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default"},
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 443, "targetPort": 6443}]},
    },
]


async def test_the_api_server_and_pods_of_others_are_tried(probe):
    deploy = segment(
        stage("deploy", {"kubernetesAPI": {}}, {"service": {"name": "api", "namespace": "prod"}}), name="two"
    )
    cluster = await enforced(*SERVED)
    cluster.remove(ObjectID("pipesegment.dev/v1alpha1", "PipelineSegment", "ci", "shop"))
    cluster.seed(deploy)
    # Nothing was applied for it: what is tried is open, whatever was meant.
    one, _ = await probe(cluster, enforces=False)

    assert shown(one) == {
        ("ci/two-deploy → prod/d", "TCP/8080"): (True, True),
        ("ci/two-deploy → 198.51.100.10", "TCP/6443"): (True, True),
        ("ci/two-deploy → 169.254.169.254", "TCP/80"): (False, False),
    }


async def test_an_api_server_that_nobody_declared_is_a_difference(probe):
    one, _ = await probe(await enforced(*SERVED), enforces=False)

    assert shown(one)["ci/shop-a → 198.51.100.10", "TCP/6443"] == (False, True)


def cannot_pull(pod):
    """The image of the second listener is not there."""
    if not pod["metadata"]["name"].endswith("listen-1"):
        return None
    waiting = {"reason": "ErrImagePull", "message": "manifest unknown"}
    return {"phase": "Pending", "containerStatuses": [{"name": "probe", "state": {"waiting": waiting}}]}


async def test_a_probe_that_does_not_start_is_told_and_the_others_go_on(probe):
    one, _ = await probe(await enforced(), sick=cannot_pull)

    assert reasons(one) == ["NotProbed"]
    assert "a probe of stage b did not run: ErrImagePull: manifest unknown" in one.findings[0].message
    assert shown(one)["ci/shop-a → ci/shop-b", "TCP/80"] == (True, None)
    assert shown(one)["ci/shop-a → ci/shop-c", "TCP/8080"] == (False, False)
    assert one.differences == 1


async def test_a_probe_that_is_never_ready_is_given_up_in_time(probe):
    def slow(pod):
        return {"phase": "Pending"} if "listen" in pod["metadata"]["name"] else None

    began = asyncio.get_running_loop().time()
    one, _ = await probe(await enforced(), sick=slow, limits=Limits(16, 1))

    assert asyncio.get_running_loop().time() - began < 4
    assert reasons(one) == ["NotProbed"] * 3
    assert "its pod was not ready in time" in one.findings[0].message


async def test_a_pod_that_cannot_be_placed_says_why(probe):
    message = "0/3 nodes are available: 3 Insufficient cpu."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}

    one, _ = await probe(
        await enforced(), sick=lambda _: {"phase": "Pending", "conditions": [condition]}, limits=Limits(16, 1)
    )

    assert all(message in f.message for f in one.findings)


async def test_a_listener_that_dies_meanwhile_is_no_control(probe):
    cluster = await enforced()

    def dying(pod):
        if pod["metadata"]["name"].endswith("call-0"):
            listener = next(p for p in cluster.objects("Pod") if p["metadata"]["name"].endswith("listen-2"))
            cluster.edit(ObjectID.of(listener), lambda obj: obj["status"].update(conditions=[]), "kubelet")

    one, _ = await probe(cluster, sick=dying)

    assert shown(one)["ci/shop-a → ci/shop-c", "TCP/8080"] == (False, None)
    assert {f.target for f in one.findings} == {"ci/shop-c"}
    assert set(reasons(one)) == {"NotProbed"}


async def test_every_reason_has_a_severity(probe):
    one, _ = await probe(await enforced(), sick=cannot_pull)

    assert {of_finding(f).severity for f in one.findings} == {"warning"}
