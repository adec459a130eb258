"""Programs built from a Go module of the lab, once, into the user's cache."""

import contextlib
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab import cache, toolchain
from lab.errors import LabError
from lab.process import popen
from lab.progress import Progress

#: Lines of Go's output that an error shows.
_LINES_OF_ERROR = 30


def build(
    module_dir: Path, packages: Sequence[str], names: Sequence[str], *, ldflags: str = "-s -w", note: str = ""
) -> dict[str, Path]:
    """Build `packages` of the Go module in `module_dir` in one go and return {name: path of the program}.

    `names` says how each program is to be called, in the order of `packages` (import paths, or paths that start with
    `./`). What was built before from the same go.mod, go.sum, Go files (those of replaced modules beside it too), flags and
    Go version is returned at once. The module's go.sum must be complete: nothing is added to it. `note` is shown while a build runs. Raises LabError.
    """
    if len(packages) != len(names):
        raise LabError(f"{len(packages)} packages but {len(names)} names for them: give one name for each package")
    go = toolchain.find()
    target = cache.root() / module_dir.name / cache_key(module_dir, packages, names, ldflags, go.version)
    if not target.exists():
        with cache.locked(target.parent / f"{module_dir.name}.lock"), cache.filled(target) as folder:
            if folder is not None:
                command = [str(go.ready()), "build", "-v", "-trimpath", "-ldflags", ldflags]
                _compile([*command, "-o", f"{folder}{os.sep}", *packages], module_dir, note)
                _rename(module_dir, packages, names, folder)
    return {name: target / name for name in names}


def cache_key(module_dir: Path, packages: Sequence[str], names: Sequence[str], ldflags: str, go_version: str) -> str:
    """Name the folder of a build: a hash of all that decides its outcome."""
    parts = [go_version, platform.system(), platform.machine(), ldflags, *packages, "", *names]
    contents = []
    for folder in (".", *_beside(module_dir)):
        files = [path for name in ("go.mod", "go.sum", "**/*.go") for path in sorted((module_dir / folder).glob(name))]
        for path in files:
            contents += [f"{folder}/{path.relative_to(module_dir / folder)}".encode(), path.read_bytes()]
    return cache.digest([part.encode() for part in parts] + contents)


def module_folder(module_dir: Path, module: str) -> Path:
    """Return where a required module's files are, fetching it into Go's own cache when it is not there (go.sum checks it).

    Raises LabError when it cannot be fetched.
    """
    command = [str(toolchain.find().ready()), "mod", "download", "-json", module]
    reply = subprocess.run(
        command, cwd=module_dir, env=toolchain.environment(), capture_output=True, text=True, check=False
    )
    if reply.returncode != 0:
        raise LabError(f"the Go module {module} could not be fetched: {reply.stdout.strip()} {reply.stderr.strip()}")
    return Path(json.loads(reply.stdout)["Dir"])


def _beside(module_dir: Path) -> list[str]:
    """Give the folders of modules that go.mod replaces by a path, as it writes them."""
    return re.findall(r"=>\s+(\.\.?/\S+)", (module_dir / "go.mod").read_text())


def _compile(command: Sequence[str], module_dir: Path, note: str) -> None:
    title = f"building {module_dir.name} with Go, once" + (f"; {note}" if note else "")
    lines: list[str] = []
    compiled = 0
    with Progress(title) as progress, _running(command, module_dir) as child:
        assert child.stdout is not None
        for line in child.stdout:
            text = line.strip()
            lines.append(text)
            if text.startswith("go: "):
                progress.phase = text.removeprefix("go: ")
            else:
                compiled += 1
                progress.phase = f"package {compiled}: {text}"
        if child.wait() != 0:
            said = "\n".join(line for line in lines[-_LINES_OF_ERROR:] if not line.startswith("go: downloading"))
            raise LabError(f"'go build' failed in {module_dir}. The end of what it said:\n{said}")


@contextlib.contextmanager
def _running(command: Sequence[str], module_dir: Path) -> Iterator[subprocess.Popen[str]]:
    child = popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=toolchain.environment(), cwd=module_dir
    )
    with child:
        try:
            yield child
        except BaseException:
            child.kill()
            raise


def _rename(module_dir: Path, packages: Sequence[str], names: Sequence[str], folder: Path) -> None:
    for package, name in zip(packages, names, strict=True):
        built = folder / _go_name(module_dir, package)
        if not built.exists():
            raise LabError(f"'go build' made no program of {package} in {module_dir}: is it a 'package main'?")
        built.rename(folder / name)


def _go_name(module_dir: Path, package: str) -> str:
    """Return what Go calls the program: the last element of the import path that is not a major version."""
    if package == "." or package.startswith("./"):
        module = re.search(r"^module\s+(\S+)", (module_dir / "go.mod").read_text(), re.MULTILINE)
        if module is None:
            raise LabError(f"{module_dir / 'go.mod'} names no module")
        package = f"{module[1]}/{package.removeprefix('.').strip('/')}".rstrip("/")
    elements = package.split("/")
    return elements[-2] if re.fullmatch(r"v\d+", elements[-1]) and len(elements) > 1 else elements[-1]
