"""Stand-ins for programs on PATH: small scripts that write down how they were called."""

import os
import stat
from pathlib import Path

import pytest


class Programs:
    """A folder that is the whole PATH, but for the shell's own tools."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "calls.log"

    def add(self, name: str, script: str = "") -> Path:
        """Put a shell script on PATH; its arguments end up in `calls`."""
        path = self.folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.log}\n{script}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """A PATH without Go, kind, docker and kubectl; add what the test needs."""
    folder = tmp_path / "path"
    folder.mkdir()
    # The shell's tools for the scripts themselves, one by one: their folders may hold a real kubectl or go.
    for tool in ("sh", "cat", "cp", "mkdir", "sleep"):
        for place in os.defpath.split(os.pathsep):
            if (Path(place) / tool).exists():
                (folder / tool).symlink_to(Path(place) / tool)
                break
    monkeypatch.setenv("PATH", str(folder))
    return Programs(folder)


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pipesegment"
