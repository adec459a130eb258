"""Sessions that were issued before a moment are denied everything: a right that is gone is gone for them, too.

Whoever became the role earlier holds credentials for up to twelve hours. The denial stands in an inline policy of its own
beside the role's rights, and is taken away when no such session can be alive any more. One that was refused is owed: a tag of
the role says from which moment on, so that the role itself tells of it when nothing is left to be lost (docs/adr/0074).
"""

import hashlib
from datetime import datetime, timedelta
from typing import Any, Final

from pipesegment import names
from pipesegment.compile.canonical import canonical_bytes
from pipesegment.compile.iam.policy import REVOKED
from pipesegment.compile.iam.trust import VERSION
from pipesegment.compile.iam.values import Document, Role
from pipesegment.facts.moments import moment, written
from pipesegment.plan.aws.rights import Rights

#: Moment and cause of a revocation.
Standing = tuple[datetime, str]

#: The inline policy's name.
POLICY: Final = REVOKED
#: The longest session that AWS gives, and then some for clocks that differ.
_ALIVE: Final = timedelta(hours=12, minutes=5)
_AHEAD: Final = timedelta(minutes=5)
_SID: Final = "Revoked"
#: For so long the same change is an attempt at what was begun; later it is done once more.
_ATTEMPT: Final = timedelta(minutes=15)


def document(since: datetime, cause: str) -> Document:
    """Deny everything to sessions issued before a moment. `cause` tells apart what it was done for."""
    return {
        "Version": VERSION,
        "Statement": [
            {
                "Sid": f"{_SID}{cause}",
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
                "Condition": {"DateLessThan": {"aws:TokenIssueTime": written(since)}},
            }
        ],
    }


def cause(*parts: Any) -> str:
    """Name what is changed, so that it cuts sessions once, however often it has to be tried."""
    return hashlib.sha256(canonical_bytes(parts)).hexdigest()[:16]


def read(policy: Document) -> Standing | None:
    """Give moment and cause of a revocation; None for what is not exactly one of ours."""
    try:
        statement = policy["Statement"][0]
        since = moment(statement["Condition"]["DateLessThan"]["aws:TokenIssueTime"])
        why = str(statement["Sid"]).removeprefix(_SID)
    except (KeyError, IndexError, TypeError):
        return None
    return (since, why) if since is not None and policy == document(since, why) else None


def is_begun(standing: Standing | None, cause: str, now: datetime) -> bool:
    """Tell whether sessions were cut already, a moment ago, for what is to be done."""
    return standing is not None and standing[1] == cause and now - _ATTEMPT < standing[0] <= now + _AHEAD


def is_over(since: datetime, now: datetime) -> bool:
    """Tell whether a revocation has nothing to deny any more, or lies ahead, where it would deny everything."""
    return not now - _ALIVE < since <= now + _AHEAD


def owed(live: Role, now: datetime) -> datetime | None:
    """Give the moment before which a role's sessions are still to be cut by its own word; None when none can be alive."""
    late = moment(live.tags.get(names.OWED_TAG, ""))
    return None if late is None or is_over(late, now) else late


def is_due(live: Role, desired: Role, now: datetime) -> bool:
    """Tell whether what is to be done to a role cuts its sessions.

    It does when the role loses something that was not over by itself, or a trust or a boundary that somebody changed may
    have let in whoever it was.
    """
    had = Rights.of(live, now)
    tampered = live.trust != desired.trust or not live.boundary
    return had.loses(Rights.of(desired)) or (bool(had.allowed | had.managed) and tampered)


def standing(live: Role, desired: Role, stands: Standing | None, now: datetime) -> Standing | None:
    """Give the revocation that should stand beside a role's rights; the one that stands if nothing is to be done about it.

    A new one when it is due, or owed since a moment that the one that stands does not reach.
    """
    found = None if stands is not None and is_over(stands[0], now) else stands
    if is_due(live, desired, now):
        changed = [live.trust, desired.trust] if live.trust != desired.trust else []
        why = cause(live.inline, live.managed, live.boundary, desired.inline, desired.managed, changed)
        found = stands if is_begun(stands, why, now) else (now, why)
    late = owed(live, now)
    if late is not None and (found is None or found[0] < late):
        return max(now, late), cause(names.OWED_TAG, written(late))
    return found
