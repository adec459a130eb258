"""Several informers as one: started together, ready together, stopped together."""

import asyncio
from collections.abc import Sequence
from typing import Any

from pipesegment.world.informer import Informer


class Fleet:
    """Informers that run as tasks. Start them before `kopf.operator()`: it cancels every task that is younger."""

    def __init__(self, informers: Sequence[Informer[Any]]) -> None:
        self.informers = tuple(informers)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start following every kind."""
        self._tasks = [
            asyncio.create_task(informer.run(), name=f"informer-{informer.kind.kind}") for informer in self.informers
        ]

    async def stop(self) -> None:
        """Stop following."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    @property
    def synced(self) -> bool:
        """Tell whether every kind was read once as a whole."""
        return all(informer.synced.is_set() for informer in self.informers)

    async def wait_synced(self) -> None:
        """Wait until every kind was read once as a whole."""
        for informer in self.informers:
            await informer.synced.wait()

    def crd_changed(self, name: str) -> None:
        """Look at once for a kind whose CustomResourceDefinition just appeared or changed."""
        for informer in self.informers:
            if informer.kind.crd == name:
                informer.wake()
