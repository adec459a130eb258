"""`verify --probe` on the twin: what it may start, what it takes away, and how it is run."""

import asyncio
import contextlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lab import yaml
from pipesegment import __version__
from pipesegment.cli import program
from pipesegment.cli.examine import examined
from pipesegment.cli.probing import Limits, operators_image, probe_all
from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Rejected, Unreachable, Usage
from pipesegment.probe.pods import LABEL
from tests.unit.probe.conftest import IMAGE, LIMITS, reasons
from tests.unit.probe.kubelet import Kubelet, probes, roles, running
from tests.unit.running.twin import segment_class
from tests.unit.verify.conftest import enforced

ROOT = Path(__file__).parents[3]


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
    chart = yaml.safe_load((ROOT / "charts/pipesegment/values.yaml").read_text())["image"]["repository"]
    with pytest.raises(Usage, match="no Deployment of the operator is found: give --probe-image") as told:
        await operators_image(cluster)
    assert str(told.value).endswith(f", such as {chart}:{__version__}")
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
