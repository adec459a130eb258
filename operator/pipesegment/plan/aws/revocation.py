"""Sessions that were issued before a moment are denied everything: a right that is gone is gone for them, too.

Whoever became the role earlier holds credentials for up to twelve hours. The denial stands in an inline policy of its own
beside the role's rights, and is taken away when no such session can be alive any more.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pipesegment.compile.canonical import canonical_bytes
from pipesegment.compile.iam.trust import VERSION
from pipesegment.compile.iam.values import Document

#: The inline policy's name.
POLICY: Final = "pipesegment-revoked"
#: The longest session that AWS gives, and then some for clocks that differ.
_ALIVE: Final = timedelta(hours=12, minutes=5)
_AHEAD: Final = timedelta(minutes=5)
_SID: Final = "Revoked"
_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"
#: For so long the same change is an attempt at what was begun; later it is done once more.
_ATTEMPT: Final = timedelta(minutes=15)


def document(moment: datetime, cause: str) -> Document:
    """Deny everything to sessions issued before a moment. `cause` tells apart what it was done for."""
    return {
        "Version": VERSION,
        "Statement": [
            {
                "Sid": f"{_SID}{cause}",
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
                "Condition": {"DateLessThan": {"aws:TokenIssueTime": written(moment)}},
            }
        ],
    }


def written(moment: datetime) -> str:
    """Write a moment as IAM compares it."""
    return moment.astimezone(UTC).strftime(_FORMAT)


def cause(*parts: Any) -> str:
    """Name what is changed, so that it cuts sessions once, however often it has to be tried."""
    return hashlib.sha256(canonical_bytes(parts)).hexdigest()[:16]


def read(policy: Document) -> tuple[datetime, str] | None:
    """Give moment and cause of a revocation; None for what is not exactly one of ours."""
    try:
        statement = policy["Statement"][0]
        moment = datetime.fromisoformat(statement["Condition"]["DateLessThan"]["aws:TokenIssueTime"])
        found = moment.astimezone(UTC), str(statement["Sid"]).removeprefix(_SID)
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return found if policy == document(*found) else None


def is_begun(standing: tuple[datetime, str] | None, cause: str, now: datetime) -> bool:
    """Tell whether sessions were cut already, a moment ago, for what is to be done."""
    return standing is not None and standing[1] == cause and now - _ATTEMPT < standing[0] <= now + _AHEAD


def is_over(moment: datetime, now: datetime) -> bool:
    """Tell whether a revocation has nothing to deny any more, or lies ahead, where it would deny everything."""
    return not now - _ALIVE < moment <= now + _AHEAD
