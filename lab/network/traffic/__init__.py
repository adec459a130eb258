"""The traffic process: every server and every prober of the lab, in all namespaces at once.

A socket stays in the namespace in which it was opened, so one process serves and probes for all of them. It is a process
of its own so that a busy test neither delays its answers nor is delayed by them; being one, an answer is never missed
because its server had no time: when a round of probes ends, everything that the kernel has delivered was answered.

It listens on a unix socket and takes one JSON object a line: `serve`, `close`, `probe`, `forward` (see `requests`).
"""

from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """What came of one probe."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """It arrived where nobody listens."""
    UNREACHABLE = "unreachable"
    """The kernel knows no way there."""
    SILENT = "silent"
    """Nothing came back in time: that is what a dropped packet looks like."""


class Server(NamedTuple):
    """Something that listens: where, and the name that it answers with."""

    namespace: str
    protocol: str
    address: str
    port: int
    name: str


class Probe(NamedTuple):
    """One new connection to try."""

    namespace: str
    protocol: str
    address: str
    port: int


class Answer(NamedTuple):
    """What came of a probe; `name` is the server's that answered, or the kernel's words."""

    outcome: Outcome
    name: str = ""
