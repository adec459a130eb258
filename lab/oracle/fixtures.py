"""The judge as a pytest fixture; tests that ask for it carry the mark `oracle`."""

from collections.abc import Iterator

import pytest

from lab.errors import LabError
from lab.oracle import cyclonus


@pytest.fixture(scope="session")
def judge(request: pytest.FixtureRequest) -> Iterator[cyclonus.Judge]:
    """Run cyclonus for the session; skip, saying why, where it cannot be built (fail with --cluster-required)."""
    try:
        cyclonus.program()
    except (LabError, OSError) as error:
        if request.config.getoption("--cluster-required"):
            pytest.fail(f"no judge: {error}", pytrace=False)
        pytest.skip(f"the independent judge cannot be built, so nothing was compared with it: {error}")
    with cyclonus.running() as running:
        yield running
