"""What host names stand for, as lookups told: by the operator's own, or as a segment's status says that it was."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pipesegment.facts.values import ADDRESS, holds

Raw = Mapping[str, Any]

#: How many addresses of one name are followed: one with more is a service that moves, and no list of addresses says where.
MOST: Final = 32


@dataclass(frozen=True, slots=True)
class Known:
    """What a name stands for: addresses of the last answers, and those that left them a short while ago, in order.

    `trouble` says why there is none. `old` is when it was last answered, where that was long ago. `many` is how many
    addresses an answer had, where these are more than are followed. `dropped`: there were more lately than are kept.
    """

    addresses: tuple[str, ...] = ()
    trouble: str = ""
    old: str = ""
    many: int = 0
    dropped: bool = False


def recorded(segments: Iterable[Raw]) -> dict[str, Known] | None:
    """Read what statuses of segments tell; None when none does, since then nobody is known to have looked."""
    found: dict[str, Known] = {}
    for segment in segments:
        for each in (segment.get("status") or {}).get("hostNames") or ():
            # For the API server any text would do.
            addresses = tuple(text for text in each.get("addresses") or () if holds(ADDRESS, text))
            # The operator keeps names of which it opened nothing, too.
            trouble = "" if addresses else "has no address that may be open"
            found[str(each.get("name"))] = Known(addresses, trouble, old=str(each.get("lastAnswered") or ""))
    return found or None
