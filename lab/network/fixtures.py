"""The network lab as pytest fixtures; tests that ask for it carry the mark `enforcement`."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Final, NoReturn

import pytest

from lab import skipped
from lab.errors import LabError, UnsupportedError
from lab.network.lab import NetworkLab, with_control_plane
from lab.network.world import World

#: How the reason begins why nothing was enforced in a run; it is told again at the end of the report.
_NOTHING: Final = "no policy was enforced: "


@pytest.fixture(scope="session")
def network_lab(request: pytest.FixtureRequest) -> Iterator[NetworkLab]:
    """Start a lab with two nodes and a control plane of its own; skip, loudly, where policies cannot be enforced."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    shown = capture.global_and_fixture_disabled() if capture else contextlib.nullcontext()
    with contextlib.ExitStack() as stack:
        try:
            with shown:
                lab = stack.enter_context(with_control_plane(nodes=2))
        except (LabError, OSError) as error:
            _give_up(request, error)
        yield lab


@pytest.fixture(scope="session")
def network_lab_with_services(request: pytest.FixtureRequest, network_lab: NetworkLab) -> NetworkLab:
    """Let the virtual addresses of Services lead to their pods, in this and all later tests."""
    try:
        network_lab.start_proxies()
    except (LabError, OSError) as error:
        _give_up(request, error)
    return network_lab


@pytest.fixture
async def world(network_lab: NetworkLab) -> AsyncIterator[World]:
    """Give an empty world in the lab; what the test makes in it is removed."""
    async with network_lab.plane.api() as api, World(network_lab, api) as made:
        yield made


def _give_up(request: pytest.FixtureRequest, error: Exception) -> NoReturn:
    # What the machine lacks is nobody's mistake: it is said, in red, and the run goes on.
    if request.config.getoption("--cluster-required") and not isinstance(error, UnsupportedError):
        pytest.fail(f"no network lab: {error}", pytrace=False)
    pytest.skip(f"{_NOTHING}{error}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end of the report, in red, when nothing was enforced."""
    if reason := skipped.because(terminalreporter, _NOTHING):
        terminalreporter.section("the enforcement tests did NOT run", red=True)
        terminalreporter.line(f"No network lab could be had: {reason}")
