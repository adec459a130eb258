"""DNS in memory: what each name is answered with, or what goes wrong."""

import asyncio
from dataclasses import dataclass, field

from pipesegment.errors import Unreachable
from pipesegment.world.lookups import Answered, Family


@dataclass
class MemoryLookups:
    """`zone` holds the addresses of a name, of both families; a name that is not in it does not exist."""

    zone: dict[str, list[str]] = field(default_factory=dict)
    ttl: float = 60.0
    #: Names (or '*') whose lookup fails, by what it fails with; None: it never ends.
    failing: dict[str, Exception | None] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)

    async def lookup(self, name: str, family: Family) -> Answered:
        self.asked.append((name, family))
        for failing in (name, "*"):
            if failing in self.failing:
                error = self.failing[failing]
                if error is None:
                    await asyncio.Event().wait()
                    raise AssertionError
                raise error
        if name not in self.zone:
            return Answered((), self.ttl, exists=False)
        return Answered(tuple(a for a in self.zone[name] if (":" in a) == (family == 6)), self.ttl)


NO_ANSWER = Unreachable("no resolver answers in time")
