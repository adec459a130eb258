"""The user's cache folder: built tools, the Go toolchain, and the locks that keep two processes from building at once."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from lab import progress


def root() -> Path:
    """Return `${XDG_CACHE_HOME:-~/.cache}/pipesegment`; the folder may not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "pipesegment"


def digest(parts: Iterable[bytes]) -> str:
    """Hash the parts, each with its length before it, so that no two lists of parts meet; 20 hex digits."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(f"{len(part)}:".encode())
        sha.update(part)
    return sha.hexdigest()[:20]


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`, telling the user when another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"waiting for another process that builds {path.stem}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def filled(target: Path) -> Iterator[Path | None]:
    """Give a temporary folder that becomes `target` when the block ends well, or None when `target` is there already.

    A folder under its final name is therefore always complete. The caller holds the lock.
    """
    if target.exists():
        yield None
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # A build that was killed leaves its folder behind; under the lock nobody else can be using it.
    for stale in target.parent.glob(f".{target.name}.*"):
        shutil.rmtree(stale, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
