"""The running operator: what is followed makes keys due, workers look at them.

Composition and nothing else: who knows whom, and in which order things start and stop.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from pipesegment import names
from pipesegment.cloudcontrol import Controllers
from pipesegment.cloudwork import CloudWork
from pipesegment.compile.desired import ObjectID
from pipesegment.enforcing import Enforcer
from pipesegment.facts.meta import Key, Meta
from pipesegment.facts.parse import meta
from pipesegment.following import Following
from pipesegment.looking import Looks
from pipesegment.reach import governance, hostnames
from pipesegment.reach.resolve import resolve
from pipesegment.reporting import Reporter
from pipesegment.settings import Settings
from pipesegment.witness import Witness
from pipesegment.work import Work
from pipesegment.world.aws.endpoints import Endpoints
from pipesegment.world.aws.port import Cloud
from pipesegment.world.clock import Clock, utc
from pipesegment.world.hostnames import HostNames, Pace
from pipesegment.world.lookups import Lookups
from pipesegment.world.port import Cluster, Json
from pipesegment.world.queue import Priority, WorkQueue

_log = logging.getLogger(__name__)


class Operator:
    """One operator on one cluster. `start` follows the facts, `lead` waits for them and begins to write, `stop` ends."""

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        reporter: Reporter,
        *,
        cloud: Cloud | None = None,
        lookups: Lookups | None = None,
        clock: Clock | None = None,
        now: Callable[[], datetime] = utc,
    ) -> None:
        self._settings = settings
        self._witness = Witness(reporter, reporter.metrics, now)
        self._following = Following(
            cluster, settings, self._add, self._forget, self._made_elsewhere, clock, now, self._want
        )
        self._host_names = HostNames(
            lookups, self._following.host_name_read, now, clock, Pace(settings.names_pause, settings.names_kept)
        )
        self.surroundings, self.owned = self._following.surroundings, self._following.owned
        self._enforcer = Enforcer(cluster, self.surroundings, self.owned)
        self.roles = CloudWork(
            cloud,
            cluster,
            settings,
            snapshot=lambda: self._following.snapshot,
            inventory=reporter.inventory,
            audited=reporter.audited,
            due=lambda key: self._add(Work(names.SEGMENT, *key), 0.0, Priority.RESYNC),
            now=now,
            controllers=Controllers(
                cluster,
                self._following.controlled,
                settings.backends,
                served=lambda: self._following.snapshot.crds,
                audited=reporter.audited,
            ),
            clock=clock,
        )
        self._endpoints = Endpoints(
            cloud,
            classes=lambda: self._following.snapshot.classes,
            told=self._following.endpoints_read,
            now=now,
            clock=clock,
        )
        self._looks = Looks(self._following, self._enforcer, reporter, self._witness, self.roles, self._endpoints)
        self.queue: WorkQueue[Work] = WorkQueue(
            self._looks.at,
            workers=settings.workers,
            coalesce=settings.coalesce,
            backoff=(1.0, settings.backoff_max),
            resync=(settings.resync_min, settings.resync_max),
            time_limit=settings.reconcile_timeout,
            observe=reporter.queue_observed,
            clock=clock,
        )

    async def served(self) -> None:
        """Wait until segments are a kind of this cluster."""
        await self._following.wait_served()

    def start(self) -> None:
        """Follow facts and owned objects; nothing is written yet."""
        self._following.start()

    async def lead(self) -> None:
        """Begin to work once everything was read: what is not known yet must not be taken for gone."""
        await self._following.wait_synced()
        await asyncio.gather(self._endpoints.start(), self._start_host_names())
        self._looks.begin()
        # What should have closed while nobody looked is closed before anything is opened.
        await asyncio.gather(*map(self._close, self._following.emergencies.overdue()))
        self._following.add_everything()
        if self._looks.has_seen_all:
            self._following.add_every_grant()
        self.queue.start()
        self.roles.queue.start()

    async def _close(self, key: Key) -> None:
        """Look at a segment before any other; what fails is tried again by the queue, and told then."""
        try:
            async with asyncio.timeout(self._settings.reconcile_timeout):
                await self._looks.at_segment(key)
        except Exception as error:  # noqa: BLE001 - one bad segment must not keep the operator from beginning
            _log.warning("%s: an exception whose time is over could not be closed yet: %s", key, error)
            self.queue.add(Work(names.SEGMENT, *key))

    async def stop(self) -> None:
        """Take nothing in, finish what is under way, stop following."""
        patience = self._settings.drain_timeout
        finished = await asyncio.gather(self.queue.drain(patience), self.roles.queue.drain(patience))
        if not all(finished):
            _log.warning("some reconciles did not finish within %.0f s", self._settings.drain_timeout)
        await asyncio.gather(self._endpoints.stop(), self._host_names.stop())
        await self._following.stop()

    async def _start_host_names(self) -> None:
        """Look up what segments mean before anything is written: ways that are open must not close for a moment."""
        for key in [Key(n, name) for n, found in self._following.snapshot.segments.items() for name in found]:
            snapshot = self._following.snapshot
            segment = snapshot.segment(*key)
            if segment is not None and hostnames.are_followed(governance.of_segment(segment, snapshot), snapshot):
                # Whatever fails here fails in its look, too, and is told then.
                with suppress(Exception):
                    self._following.mean(key, hostnames.wanted(resolve(segment, snapshot).reads))
                await asyncio.sleep(0)
        await self._host_names.start()

    def measure(self) -> None:
        """Measure what has no event of its own."""
        self._witness.count(self._following.snapshot)

    def put_segment(self, obj: Json) -> None:
        """Take in a segment as kopf's watch brought it; a change of its status alone is nobody's news."""
        known = self._following.snapshot.segment(obj["metadata"]["namespace"], obj["metadata"]["name"])
        if known is None or _identity(meta(obj)) != _identity(known.meta):
            self.surroundings.put_segment(obj)

    def drop_segment(self, obj: Json) -> None:
        """Take out a segment that is gone."""
        meta = obj["metadata"]
        self.surroundings.drop_segment(meta["namespace"], meta["name"], meta.get("resourceVersion", ""))

    def listed_segments(self) -> None:
        """Notice that kopf's watch began anew with a list, which tells what exists and not what is gone."""
        self.surroundings.refresh_segments()

    def _add(self, work: Work, delay: float, priority: Priority) -> None:
        self.queue.add(work, delay, priority)

    def _want(self, names: frozenset[str]) -> None:
        self._host_names.want(names)

    def _forget(self, target: ObjectID) -> None:
        self._enforcer.forget(target)

    def _made_elsewhere(self, key: Key) -> None:
        self.roles.again(key)


def _identity(found: Meta) -> tuple[object, ...]:
    return (found.uid, found.generation, found.deleting, found.annotations.get(names.CHECK_ANNOTATION))
