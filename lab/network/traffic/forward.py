"""A port of loopback inside a namespace that leads to one of our own loopback: the way of an engine to the API server."""

import contextlib
import socket
import threading

from lab.network import netns

_SIZE = 65536


def forward(namespace: str, port: int, to: int) -> None:
    """Listen on 127.0.0.1:`port` in the namespace for as long as this process lives. Raises OSError."""
    with netns.inside(namespace):
        listener = socket.create_server(("127.0.0.1", port))
    threading.Thread(target=_serve, args=(listener, to), daemon=True).start()


def _serve(listener: socket.socket, to: int) -> None:
    while True:
        here, _ = listener.accept()
        try:
            there = socket.create_connection(("127.0.0.1", to))
        except OSError:
            here.close()
            continue
        for source, sink in ((here, there), (there, here)):
            threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_SIZE):
            sink.sendall(data)
    for sock in (source, sink):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
