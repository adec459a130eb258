"""Exceptions of a segment: which are in force now, what each opens or seals, and why the others are not.

Whoever asks is believed because an admission policy holds `requestedBy` to the user who creates the exception, whoever
approves likewise; without these policies nobody is. A seal needs nobody's leave, and no policy.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final, Literal

from pipesegment import names
from pipesegment.facts.emergency import SegmentApproval, SegmentException
from pipesegment.facts.moments import moment
from pipesegment.facts.snapshot import Segment, Snapshot
from pipesegment.findings import Refusal
from pipesegment.reach.governance import govern, mode_of
from pipesegment.reach.graph import Governance, Mode, Standing, Verdict
from pipesegment.reach.stages import placements
from pipesegment.spec.exception import SegmentExceptionSpec, User
from pipesegment.spec.segment import ReachEntry
from pipesegment.spec.units import seconds


@dataclass(frozen=True, slots=True)
class Emergency:
    """What exceptions make of a stage: by which it is sealed ('' when by none), and what they open, with its place."""

    sealed: str = ""
    opened: tuple[tuple[str, ReachEntry], ...] = ()


#: How much of a selector a status repeats.
_LONGEST: Final = 512
#: A stage that no exception speaks of.
CALM: Final = Emergency()
NO_EMERGENCIES: Final[Mapping[str, Emergency]] = {}


def path(name: str) -> str:
    """Name an exception as findings and reasons do; what it declares is `<path> spec.reaches[0]`."""
    return f"{names.EXCEPTION}/{name}"


def standings(segment: Segment, snapshot: Snapshot, governing: Governance) -> tuple[Standing, ...]:
    """Judge every exception of a segment, by name; those that are being deleted are gone.

    Of a segment that is refused nobody knows which stages it has.
    """
    held = snapshot.exceptions.get(segment.meta.namespace)
    if not held:
        return ()
    every = ((e, e.spec) for _, e in sorted(held.items()) if e.spec is not None and not e.meta.deleting)
    mine = [(e, spec) for e, spec in every if spec.segment == segment.meta.name]
    approvals = _approvals(segment.meta.namespace, snapshot) if mine else {}
    stages = _pods(segment) if mine and segment.spec is not None else None
    unfit = segment.unfit is not False or _observes(segment, governing)
    judged = [
        _Judge(e, spec, snapshot, governing, unfit, segment.meta.uid).judge(approvals.get(e.meta.name, ()), stages)
        for e, spec in mine
    ]
    sealed = {s.stage: s.name for s in reversed(judged) if s.phase == "Sealed"}
    return tuple(_under_seal(s, sealed[s.stage]) if s.stage in sealed and s.phase == "Open" else s for s in judged)


def _pods(segment: Segment) -> Mapping[str, str]:
    """Give the stages of a segment with the pods that they select, '' for one that its preset cannot place."""
    assert segment.spec is not None
    placed = zip(segment.spec.stages, placements(segment), strict=True)
    return {stage.name: "" if isinstance(found, Refusal) else _text(str(found.selector)) for stage, found in placed}


def _text(selector: str) -> str:
    """Give a selector as a status has room for it."""
    return selector if len(selector) <= _LONGEST else f"sha256:{sha256(selector.encode()).hexdigest()}"


def _observes(segment: Segment, governing: Governance) -> bool:
    """Tell whether of some stage nobody can say that it conforms: nothing is enforced there."""
    spec = segment.spec
    return spec is not None and any(mode_of(spec, stage, governing) is Mode.OBSERVE for stage in spec.stages)


def is_asked_for_more(segment: Segment, snapshot: Snapshot, governing: Governance) -> bool:
    """Tell whether it matters to some exception of a segment that the segment does not conform."""
    held = snapshot.exceptions.get(segment.meta.namespace)
    rules = governing.spec.break_glass.when_not_conforming
    if not held or not (rules.approvals or rules.max_duration):
        return False
    return any(e.spec is not None and e.spec.segment == segment.meta.name for e in held.values())


def _under_seal(standing: Standing, seal: str) -> Standing:
    told = f"stage {standing.stage} is sealed by {path(seal)}"
    return replace(standing, phase="Pending", reason="Sealed", message=told, begun=None)


def emergencies(segment: Segment, snapshot: Snapshot, judged: Sequence[Standing]) -> Mapping[str, Emergency]:
    """Give what the exceptions in force make of a segment's stages."""
    held = snapshot.exceptions.get(segment.meta.namespace, {})
    sealed: dict[str, str] = {}
    opened: defaultdict[str, list[tuple[str, ReachEntry]]] = defaultdict(list)
    for standing in judged:
        spec = held[standing.name].spec
        if standing.phase == "Sealed":
            sealed.setdefault(standing.stage, path(standing.name))
        elif standing.phase == "Open" and spec is not None:
            place = f"{path(standing.name)} spec.reaches"
            opened[standing.stage] += [(f"{place}[{i}]", entry) for i, entry in enumerate(spec.reaches)]
    return {stage: Emergency(sealed.get(stage, ""), tuple(opened[stage])) for stage in {*sealed, *opened}}


