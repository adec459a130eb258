"""Folders of labs that run at the same time: each sweeps what dead ones left, and nothing else."""

import fcntl
import shutil
import tempfile
from pathlib import Path

import pytest

from lab import folders


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_what_somebody_holds_stays_and_what_a_dead_one_left_goes(own: Path) -> None:
    held = folders.Folder()
    left = own / "pipesegment-lab-left"
    left.mkdir()
    (left / "owner.lock").touch()

    second = folders.Folder()

    assert sorted(own.iterdir()) == sorted([held.path, second.path])
    for folder in (held, second):
        folder.remove()
    assert list(own.iterdir()) == []


def test_one_that_is_swept_before_it_is_locked_is_made_anew(monkeypatch: pytest.MonkeyPatch, own: Path) -> None:
    lock = fcntl.flock

    def late(handle: object, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        for path in own.iterdir():
            shutil.rmtree(path)
        lock(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    made = folders.Folder()

    assert made.path.is_dir()
    made.remove()
