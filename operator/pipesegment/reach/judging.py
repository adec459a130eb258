"""Judges one exception: by its time, its stage, its class, and by who asked and who approved.

Whoever asks is believed because an admission policy holds `requestedBy` to the user who creates the exception, whoever
approves likewise; without these policies nobody is. A seal needs nobody's leave, and no policy.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from pipesegment.facts.emergency import SegmentApproval, SegmentException
from pipesegment.facts.moments import after, moment
from pipesegment.facts.snapshot import Snapshot
from pipesegment.reach.graph import Governance
from pipesegment.reach.standing import Standing, Verdict
from pipesegment.spec.exception import SegmentExceptionSpec, User
from pipesegment.spec.status import IN_FORCE, Phase
from pipesegment.spec.units import seconds

#: How far the API server's clock may be ahead of ours: what it has just made exists, whatever time it is here.
_CLOCKS: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges one exception by the class that governs, of a segment that conforms or may not (`unfit`)."""

    exception: SegmentException
    spec: SegmentExceptionSpec
    snapshot: Snapshot
    governing: Governance
    #: The admission policies that are not in force: without them nobody's word is believed.
    unguarded: Sequence[str]
    unfit: bool
    segment_uid: str

    def judge(self, approvals: Sequence[SegmentApproval], stages: Mapping[str, str] | None) -> Standing:
        """Say where it stands; `stages` are those of its segment with their pods, None where nobody knows them."""
        verdicts = tuple(self._verdicts(approvals))
        counted = [v for v in verdicts if v.counts]
        begun = self.exception.meta.created
        if self.spec.effect == "Open" and len(counted) >= self._needed:
            begun = counted[self._needed - 1].created
        phase, reason, message = self._phase(len(counted), stages)
        return Standing(
            self.exception.meta.key,
            self.exception.meta.uid,
            self.spec.stage,
            self.spec.effect,
            phase,
            reason,
            message,
            hash=self.exception.hash,
            approvals=verdicts,
            needed=self._needed if self.spec.effect == "Open" else 0,
            begun=moment(begun) if phase in IN_FORCE else None,
            ends=self.exception.ends,
            by_class=by_class(self.governing),
            sealers=self.governing.spec.break_glass.sealer_groups,
            meant=(self.segment_uid, (stages or {}).get(self.spec.stage, "")),
        )

    @property
    def _needed(self) -> int:
        rules = self.governing.spec.break_glass
        cautious = (self.unfit and rules.when_not_conforming.approvals) or 0
        return max(rules.approvals, cautious)

    def _longest(self) -> str:
        """Give the longest duration that the class allows now."""
        rules = self.governing.spec.break_glass
        cautious = rules.when_not_conforming.max_duration if self.unfit else None
        return min((d for d in (rules.max_duration, cautious) if d), key=seconds)

    def _phase(self, counted: int, stages: Mapping[str, str] | None) -> tuple[Phase, str, str]:
        spec, now = self.spec, self.snapshot.now
        if self.exception.is_over(now):
            return "Expired", "Expired", "its time is over"
        if stages is not None and spec.stage not in stages:
            return "Pending", "Unresolved", f"segment {spec.segment} has no stage {spec.stage}"
        if spec.effect == "Seal":
            return "Sealed", "Sealed", f"stage {spec.stage} reaches nothing, accepts nothing and has no rights"
        if self.exception.supposed:
            return "Open", "Open", "as if it were approved"
        replaced = self._replaced((stages or {}).get(spec.stage, ""))
        if replaced:
            return "Expired", "Replaced", replaced
        refused = self._not_allowed()
        if refused:
            return "Refused", "NotAllowed", refused
        unbelieved = self._unbelieved()
        if unbelieved:
            return "Pending", "Unguarded", unbelieved
        if self.exception.ends is None or now is None or self._is_ahead(self.exception.meta.created):
            return "Pending", "AwaitingApproval", "it does not exist yet, so that nobody can have approved it"
        if counted < self._needed:
            return "Pending", "AwaitingApproval", f"{counted} of {self._needed} people have approved"
        return "Open", "Open", f"stage {spec.stage} reaches what it declares"

    def _is_ahead(self, created: str) -> bool:
        """Tell whether something comes to exist later than the moment that is looked at."""
        made, now = moment(created), self.snapshot.now
        return made is not None and now is not None and made > after(now, _CLOCKS)

    @property
    def _lacking(self) -> str:
        return f"for these admission policies are not in force here: {', '.join(self.unguarded)}"

    def _unbelieved(self) -> str:
        """Say why nobody's word is believed here ('' when it is)."""
        if self.unguarded:
            return f"no approval is believed, {self._lacking}"
        if self.snapshot.guards.came_before(self.exception.meta.created):
            return "it was asked for before the admission policies denied anything, so nobody knows by whom: ask anew"
        return ""

    def _replaced(self, pods: str) -> str:
        """Say that what was approved was for others ('' when it is for these): the name of a stage may come to mean other pods."""
        uid, before = self.exception.meant
        told = f"it was asked for when stage {self.spec.stage} had other pods"
        if uid and self.segment_uid and uid != self.segment_uid:
            return f"it was asked for another segment that was called {self.spec.segment}: ask anew"
        if before and pods and before != pods:
            return f"{told} ({before}): ask anew"
        return f"{told}: ask anew" if self.exception.is_replaced else ""

    def _not_allowed(self) -> str:
        """Say why the class does not let anybody open this; '' when it does."""
        rules, who = self.governing.spec.break_glass, f"SegmentClass {self.governing.name}"
        if not self.governing.name:
            return f"no SegmentClass governs namespace {self.exception.meta.namespace}, so nobody may approve"
        if not rules.approver_groups:
            return f"{who} names no breakGlass.approverGroups, so nobody may approve"
        longest, wanted = self._longest(), self.spec.duration or ""
        if seconds(wanted) > seconds(longest):
            state = " while the segment does not conform" if self.unfit and longest != rules.max_duration else ""
            return f"it is to last {wanted}, and {who} allows {longest}{state}"
        return ""

    def _verdicts(self, approvals: Sequence[SegmentApproval]) -> Iterator[Verdict]:
        seen: list[User] = [self.spec.requested_by]
        for each in approvals:
            assert each.spec is not None
            who = each.spec.approved_by
            problem = self._problem(each, who, seen)
            if not problem and self.unguarded:
                problem = f"it is not believed, {self._lacking}"
            if not problem:
                seen.append(who)
            yield Verdict(each.meta.key, each.meta.uid, who.username, problem, each.meta.created)

    def _problem(self, approval: SegmentApproval, who: User, seen: Sequence[User]) -> str:
        assert approval.spec is not None
        named = approval.spec.exception
        if named.uid != self.exception.meta.uid:
            return f"it names another exception that was called {named.name}"
        if named.spec_hash != self.exception.hash:
            return "it names another spec than the exception has"
        if approval.spec.class_.uid != self.governing.uid:
            return f"it is by the word of SegmentClass {approval.spec.class_.name}, which is not the one that governs"
        if who.is_same(seen[0]):
            return f"{who.username} asked for the exception"
        if any(who.is_same(other) for other in seen[1:]):
            return f"{who.username} has approved already"
        if not moment(approval.meta.created) or self._is_ahead(approval.meta.created):
            return "it does not exist yet"
        if self.snapshot.guards.came_before(approval.meta.created):
            return "it was made before the admission policies denied anything, so nobody knows by whom"
        return ""


def by_class(governing: Governance) -> tuple[str, str] | None:
    """Give the class by whose word approvals count; nobody's while it is not clear which one governs."""
    return (governing.name, governing.uid) if governing.uid and not governing.stalled else None
