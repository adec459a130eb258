"""The judges as pytest fixtures; tests that ask for one carry the mark `oracle`."""

import contextlib
from collections.abc import Iterator

import pytest

from lab.errors import LabError
from lab.oracle.judges import CILIUM, CYCLONUS, PROGRAMS, Engine, Program


@pytest.fixture(scope="session", params=PROGRAMS, ids=lambda program: program.name)
def judge(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Run each judge for the session; skip, saying why, where it cannot be built (fail with --cluster-required)."""
    with _running(request.param, request.config) as engine:
        yield engine


@pytest.fixture(scope="session")
def cyclonus(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Run cyclonus alone."""
    with _running(CYCLONUS, request.config) as engine:
        yield engine


@pytest.fixture(scope="session")
def cilium(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Run Cilium's engine alone."""
    with _running(CILIUM, request.config) as engine:
        yield engine


@contextlib.contextmanager
def _running(program: Program, config: pytest.Config) -> Iterator[Engine]:
    try:
        program.built()
    except (LabError, OSError) as error:
        if config.getoption("--cluster-required"):
            pytest.fail(f"no judge: {error}", pytrace=False)
        pytest.skip(f"the judge {program.name} cannot be built, so nothing was compared with it: {error}")
    with program.running() as engine:
        yield engine
