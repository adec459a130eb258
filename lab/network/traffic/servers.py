"""Servers: each answers a new connection, datagram or INIT with its name."""

import contextlib
import random
import socket
from collections import defaultdict
from collections.abc import Callable

from lab.network.traffic import Server, sctp, sockets
from lab.network.traffic.loop import Loop

_BACKLOG = 4096
_SIZE = 4096


class Servers:
    """Everything that listens, by namespace."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._open: dict[str, list[socket.socket]] = defaultdict(list)
        #: (namespace, address) -> port -> name: one raw socket hears all of an address's SCTP.
        self._sctp: dict[tuple[str, str], dict[int, str]] = {}

    def serve(self, server: Server) -> None:
        """Listen from now on. Raises OSError."""
        if server.protocol == "SCTP":
            self._serve_sctp(server)
            return
        sock = sockets.open_socket(server.namespace, server.protocol, server.address)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((server.address, server.port))
        says = server.name.encode()
        if server.protocol == "TCP":
            sock.listen(_BACKLOG)
            self._watch(server.namespace, sock, lambda: self._accept(server.namespace, sock, says))
        else:
            self._watch(server.namespace, sock, lambda: _echo(sock, says))

    def close(self, namespace: str) -> None:
        """Close everything of a namespace: an open socket would keep it alive."""
        for sock in self._open.pop(namespace, ()):
            if sock.fileno() != -1:
                self._loop.drop(sock)
        for key in [key for key in self._sctp if key[0] == namespace]:
            del self._sctp[key]

    def _watch(self, namespace: str, sock: socket.socket, ready: Callable[[], None]) -> None:
        self._open[namespace].append(sock)
        self._loop.watch(sock, ready)

    def _accept(self, namespace: str, listener: socket.socket, says: bytes) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.setblocking(False)
                with contextlib.suppress(OSError):
                    connection.send(says)
                self._watch(namespace, connection, lambda c=connection: self._repeat(namespace, c))  # type: ignore[misc]

    def _repeat(self, namespace: str, connection: socket.socket) -> None:
        """Send back what comes, so that a connection can be seen to live; the client ends it."""
        try:
            data = connection.recv(_SIZE)
            if data:
                connection.send(data)
                return
        except OSError:
            pass
        self._loop.drop(connection)
        self._open[namespace].remove(connection)

    def _serve_sctp(self, server: Server) -> None:
        ports = self._sctp.get((server.namespace, server.address))
        if ports is None:
            ports = self._sctp[server.namespace, server.address] = {}
            sock = sockets.open_socket(server.namespace, "SCTP", server.address)
            sock.bind((server.address, 0))
            self._watch(server.namespace, sock, lambda: _acknowledge(sock, ports))
        ports[server.port] = server.name


def _echo(sock: socket.socket, says: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            _, sender = sock.recvfrom(_SIZE)
            sock.sendto(says, sender)


def _acknowledge(sock: socket.socket, ports: dict[int, str]) -> None:
    with contextlib.suppress(OSError):
        while True:
            data, sender = sock.recvfrom(_SIZE)
            packet = sctp.parse(data, ip_header=sock.family == socket.AF_INET)
            if packet is not None and packet.chunk == sctp.INIT and packet.destination in ports:
                reply = sctp.Packet(
                    packet.destination,
                    packet.source,
                    packet.tag,
                    sctp.INIT_ACK,
                    random.getrandbits(32) or 1,
                    ports[packet.destination],
                )
                sock.sendto(sctp.build(reply), (sender[0], 0))
