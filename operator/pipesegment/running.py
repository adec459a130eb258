"""The running operator: what is followed makes keys due, workers walk the corridor, what came of it is reported.

Composition and nothing else: who looks at which key, and in which order things start and stop.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Final

from pipesegment import names
from pipesegment.cloudcontrol import Controllers
from pipesegment.cloudwork import CloudWork
from pipesegment.compile.desired import ObjectID
from pipesegment.errors import PipesegmentError, Refused, Rejected, Unreachable, is_permanent
from pipesegment.facts.parse import meta
from pipesegment.facts.snapshot import Key, Meta, Segment
from pipesegment.following import Following, Work
from pipesegment.plan.changes import Action
from pipesegment.reach.hostnames import wanted
from pipesegment.reach.resolve import resolve
from pipesegment.reconcile import Corridor
from pipesegment.report.outcome import Failed
from pipesegment.reporting import Reporter
from pipesegment.settings import Settings
from pipesegment.witness import Witness
from pipesegment.world.applying import Results
from pipesegment.world.aws.endpoints import Endpoints
from pipesegment.world.aws.port import Cloud
from pipesegment.world.clock import Clock, utc
from pipesegment.world.hostnames import HostNames, Pace
from pipesegment.world.lookups import Lookups
from pipesegment.world.port import Cluster, Json
from pipesegment.world.queue import NEVER, Priority, WorkQueue

_log = logging.getLogger(__name__)

#: A name that somebody else holds may become free without our being told.
_CONFLICT_RETRY: Final = 60.0


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
        self._reporter = reporter
        self._witness = Witness(reporter, reporter.metrics, now)
        self._following = Following(
            cluster, settings, self._add, self._forget, self._made_elsewhere, clock, now, self._want
        )
        self._host_names = HostNames(
            lookups, self._following.host_name_read, now, clock, Pace(settings.names_pause, settings.names_kept)
        )
        self.surroundings, self.owned = self._following.surroundings, self._following.owned
        self._corridor = Corridor(cluster, self.surroundings, self.owned, reporter.audited)
        self.roles = CloudWork(
            cloud,
            cluster,
            settings,
            snapshot=lambda: self._following.snapshot,
            inventory=reporter.inventory,
            audited=reporter.cloud_audited,
            due=lambda key: self._add(Work(names.SEGMENT, *key), 0.0, Priority.RESYNC),
            now=now,
            controllers=Controllers(
                cluster,
                self._following.controlled,
                settings.backends,
                served=lambda: self._following.snapshot.crds,
                audited=lambda key, generation: reporter.audited(key, generation, None),
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
        #: Segments that existed in the beginning and were not looked at yet.
        self._unseen: set[Key] = set()
        self.queue: WorkQueue[Work] = WorkQueue(
            self._look,
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
        segments = self._following.snapshot.segments
        self._unseen = {Key(namespace, name) for namespace, found in segments.items() for name in found}
        # What should have closed while nobody looked is closed before anything is opened.
        await asyncio.gather(*map(self._close, self._following.overdue()))
        self._following.add_everything()
        if not self._unseen:
            self._following.add_every_grant()
        self.queue.start()
        self.roles.queue.start()

    async def _close(self, key: Key) -> None:
        """Look at a segment before any other; what fails is tried again by the queue, and told then."""
        try:
            async with asyncio.timeout(self._settings.reconcile_timeout):
                await self._look_at_segment(key)
        except (PipesegmentError, TimeoutError) as error:
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
        classes = self._following.snapshot.classes.values()
        if any(each.spec is not None and each.spec.network.inexact.fqdn == "Resolve" for each in classes):
            for namespace, name in [(n, s) for n, found in self._following.snapshot.segments.items() for s in found]:
                snapshot = self._following.snapshot
                found = snapshot.segment(namespace, name)
                with suppress(Refused):
                    self._following.mean(
                        Key(namespace, name), wanted(resolve(found, snapshot).reads) if found else frozenset()
                    )
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
        self._corridor.forget(target)

    def _made_elsewhere(self, key: Key) -> None:
        self.roles.again(key)

    async def _look(self, work: Work) -> float | None:
        match work.kind:
            case names.SEGMENT:
                return await self._look_at_segment(work.key)
            case names.CLASS:
                return await self._look_at_class(work)
            case names.GRANT:
                return await self._look_at_grant(work)
            case names.EXCEPTION:
                return await self._look_at_exception(work)
            case names.APPROVAL:
                return await self._look_at_approval(work)
            case _:
                self._following.add_tellers(work.name)
                return NEVER

    async def _look_at_segment(self, key: Key) -> float | None:
        try:
            return await self._walk(key)
        finally:
            if key in self._unseen:
                self._unseen.discard(key)
                if not self._unseen:
                    self._following.add_every_grant()

    async def _walk(self, key: Key) -> float | None:
        found = self._following.snapshot.segment(*key)
        if found is None:
            return await self._gone(key)
        if found.meta.deleting:
            return await self._going(found)
        # Our own last status may say which class governed while its watch event is still on the way.
        found = replace(found, class_uid=self._reporter.recorded_class(found), unfit=self._reporter.is_unfit(found))
        inventory = self._reporter.inventory(found)
        ended = self._witness.ended(found, self._following.snapshot)
        outcome = await self._corridor.segment(
            found, inventory, self._following.note, self._following.note_refused, ended
        )
        taken = [change.id for change in outcome.changes.of(Action.CONFLICT)]
        if outcome.reach is not None and taken:
            self._following.note(outcome.reach, taken)
        self._following.freed(outcome.done)
        outcome = replace(outcome, cloud=self.roles.wish(found, outcome))
        self._following.add_grants(await self._reporter.segment(found, outcome))
        unfit = self._reporter.is_unfit(found)
        turned = self.surroundings.record(found, self._reporter.recorded_class(found), unfit=unfit)
        await self._witness.segment(found, outcome, self._following.snapshot)
        if turned and outcome.reach is not None and outcome.reach.exceptions:
            # More or fewer approvals are asked for from now on.
            self._following.neighbours(key)
        if outcome.failures:
            raise _trouble(outcome.failures)
        if any(map(self._corridor.is_free, taken)):
            # It was given up while we looked.
            return 0.0
        return _CONFLICT_RETRY if outcome.conflicts else None

    async def _gone(self, key: Key) -> float | None:
        left = await self._corridor.gone(key)
        self.roles.gone(key)
        self._following.drop(key)
        self._following.freed(left.done)
        self._witness.gone(key)
        self._following.add_grants(self._reporter.gone(key))
        self._following.add_exceptions(key)
        _raise(left)
        return NEVER

    async def _going(self, found: Segment) -> float | None:
        """Look at a segment that is being deleted, for as long as anybody's finalizer keeps it: what ends closes all the same."""
        key, held = found.meta.key, self.roles.holds(found)
        # A segment that waits for AWS alone keeps nothing in the cluster meanwhile: what it owns goes now.
        left = await self._corridor.gone(key, going=not found.is_taken)
        if held:
            self.roles.going(found)
        self._following.drop(key)
        self._following.freed(left.done)
        self._following.add_grants(self._reporter.going(key))
        ended = self._witness.ended(found, self._following.snapshot)
        inventory = self._reporter.inventory(found)
        outcome = await self._corridor.going(found, ended, inventory, orphaned=found.orphans)
        await self._witness.segment(found, outcome, self._following.snapshot)
        _raise(left)
        if outcome.failures:
            raise _trouble(outcome.failures)
        return None if ended else NEVER

    async def _look_at_class(self, work: Work) -> float | None:
        self._endpoints.wake()
        found = self._following.snapshot.classes.get(work.name)
        if found is None or found.meta.deleting:
            # What it closed stays closed until another class decides: that one is looked at, too.
            self._reporter.forget(names.CLASS, work.key)
            return NEVER
        if found.spec is None:
            await self._reporter.segment_class(found, (), (), self._following.snapshot)
            return None
        findings, results = await self._corridor.isolation(found)
        failed = [f.told for f in results.failures]
        await self._reporter.segment_class(found, findings, failed, self._following.snapshot)
        _raise(results)
        return _CONFLICT_RETRY if any(f.reason == "Conflict" for f in findings) else None

    async def _look_at_grant(self, work: Work) -> float | None:
        if self._unseen:
            # What it covers is not known yet; when it is, every grant is looked at.
            return NEVER
        found = self._following.snapshot.grants.get(work.namespace, {}).get(work.name)
        if found is None or found.meta.deleting:
            self._reporter.forget(names.GRANT, work.key)
            return NEVER
        await self._reporter.grant(found, self._following.snapshot)
        return None

    async def _look_at_exception(self, work: Work) -> float | None:
        """Report an exception whose segment cannot: with one that can, its look tells."""
        found = self._following.snapshot.exceptions.get(work.namespace, {}).get(work.name)
        if found is None or found.meta.deleting:
            self._reporter.forget(names.EXCEPTION, work.key)
            return NEVER
        await self._witness.unplaced(found, self._following.snapshot)
        return NEVER

    async def _look_at_approval(self, work: Work) -> float | None:
        found = self._following.snapshot.approvals.get(work.namespace, {}).get(work.name)
        if found is None or found.meta.deleting:
            self._reporter.forget(names.APPROVAL, work.key)
            return NEVER
        await self._witness.approval(found, self._following.snapshot)
        return NEVER


def _identity(found: Meta) -> tuple[object, ...]:
    return (found.uid, found.generation, found.deleting, found.annotations.get(names.CHECK_ANNOTATION))


def _raise(results: Results) -> None:
    if results.failures:
        raise _trouble([f.told for f in results.failures])


def _trouble(failures: Sequence[Failed]) -> Unreachable:
    """Give one error for several: it is tried again as soon as the first of them may be cured."""
    text = "; ".join(f"{f.verb} {f.id}: {f.message}" for f in failures[:3])
    asked = max(f.retry_after for f in failures)
    status = min((f.status for f in failures), key=is_permanent)
    return Rejected(status, "Failed", text, retry_after=asked) if status or asked else Unreachable(text)
