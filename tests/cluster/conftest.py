"""Everything in this folder needs a control plane, and says so by a marker.

The tests of the running operator share its fixtures: the operator is clusterwide, so a test never runs two of them
unless it is about that.
"""

import json
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from lab.controlplane import ControlPlane, Feature, Options
from lab.controlplane.audit import AuditEvent
from tests.cluster import admission
from tests.cluster.operator import (
    ACCOUNT,
    NAMESPACE,
    PLAIN,
    Operator,
    Record,
    install,
    segment_class,
)
from tests.planes import started

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, so that `-m 'not cluster'` leaves them out."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the operators of a failed test said."""
    del call
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        replicas = [value for value in item.funcargs.values() if isinstance(value, Operator)]
        started = item.funcargs.get("operators")
        for number, replica in enumerate([*replicas, *(started.replicas if isinstance(started, Operators) else ())]):
            report.sections.append((f"operator {number}", replica.tail()))
    return report


class Operators:
    """Makes operators; all that were made are stopped in the end."""

    def __init__(self, plane: ControlPlane, folder: Callable[[], Path]) -> None:
        self._plane = plane
        self._folder = folder
        self.kubeconfig = plane.kubeconfig_for(service_account=(NAMESPACE, ACCOUNT))
        self.replicas: list[Operator] = []
        self.forgive()

    def __call__(self, kubeconfig: Path | None = None, **settings: object) -> Operator:
        """Make an operator, not started yet, with these settings."""
        made = Operator(self._plane, kubeconfig or self.kubeconfig, self._folder(), **settings)
        self.replicas.append(made)
        return made

    def forgive(self) -> None:
        """Begin the record of denied calls here: an API server that starts denies everything until it has its roles."""
        self._record = Record(self._plane) if Feature.AUDIT in self._plane.features else None

    def denied(self) -> list[AuditEvent]:
        """Give the calls that were denied."""
        return self._record.denied() if self._record else []

    def stop(self) -> None:
        """Stop them all."""
        for replica in self.replicas:
            replica.stop()


def operating(plane: ControlPlane, folders: pytest.TempPathFactory) -> Iterator[Operators]:
    """Give operators, and stop them; in the end none of their calls was denied."""
    made = Operators(plane, lambda: folders.mktemp("operator"))
    yield made
    made.stop()
    assert made.denied() == []


@pytest.fixture(scope="session")
def installed(control_plane: ControlPlane) -> ControlPlane:
    """The control plane with our kinds and the operator's rights."""
    install(control_plane)
    return control_plane


@pytest.fixture(scope="module")
def module_operators(installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operators]:
    """Makes operators for a whole module; in the end none of their calls was denied."""
    yield from operating(installed, tmp_path_factory)


@pytest.fixture(scope="module")
def operator(module_operators: Operators) -> Operator:
    """The one operator of a module's tests, ready."""
    return module_operators().start()


@pytest.fixture
def operators(installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operators]:
    """Makes operators for one test, for those that start, stop and kill; in the end none of their calls was denied."""
    yield from operating(installed, tmp_path_factory)


@pytest.fixture
def record(installed: ControlPlane) -> Record:
    """What the operator asks of the API server from here on; the test needs the feature `audit`."""
    return Record(installed)


@pytest.fixture
def record_from_here(installed: ControlPlane) -> Callable[[], Record]:
    """Call it where the record shall begin."""
    return lambda: Record(installed)


@pytest.fixture(scope="session")
def plain(installed: ControlPlane) -> Iterator[dict[str, str]]:
    """Labels of namespaces without a mesh, whether Istio's kinds are on the cluster or not."""
    made = segment_class("lab-plain", PLAIN, mesh={"provider": "None"})
    installed.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(made))
    yield {PLAIN: "yes"}
    installed.kubectl("delete", "segmentclass", "lab-plain")


@pytest.fixture(scope="session")
def guarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[admission.Scene]:
    """Stages behind the admission policies, on a control plane of their own: the policies are clusterwide."""
    with started(request, Options(oidc=True)) as plane:
        scene = admission.settle(plane, tmp_path_factory.mktemp("compiled"))
        admission.enforce(plane, admission.policies())
        scene.await_policies()
        yield scene
