"""Lends the API server, which listens on loopback alone, to a network namespace: the same address, the same port there."""

import contextlib
import socket
import threading

from lab.mesh.netns import NetNS

_CHUNK = 65536


class Forwarder:
    """Connections to a loopback port inside a namespace arrive at the same loopback port outside, until `stop`."""

    def __init__(self, inside: NetNS, port: int) -> None:
        self._address = ("127.0.0.1", port)
        self._listener = inside.listen(self._address)
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, name="lab-forwarder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it and every connection through it; safe to call again."""
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(self._address)
                except OSError:
                    near.close()
                    continue
                threading.Thread(target=self._both, args=(near, far), name="lab-forwarded", daemon=True).start()

    def _both(self, near: socket.socket, far: socket.socket) -> None:
        with near, far:
            self._open |= {near, far}
            back = threading.Thread(target=_pump, args=(far, near), name="lab-forwarded", daemon=True)
            back.start()
            _pump(near, far)
            back.join()
            self._open -= {near, far}


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
