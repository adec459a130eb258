"""The door to DNS: one question for one name and one family."""

from dataclasses import dataclass
from typing import Literal, Protocol

Family = Literal[4, 6]


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered: the addresses of one family, for how long they may be kept, and whether there is such a name."""

    addresses: tuple[str, ...]
    ttl: float = 0.0
    exists: bool = True


class Lookups(Protocol):
    """Asks for the addresses of names."""

    async def lookup(self, name: str, family: Family) -> Answered:
        """Ask once. Raises Unreachable when nobody answers, or somebody answers that he cannot."""
