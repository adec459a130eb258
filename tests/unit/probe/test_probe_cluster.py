"""`verify --probe` on the twin: what is tried, what the answers say, and that nothing is left behind.

What is not shown here is that packets really pass or stop: for that somebody has to run the program in real pods.
"""

import asyncio
import contextlib
import json

import click
import pytest
from click.testing import CliRunner

from pipesegment.cli import program
from pipesegment.cli.examine import examined
from pipesegment.cli.options import Options
from pipesegment.cli.probing import Limits, operators_image, probe_all
from pipesegment.cli.verify import verify as verified_by
from pipesegment.cli.walk import surroundings, walk
from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Rejected, Unreachable, Usage
from pipesegment.lint.results import of_finding
from pipesegment.probe.pods import LABEL
from tests.unit.probe.kubelet import Kubelet, probes, roles, running
from tests.unit.running.twin import segment, segment_class, stage
from tests.unit.verify.conftest import CALICO, POLICY, enforced

IMAGE = "registry.example.com/pipesegment:test"
LIMITS = Limits(probes=16, seconds=5)
AGENT = ObjectID.of(CALICO)
EVERYBODY = Options((), (), "", cluster=True, context="", kubeconfig="", named=False)


@pytest.fixture
def look(monkeypatch):
    """Await `look(cluster)` for the walk and what objects alone tell."""

    async def looked(cluster):
        seen = await examined(cluster)
        monkeypatch.setattr("pipesegment.cli.examine.examine", lambda _: seen)
        with click.Context(program).scope(), CliRunner().isolation():
            walked = walk(surroundings(EVERYBODY, optional=True, whole=True), taken=False)
        assert walked.problems == ()
        return walked, verified_by(walked)

    return looked


@pytest.fixture
def probe(look):
    """Await `probe(cluster, …)` for what is told of the one segment."""

    async def probed(cluster, *, limits=LIMITS, **kubelet):
        walked, verified = await look(cluster)
        async with running(Kubelet(cluster, **kubelet)) as node:
            (one,) = await probe_all(cluster, walked, verified, IMAGE, limits)
        assert probes(cluster) == []
        return one, node

    return probed


def shown(one) -> dict[tuple[str, str], tuple[bool, bool | None]]:
    """Every edge, as (from → to at port): declared, probed."""
    return {(f"{e.source} → {e.destination}", e.port): (e.declared, e.probed) for e in one.edges}


def reasons(one) -> list[str]:
    return sorted(f.reason for f in one.findings)


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


async def test_admission_may_refuse_a_stages_pods(probe):
    cluster = await enforced()
    no = Rejected(403, "Forbidden", "exceeded quota: pods")
    cluster.fail(no, verbs=frozenset({"create"}), matches=lambda t: t.name.endswith("listen-0"))

    one, _ = await probe(cluster)

    assert reasons(one) == ["NotProbed"]
    assert "exceeded quota: pods" in one.findings[0].message


async def test_who_may_not_make_pods_starts_none(probe):
    cluster = await enforced()
    cluster.denied |= {("create", "pods"), ("get", "pods/log")}

    one, node = await probe(cluster)

    assert node.made == []
    assert reasons(one) == ["NotProbed"]
    assert one.findings[0].message == "you may not create pods, get pods/log in namespace ci"


async def test_where_no_class_can_be_said_to_govern_nothing_is_started(probe):
    cluster = await enforced()
    cluster.seed(segment_class("rival"))

    one, node = await probe(cluster)

    assert node.made == []
    assert "no SegmentClass can be said to govern the namespace (AmbiguousClass)" in str(one.findings)


async def test_stages_that_observe_are_not_tried(probe):
    cluster = await enforced()
    shop = ObjectID("pipesegment.dev/v1alpha1", "PipelineSegment", "ci", "shop")
    cluster.edit(shop, lambda obj: obj["spec"]["stages"][2].update(mode="Observe"))

    _, node = await probe(cluster)

    assert roles(node.made) == ["listen-0", "listen-1", "call-0", "call-1"]


async def test_no_more_probes_than_allowed_are_made(probe):
    one, node = await probe(await enforced(), limits=Limits(4, 5))

    assert len(node.made) == 4
    assert [f.message for f in one.findings] == ["no probe was left for stages c"]
    assert {e.source for e in one.edges} == {"ci/shop-a", "ci/shop-b"}


async def test_what_an_earlier_run_left_is_swept(probe):
    cluster = await enforced()
    for name, phase in (("over", "Failed"), ("running", "Running")):
        metadata = {"name": name, "namespace": "ci", "labels": {LABEL: "earlier"}}
        cluster.seed({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {}, "status": {"phase": phase}})

    with contextlib.suppress(AssertionError):
        await probe(cluster)

    assert probes(cluster) == ["running"]


