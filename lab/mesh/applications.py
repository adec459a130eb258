"""The applications of the lab's pods, and what they are told to ask."""

import json
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lab.errors import LabError
from lab.mesh.netns import NetNS
from lab.mesh.pods import Listening
from lab.process import Service

Protocol = Literal["HTTP", "TCP", "TLS", "UDP"]

_PROGRAM = Path(__file__).with_name("app.py")
_READY_WITHIN = 20.0
_POLL = 0.02
#: More than an application takes to give up by itself.
_PATIENCE = 10.0


@dataclass(frozen=True)
class Question:
    """What an application asks: where, and for HTTP what; `host` is the Host header, or the name that TLS asks for."""

    protocol: Protocol
    address: str
    port: int
    host: str = ""
    method: str = "GET"
    path: str = "/"


@dataclass(frozen=True)
class Answer:
    """What came of a question.

    `said` is an HTTP status code (`200`, `403`, …), `open` for TCP, TLS and UDP, or how it failed: `reset` (also a connection
    closed without a byte), `refused`, `timeout`, `unreachable`. `text` is the body: the name of the pod that answered.
    """

    said: str
    text: str


class Application:
    """An application in a namespace: its servers listen from the beginning, `ask` makes it ask others."""

    def __init__(self, name: str, namespace: NetNS, serves: Sequence[Listening], folder: Path) -> None:
        self._control = folder / "app.sock"
        ports = ",".join(f"{each.protocol}/{each.port}" for each in serves)
        command = namespace.command(sys.executable, "-I", "-S", _PROGRAM, self._control, name, ports)
        self._service = Service(f"the application of {name}", command, folder / "app.log")
        deadline = time.monotonic() + _READY_WITHIN
        while not self._listens():
            self.check()
            if time.monotonic() > deadline:
                raise LabError(f"{self._service.name} did not start. The end of its log:\n{self._service.tail()}")
            time.sleep(_POLL)

    def ask(self, question: Question) -> Answer:
        """Ask from inside the pod, as its application. Raises LabError when the application itself is dead."""
        try:
            with self._connected() as control, control.makefile("rw") as stream:
                stream.write(json.dumps(vars(question)) + "\n")
                stream.flush()
                line = stream.readline()
        except OSError as error:
            self.check()
            raise LabError(f"{self._service.name} does not answer: {error}") from error
        if not line:
            raise LabError(f"{self._service.name} broke off. The end of its log:\n{self._service.tail()}")
        return Answer(**json.loads(line))

    def check(self) -> None:
        """Raise LabError when it is dead."""
        self._service.check()

    def stop(self) -> None:
        """End it."""
        self._service.stop(grace=0.0)

    def _listens(self) -> bool:
        try:
            self._connected().close()
        except OSError:
            return False
        return True

    def _connected(self) -> socket.socket:
        control = socket.socket(socket.AF_UNIX)
        control.settimeout(_PATIENCE)
        try:
            control.connect(str(self._control))
        except OSError:
            control.close()
            raise
        return control
