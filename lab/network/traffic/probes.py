"""Rounds of probes: all at once, each on a connection of its own, with one deadline for all."""

import contextlib
import itertools
import socket
import struct
import time
from collections.abc import Sequence
from itertools import groupby

from lab.network import netns
from lab.network.traffic import Answer, Outcome, Probe, sctp, sockets
from lab.network.traffic.loop import Loop

#: Ends a connection by a reset: no TIME_WAIT is left behind for thousands of them.
_NO_LINGER = struct.pack("ii", 1, 0)
_SIZE = 4096
#: How long after the deadline a busy process may go on emptying what the kernel has delivered already.
_PATIENCE = 3.0
_REFUSED = (ConnectionRefusedError, ConnectionResetError)
_tags = itertools.count(1)


class Round:
    """Some probes under way; `answers` are in their order, once `over`."""

    def __init__(self, loop: Loop, probes: Sequence[Probe], timeout: float) -> None:
        self._loop = loop
        self._pending: dict[int, socket.socket] = {}
        #: (raw socket) and, by the tag that it was sent with, the number of the probe.
        self._raw: dict[tuple[str, socket.AddressFamily], socket.socket] = {}
        self._tags: dict[int, int] = {}
        self.answers = [Answer(Outcome.SILENT) for _ in probes]
        numbered = sorted(enumerate(probes), key=lambda item: item[1].namespace)
        for namespace, group in groupby(numbered, key=lambda item: item[1].namespace):
            with netns.inside(namespace):
                for number, probe in group:
                    self._start(number, probe)
        self.deadline = time.monotonic() + timeout

    def over(self, *, idle: bool) -> bool:
        """Tell whether nothing more is awaited; `idle` says that the last turn found nothing to read."""
        now = time.monotonic()
        waiting = self._pending or self._tags
        return not waiting or (now >= self.deadline and idle) or now >= self.deadline + _PATIENCE

    def end(self) -> None:
        """Give up what has no answer."""
        for sock in [*self._pending.values(), *self._raw.values()]:
            self._loop.drop(sock)
        self._pending.clear()
        self._raw.clear()

    def _start(self, number: int, probe: Probe) -> None:
        try:
            if probe.protocol == "SCTP":
                self._send_init(number, probe)
                return
            sock = sockets.make(probe.protocol, probe.address)
        except OSError as error:
            self.answers[number] = Answer(Outcome.UNREACHABLE, str(error))
            return
        if probe.protocol == "TCP":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        try:
            with contextlib.suppress(BlockingIOError):
                sock.connect((probe.address, probe.port))
            if probe.protocol == "UDP":
                sock.send(b"?")
        except OSError as error:
            sock.close()
            self.answers[number] = _failed(error)
            return
        self._pending[number] = sock
        self._loop.watch(sock, lambda: self._read(number, sock))

    def _read(self, number: int, sock: socket.socket) -> None:
        try:
            self.answers[number] = Answer(Outcome.ANSWERED, sock.recv(_SIZE).decode(errors="replace"))
        except BlockingIOError:
            return
        except OSError as error:
            self.answers[number] = _failed(error)
        del self._pending[number]
        self._loop.drop(sock)

    def _send_init(self, number: int, probe: Probe) -> None:
        key = (probe.namespace, sockets.family(probe.address))
        if key not in self._raw:
            raw = self._raw[key] = sockets.make("SCTP", probe.address)
            self._loop.watch(raw, lambda: self._read_acks(raw))
        tag = next(_tags)
        source = 20000 + tag % 40000
        init = sctp.Packet(source, probe.port, 0, sctp.INIT, tag)
        self._raw[key].sendto(sctp.build(init), (probe.address, 0))
        self._tags[tag] = number

    def _read_acks(self, raw: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                packet = sctp.parse(raw.recv(_SIZE), ip_header=raw.family == socket.AF_INET)
                if packet is not None and packet.chunk == sctp.INIT_ACK and packet.verification in self._tags:
                    self.answers[self._tags.pop(packet.verification)] = Answer(Outcome.ANSWERED, packet.cookie)


def _failed(error: OSError) -> Answer:
    if isinstance(error, _REFUSED):
        return Answer(Outcome.REFUSED, str(error))
    return Answer(Outcome.UNREACHABLE, str(error))
