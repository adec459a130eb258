"""What a segment's mesh objects do at real sidecars, status code by status code; and that the lab's answers count."""

import os
import subprocess
from pathlib import Path

import pytest

from lab.mesh import Listening, MeshLab, Probe, missing
from lab.mesh.applications import Application, Question
from lab.mesh.netns import Network
from pipesegment.evaluate.endpoints import Port, of_pod
from pipesegment.evaluate.world import Http, World
from pipesegment.facts import parse
from tests.enforcement.mesh_world import WORLD, Asked, Scenario, create_world, scenarios
from tests.planes import give_up

pytestmark = pytest.mark.enforcement

SCENARIOS = list(scenarios())
FACTS = parse.snapshot(WORLD["objects"])
SERVICES = [service for found in FACTS.services.values() for service in found.values()]
ENDS = {
    f"{namespace}/{name}": of_pod(pod, FACTS.namespaces[namespace].labels)
    for namespace, found in FACTS.pods.items()
    for name, pod in found.items()
}
#: What an answer says of the policies: who hears of a dead application was let through to it.
PASSED = {"200": True, "open": True, "503": True, "403": False, "reset": False}


@pytest.fixture(scope="module")
def root(request):
    """Root, on a machine where network namespaces and redirection can be had."""
    lacking = missing()
    if lacking:
        give_up(request.config, f"NOTHING WAS ENFORCED HERE, the mesh lab cannot run: {lacking}")


@pytest.fixture(scope="module")
def lab(root):
    with MeshLab() as lab:
        create_world(lab)
        yield lab


def judged(world: World, lab: MeshLab, probe: Probe) -> bool:
    """Ask our evaluator the same: may the source reach that port of the target's pod, with that request."""
    route = lab.route(probe)
    port = Port("UDP" if probe.protocol == "UDP" else "TCP", route.port)
    http = Http(probe.method, probe.path) if probe.protocol == "HTTP" else None
    return world.judge(ENDS[probe.source], ENDS[route.receivers[0].name], port, http).enforced


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_sidecars_answer_as_expected_and_as_the_evaluator_says(lab: MeshLab, scenario: Scenario):
    with lab.applied(scenario.objects()) as live:
        said = [lab.probe(asked.probe).said for asked in scenario.asked]

    assert [f"{a}: {s}" for a, s in zip(scenario.asked, said, strict=True)] == [
        f"{a}: {a.says}" for a in scenario.asked
    ]
    world = World(live, SERVICES)
    inside = [asked for asked in scenario.asked if asked.probe.kind != "host"]
    assert {str(a): judged(world, lab, a.probe) for a in inside} == {str(a): evaluated(a) for a in inside}


def evaluated(asked: Asked) -> bool:
    return PASSED[asked.says] or bool(asked.though)


def test_everything_is_open_where_no_policy_is(lab: MeshLab):
    """The baseline: what the scenarios find closed is closed by what they applied."""
    sources = [name for name, end in ENDS.items() if end.meshed]
    services = [f"{service.meta.namespace}/{service.meta.name}" for service in SERVICES]
    http = [Probe(source, "service", service, port) for source in sources for service in services for port in (80, 81)]
    tcp = [Probe(source, "service", service, 9000, "TCP") for source in sources for service in services]
    plain = [Probe("legacy/plain", "pod", name, 8080) for name in ENDS if name != "legacy/plain"]

    assert {lab.probe(probe).said for probe in (*http, *plain)} == {"200"}
    assert {lab.probe(probe).said for probe in tcp} == {"open"}


def test_a_connection_that_was_kept_open_answers_one_more_request_by_the_old_policy(lab: MeshLab):
    """What the lab otherwise rules out, and docs/semantics.md tells."""
    kept = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "kept", "namespace": "ci-shop"},
        "spec": {"host": "deploy.ci-shop.svc.cluster.local"},
    }
    closing = next(s for s in SCENARIOS if s.name == "a-stage-that-accepts-nothing-answers-nobody")
    probe = Probe("ci-shop/build", "service", "ci-shop/deploy", 80)
    with lab.applied([kept]):
        before = lab.probe(probe).said
        with lab.applied(closing.objects()):
            after = [lab.probe(probe).said for _ in range(3)]

    assert (before, after) == ("200", ["200", "403", "403"])


def test_a_restarted_sidecar_has_the_same_policies(lab: MeshLab):
    """The old Envoy has left its port, and no stale socket keeps the new agent from its certificate."""
    scenario = next(s for s in SCENARIOS if s.name == "a-stage-is-reached-by-the-declared-stage-alone")
    with lab.applied(scenario.objects()):
        lab.restart_sidecar("ci-shop/deploy")

        assert lab.probe(Probe("ci-shop/build", "service", "ci-shop/deploy", 80)).said == "200"
        assert lab.probe(Probe("ci-shop/test", "service", "ci-shop/deploy", 80)).said == "403"


def test_nothing_is_left_behind_and_nothing_is_made_in_the_root_namespace(root, tmp_path):
    def surroundings() -> tuple[str, list[str]]:
        links = subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout
        return links, sorted(path.name for path in Path("/etc/netns").glob(f"psmesh-{os.getpid()}-*"))

    before = surroundings()
    network = Network()
    namespace = network.attach("10.244.9.1", hosts={"there": "10.244.9.1"})
    application = Application("one", namespace, [Listening("TCP", 8080)], tmp_path)
    try:
        answer = application.ask(Question("HTTP", "127.0.0.1", 8080))
        links, _ = surroundings()
    finally:
        application.stop()
        network.remove()

    assert (answer.said, answer.text) == ("200", "one")
    assert links == before[0]
    assert surroundings() == before
