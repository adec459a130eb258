"""What all tests share: one control plane for a test run, and for each test its own namespaces on it.

`control_plane` is made once, when the first test asks for it; which one is looked up as lab/README.md says.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from lab import cluster, crds, skipped
from lab.api import Api
from lab.controlplane import ControlPlane, Options
from lab.errors import LabError, UnsupportedError
from lab.kubectl import Kubectl
from tests import planes

# How long an example takes says something about the machine; `bench/` measures.
# The same examples each time: who changed something else is not told of a rare world by chance; `make soak` draws others.
settings.register_profile("untimed", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("soak", settings.get_profile("untimed"), derandomize=False)
settings.load_profile("untimed")

# Control planes, engines and kubectl live shortly here: they leave their garbage longer, within this memory each.
os.environ.setdefault("GOGC", "400")
os.environ.setdefault("GOMEMLIMIT", "1500MiB")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cluster", "the control plane of tests with the marker 'cluster'")
    group.addoption(
        "--cluster",
        metavar="SOURCE",
        help="auto, kubeconfig, assets, kind or embedded (default: LAB_CLUSTER, else auto)",
    )
    group.addoption(
        "--cluster-kubeconfig",
        metavar="FILE",
        help="run cluster tests on this cluster (default: LAB_KUBECONFIG; KUBECONFIG and ~/.kube/config are never used)",
    )
    group.addoption(
        "--cluster-required",
        action="store_true",
        help="fail instead of skipping when no control plane, helm or judge can be had",
    )


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """The control plane of this test run, where pods become Running; skips, loudly, when none can be had."""
    config = request.config
    capture = config.pluginmanager.getplugin("capturemanager")
    # What is chosen and how a first build gets on is for the person who waits, not for a report about the first test.
    shown = capture.global_and_fixture_disabled() if capture else contextlib.nullcontext()
    try:
        with shown:
            choice = cluster.find(
                kubeconfig=config.getoption("--cluster-kubeconfig"), source=config.getoption("--cluster")
            )
            plane = cluster.open_cluster(choice, Options(pods=True))
    except LabError as error:
        planes.give_up(config, f"{planes.NO_PLANE}{error}")
    with plane:
        yield plane


@pytest.fixture(autouse=True)
def _features(request: pytest.FixtureRequest) -> None:
    """Skip a test whose `cluster` markers name features that this control plane lacks."""
    needed = [feature for marker in request.node.iter_markers("cluster") for feature in marker.args]
    if needed:
        try:
            request.getfixturevalue("control_plane").require(*needed)
        except UnsupportedError as error:
            pytest.skip(str(error))


@pytest.fixture
def kubectl(control_plane: ControlPlane) -> Kubectl:
    """Call it with kubectl's arguments; it returns what was printed and raises LabError on failure."""
    return control_plane.kubectl


@pytest.fixture(scope="session")
def istio_crds(control_plane: ControlPlane) -> None:
    """Istio's kinds are served from here on, in this and all later tests of the run."""
    planes.serve(control_plane, crds.istio())


@pytest.fixture
async def api(control_plane: ControlPlane) -> AsyncIterator[Api]:
    """The administrator's client."""
    async with control_plane.api() as client:
        yield client


@pytest.fixture
async def namespaces(control_plane: ControlPlane, api: Api) -> AsyncIterator[planes.Namespaces]:
    """Await `namespaces()` for the name of a new namespace; all are deleted after the test."""
    factory = planes.Namespaces(api, control_plane)
    yield factory
    for name in factory.made:
        await api.delete("v1", "Namespace", name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if reason := skipped.because(terminalreporter, planes.NO_PLANE):
        terminalreporter.section("the cluster tests did NOT run", red=True)
        terminalreporter.line(f"No control plane could be had: {reason}")
