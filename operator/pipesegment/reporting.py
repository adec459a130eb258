"""Tells the world what came of a look: status when it changed, Events, metrics, one audit line for each call.

The rooms `report/*` decide what is said; here it is sent, and remembered what was said last.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Final

import orjson

from pipesegment import names
from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Rejected
from pipesegment.facts.meta import Key, Meta
from pipesegment.facts.moments import written
from pipesegment.facts.parse import recorded
from pipesegment.facts.snapshot import Class, Grant, Segment, Snapshot
from pipesegment.findings import Finding
from pipesegment.plan.aws.steps import SESSIONS_BEFORE
from pipesegment.plan.changes import Why
from pipesegment.plan.live import Entry
from pipesegment.reach import governance
from pipesegment.reach.graph import Reach
from pipesegment.reach.isolation import is_spared
from pipesegment.report.audit import Called, Trail
from pipesegment.report.events import Event, events
from pipesegment.report.metrics import Metrics
from pipesegment.report.outcome import Failed, Outcome
from pipesegment.report.owners import Covered, class_status, grant_status
from pipesegment.report.status import segment_status
from pipesegment.report.tally import Tally
from pipesegment.report.widening import Widening
from pipesegment.spec.base import Model
from pipesegment.spec.status import (
    Condition,
    ConditionType,
    PipelineSegmentStatus,
    SegmentClassStatus,
    SegmentGrantStatus,
)
from pipesegment.world.port import Cluster, Json

_audit = logging.getLogger("pipesegment.audit")
_NOT_FOUND: Final = 404
#: Lists of a status that are maps for the API server (`x-kubernetes-list-map-keys`).
_KEYS: Final = {"stages": "name", "conditions": "type", "namespaces": "namespace"}
#: Events that wait to be posted; more are dropped, the status says it all.
_MAX_WAITING: Final = 1000
_POSTERS: Final = 2

#: Told of one call and what went wrong with it.
OnCall = Callable[[Called, Failed | None], None]


class Reporter:
    """The voice of one operator; `identity` is who it is in Events and audit lines."""

    def __init__(self, cluster: Cluster, metrics: Metrics, identity: str) -> None:
        self._cluster = cluster
        self.metrics = metrics
        self.identity = identity
        #: (uid, what was written last); a namesake made anew has a status of its own.
        self._statuses: dict[tuple[str, Key], tuple[str, bytes]] = {}
        self._verdicts = Tally(metrics.count_segments)
        self._not_conforming = Tally(metrics.count_not_conforming)
        self._widening = Widening()
        self._covered: defaultdict[Key, dict[Key, frozenset[Covered]]] = defaultdict(dict)
        self._waiting: asyncio.Queue[Json] = asyncio.Queue(_MAX_WAITING)
        self._posters: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start posting Events."""
        self._posters = [asyncio.create_task(self._post(), name=f"events-{n}") for n in range(_POSTERS)]

    async def stop(self) -> None:
        """Stop posting; Events that still wait are lost, statuses are not."""
        for poster in self._posters:
            poster.cancel()
        await asyncio.gather(*self._posters, return_exceptions=True)

    def inventory(self, segment: Segment) -> tuple[Entry, ...]:
        """Give what the last status says that exists."""
        status = PipelineSegmentStatus.model_validate(self.last(names.SEGMENT, segment.meta, segment.status))
        return tuple(Entry(ObjectID(e.api_version, e.kind, e.namespace, e.name), e.uid) for e in status.inventory)

    def recorded(self, segment: Segment) -> tuple[str, bool | None]:
        """Give the uid of the class that the last status names, and whether it says that the segment does not conform."""
        return recorded(self.last(names.SEGMENT, segment.meta, segment.status))

    def audited(self, owner: Key, generation: int, reach: Reach | None = None) -> OnCall:
        """Give who is told of every call that is made for a segment or a class, of the API server or of AWS."""
        trail = Trail(owner, generation, _because(reach) if reach else {}, self.identity)

        def tell(step: Called, failed: Failed | None) -> None:
            _audit.info(trail.line(step, failed, _now()))
            if failed is None:
                self._count_call(step)

        return tell

    def _count_call(self, step: Called) -> None:
        kind = step.id.kind
        self.metrics.wrote(kind, deleted=step.deletes)
        if step.change.why is Why.DRIFT:
            self.metrics.drift.labels(kind).inc()
        if SESSIONS_BEFORE in step.details:
            self.metrics.revocations.inc()

    async def segment(self, segment: Segment, outcome: Outcome) -> frozenset[Key]:
        """Report one look at a segment; gives the grants that it concerns."""
        previous = PipelineSegmentStatus.model_validate(self.last(names.SEGMENT, segment.meta, segment.status))
        status = segment_status(outcome, previous, _now())
        self._count(segment.meta.key, {c.type: c for c in status.conditions})
        grants = self._note_covered(segment.meta.key, outcome.reach)
        await self.write(names.SEGMENT, segment.meta, status, segment.status)
        told = events(previous.conditions, status.conditions, outcome.changes, outcome.done)
        for event in (*told, *self._widening.news(outcome, previous.conditions)):
            self.tell(names.SEGMENT, segment.meta, event)
        return grants

    async def grant(self, grant: Grant, snapshot: Snapshot) -> None:
        """Report what a grant covers."""
        named = {source.namespace for source in grant.spec.from_} if grant.spec else set()
        uids = {n: found.meta.uid if (found := snapshot.namespaces.get(n)) else "" for n in named}
        covered = [edge for edges in self._covered[grant.meta.key].values() for edge in edges]
        previous = SegmentGrantStatus.model_validate(self.last(names.GRANT, grant.meta, grant.status))
        status = grant_status(grant.meta.generation, grant.refusals, covered, uids, previous, _now())
        await self.write(names.GRANT, grant.meta, status, grant.status)

    async def segment_class(
        self, found: Class, gaps: Iterable[Finding], failed: Iterable[Failed], snapshot: Snapshot
    ) -> None:
        """Report what a class governs."""
        governed = [n for n in snapshot.namespaces if governance.govern(n, snapshot).name == found.meta.name]
        segments = sum(len(snapshot.segments.get(n, {})) for n in governed)
        findings = [*gaps, *_ties(found, snapshot)]
        previous = SegmentClassStatus.model_validate(self.last(names.CLASS, found.meta, found.status))
        isolating = found.spec if found.spec and found.spec.network.isolation.mode == "Namespace" else None
        spared = [n for n in governed if isolating and is_spared(isolating, n)]
        status = class_status(
            found.meta.generation, found.refusals, findings, governed, segments, failed, previous, _now(), spared
        )
        await self.write(names.CLASS, found.meta, status, found.status)

    def gone(self, key: Key) -> frozenset[Key]:
        """Forget a segment; gives the grants that covered it."""
        self.forget(names.SEGMENT, key)
        return self.going(key)

    def going(self, key: Key) -> frozenset[Key]:
        """Count a segment no more that is being deleted; gives the grants that covered it."""
        self._count(key, {})
        self._widening.forget(key)
        return self._note_covered(key, None)

    def forget(self, kind: str, key: Key) -> None:
        """Forget what was said of an object that is gone."""
        self._statuses.pop((kind, key), None)

    def queue_observed(self, what: str, value: float) -> None:
        """Count what the work queue tells."""
        match what:
            case "added":
                self.metrics.queue_adds.inc()
            case "latency":
                self.metrics.queue_latency.observe(value)
            case "worked":
                self.metrics.reconcile_seconds.labels("done").observe(value)
            case "failed":
                self.metrics.queue_retries.inc()

    def last(self, kind: str, meta: Meta, recorded: bytes) -> Any:
        """Give the status that was written last, or that was recorded when the object was read."""
        raw = self._said(kind, meta, recorded)
        return orjson.loads(raw) if raw else {}

    def _said(self, kind: str, meta: Meta, recorded: bytes) -> bytes:
        uid, text = self._statuses.get((kind, meta.key), ("", b""))
        if uid == meta.uid:
            return text
        return _canonical(orjson.loads(recorded)) if recorded else b""

    async def write(self, kind: str, meta: Meta, status: Model, recorded: bytes) -> None:
        """Write a status if it says something else than the last one."""
        wire = status.wire()
        text = _canonical(wire)
        if self._said(kind, meta, recorded) == text:
            return
        body = {
            "apiVersion": names.API_VERSION,
            "kind": kind,
            "metadata": {"name": meta.name, **({"namespace": meta.namespace} if meta.namespace else {})},
            "status": wire,
        }
        try:
            await self._cluster.patch_status(body)
        except Rejected as error:
            if error.status != _NOT_FOUND:
                raise
            # Deleted meanwhile: its deletion is on the way to us.
            return
        self._statuses[kind, meta.key] = (meta.uid, text)

    def _count(self, key: Key, told: Mapping[str, Condition]) -> None:
        """Count a segment by what its conditions say; nothing for one that is gone."""
        ready, conforming = told.get(ConditionType.READY), told.get(ConditionType.CONFORMING)
        self._verdicts.note(key, (ready.status, ready.reason) if ready else None)
        amiss = conforming is not None and conforming.status == "False"
        self._not_conforming.note(key, conforming.reason if conforming and amiss else None)

    def _note_covered(self, key: Key, reach: Reach | None) -> frozenset[Key]:
        """Keep which edges which grant covers; gives the grants concerned."""
        found: defaultdict[Key, set[Covered]] = defaultdict(set)
        for edge in reach.covered if reach else ():
            found[edge.grant].add(Covered(edge.stage, edge.because))
        concerned = {grant for grant, by in self._covered.items() if key in by} | set(found)
        for grant in concerned:
            if grant in found:
                self._covered[grant][key] = frozenset(found[grant])
            else:
                self._covered[grant].pop(key, None)
        return frozenset(concerned)

    def tell(self, kind: str, meta: Meta, event: Event, related: Meta | None = None) -> None:
        """Post an Event of an object, beside its segment where that is `related`."""
        now = datetime.now(UTC)
        body: Mapping[str, Any] = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"generateName": f"{meta.name}-", "namespace": meta.namespace},
            "eventTime": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "reportingController": f"{names.GROUP}/operator",
            "reportingInstance": self.identity[:128],
            "action": "Reconcile",
            "type": event.type,
            "reason": event.reason,
            "note": event.message,
            "regarding": _reference(kind, meta),
            **({"related": _reference(names.SEGMENT, related)} if related is not None else {}),
        }
        if not self._waiting.full():
            self._waiting.put_nowait(dict(body))

    async def _post(self) -> None:
        while True:
            await self._cluster.post_event(await self._waiting.get())


