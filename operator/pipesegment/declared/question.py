"""The question that the declaration is asked, and its answer."""

from typing import NamedTuple

from pipesegment.facts.ends import End, Port


class Request(NamedTuple):
    """One HTTP request's method and path."""

    method: str
    path: str


class Question(NamedTuple):
    """Ask whether `source` may reach `destination` at `port` (None: at any), with this request (None: with any)."""

    source: End
    destination: End
    port: Port | None
    http: Request | None = None


class Answer(NamedTuple):
    """Whether it is declared, and where; `ungranted` marks a way into an isolated namespace that nobody granted there.

    `always`: it holds at every port, in the same words.
    """

    allowed: bool
    because: str
    ungranted: bool = False
    always: bool = False