def of_segment(segment: Segment, snapshot: Snapshot, governing: Governance) -> Mapping[str, Emergency]:
    """Give what a segment's exceptions make of its stages now; empty for nearly every segment."""
    if segment.meta.namespace not in snapshot.exceptions:
        return NO_EMERGENCIES
    return emergencies(segment, snapshot, standings(segment, snapshot, governing))


def _by_class(governing: Governance) -> tuple[str, str] | None:
    """Give the class by whose word approvals count; nobody's while it is not clear which one governs."""
    return (governing.name, governing.uid) if governing.uid and not governing.stalled else None


def unplaced(exception: SegmentException, snapshot: Snapshot) -> Standing | None:
    """Judge an exception for which no segment can speak: it is refused itself, or there is no such segment."""
    meta = exception.meta
    if exception.spec is None:
        told = "; ".join(map(str, exception.refusals))
        return Standing(meta.key, meta.uid, "", "Open", "Refused", "Invalid", told, hash=exception.hash)
    governing = govern(meta.namespace, snapshot)
    found = snapshot.segment(meta.namespace, exception.spec.segment)
    if found is not None:
        return None
    lacking = f"there is no segment {meta.namespace}/{exception.spec.segment}"
    ends = exception.ends
    over = exception.is_over(snapshot.now)
    return Standing(
        meta.key,
        meta.uid,
        exception.spec.stage,
        exception.spec.effect,
        "Expired" if over else "Pending",
        "Expired" if over else "Unresolved",
        "its time is over" if over else lacking,
        hash=exception.hash,
        ends=ends,
        by_class=_by_class(governing),
        sealers=governing.spec.break_glass.sealer_groups,
    )


def _approvals(namespace: str, snapshot: Snapshot) -> Mapping[str, list[SegmentApproval]]:
    """Give the approvals of a namespace by the exception that they name, the first ones first."""
    found: defaultdict[str, list[SegmentApproval]] = defaultdict(list)
    for each in snapshot.approvals.get(namespace, {}).values():
        if each.spec is not None and not each.meta.deleting:
            found[each.spec.exception.name].append(each)
    for approvals in found.values():
        approvals.sort(key=lambda a: (a.meta.created, a.meta.name))
    return found


@dataclass(frozen=True, slots=True)
class _Judge:
    """Judges one exception."""

    exception: SegmentException
    spec: SegmentExceptionSpec
    snapshot: Snapshot
    governing: Governance
    unfit: bool
    segment_uid: str

    def judge(self, approvals: Sequence[SegmentApproval], stages: Mapping[str, str] | None) -> Standing:
        unguarded = self.snapshot.guards.missing
        verdicts = tuple(self._verdicts(approvals, unguarded))
        counted = [v for v in verdicts if v.counts]
        begun = self.exception.meta.created
        if self.spec.effect == "Open" and len(counted) >= self._needed:
            begun = counted[self._needed - 1].created
        phase, reason, message = self._phase(len(counted), unguarded, stages)
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
            begun=moment(begun) if phase in {"Open", "Sealed"} else None,
            ends=self.exception.ends,
            by_class=_by_class(self.governing),
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

    def _phase(
        self, counted: int, unguarded: Sequence[str], stages: Mapping[str, str] | None
    ) -> tuple[Literal["Pending", "Open", "Sealed", "Expired", "Refused"], str, str]:
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
        unbelieved = self._unbelieved(unguarded)
        if unbelieved:
            return "Pending", "Unguarded", unbelieved
        if self.exception.ends is None or now is None:
            return "Pending", "AwaitingApproval", "it does not exist yet, so that nobody can have approved it"
        if counted < self._needed:
            return "Pending", "AwaitingApproval", f"{counted} of {self._needed} people have approved"
        return "Open", "Open", f"stage {spec.stage} reaches what it declares"

    def _unbelieved(self, unguarded: Sequence[str]) -> str:
        """Say why nobody's word is believed here ('' when it is)."""
        if unguarded:
            return (
                f"no approval is believed, for these admission policies are not in force here: {', '.join(unguarded)}"
            )
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

    def _verdicts(self, approvals: Sequence[SegmentApproval], unguarded: Sequence[str]) -> Iterator[Verdict]:
        seen: list[User] = [self.spec.requested_by]
        for each in approvals:
            assert each.spec is not None
            who = each.spec.approved_by
            problem = self._problem(each, who, seen)
            if not problem and unguarded:
                problem = (
                    f"it is not believed, for these admission policies are not in force here: {', '.join(unguarded)}"
                )
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
        if not moment(approval.meta.created):
            return "it does not exist yet"
        if self.snapshot.guards.came_before(approval.meta.created):
            return "it was made before the admission policies denied anything, so nobody knows by whom"
        return ""
