"""Our side of the traffic process: started here, asked here, and told apart from a network that is silent."""

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.network.traffic import Answer, Outcome, Probe, Server
from lab.network.traffic.requests import MOST_PROBES
from lab.process import Service

_ROOT = Path(__file__).parents[2]
_READY_WITHIN = 10.0
#: What the process gets beyond the time that it was asked to take.
_PATIENCE = 20.0
_GRACE = 1.0


class Agent:
    """The running traffic process. Its calls block; they may come from any thread. All raise LabError."""

    def __init__(self, folder: Path) -> None:
        path = folder / "traffic.sock"
        command = [sys.executable, "-P", "-m", "lab.network.traffic", str(path)]
        environment = os.environ | {"PYTHONPATH": str(_ROOT)}
        self._service = Service("the traffic process", command, folder / "traffic.log", env=environment)
        self._path = path
        self._await_listening()

    def serve(self, servers: Iterable[Server]) -> None:
        """Let these listen from now on."""
        self._ask({"serve": list(servers)})

    def close(self, namespaces: Sequence[str]) -> None:
        """End the servers of these namespaces, so that the namespaces can be removed."""
        self._ask({"close": namespaces})

    def forward(self, namespace: str, port: int, to: int) -> None:
        """Lead a port of the namespace's loopback to one of ours."""
        self._ask({"forward": [namespace, port, to]})

    def probe(self, probes: Sequence[Probe], timeout: float) -> list[Answer]:
        """Try all of these at once, each on a new connection; an answer is waited for at most `timeout` seconds."""
        answers: list[Answer] = []
        for start in range(0, len(probes), MOST_PROBES):
            found = self._ask({"probe": probes[start : start + MOST_PROBES], "timeout": timeout})
            answers += [Answer(Outcome(outcome), name) for outcome, name in found["answers"]]
        return answers

    def check(self) -> None:
        """Raise LabError with the end of its log when it is dead."""
        self._service.check()

    def stop(self) -> None:
        """End it, and with it every server."""
        self._service.stop(_GRACE)

    def _await_listening(self) -> None:
        deadline = time.monotonic() + _READY_WITHIN
        while True:
            with contextlib.suppress(OSError), self._connected():
                return
            self.check()
            if time.monotonic() > deadline:
                raise LabError(f"the traffic process did not listen within {_READY_WITHIN:g} s")
            time.sleep(0.01)  # its start offers nothing to wait on

    def _connected(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(_PATIENCE)
        try:
            sock.connect(str(self._path))
        except OSError:
            sock.close()
            raise
        return sock

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        # A connection for each question: then many may be asked at once.
        try:
            with self._connected() as sock, sock.makefile("rb") as lines:
                sock.sendall(json.dumps(question).encode() + b"\n")
                line = lines.readline()
        except OSError as error:
            self.check()
            raise LabError(f"the traffic process does not answer: {error}") from error
        if not line:
            self.check()
            raise LabError("the traffic process hung up")
        answer = json.loads(line)
        if answer.get("error"):
            raise LabError(f"the traffic process cannot do this: {answer['error']}")
        assert isinstance(answer, dict)
        return answer
