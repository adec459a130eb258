"""Which change of an exception, of an approval or of what guards them makes which key due, and what ends by itself.

Nothing is judged here: `reach.exceptions` says what is in force, `witness` tells what became of it.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from pipesegment import names
from pipesegment.facts.emergency import SegmentApproval, SegmentException
from pipesegment.facts.meta import Key
from pipesegment.facts.snapshot import Snapshot
from pipesegment.work import Add, Work
from pipesegment.world import kinds
from pipesegment.world.alarms import Alarms
from pipesegment.world.clock import Clock
from pipesegment.world.queue import Priority

#: Kinds that say which exceptions are in force, and of which nothing else depends.
EMERGENCY: Final = frozenset(
    {names.EXCEPTION, names.APPROVAL, kinds.ADMISSION_POLICY.kind, kinds.ADMISSION_BINDING.kind}
)


class Emergencies:
    """Makes due whom emergencies concern: `add` takes one key, `neighbours` a segment and who has to do with its stages."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        add: Add,
        neighbours: Callable[[Key], None],
        clock: Clock,
        now: Callable[[], datetime],
    ) -> None:
        self._snapshot = snapshot
        self._add = add
        self._neighbours = neighbours
        self._alarms = Alarms(clock, now, self._ends)

    def stop(self) -> None:
        """Wait for no end any more."""
        self._alarms.stop()

    def changed(self, kind: str, key: Key, old: Any, new: Any) -> None:
        """Take in that an object of a kind of `EMERGENCY` is another one, new, or gone."""
        match kind:
            case names.EXCEPTION:
                self._exception_changed(key, old, new)
            case names.APPROVAL:
                self._approval_changed(key, old, new)
            case _ if any(each is not None and self._snapshot().guards.concerns(each) for each in (old, new)):
                self._add_every_one()

    def segment_gone(self, segment: Key) -> None:
        """Make the exceptions of a segment that is gone due: nobody else tells of them."""
        for exception in self._snapshot().exceptions.get(segment.namespace, {}).values():
            if exception.spec is not None and exception.spec.segment == segment.name:
                self._add(Work(names.EXCEPTION, *exception.meta.key), 0.0, Priority.RESYNC)
                self._add_approvals(exception.meta.key)

    def overdue(self) -> frozenset[Key]:
        """Give the segments with an exception in force whose time is over."""
        snapshot = self._snapshot()
        every = (e for found in snapshot.exceptions.values() for e in found.values() if e.was_in_force)
        return frozenset(Key(e.meta.namespace, e.spec.segment) for e in every if e.spec and e.is_over(snapshot.now))

    def _exception_changed(self, key: Key, old: SegmentException | None, new: SegmentException | None) -> None:
        self._alarms.set(key, new.ends if new is not None else None)
        for each in (old, new):
            if each is not None:
                self._add_concerned(each)
        self._add_approvals(key)

    def _approval_changed(self, key: Key, old: SegmentApproval | None, new: SegmentApproval | None) -> None:
        self._add(Work(names.APPROVAL, *key), 0.0, Priority.RESYNC)
        named = {each.spec.exception.name for each in (old, new) if each is not None and each.spec is not None}
        for name in named:
            exception = self._snapshot().exceptions.get(key.namespace, {}).get(name)
            if exception is not None:
                self._add_concerned(exception)

    def _add_every_one(self) -> None:
        """Make every exception and every approval due, with the segments that they speak of."""
        snapshot = self._snapshot()
        for found in snapshot.exceptions.values():
            for exception in found.values():
                self._add_concerned(exception)
        for key in (Key(n, name) for n, found in snapshot.approvals.items() for name in found):
            self._add(Work(names.APPROVAL, *key), 0.0, Priority.RESYNC)

    def _add_concerned(self, exception: SegmentException) -> None:
        """Make everybody due whom an exception concerns: its segment, and who has to do with that one's stages."""
        self._add(Work(names.EXCEPTION, *exception.meta.key), 0.0, Priority.RESYNC)
        if exception.spec is not None:
            self._neighbours(Key(exception.meta.namespace, exception.spec.segment))

    def _add_approvals(self, exception: Key) -> None:
        """Make the approvals of an exception due: whether they count for one that is not there, nobody else tells."""
        for name, approval in self._snapshot().approvals.get(exception.namespace, {}).items():
            if approval.spec is not None and approval.spec.exception.name == exception.name:
                self._add(Work(names.APPROVAL, exception.namespace, name), 0.0, Priority.RESYNC)

    def _ends(self, key: Key) -> None:
        """Notice that the time of an exception is over."""
        found = self._snapshot().exceptions.get(key.namespace, {}).get(key.name)
        if found is not None:
            self._add_concerned(found)
