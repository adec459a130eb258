"""The one loop that everything waits in."""

import selectors
import socket
from collections.abc import Callable


class Loop:
    """Calls back when a socket has something to read."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def watch(self, sock: socket.socket, ready: Callable[[], None]) -> None:
        """Call `ready` whenever there is something to read, an error included."""
        self._selector.register(sock, selectors.EVENT_READ, ready)

    def drop(self, sock: socket.socket) -> None:
        """Watch a socket no longer, and close it."""
        self._selector.unregister(sock)
        sock.close()

    def turn(self, timeout: float | None) -> bool:
        """Wait for something to read, at most `timeout` seconds; tell whether there was anything."""
        events = self._selector.select(timeout)
        for key, _ in events:
            # Whoever came before in this turn may have dropped it.
            if key.fileobj in self._selector.get_map():
                key.data()
        return bool(events)
