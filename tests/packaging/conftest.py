"""What the packaging tests look at: the rendered manifest (no helm needed), and the chart through the real helm."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import yaml
from lab.controlplane import Binaries, ControlPlane, Options
from lab.errors import LabError
from tests.planes import give_up, started

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "pipesegment"

Objects = list[dict[str, Any]]
Helm = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def install() -> Objects:
    """Objects of manifests/install.yaml, which test_chart_values holds equal to the chart with its default values."""
    return [obj for obj in yaml.safe_load_all((ROOT / "manifests" / "install.yaml").read_text()) if obj]


@pytest.fixture(scope="session")
def helm_program(request: pytest.FixtureRequest) -> Path:
    """The helm that the lab pins; skips where it cannot be built, unless a control plane is required."""
    try:
        program = Binaries.built().helm
    except LabError as error:
        give_up(request.config, f"no helm: {error}")
    assert program is not None
    return program


@pytest.fixture(scope="module")
def plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """A control plane for one file alone: CRDs and cluster roles belong to a whole cluster, others must not lose theirs."""
    with started(request, Options(pods=True)) as plane:
        yield plane


@pytest.fixture
def helm(helm_program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Helm:
    """Run the real helm with folders of its own and without anybody's kubeconfig."""
    for name in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"HELM_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))

    def run(*arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [str(helm_program), *map(str, arguments)]
        reply = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
        assert not check or reply.returncode == 0, f"{' '.join(command)}:\n{reply.stderr}"
        return reply

    return run


@pytest.fixture
def render(helm: Helm, tmp_path: Path) -> Callable[..., Objects]:
    """Render the chart with the given values, as a release in namespace pipesegment-system."""

    def run(values: dict[str, Any] | None = None, release: str = "pipesegment") -> Objects:
        given = tmp_path / "values.json"
        given.write_text(json.dumps(values or {}))
        reply = helm("template", release, CHART, "--namespace", "pipesegment-system", "--values", given)
        return [obj for obj in yaml.safe_load_all(reply.stdout) if obj]

    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the lab's helm, so that `make check` can leave it out."""
    for item in items:
        if "helm_program" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.tools)
