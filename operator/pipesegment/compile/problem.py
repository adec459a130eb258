"""Why something cannot be expressed, and how to mend it: what every rule of the compilers answers with."""

from typing import Final, NamedTuple

#: The reason that `inexact.http: Coarse` lifts.
HTTP_NOT_ENFORCED: Final = "HttpNotEnforced"


class Problem(NamedTuple):
    """Why an edge (or a stage's mesh objects) cannot be expressed, and how to mend it."""

    reason: str
    message: str
    fix: str