def _reference(kind: str, meta: Meta) -> Json:
    namespaced = {"namespace": meta.namespace} if meta.namespace else {}
    return {"apiVersion": names.API_VERSION, "kind": kind, **namespaced, "name": meta.name, "uid": meta.uid}


def _canonical(status: Mapping[str, Any]) -> bytes:
    """Write a status so that equal ones are equal texts: the API server keeps lists that are maps in an order of its own."""
    lists = {name: status[name] for name in _KEYS if isinstance(status.get(name), list)}
    ordered = {name: sorted(items, key=itemgetter(_KEYS[name])) for name, items in lists.items()}
    return orjson.dumps({**status, **ordered}, option=orjson.OPT_SORT_KEYS)


def _because(reach: Reach) -> dict[str, tuple[str, ...]]:
    return {s.key.stage: tuple(e.because for e in (*s.egress, *s.ingress) if e.open) for s in reach.stages}


def _ties(found: Class, snapshot: Snapshot) -> list[Finding]:
    """Tell each namespace for which this class ties with another."""
    told = []
    for name in sorted(snapshot.namespaces):
        rivals = governance.rivals(name, snapshot)
        if found.meta.name in rivals:
            told.append(governance.tie(name, rivals))
    return told


def _now() -> str:
    return written(datetime.now(UTC))
