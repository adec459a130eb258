"""Who leads: one Lease, held by whoever renews it in time.

Written for one promise: a leader that cannot know that it still leads stops, even when its event loop hangs. Durations are
measured on the own monotonic clock and never compared with another machine's.
"""

import asyncio
import logging
import os
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from pipesegment.compile.desired import ObjectID
from pipesegment.world import kinds
from pipesegment.world.clock import Clock, LoopClock, sleep
from pipesegment.world.port import Cluster, Json

_log = logging.getLogger(__name__)

#: The watchdog looks this often within the time a leader may stay silent.
_LOOKS: Final = 20


def end_process(reason: str) -> None:
    """End the process at once, without asking an event loop that may hang."""
    # Whatever hangs may hold the log's lock, too.
    speaker = threading.Thread(target=_log.critical, args=("%s: ending the process", reason), daemon=True)
    speaker.start()
    speaker.join(1.0)
    os._exit(1)


class Lease:
    """The operator's Lease.

    `duration`: others take a Lease over that they saw unchanged for so long. `renew`: a leader that was not confirmed
    for so long calls `end`. `retry` is the pause between attempts, `patience` the longest wait for one answer.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        namespace: str,
        name: str,
        identity: str,
        duration: float = 15.0,
        renew: float = 10.0,
        retry: float = 2.0,
        patience: float = 3.0,
        end: Callable[[str], None] = end_process,
        clock: Clock | None = None,
    ) -> None:
        self._cluster = cluster
        self._target = ObjectID(kinds.LEASE.api_version, kinds.LEASE.kind, namespace, name)
        self._identity = identity
        self._duration = duration
        self._renew = renew
        self._retry = retry
        self._patience = patience
        self._end = end
        self._clock = clock or LoopClock()
        self._random = random.Random()  # noqa: S311 - spreads candidates, guards nothing
        self._confirmed: float | None = None  # when the request was sent that last confirmed us
        self._answered = self._clock.now()
        self._seen: tuple[str, float] | None = None  # resourceVersion of another's Lease, and since when
        self._holding: asyncio.Task[None] | None = None
        self._stopped = threading.Event()
        self.epoch = 0

    @property
    def is_leader(self) -> bool:
        """Tell whether we certainly lead: confirmed, and recently enough that nobody else can have taken over."""
        confirmed = self._confirmed
        return confirmed is not None and self._clock.now() - confirmed < self._renew

    @property
    def silence(self) -> float:
        """Seconds since anything was heard about the Lease, as leader or as candidate."""
        return self._clock.now() - self._answered

    async def acquire(self) -> None:
        """Wait until we lead, and renew from then on; the watchdog ends the process when that does not succeed."""
        while not await self._attempt():
            await sleep(self._clock, self._retry * self._random.uniform(1.0, 1.2))
        _log.info("leading as %s, epoch %d", self._identity, self.epoch)
        threading.Thread(target=self._guard, name="lease-watchdog", daemon=True).start()
        self._holding = asyncio.create_task(self._hold(), name="lease")

    async def _hold(self) -> None:
        while not self._stopped.is_set():
            await sleep(self._clock, self._retry)
            await self._attempt()

    async def release(self) -> None:
        """Let the next candidate lead at once; call it when nothing of ours writes any more."""
        led = self.is_leader
        self._stopped.set()
        if self._holding is not None:
            self._holding.cancel()
            await asyncio.gather(self._holding, return_exceptions=True)
        if not led:
            return
        self._confirmed = None
        try:
            async with asyncio.timeout(self._patience):
                live = await self._cluster.get(self._target)
                if live is not None and live["spec"].get("holderIdentity") == self._identity:
                    await self._cluster.replace(self._with(live, {"holderIdentity": "", "leaseDurationSeconds": 1}))
        except Exception as error:  # noqa: BLE001 - the Lease runs out by itself
            _log.warning("the Lease was not released: %s: %s", type(error).__name__, error)

    async def _attempt(self) -> bool:
        """Take or renew the Lease once. Whatever goes wrong means: not renewed."""
        sent = self._clock.now()
        try:
            async with asyncio.timeout(self._patience):
                live = await self._cluster.get(self._target)
                self._answered = self._clock.now()
                held = await self._put(live)
        except Exception as error:  # noqa: BLE001 - see above
            _log.warning("the Lease was not renewed: %s: %s", type(error).__name__, error)
            return False
        if held is None:
            if self._confirmed is not None:
                self._lose("another replica holds the Lease")
            return False
        self.epoch = held
        self._confirmed = sent
        return True

    async def _put(self, live: Json | None) -> int | None:
        """Write ourselves into the Lease, if it is ours to take; give its number of transitions."""
        if live is None:
            meta = {"name": self._target.name, "namespace": self._target.namespace}
            blank = {"apiVersion": self._target.api_version, "kind": self._target.kind, "metadata": meta}
            await self._cluster.create(self._with(blank, self._claim(1)))
            return 1
        spec = live.get("spec") or {}
        holder, transitions = spec.get("holderIdentity") or "", int(spec.get("leaseTransitions") or 0)
        if holder == self._identity:
            # Started anew under an old name, or never gone: both are our own Lease.
            await self._cluster.replace(self._with(live, {"renewTime": _wall_clock()}))
            return transitions
        if holder and not self._unchanged(live):
            return None
        await self._cluster.replace(self._with(live, self._claim(transitions + 1)))
        return transitions + 1

    def _unchanged(self, live: Json) -> bool:
        """Tell whether we saw another's Lease unchanged for its whole duration, by our own clock."""
        version, now = live["metadata"]["resourceVersion"], self._clock.now()
        if self._seen is None or self._seen[0] != version:
            self._seen = (version, now)
        duration = max(self._duration, float((live.get("spec") or {}).get("leaseDurationSeconds") or 0))
        return now - self._seen[1] >= duration

    def _claim(self, transitions: int) -> dict[str, Any]:
        now = _wall_clock()
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._duration)),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": transitions,
        }

    def _with(self, live: Json, spec: dict[str, Any]) -> Json:
        return {**live, "spec": {**(live.get("spec") or {}), **spec}}

    def _lose(self, reason: str) -> None:
        self._confirmed = None
        self._stopped.set()
        self._end(reason)

    def _guard(self) -> None:
        """Watch, on a thread of its own, that we stay confirmed: the loop itself may be what hangs."""
        while not self._stopped.wait(self._renew / _LOOKS):
            if not self.is_leader and not self._stopped.is_set():
                self._lose(f"the Lease was not renewed for {self._renew:g} s")


def _wall_clock() -> str:
    # For people who look at the Lease; nobody computes with it.
    return datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
