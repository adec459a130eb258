"""The errors of pipesegment, by what has to happen next.

PipesegmentError
├── Refused        the input is wrong: a person must change it (exit 1, condition Stalled)
├── Unreachable    the cluster or AWS does not answer: try again (exit 3, backoff)
│   └── Rejected   it answered with an error that trying again may or may not mend (carries the HTTP status)
└── Usage          the command line is wrong (exit 2)
"""

from collections.abc import Sequence

from pipesegment.findings import Refusal


class PipesegmentError(Exception):
    """The root: everything that pipesegment raises on purpose."""


class Refused(PipesegmentError):  # noqa: N818 - named by what happened to the input
    """The documents are refused; nothing was written."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        self.refusals = tuple(refusals)
        super().__init__("\n".join(str(refusal) for refusal in self.refusals))


class Unreachable(PipesegmentError):  # noqa: N818 - named by what is the matter
    """The API server or a cloud does not answer."""


class Rejected(Unreachable):
    """The API server answered with an error.

    `status` is the HTTP status, `reason` the Status object's reason, `message` its message cut to 256 characters.
    """

    def __init__(self, status: int, reason: str, message: str, *, retry_after: float | None = None) -> None:
        self.status = status
        self.reason = reason
        self.message = message[:256]
        self.retry_after = retry_after
        super().__init__(f"{status} {reason}: {self.message}")


class Usage(PipesegmentError):  # noqa: N818 - named by what is the matter
    """The command line is wrong."""
