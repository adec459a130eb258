"""Network namespaces: named after their owner, entered by a thread, and swept when the owner is dead."""

import contextlib
import ctypes
import os
import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.errors import LabError

#: Every name is `<prefix>-<owner>-<name>`; an owner is a process by its id and the time of its start.
PREFIX = "pslab"
FOLDER = Path("/run/netns")

_CLONE_NEWNET = 0x40000000
_NETLINK_NETFILTER = 12
_CT_DELETE = (1 << 8) | 2
_REQUEST_ACK = 0x1 | 0x4
_libc = ctypes.CDLL(None, use_errno=True)


def owner(pid: int) -> str | None:
    """Name a process so that no later one of the same id is taken for it; None when it is dead."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command's name, in brackets, may hold anything: the start time is the 20th field after it.
    return f"{pid}.{stat.rpartition(')')[2].split()[19]}"


def named(name: str) -> str:
    """Give the full name of a namespace of this process."""
    return f"{PREFIX}-{owner(os.getpid())}-{name}"


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Put this thread into the namespace; a socket that is opened here stays here, whoever uses it later."""
    with Path("/proc/thread-self/ns/net").open() as here, (FOLDER / namespace).open() as there:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(here.fileno())


def ip(*lines: str, namespace: str = "") -> None:
    """Run commands of `ip`, all in one process and in one namespace. Raises LabError at the first that fails."""
    where = ["-n", namespace] if namespace else []
    batch = "".join(f"{line}\n" for line in lines)
    done = subprocess.run(["ip", *where, "-batch", "-"], input=batch, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(
            f"'ip' failed in {namespace or 'the root namespace'}: {done.stderr.strip()}; it was told:\n{batch}"
        )


def sysctl(namespace: str, **settings: object) -> None:
    """Set kernel parameters of a namespace; `__` in a name stands for the dot."""
    with inside(namespace):
        for name, value in settings.items():
            Path("/proc/sys/net", *name.split("__")).write_text(str(value))


def delete(namespaces: Sequence[str]) -> None:
    """Remove namespaces; their links go with them once no socket of theirs is open."""
    if namespaces:
        ip(*(f"netns delete {name}" for name in namespaces))


def own() -> list[str]:
    """Give the names of the namespaces of this process."""
    return sorted(path.name for path in FOLDER.glob(f"{named('*')}"))


def sweep_dead() -> list[str]:
    """Remove the namespaces whose owner is dead, and return their names."""
    found = []
    for path in FOLDER.glob(f"{PREFIX}-*"):
        theirs = path.name.removeprefix(f"{PREFIX}-").partition("-")[0]
        pid = theirs.partition(".")[0]
        if pid.isdigit() and owner(int(pid)) != theirs:
            found.append(path.name)
    delete(found)
    return found


def forget_flows(namespace: str) -> None:
    """Flush the connection table of a namespace: no flow of before may help a later one through."""
    header = struct.pack("=LHHLL", 20, _CT_DELETE, _REQUEST_ACK, 1, 0)
    with inside(namespace), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as netlink:
        netlink.send(header + struct.pack("=BBH", 0, 0, 0))
        reply = netlink.recv(4096)
    (error,) = struct.unpack_from("=i", reply, 16)
    if error:
        raise LabError(f"the connections of {namespace} could not be flushed: {os.strerror(-error)}")


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise LabError(f"a network namespace could not be entered: {os.strerror(ctypes.get_errno())}")
