"""A worker's look at one key: the corridor is walked, and what came of it is reported.

Of each kind of key it is said here what there is to do, and when it is due again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from pipesegment import names
from pipesegment.cloudwork import CloudWork
from pipesegment.enforcing import Enforcer
from pipesegment.errors import PipesegmentError, Rejected, Unreachable, is_permanent
from pipesegment.facts.emergency import SegmentApproval, SegmentException
from pipesegment.facts.meta import Key
from pipesegment.facts.snapshot import Class, Grant, Segment
from pipesegment.following import Following
from pipesegment.plan.changes import Action
from pipesegment.reconcile import Corridor
from pipesegment.report.outcome import Failed, Outcome
from pipesegment.reporting import Reporter
from pipesegment.witness import Witness
from pipesegment.work import Work
from pipesegment.world.applying import Results
from pipesegment.world.aws.endpoints import Endpoints
from pipesegment.world.queue import NEVER

T = TypeVar("T", Class, Grant, SegmentException, SegmentApproval)

#: A name that somebody else holds may become free without our being told.
_CONFLICT_RETRY: Final = 60.0


class Looks:
    """Looks at one key after another."""

    def __init__(
        self,
        following: Following,
        enforcer: Enforcer,
        reporter: Reporter,
        witness: Witness,
        roles: CloudWork,
        endpoints: Endpoints,
    ) -> None:
        self._following = following
        self._enforcer = enforcer
        self._corridor = Corridor(following.surroundings, following.owned, enforcer, reporter.audited)
        self._reporter = reporter
        self._witness = witness
        self._roles = roles
        self._endpoints = endpoints
        #: Segments that existed in the beginning and were not looked at yet.
        self._unseen: set[Key] = set()

    def begin(self) -> None:
        """Note which segments exist, none of which was looked at yet."""
        segments = self._following.snapshot.segments
        self._unseen = {Key(namespace, name) for namespace, found in segments.items() for name in found}

    @property
    def has_seen_all(self) -> bool:
        """Whether every segment that existed in the beginning was looked at."""
        return not self._unseen

    async def at(self, work: Work) -> float | None:
        """Look at a key; gives after how many seconds it is due again, None for the usual."""
        match work.kind:
            case names.SEGMENT:
                return await self.at_segment(work.key)
            case names.CLASS:
                return await self._at_class(work)
            case names.GRANT:
                return await self._at_grant(work)
            case names.EXCEPTION:
                return await self._at_exception(work)
            case names.APPROVAL:
                return await self._at_approval(work)
            case _:
                self._following.add_tellers(work.name)
                return NEVER

    async def at_segment(self, key: Key) -> float | None:
        """Look at a segment; when the last of those that existed in the beginning was, grants can say what they cover."""
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
        # Our own last status may say which class governed while its watch event is still on the way. What is looked at is
        # the very segment of the facts, or its whole namespace would be indexed anew for it.
        class_uid, unfit = self._reporter.recorded(found)
        found = self._following.surroundings.record(found, class_uid, unfit=unfit)
        inventory = self._reporter.inventory(found)
        try:
            outcome = await self._corridor.segment(
                found,
                inventory,
                self._following.note,
                self._following.note_refused,
                lambda: self._witness.ended(found, self._following.snapshot),
            )
        except (PipesegmentError, TimeoutError):
            raise
        except Exception as fault:
            # Whatever else is lost: its status must not go on saying that all is well.
            await self._reporter.segment(found, Outcome(found.meta.generation, fault=fault))
            raise
        taken = [change.id for change in outcome.changes.of(Action.CONFLICT)]
        if outcome.reach is not None and taken:
            self._following.note(outcome.reach, taken)
        self._following.freed(outcome.done)
        outcome = replace(outcome, cloud=self._roles.wish(found, outcome))
        self._following.add_grants(await self._reporter.segment(found, outcome))
        class_uid, unfit = self._reporter.recorded(found)
        self._following.surroundings.record(found, class_uid, unfit=unfit)
        turned = found.unfit is not unfit
        await self._witness.segment(found, outcome, self._following.snapshot)
        if turned and outcome.reach is not None and outcome.reach.exceptions:
            # More or fewer approvals are asked for from now on.
            self._following.neighbours(key)
        if outcome.fault is not None:
            # The queue logs where it came from, and tries again.
            raise outcome.fault
        if outcome.failures:
            raise _trouble(outcome.failures)
        if any(map(self._enforcer.is_free, taken)):
            # It was given up while we looked.
            return 0.0
        return _CONFLICT_RETRY if outcome.conflicts else None

    async def _gone(self, key: Key) -> float | None:
        left = await self._corridor.gone(key)
        self._roles.gone(key)
        self._following.drop(key)
        self._following.freed(left.done)
        self._witness.gone(key)
        self._following.add_grants(self._reporter.gone(key))
        self._following.emergencies.segment_gone(key)
        _raise(left)
        return NEVER

    async def _going(self, found: Segment) -> float | None:
        """Look at a segment that is being deleted, for as long as anybody's finalizer keeps it: what ends closes all the same."""
        key, held = found.meta.key, self._roles.holds(found)
        # A segment that waits for AWS alone keeps nothing in the cluster meanwhile: what it owns goes now.
        left = await self._corridor.gone(key, going=not found.is_taken)
        if held:
            self._roles.going(found)
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

    async def _at_class(self, work: Work) -> float | None:
        self._endpoints.wake()
        found = self._staying(work, self._following.snapshot.classes)
        if found is None:
            # What it closed stays closed until another class decides: that one is looked at, too.
            return NEVER
        if found.spec is None:
            await self._reporter.segment_class(found, (), (), self._following.snapshot)
            return None
        findings, results = await self._corridor.isolation(found)
        failed = [f.told for f in results.failures]
        await self._reporter.segment_class(found, findings, failed, self._following.snapshot)
        _raise(results)
        return _CONFLICT_RETRY if any(f.reason == "Conflict" for f in findings) else None

    async def _at_grant(self, work: Work) -> float | None:
        if self._unseen:
            # What it covers is not known yet; when it is, every grant is looked at.
            return NEVER
        found = self._staying(work, self._following.snapshot.grants.get(work.namespace, {}))
        if found is None:
            return NEVER
        await self._reporter.grant(found, self._following.snapshot)
        return None

    async def _at_exception(self, work: Work) -> float | None:
        """Report an exception whose segment cannot: with one that can, its look tells."""
        found = self._staying(work, self._following.snapshot.exceptions.get(work.namespace, {}))
        if found is not None:
            await self._witness.unplaced(found, self._following.snapshot)
        return NEVER

    async def _at_approval(self, work: Work) -> float | None:
        found = self._staying(work, self._following.snapshot.approvals.get(work.namespace, {}))
        if found is not None:
            await self._witness.approval(found, self._following.snapshot)
        return NEVER

    def _staying(self, work: Work, held: Mapping[str, T]) -> T | None:
        """Give what a key means; of what is gone or going it is forgotten what was said."""
        found = held.get(work.name)
        if found is not None and not found.meta.deleting:
            return found
        self._reporter.forget(work.kind, work.key)
        return None


def _raise(results: Results) -> None:
    if results.failures:
        raise _trouble([f.told for f in results.failures])


def _trouble(failures: Sequence[Failed]) -> Unreachable:
    """Give one error for several: it is tried again as soon as the first of them may be cured."""
    text = "; ".join(f"{f.verb} {f.id}: {f.message}" for f in failures[:3])
    asked = max(f.retry_after for f in failures)
    status = min((f.status for f in failures), key=is_permanent)
    return Rejected(status, "Failed", text, retry_after=asked) if status or asked else Unreachable(text)
