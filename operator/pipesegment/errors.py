"""The errors of pipesegment, by what has to happen next.

PipesegmentError
├── Refused        the input is wrong: a person must change it (exit 1, condition Stalled)
├── Unreachable    the cluster or AWS does not answer: try again (exit 3, backoff)
│   ├── NoAnswer       the API server says nothing at all: the way to it is cut, or leads elsewhere
│   ├── NoCredentials  AWS cannot be asked: nobody, or nobody known, is asking
│   └── Rejected   it answered with an error that trying again may or may not mend (carries the HTTP status)
└── Usage          the command line is wrong (exit 2)
    └── NoKubeconfig   there is none where one was looked for (exit 3 unless it was named)
"""

import re
from collections.abc import Sequence
from typing import Final

from pipesegment.findings import Refusal

#: How the API server tells that a ValidatingAdmissionPolicy refused something: its name, and its words.
_ADMISSION: Final = re.compile(
    r"[^:]*is forbidden: ValidatingAdmissionPolicy '([^']+)' with binding '[^']+' denied request: (.*)", re.DOTALL
)

#: Client errors that may be cured without our doing: an API server that starts knows neither roles nor kinds yet, a
#: precondition failed because the world moved on, a limit was met.
_CURABLE: Final = frozenset({401, 403, 404, 408, 409, 410, 425, 429})


class PipesegmentError(Exception):
    """The root: everything that pipesegment raises on purpose."""


class Refused(PipesegmentError):  # noqa: N818 - named by what happened to the input
    """The documents are refused; nothing was written."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        self.refusals = tuple(refusals)
        super().__init__("\n".join(str(refusal) for refusal in self.refusals))


def is_permanent(status: int) -> bool:
    """Tell whether the same call (400, 422…) gets the same answer until something changes."""
    return 400 <= status < 500 and status not in _CURABLE


class Unreachable(PipesegmentError):  # noqa: N818 - named by what is the matter
    """The API server or a cloud does not answer."""


class NoAnswer(Unreachable):
    """The API server cannot be connected to, or says nothing."""


class NoCredentials(Unreachable):
    """There are no credentials for AWS, or none that it takes."""


class Rejected(Unreachable):
    """The API server answered with an error.

    `status` is the HTTP status, `reason` the Status object's reason, `message` its message cut to 256 characters; what an
    admission policy says comes before which policy it was.
    """

    def __init__(self, status: int, reason: str, message: str, *, retry_after: float | None = None) -> None:
        self.status = status
        self.reason = reason
        found = _ADMISSION.fullmatch(message)
        self.message = (f"{found[2]} (refused by {found[1]})" if found else message)[:256]
        self.retry_after = retry_after
        super().__init__(f"{status} {reason}: {self.message}")

    @property
    def permanent(self) -> bool:
        """Tell whether trying again mends nothing."""
        return is_permanent(self.status)


class Usage(PipesegmentError):  # noqa: N818 - named by what is the matter
    """The command line is wrong."""


class NoKubeconfig(Usage):
    """There is no kubeconfig where one was looked for."""
