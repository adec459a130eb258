"""Tells what becomes of exceptions: their statuses and their approvals', Events, and the trail of who opened what.

`reporting` sends it; what is said `report/exceptions` decides. Here it is remembered what was in force, so that what is
deleted leaves a line, too.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, get_args

from pipesegment import names
from pipesegment.facts.emergency import SegmentApproval, SegmentException
from pipesegment.facts.meta import Key
from pipesegment.facts.moments import written
from pipesegment.facts.snapshot import Segment, Snapshot
from pipesegment.reach import exceptions, governance
from pipesegment.reach.standing import Standing, Verdict
from pipesegment.report import exceptions as report
from pipesegment.report.metrics import Metrics
from pipesegment.report.outcome import Outcome
from pipesegment.reporting import Reporter
from pipesegment.spec.status import IN_FORCE, Phase, SegmentApprovalStatus, SegmentExceptionStatus

_audit = logging.getLogger("pipesegment.audit")


class Witness:
    """The memory of emergencies of one operator; `now` gives the time as the API writes it."""

    def __init__(self, reporter: Reporter, metrics: Metrics, now: Callable[[], datetime]) -> None:
        self._reporter = reporter
        self._metrics = metrics
        self._now = now
        #: By segment and exception: what is in force.
        self._in_force: defaultdict[Key, dict[Key, dict[str, Any]]] = defaultdict(dict)

    async def segment(self, segment: Segment, outcome: Outcome, snapshot: Snapshot) -> None:
        """Report every exception of a segment after one look at it."""
        held = snapshot.exceptions.get(segment.meta.namespace, {})
        judged = (
            outcome.reach.exceptions if outcome.reach is not None else self._as_it_stands(segment, outcome, snapshot)
        )
        for standing in judged:
            exception = held.get(standing.name)
            if exception is not None and exception.meta.uid == standing.uid:
                await self._exception(segment, exception, standing, report.effect(standing, outcome))
                await self._approvals(exception, standing, snapshot)
        if not outcome.failures:
            self._note_gone(segment, {standing.uid for standing in judged})

    def ended(self, segment: Segment, snapshot: Snapshot) -> dict[str, str]:
        """Name the stages that have to close whatever becomes of the segment, with the seal of those that are sealed.

        The others were opened by what is in force no more; of a segment that leaves its objects behind, by anything: when
        that ends, nobody is there to close it.
        """
        stages = self._reporter.last(names.SEGMENT, segment.meta, segment.status).get("stages") or ()
        recorded = {
            stage["name"]: {e["uid"] for e in stage["exceptions"]} for stage in stages if stage.get("exceptions")
        }
        if not recorded and segment.meta.namespace not in snapshot.exceptions:
            return {}
        judged = exceptions.standings(segment, snapshot, governance.of_segment(segment, snapshot))
        in_force = {standing.uid for standing in judged if standing.in_force}
        over = {stage for stage, uids in recorded.items() if segment.orphans or not uids <= in_force}
        seals = {s.stage: exceptions.path(s.name) for s in judged if s.phase == "Sealed"}
        return dict.fromkeys(over, "") | seals

    def _was_open(self, standing: Standing, snapshot: Snapshot) -> bool:
        exception = snapshot.exceptions[standing.key.namespace][standing.name]
        last = self._reporter.last(names.EXCEPTION, exception.meta, exception.status)
        return last.get("phase") in IN_FORCE

    def _as_it_stands(self, segment: Segment, outcome: Outcome, snapshot: Snapshot) -> tuple[Standing, ...]:
        """Judge the exceptions of a segment that is refused, going, or that we failed at: what is open stands as it is, and nothing more opens."""
        judged = exceptions.standings(segment, snapshot, governance.of_segment(segment, snapshot))
        why = f"segment {segment.meta.key} is {'being deleted' if outcome.going else 'refused'}"
        if outcome.fault is not None:
            why = f"the operator failed at segment {segment.meta.key}"

        def held_back(standing: Standing) -> str:
            if standing.stage in outcome.shut:
                return f"{why}, and stage {standing.stage} is shut as it stands" if standing.phase == "Open" else ""
            if standing.phase == "Sealed" and not outcome.failures:
                return f"{why}, and no policy stands that could be shut: stage {standing.stage} is not cut off"
            if standing.phase == "Open" and (segment.is_taken or not self._was_open(standing, snapshot)):
                return f"{why}, so nothing of it is widened"
            return ""

        return tuple(
            replace(s, phase="Pending", reason="Unresolved", message=told, begun=None) if (told := held_back(s)) else s
            for s in judged
        )

    async def unplaced(self, exception: SegmentException, snapshot: Snapshot) -> None:
        """Report an exception that no segment can speak for; of every other its segment's look tells."""
        standing = exceptions.unplaced(exception, snapshot)
        if standing is not None:
            await self._exception(None, exception, standing, report.Effect())

    async def approval(self, approval: SegmentApproval, snapshot: Snapshot) -> None:
        """Report an approval that no exception tells of."""
        named = approval.spec.exception.name if approval.spec is not None else ""
        exception = snapshot.exceptions.get(approval.meta.namespace, {}).get(named)
        if exception is None or exceptions.unplaced(exception, snapshot) is not None:
            await self._write_approval(approval, None, named)

    def gone(self, segment: Key) -> None:
        """Forget a segment that is gone: nothing of it is open any more."""
        for known in self._in_force.pop(segment, {}).values():
            self._trail("close", known, "the segment was deleted")

    def count(self, snapshot: Snapshot) -> None:
        """Measure how many exceptions are in which phase, and of how many the time is over although they are in force."""
        phases: Counter[str] = Counter(dict.fromkeys(get_args(Phase), 0))
        overdue = 0
        for found in snapshot.exceptions.values():
            for exception in found.values():
                phase = self._reporter.last(names.EXCEPTION, exception.meta, exception.status).get("phase")
                phases[phase or "Pending"] += 1
                overdue += exception.is_over(snapshot.now) and phase in IN_FORCE
        for phase, number in phases.items():
            self._metrics.exceptions.labels(phase).set(number)
        self._metrics.exceptions_overdue.set(overdue)

    async def _exception(
        self, segment: Segment | None, exception: SegmentException, standing: Standing, found: report.Effect
    ) -> None:
        meta = exception.meta
        before = SegmentExceptionStatus.model_validate(self._reporter.last(names.EXCEPTION, meta, exception.status))
        after = report.exception_status(exception, standing, found, before, self._time())
        if exception.spec is not None:
            told = report.event(exception.spec, found, before, after)
            if told is not None:
                self._reporter.tell(names.EXCEPTION, meta, told, related=segment.meta if segment else None)
            if segment is not None:
                self._note(segment.meta.key, exception, found, before, after)
        await self._reporter.write(names.EXCEPTION, meta, after, exception.status)

    def _note(
        self,
        segment: Key,
        exception: SegmentException,
        found: report.Effect,
        before: SegmentExceptionStatus,
        after: SegmentExceptionStatus,
    ) -> None:
        """Write the trail when an exception comes into force, or out of it."""
        assert exception.spec is not None
        key, known = exception.meta.key, self._in_force[segment]
        was, is_now = before.phase in IN_FORCE, after.phase in IN_FORCE
        if is_now:
            if key not in known or not found.stuck:
                known[key] = report.record(exception, exception.spec, found, after)
            if not was:
                self._trail("seal" if after.phase == "Sealed" else "open", known[key], "in force from now on")
        elif was:
            ended = known.pop(key, None) or report.record(exception, exception.spec, found, before)
            sealed = exception.spec.effect == "Seal"
            why = next((c.message for c in after.conditions if c.type == "Ready"), "")
            self._trail("lift" if sealed else "close", ended, why)

    def _note_gone(self, segment: Segment, living: set[str]) -> None:
        known = self._in_force.get(segment.meta.key, {})
        for key in [key for key, record in known.items() if record["uid"] not in living]:
            ended = known.pop(key)
            self._trail("lift" if ended["effect"] == "Seal" else "close", ended, "it was deleted")
            self._reporter.tell(names.SEGMENT, segment.meta, report.gone(ended))
        if not known:
            self._in_force.pop(segment.meta.key, None)

    def _trail(self, action: Literal["open", "seal", "close", "lift"], what: dict[str, Any], why: str) -> None:
        _audit.info(report.trail(action, what, time=self._time(), why=why, user=self._reporter.identity))

    async def _approvals(self, exception: SegmentException, standing: Standing, snapshot: Snapshot) -> None:
        held = snapshot.approvals.get(exception.meta.namespace, {})
        for verdict in standing.approvals:
            approval = held.get(verdict.approval.name)
            if approval is not None and approval.meta.uid == verdict.uid:
                await self._write_approval(approval, verdict, exception.meta.name)

    async def _write_approval(self, approval: SegmentApproval, verdict: Verdict | None, exception: str) -> None:
        meta = approval.meta
        before = SegmentApprovalStatus.model_validate(self._reporter.last(names.APPROVAL, meta, approval.status))
        after = report.approval_status(meta.generation, approval.refusals, verdict, exception, before, self._time())
        await self._reporter.write(names.APPROVAL, meta, after, approval.status)

    def _time(self) -> str:
        return written(self._now())
