"""Child processes that never outlive us, stopped by pid and with escalation."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab.errors import LabError

#: Asks the kernel to kill this process when its parent dies, then becomes the real program. A wrapper instead of
#: `preexec_fn`, which is unsafe (and warned about) in a process that has threads.
_GUARD = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent died before its child began")
os.execv(sys.argv[2], sys.argv[2:])
"""

#: The kernel means the parent *thread*: every child comes from this one, which lives as long as the process.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lab-spawner")


def guarded(command: Sequence[str]) -> list[str]:
    """Wrap a command (absolute path first) so that the kernel kills it when this process dies; Linux only, else as is."""
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _GUARD, str(os.getpid()), *command]


def popen(
    command: Sequence[str],
    *,
    stdout: int,
    stderr: int,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[str]:
    """Start a guarded child in a session of its own, so that Ctrl-C reaches us first and we stop it in order."""

    def spawn() -> subprocess.Popen[str]:
        return subprocess.Popen(
            guarded(command),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )

    return _spawner.submit(spawn).result()


class Service:
    """One long-running program with a log file.

    `stop` asks with SIGTERM, waits `grace` seconds, and then kills; it is safe to call again.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as handle:
            self._child = popen(command, stdout=handle.fileno(), stderr=subprocess.STDOUT, env=env, cwd=cwd)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether the program still runs."""
        return self._child.poll() is None

    def check(self) -> None:
        """Raise LabError with the end of its log when the program is gone."""
        code = self._child.poll()
        if code is not None:
            raise LabError(f"{self.name} ended with exit code {code}. The end of its log:\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self, grace: float) -> None:
        """End the program and reap it."""
        if self.alive:
            self._child.terminate()
            try:
                self._child.wait(grace)
            except subprocess.TimeoutExpired:
                self._child.kill()
        self._child.wait()


def free_port() -> int:
    """Find a port of loopback that nothing listens on now; somebody else may take it before it is used."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert isinstance(port, int)
    return port
