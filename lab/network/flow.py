"""Traffic that flows while the world changes: the same ways tried again and again, and what came of every try."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable

from lab.network.agent import Agent
from lab.network.matrix import Way
from lab.network.traffic import Outcome, Probe

#: A try waits no longer than this, so that a change is seen soon. The traffic process misses no answer for want of time.
_TRY = 0.05
_PAUSE = 0.005
#: Tries that must follow a change before what they say counts as seen.
_ENOUGH = 5


class Flow:
    """What came of the tries so far; every try is a new connection."""

    def __init__(self, ways: Iterable[Way]) -> None:
        self.seen: dict[Way, list[bool]] = {way: [] for way in ways}
        self._tried = asyncio.Event()

    def open_always(self, way: Way) -> bool:
        """Tell whether every try came through."""
        return bool(self.seen[way]) and all(self.seen[way])

    def open_never(self, way: Way) -> bool:
        """Tell whether no try came through."""
        return bool(self.seen[way]) and not any(self.seen[way])

    def turned(self, way: Way, *, to: bool) -> bool:
        """Tell whether the way changed once, and for good."""
        changes = [b for a, b in zip(self.seen[way], self.seen[way][1:], strict=False) if a != b]
        return changes == [to]

    async def more(self) -> None:
        """Wait until every way was tried some more times."""
        start = {way: len(seen) for way, seen in self.seen.items()}
        while any(len(seen) < start[way] + _ENOUGH for way, seen in self.seen.items()):
            self._tried.clear()
            await self._tried.wait()

    def tried(self, way: Way, came_through: bool) -> None:
        """Note what came of a try."""
        self.seen[way].append(came_through)
        self._tried.set()


@contextlib.asynccontextmanager
async def flowing(agent: Agent, ways: Iterable[Way], probe: Callable[[Way], Probe]) -> AsyncIterator[Flow]:
    """Let traffic flow on these ways during the block, and a little before and after it."""
    flow = Flow(ways)

    async def keep_trying(way: Way) -> None:
        while True:
            (answer,) = await asyncio.to_thread(agent.probe, [probe(way)], _TRY)
            flow.tried(way, answer.outcome is Outcome.ANSWERED)
            await asyncio.sleep(_PAUSE)

    tasks = [asyncio.create_task(keep_trying(way)) for way in flow.seen]
    try:
        await flow.more()
        yield flow
        await flow.more()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
