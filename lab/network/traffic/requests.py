"""What the traffic process is asked, one JSON object a line, and what it answers.

- `{"serve": [[namespace, protocol, address, port, name], …]}` → `{}`
- `{"close": [namespace, …]}` → `{}`
- `{"forward": [namespace, port, port of our loopback]}` → `{}`
- `{"probe": [[namespace, protocol, address, port], …], "timeout": seconds}` → `{"answers": [[outcome, name], …]}`

What cannot be done is answered with `{"error": text}`.
"""

import json
import resource
import socket
import time
from typing import Any

from lab.network.traffic import Probe, Server
from lab.network.traffic.forward import forward
from lab.network.traffic.loop import Loop
from lab.network.traffic.probes import Round
from lab.network.traffic.servers import Servers

_SIZE = 1 << 20
#: Bounds of one question.
MOST_PROBES = 2000
LONGEST = 10.0
#: What a process needs beside two files for each probe: listeners, clients, connections of the engine.
_OTHER_FILES = 1000


class Requests:
    """The unix socket, its clients, and the rounds that they wait for."""

    def __init__(self, loop: Loop, listener: socket.socket) -> None:
        self._loop = loop
        self._servers = Servers(loop)
        self._rounds: list[tuple[Round, socket.socket]] = []
        self._unread: dict[socket.socket, bytes] = {}
        self._listener = listener
        loop.watch(listener, self._accept)

    def run(self) -> None:
        """Answer for ever."""
        while True:
            # Past a deadline only what is there already counts.
            left = [found.deadline - time.monotonic() for found, _ in self._rounds]
            idle = not self._loop.turn(max(0.0, min(left)) if left else None)
            for ended in [item for item in self._rounds if item[0].over(idle=idle)]:
                self._rounds.remove(ended)
                ended[0].end()
                _reply(ended[1], {"answers": ended[0].answers})

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        self._unread[client] = b""
        self._loop.watch(client, lambda: self._read(client))

    def _read(self, client: socket.socket) -> None:
        data = client.recv(_SIZE)
        if not data:
            del self._unread[client]
            self._loop.drop(client)
            return
        *lines, self._unread[client] = (self._unread[client] + data).split(b"\n")
        for line in lines:
            try:
                self._answer(json.loads(line), client)
            except (OSError, ValueError) as error:
                _reply(client, {"error": str(error)})

    def _answer(self, question: dict[str, Any], client: socket.socket) -> None:
        if "probe" in question:
            probes, timeout = question["probe"], question["timeout"]
            files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            most = min(MOST_PROBES, (files - _OTHER_FILES) // 2)
            if len(probes) > most or timeout > LONGEST:
                # A server without a file to spare would look like a dropped packet.
                raise ValueError(f"at most {most} probes of {LONGEST:g} s can be asked for at once")
            self._rounds.append((Round(self._loop, [Probe(*p) for p in probes], timeout), client))
            return
        for server in question.get("serve", ()):
            self._serve(Server(*server))
        for namespace in question.get("close", ()):
            self._servers.close(namespace)
        if "forward" in question:
            forward(*question["forward"])
        _reply(client, {})

    def _serve(self, server: Server) -> None:
        try:
            self._servers.serve(server)
        except OSError as error:
            where = f"{server.protocol}/{server.port} of {server.address} in {server.namespace}"
            raise OSError(f"{where} cannot be served: {error}") from error


def _reply(client: socket.socket, answer: dict[str, Any]) -> None:
    client.sendall(json.dumps(answer).encode() + b"\n")