async def test_whoever_is_interrupted_leaves_nothing(look):
    cluster = await enforced()
    walked, verified = await look(cluster)
    async with running(Kubelet(cluster, sick=lambda _: {"phase": "Pending"})):
        task = asyncio.create_task(probe_all(cluster, walked, verified, IMAGE, Limits(16, 60)))
        async with asyncio.timeout(5):
            while len(probes(cluster)) < 3:
                await cluster.news.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    assert probes(cluster) == []


async def test_what_cannot_be_deleted_is_said(look):
    cluster = await enforced()
    walked, verified = await look(cluster)
    cluster.fail(Unreachable("silence"), verbs=frozenset({"delete"}), matches=lambda t: t.kind == "Pod", times=1)

    async with running(Kubelet(cluster)):
        with pytest.raises(Unreachable, match="could not be deleted, and ends by itself in 5 s"):
            await probe_all(cluster, walked, verified, IMAGE, LIMITS)

    assert len(probes(cluster)) == 1


async def test_a_probe_pod_holds_what_it_needs_and_no_more(probe):
    _, node = await probe(await enforced())

    for pod in node.made:
        spec, meta = pod["spec"], pod["metadata"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["activeDeadlineSeconds"] == 5
        assert spec["restartPolicy"] == "Never"
        (container,) = spec["containers"]
        assert container["image"] == IMAGE
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert meta["ownerReferences"][0]["kind"] == "PipelineSegment"
        assert "controller" not in meta["ownerReferences"][0]
        stages = {"a": "shop-a", "b": "shop-b", "c": "shop-c"}
        assert spec["serviceAccountName"] == stages[meta["labels"]["app"]]
        assert "app.kubernetes.io/managed-by" not in meta["labels"]
    listening = next(p for p in node.made if "80,8080" in p["spec"]["containers"][0]["args"])
    assert listening["spec"]["securityContext"]["sysctls"]


def deployment(name, image):
    spec = {
        "template": {"spec": {"containers": [{"name": "sidecar", "image": "x"}, {"name": "operator", "image": image}]}}
    }
    labels = {"app.kubernetes.io/name": "pipesegment"}
    metadata = {"name": name, "namespace": "pipesegment-system", "labels": labels}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


async def test_the_operators_image_is_taken_where_it_is_one(look):
    cluster = await enforced()
    with pytest.raises(Usage, match="no Deployment of the operator is found: give --probe-image"):
        await operators_image(cluster)
    cluster.seed(deployment("one", IMAGE))
    assert await operators_image(cluster) == IMAGE
    cluster.seed(deployment("two", "registry.example.com/other"))
    with pytest.raises(Usage, match=r"the operator runs of registry\.example\.com/other, registry"):
        await operators_image(cluster)
    no = Rejected(403, "Forbidden", "deployments is forbidden")
    cluster.fail(no, verbs=frozenset({"list"}), matches=lambda t: t.kind == "Deployment")
    with pytest.raises(Usage, match="deployments is forbidden"):
        await operators_image(cluster)


def test_the_program_from_its_command_line_to_its_exit_code(monkeypatch):
    cluster = asyncio.run(enforced())
    seen = asyncio.run(examined(cluster))
    cluster.seed(deployment("one", IMAGE))

    @contextlib.asynccontextmanager
    async def connected(_):
        cluster.bookmark()  # what waited before did so in another loop
        async with running(Kubelet(cluster, enforces=False)):
            yield cluster

    monkeypatch.setattr("pipesegment.cli.examine.examine", lambda _: seen)
    monkeypatch.setattr("pipesegment.cli.probing.connected", connected)

    def run(*args):
        return CliRunner().invoke(program, ["verify", "--probe", *args], catch_exceptions=False)

    told = json.loads(run("-o", "json").stdout)
    assert told["differences"] == 7
    assert {"from", "to", "port", "declared", "probed", "because"} == set(told["segments"][0]["edges"][0])
    text = run()
    assert text.exit_code == 1
    assert text.stdout.startswith("FROM        TO                PORT       DECLARED   PROBED   BECAUSE\n")
    assert "1 segment verified, 11 ways tried, 0 of them not shown: 7 differences" in text.stderr
    junit = run("-o", "junit").stdout
    assert 'type="EdgeDiffers" message="declared closed, and it is open"' in junit
    assert run("--max-probes", "1").exit_code == 2
    assert probes(cluster) == []


async def test_every_reason_has_a_severity(probe):
    one, _ = await probe(await enforced(), sick=cannot_pull)

    assert {of_finding(f).severity for f in one.findings} == {"warning"}
