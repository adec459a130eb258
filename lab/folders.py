"""Private temporary folders that are removed when their owner ends, also when it was killed."""

import contextlib
import fcntl
import shutil
import tempfile
from pathlib import Path
from typing import IO

_PREFIX = "pipesegment-lab-"
_LOCK = "owner.lock"


class Folder:
    """A folder that only the user can read, held by a lock as long as this object lives."""

    def __init__(self) -> None:
        _sweep()
        self.path, self._lock = _locked()
        # Between its making and its locking somebody else may have swept it.
        while not self.path.exists():
            self._lock.close()
            self.path, self._lock = _locked()

    def remove(self) -> None:
        """Remove the folder and what is in it; safe to call again."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _locked() -> tuple[Path, IO[str]]:
    path = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = (path / _LOCK).open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return path, lock


def _sweep() -> None:
    """Remove the folders whose owner is dead: nobody holds their lock."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError), path.open("r+") as lock:
            if _free(lock):
                shutil.rmtree(path.parent, ignore_errors=True)


def _free(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
