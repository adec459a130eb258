"""The running operator: facts and drift make keys due, workers walk the corridor, what came of it is reported.

Composition and nothing else: which change makes which key due, and in which order things start and stop.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

from pipesegment import names
from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Unreachable
from pipesegment.facts.parse import meta
from pipesegment.facts.snapshot import Key, Meta, Pod, Segment
from pipesegment.plan.changes import Action
from pipesegment.reach.graph import Reach
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
#: How long segments that come and go are gathered before their class's status says how many there are.
_COUNT_DELAY: Final = 1.0
#: How long pods and our own policies that come and go are gathered before statuses tell which pods nobody fences in.
_TELLING_DELAY: Final = 5.0


class Work(NamedTuple):
    """What a worker looks at: a segment, a class, a grant, or the unfenced pods of a namespace."""

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
        self._unseen: set[Key] = set()
        self.owned = OwnedObjects(cluster, self._owned_changed, clock=clock)
        self.surroundings = Surroundings(
            cluster,
            self._fact_changed,
            followers=(self.owned,),
            segment_refresh=settings.segment_refresh,
            clock=clock,
        )
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
        segments = self.surroundings.snapshot.segments
        self._unseen = {Key(namespace, name) for namespace, found in segments.items() for name in found}
        self._add_classes()
        self._add_all(self._unseen)
        for key in self.owned.segments:
            self._add_owner(key)
        if not self._unseen:
            self._add_every_grant()
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

    def listed_segments(self) -> None:
        """Notice that kopf's watch began anew with a list, which tells what exists and not what is gone."""
        self.surroundings.refresh_segments()

    async def _look(self, work: Work) -> float | None:
        match work.kind:
            case names.SEGMENT:
                return await self._look_at_segment(work.key)
            case names.CLASS:
                return await self._look_at_class(work)
            case names.GRANT:
                return await self._look_at_grant(work)
            case _:
                return self._look_at_namespace(work.name)

    async def _look_at_segment(self, key: Key) -> float | None:
        try:
            return await self._walk(key)
        finally:
            if key in self._unseen:
                self._unseen.discard(key)
                if not self._unseen:
                    self._add_every_grant()

    async def _walk(self, key: Key) -> float | None:
        found = self.surroundings.snapshot.segment(*key)
        if found is None or found.meta.deleting:
            left = await self._corridor.gone(key, going=found is not None)
            self._dependents.forget(key)
            self._freed(left.done)
            self._add_grants(self._reporter.gone(key))
            _raise_first(left.failures)
            return NEVER
        # Our own last status may say which class governed while its watch event is still on the way.
        found = replace(found, class_uid=self._reporter.recorded_class(found))
        outcome = await self._corridor.segment(found, self._reporter.inventory(found), partial(self._note, key))
        taken = [change.id for change in outcome.changes.of(Action.CONFLICT)]
        if outcome.reach is not None and taken:
            self._note(key, outcome.reach, taken)
        self._freed(outcome.done)
        self._add_grants(await self._reporter.segment(found, outcome))
        if outcome.failures:
            raise Unreachable("; ".join(f"{f.verb} {f.id}: {f.message}" for f in outcome.failures[:3]))
        if any(map(self._corridor.is_free, taken)):
            # It was given up while we looked.
            return 0.0
        return _CONFLICT_RETRY if outcome.conflicts else None

    def _note(self, key: Key, reach: Reach, taken: Iterable[ObjectID] = ()) -> None:
        """Keep what a segment's objects depend on: names that somebody else holds too."""
        reads = {(target.kind, target.namespace, target.name) for target in taken} | reach.reads
        if reach.governance.spec.network.isolation.mode != "Namespace":
            # Any pod there may be one that nobody fences in.
            reads.add(("Pod", key.namespace, "*"))
        self._dependents.record(key, frozenset(reads), reach.watches)

    async def _look_at_class(self, work: Work) -> float | None:
        found = self.surroundings.snapshot.classes.get(work.name)
        if found is None or found.meta.deleting:
            left = await self._corridor.gone(work.key, going=found is not None)
            self._reporter.forget(names.CLASS, work.key)
            _raise_first(left.failures)
            return NEVER
        if found.spec is None:
            await self._reporter.segment_class(found, (), (), self.surroundings.snapshot)
            return None
        findings, results = await self._corridor.isolation(found)
        failed = [f.told for f in results.failures]
        await self._reporter.segment_class(found, findings, failed, self.surroundings.snapshot)
        _raise_first(results.failures)
        return _CONFLICT_RETRY if any(f.reason == "Conflict" for f in findings) else None

    async def _look_at_grant(self, work: Work) -> float | None:
        if self._unseen:
            # What it covers is not known yet; when it is, every grant is looked at.
            return NEVER
        found = self.surroundings.snapshot.grants.get(work.namespace, {}).get(work.name)
        if found is None or found.meta.deleting:
            self._reporter.forget(names.GRANT, work.key)
            return NEVER
        await self._reporter.grant(found, self.surroundings.snapshot)
        return None

    def _look_at_namespace(self, name: str) -> float:
        """Make everybody due who tells which pods of a namespace nobody fences in."""
        if self.surroundings.snapshot.pods.get(name):
            self._add_all(self._dependents.due("Pod", name, "*"), Priority.RESYNC)
        return NEVER

    def _fact_changed(self, kind: str, old: Any, new: Any) -> None:
        changed = _meta(new if new is not None else old)
        # Our own policies come and go by the thousand: they concern who waits for their name, and nobody else.
        ours = kind == "NetworkPolicy" and all(policy is None or policy.owned for policy in (old, new))
        due = self._dependents.due(kind, changed.namespace, changed.name, exactly=ours)
        match kind:
            case names.SEGMENT:
                self._segment_changed(changed.key, old, new)
            case names.GRANT:
                self.queue.add(Work(kind, changed.namespace, changed.name))
            case names.CLASS:
                self.queue.add(Work(kind, "", changed.name))
                # What one class no longer governs, another may.
                self._add_classes()
            case "Namespace":
                self._add_classes()
                self._add_grants(self._naming(changed.name))
            case "Pod":
                due = self._pod_changed(changed.namespace, _labels(old, new))
            case "NetworkPolicy":
                if changed.name == names.DEFAULT_DENY:
                    self._add_classes()
                if ours and (old is None or new is None or old.selector != new.selector):
                    self._add_namespace(changed.namespace)
            case kinds.CRD.kind if changed.name == kinds.SEGMENT.crd:
                self._served.set()
            case kinds.CRD.kind if changed.name.endswith((".istio.io", ".linkerd.io")):
                due = {Key(n, s) for n, by in self.surroundings.snapshot.segments.items() for s in by}
        self._add_all(due)

    def _pod_changed(self, namespace: str, states: list[Any]) -> set[Key]:
        """Give whose stages a pod was or is in. One that was or is in none may be unfenced: everybody there tells of it."""
        found = [self._dependents.selecting(namespace, [labels]) for labels in states]
        if not all(any(key.namespace == namespace for key in keys) for keys in found):
            self._add_namespace(namespace)
        return set().union(*found)

    def _segment_changed(self, key: Key, old: Segment | None, new: Segment | None) -> None:
        self.queue.add(Work(names.SEGMENT, *key))
        concerned = {s for segment in (old, new) if segment is not None for s in selectors(segment)}
        neighbours = self._dependents.meeting(key.namespace, concerned) - {key}
        self._add_all(neighbours, Priority.RESYNC)
        if old is None or new is None:
            # Classes count their segments: once for many that come together.
            self._add_classes(_COUNT_DELAY)

    def _owned_changed(self, owner: Key, target: ObjectID) -> None:
        if self.owned.get(target) is None:
            self._corridor.forget(target)
        if target.name == names.DEFAULT_DENY:
            self._add_classes()
        if owner.name:
            self._add_owner(owner)
        else:
            self._add_all(self._dependents.due(target.kind, target.namespace, target.name))

    def _freed(self, done: Mapping[ObjectID, str]) -> None:
        """Tell those who wait for the name of an object that we deleted: what we do ourselves is no news otherwise."""
        for target in (target for target, uid in done.items() if not uid):
            self._add_all(self._dependents.due(target.kind, target.namespace, target.name))

    def _add_owner(self, owner: Key) -> None:
        if owner.namespace and owner.name:
            self.queue.add(Work(names.SEGMENT, *owner))
        elif owner.name:
            self.queue.add(Work(names.CLASS, "", owner.name))

    def _add_classes(self, delay: float = 0.0) -> None:
        for name in self.surroundings.snapshot.classes:
            self.queue.add(Work(names.CLASS, "", name), delay)

    def _add_namespace(self, name: str) -> None:
        self.queue.add(Work("Namespace", "", name), _TELLING_DELAY, Priority.RESYNC)

    def _add_every_grant(self) -> None:
        self._add_grants(Key(n, name) for n, by in self.surroundings.snapshot.grants.items() for name in by)

    def _naming(self, namespace: str) -> Iterator[Key]:
        """Give the grants that name a namespace: they are bound to its uid."""
        for by in self.surroundings.snapshot.grants.values():
            for grant in by.values():
                if grant.spec is not None and any(source.namespace == namespace for source in grant.spec.from_):
                    yield grant.meta.key

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
