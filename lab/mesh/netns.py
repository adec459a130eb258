"""Network namespaces and the one wire between them: a bridge in a namespace of its own.

In the root namespace nothing is made at all: both ends of every pair of interfaces are created inside.
"""

import contextlib
import ctypes
import http.client
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from lab.errors import LabError

_PREFIX = "psmesh"
_MOUNTS = Path("/run/netns")
#: What lies here under a namespace's name stands in for the file of that name in /etc (ip-netns(8)).
_ETC = Path("/etc/netns")
_CLONE_NEWNET = 0x40000000
_PROGRAMS = ("ip", "iptables", "iptables-restore", "unshare")
_NETWORK_BITS = 16
_PATIENCE = 5.0
_numbers = count()


def missing() -> str | None:
    """Say in words what this machine lacks for network namespaces and redirection; None when nothing does."""
    if sys.platform != "linux":
        return "network namespaces need Linux"
    if os.geteuid() != 0:
        return "network namespaces need root"
    lacking = [name for name in _PROGRAMS if shutil.which(name) is None]
    if lacking:
        return f"{', '.join(lacking)} missing: install iptables, iproute2 and util-linux"
    name = f"{_PREFIX}-{os.getpid()}-try"
    try:
        _ip("netns", "add", name)
        _ip("netns", "delete", name)
    except LabError as error:
        return str(error)
    return None


@dataclass(frozen=True)
class NetNS:
    """One network namespace, by the name under which `ip netns` knows it."""

    name: str

    def command(self, *command: str | Path) -> list[str]:
        """Wrap a command so that it runs inside, with the namespace's own /etc/hosts."""
        return [_program("ip"), "netns", "exec", self.name, *map(str, command)]

    def run(self, *command: str | Path) -> None:
        """Run a command inside and wait for it; LabError with what it said when it fails."""
        _run(self.command(*command))

    def connect(self, address: tuple[str, int], timeout: float) -> socket.socket:
        """Open a TCP connection from inside; OSError as usual."""
        return self._inside(lambda: socket.create_connection(address, timeout))

    def listen(self, address: tuple[str, int]) -> socket.socket:
        """Open a listening TCP socket inside; whoever holds it may live outside."""
        return self._inside(lambda: socket.create_server(address))

    def get(self, port: int, path: str) -> tuple[int, bytes]:
        """GET a page from loopback inside: status and body; status 0 when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.sock = self.connect(("127.0.0.1", port), _PATIENCE)
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status, reply.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def _inside(self, make: Callable[[], socket.socket]) -> socket.socket:
        # A socket belongs for ever to the namespace in which its thread was when it was made; the thread ends with it.
        def enter() -> socket.socket:
            with (_MOUNTS / self.name).open() as handle:
                if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {self.name}")
            return make()

        with ThreadPoolExecutor(max_workers=1) as once:
            return once.submit(enter).result()


class Network:
    """The namespaces of one lab, all on one bridge; addresses are on-link for everybody, so nobody needs a router."""

    def __init__(self) -> None:
        _sweep()
        self._made: list[str] = []
        self._hub = self._make({})
        _ip("-n", self._hub.name, "link", "add", "br0", "type", "bridge")
        _ip("-n", self._hub.name, "link", "set", "br0", "up")

    def attach(self, address: str, *, hosts: Mapping[str, str] | None = None) -> NetNS:
        """Make a namespace with this IPv4 address on the bridge; `hosts` are the names that it can resolve."""
        made = self._make(hosts or {})
        port = f"port{len(self._made)}"
        peer = ["type", "veth", "peer", "name", "eth0", "netns", made.name]
        _ip("-n", self._hub.name, "link", "add", port, *peer)
        _ip("-n", self._hub.name, "link", "set", port, "master", "br0", "up")
        _ip("-n", made.name, "address", "add", f"{address}/{_NETWORK_BITS}", "dev", "eth0")
        _ip("-n", made.name, "link", "set", "eth0", "up")
        # Whatever is not in the own network is asked for on the wire itself: a host outside answers for its address.
        _ip("-n", made.name, "route", "add", "default", "dev", "eth0")
        return made

    def remove(self) -> None:
        """Remove every namespace, with the interfaces in it, and the files of /etc/netns; safe to call again."""
        while self._made:
            _remove(self._made.pop())

    def _make(self, hosts: Mapping[str, str]) -> NetNS:
        name = f"{_PREFIX}-{os.getpid()}-{next(_numbers)}"
        _ip("netns", "add", name)
        self._made.append(name)
        _ip("-n", name, "link", "set", "lo", "up")
        folder = _ETC / name
        folder.mkdir(parents=True, exist_ok=True)
        lines = {"localhost": "127.0.0.1"} | dict(hosts)
        (folder / "hosts").write_text("".join(f"{address} {host}\n" for host, address in lines.items()))
        # Nobody resolves anything here: a refusal on loopback comes at once, the machine's resolver never.
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        return NetNS(name)


def _sweep() -> None:
    """Remove what labs left behind whose process is dead."""
    for name in _leftovers():
        owner = name.split("-")[1]
        if not Path("/proc", owner).exists():
            _remove(name)


def _leftovers() -> Iterator[str]:
    found = {path.name for folder in (_MOUNTS, _ETC) if folder.is_dir() for path in folder.glob(f"{_PREFIX}-*-*")}
    yield from sorted(found)


def _remove(name: str) -> None:
    with contextlib.suppress(LabError):
        _ip("netns", "delete", name)
    shutil.rmtree(_ETC / name, ignore_errors=True)


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise LabError(f"the command '{name}' is missing: install iproute2")
    return path


def _ip(*arguments: str) -> None:
    _run([_program("ip"), *arguments])


def _run(command: Sequence[str]) -> None:
    reply = subprocess.run(command, capture_output=True, text=True, check=False)
    if reply.returncode != 0:
        said = (reply.stderr or reply.stdout).strip()[-2000:]
        raise LabError(f"'{' '.join(command)}' ended with {reply.returncode}: {said}")
