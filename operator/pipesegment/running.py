"""The running operator: facts and drift make keys due, workers walk the corridor, what came of it is reported.

Composition and nothing else: which change makes which key due, and in which order things start and stop.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from pipesegment import names
from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Unreachable
from pipesegment.facts.parse import meta
from pipesegment.facts.snapshot import Key, Meta, Pod, Segment
from pipesegment.reach.overlap import selectors
from pipesegment.reconcile import Corridor
from pipesegment.reporting import Reporter
from pipesegment.settings import Settings
from pipesegment.world import kinds
from pipesegment.world.clock import Clock
from pipesegment.world.dependents import Dependents
from pipesegment.world.facts_source import Surroundings
from pipesegment.world.owned import OwnedObjects
from pipesegment.world.port import Cluster, Json
from pipesegment.world.queue import NEVER, Priority, WorkQueue

_log = logging.getLogger(__name__)

#: A name that somebody else holds may become free without our being told.
_CONFLICT_RETRY: Final = 60.0


class Work(NamedTuple):
    """What a worker looks at: a segment, a class or a grant."""

    kind: str
    namespace: str
    name: str

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)


class Operator:
    """One operator on one cluster. `start` follows the facts, `lead` waits for them and begins to write, `stop` ends."""

    def __init__(self, cluster: Cluster, settings: Settings, reporter: Reporter, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self._reporter = reporter
        self._dependents = Dependents()
        self._served = asyncio.Event()
        self.surroundings = Surroundings(
            cluster, self._fact_changed, segment_refresh=settings.segment_refresh, clock=clock
        )
        self.owned = OwnedObjects(cluster, self._owned_changed, clock=clock)
        self._corridor = Corridor(cluster, self.surroundings, self.owned, reporter.audited)
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
        """Wait until the API server knows segments: kopf looks once, and would never watch what comes later."""
        await self._served.wait()

    def start(self) -> None:
        """Follow facts and owned objects; nothing is written yet."""
        self.surroundings.start()
        self.owned.start()

    async def lead(self) -> None:
        """Begin to work once everything was read: what is not known yet must not be taken for gone."""
        await self.surroundings.wait_synced()
        await self.owned.wait_synced()
        snapshot = self.surroundings.snapshot
        for name in snapshot.classes:
            self.queue.add(Work(names.CLASS, "", name))
        for kind, by in ((names.SEGMENT, snapshot.segments), (names.GRANT, snapshot.grants)):
            for namespace, found in by.items():
                for name in found:
                    self.queue.add(Work(kind, namespace, name))
        for key in self.owned.segments:
            self._add_owner(key)
        self.queue.start()

    async def stop(self) -> None:
        """Take nothing in, finish what is under way, stop following."""
        if not await self.queue.drain(self._settings.drain_timeout):
            _log.warning("some reconciles did not finish within %.0f s", self._settings.drain_timeout)
        await asyncio.gather(self.surroundings.stop(), self.owned.stop())

    def put_segment(self, obj: Json) -> None:
        """Take in a segment as kopf's watch brought it; a change of its status alone is nobody's news."""
        known = self.surroundings.snapshot.segment(obj["metadata"]["namespace"], obj["metadata"]["name"])
        if known is None or _identity(meta(obj)) != _identity(known.meta):
            self.surroundings.put_segment(obj)

    def drop_segment(self, obj: Json) -> None:
        """Take out a segment that is gone."""
        meta = obj["metadata"]
        self.surroundings.drop_segment(meta["namespace"], meta["name"], meta.get("resourceVersion", ""))

    async def _look(self, work: Work) -> float | None:
        match work.kind:
            case names.SEGMENT:
                return await self._look_at_segment(work.key)
            case names.CLASS:
                return await self._look_at_class(work)
            case _:
                return await self._look_at_grant(work)

    async def _look_at_segment(self, key: Key) -> float | None:
        found = self.surroundings.snapshot.segment(*key)
        if found is None or found.meta.deleting:
            left = await self._corridor.gone(key)
            self._dependents.forget(key)
            self._add_grants(self._reporter.gone(key))
            _raise_first(left.failures)
            return NEVER
        outcome = await self._corridor.segment(found, self._reporter.inventory(found))
        if outcome.reach is not None:
            self._dependents.record(key, outcome.reach.reads, outcome.reach.watches)
        self._add_grants(await self._reporter.segment(found, outcome))
        if outcome.failures:
            raise Unreachable("; ".join(f"{f.verb} {f.id}: {f.message}" for f in outcome.failures[:3]))
        return _CONFLICT_RETRY if outcome.conflicts else None

    async def _look_at_class(self, work: Work) -> float | None:
        found = self.surroundings.snapshot.classes.get(work.name)
        if found is None or found.meta.deleting:
            left = await self._corridor.gone(Key("", names.label_value(work.name)))
            _raise_first(left.failures)
            return NEVER
        if found.spec is None:
            await self._reporter.segment_class(found, None, (), self.surroundings.snapshot)
            return None
        desired, results = await self._corridor.isolation(found)
        failed = [f.told for f in results.failures]
        await self._reporter.segment_class(found, desired, failed, self.surroundings.snapshot)
        _raise_first(results.failures)
        return None

    async def _look_at_grant(self, work: Work) -> float | None:
        found = self.surroundings.snapshot.grants.get(work.namespace, {}).get(work.name)
        if found is None or found.meta.deleting:
            return NEVER
        await self._reporter.grant(found, self.surroundings.snapshot)
        return None

    def _fact_changed(self, kind: str, old: Any, new: Any) -> None:
        changed = _meta(new if new is not None else old)
        if kind == names.SEGMENT:
            self._segment_changed(changed.key, old, new)
        elif kind == "Pod":
            self._add_all(self._dependents.selecting(changed.namespace, _labels(old, new)))
        elif kind in {names.CLASS, names.GRANT}:
            self.queue.add(Work(kind, changed.namespace, changed.name))
        elif kind == "Namespace":
            for name in self.surroundings.snapshot.classes:
                self.queue.add(Work(names.CLASS, "", name))
        elif kind == kinds.CRD.kind and changed.name == kinds.SEGMENT.crd:
            self._served.set()
        elif kind == kinds.CRD.kind and changed.name.endswith((".istio.io", ".linkerd.io")):
            self._add_all(Key(n, s) for n, by in self.surroundings.snapshot.segments.items() for s in by)
        self._add_all(self._dependents.due(kind, changed.namespace, changed.name))

    def _segment_changed(self, key: Key, old: Segment | None, new: Segment | None) -> None:
        self.queue.add(Work(names.SEGMENT, *key))
        concerned = {s for segment in (old, new) if segment is not None for s in selectors(segment)}
        neighbours = self._dependents.meeting(key.namespace, concerned) - {key}
        self._add_all(neighbours, Priority.RESYNC)

    def _owned_changed(self, owner: Key, target: ObjectID) -> None:
        if self.owned.get(target) is None:
            self._corridor.forget(target)
        self._add_owner(owner)

    def _add_owner(self, owner: Key) -> None:
        if owner.namespace and owner.name:
            self.queue.add(Work(names.SEGMENT, *owner))
        elif owner.name:
            self.queue.add(Work(names.CLASS, "", owner.name))

    def _add_grants(self, grants: Iterable[Key]) -> None:
        for grant in grants:
            self.queue.add(Work(names.GRANT, *grant), priority=Priority.RESYNC)

    def _add_all(self, keys: Iterable[Key], priority: Priority = Priority.CHANGE) -> None:
        for key in keys:
            self.queue.add(Work(names.SEGMENT, *key), priority=priority)


def _identity(found: Meta) -> tuple[object, ...]:
    return (found.uid, found.generation, found.deleting)


def _meta(value: Any) -> Meta:
    return value if isinstance(value, Meta) else value.meta


def _labels(*pods: Pod | None) -> list[Any]:
    return [pod.labels for pod in pods if pod is not None]


def _raise_first(failures: list[Any]) -> None:
    if failures:
        raise failures[0].error
