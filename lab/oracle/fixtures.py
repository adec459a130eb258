"""The judge as a pytest fixture; tests that ask for it carry the mark `oracle`."""

from collections.abc import Iterator

import pytest

from lab.errors import LabError
from lab.oracle import cyclonus


@pytest.fixture(scope="session")
def judge() -> Iterator[cyclonus.Judge]:
    """Run cyclonus for the session; skip, saying why, where it cannot be built."""
    try:
        cyclonus.program()
    except (LabError, OSError) as error:
        pytest.skip(f"the independent judge cannot be built, so nothing was compared with it: {error}")
    with cyclonus.running() as running:
        yield running
