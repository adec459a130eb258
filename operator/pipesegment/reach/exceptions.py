"""Exceptions of a segment: which are in force now, what each opens or seals, and why the others are not.

Each is judged by itself (`judging`); here they come together: a seal is stronger than what anything opens.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, NamedTuple

from pipesegment import names
from pipesegment.facts.emergency import SegmentApproval, SegmentException
from pipesegment.facts.snapshot import Segment, Snapshot
from pipesegment.findings import Refusal
from pipesegment.reach.edges import Mode
from pipesegment.reach.governance import govern, mode_of
from pipesegment.reach.graph import Governance
from pipesegment.reach.judging import Judge, by_class
from pipesegment.reach.stages import placements
from pipesegment.reach.standing import Standing
from pipesegment.spec.cloud import Permission
from pipesegment.spec.segment import ReachEntry


class Lent(NamedTuple):
    """A statement that an exception gives a stage's role, where it stands, and when it ends."""

    because: str
    exception: str
    permission: Permission
    until: datetime


@dataclass(frozen=True, slots=True)
class Emergency:
    """What exceptions make of a stage: by which it is sealed ('' when by none), and what they open and give, with its place."""

    sealed: str = ""
    opened: tuple[tuple[str, ReachEntry], ...] = ()
    #: Rights in AWS; those of the exception that was in force first come first.
    lent: tuple[Lent, ...] = ()


_BEFORE: Final = datetime.fromtimestamp(0, UTC)
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
#: How much of a selector a status repeats.
_LONGEST: Final = 512
#: A stage that no exception speaks of.
CALM: Final = Emergency()
NO_EMERGENCIES: Final[Mapping[str, Emergency]] = {}


def path(name: str) -> str:
    """Name an exception as findings and reasons do; what it declares is `<path> spec.reaches[0]`."""
    return f"{names.EXCEPTION}/{name}"


def is_of(path: str) -> bool:
    """Tell whether a path is one of what an exception declares."""
    return path.startswith(f"{names.EXCEPTION}/")


def rights_path(name: str) -> str:
    """Say where the rights stand that an exception gives."""
    return f"{path(name)} spec.aws.permissions"


def standings(segment: Segment, snapshot: Snapshot, governing: Governance) -> tuple[Standing, ...]:
    """Judge every exception of a segment, by name; those that are being deleted are gone.

    Of a segment that is refused nobody knows which stages it has.
    """
    held = snapshot.exceptions.get(segment.meta.namespace)
    if not held:
        return ()
    every = ((e, e.spec) for _, e in sorted(held.items()) if e.spec is not None and not e.meta.deleting)
    mine = [(e, spec) for e, spec in every if spec.segment == segment.meta.name]
    if not mine:
        return ()
    approvals = _approvals(segment.meta.namespace, snapshot)
    unguarded = snapshot.guards.missing
    stages = _pods(segment) if segment.spec is not None else None
    unfit = segment.unfit is not False or _observes(segment, governing)
    judged = [
        Judge(e, spec, snapshot, governing, unguarded, unfit, segment.meta.uid).judge(
            approvals.get(e.meta.name, ()), stages
        )
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
    """Tell whether it matters to some exception of a segment that the segment does not conform: no seal asks."""
    held = snapshot.exceptions.get(segment.meta.namespace)
    rules = governing.spec.break_glass.when_not_conforming
    if not held or not (rules.approvals or rules.max_duration):
        return False
    specs = (e.spec for e in held.values() if e.spec is not None and not e.meta.deleting)
    return any(spec.segment == segment.meta.name and spec.effect == "Open" for spec in specs)


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
    lent: defaultdict[str, list[Lent]] = defaultdict(list)
    for standing in sorted(judged, key=lambda s: (s.begun or _NEVER, s.name)):
        spec = held[standing.name].spec
        if standing.phase == "Open" and spec is not None and spec.aws is not None:
            lent[standing.stage] += _lent(standing, spec.aws.permissions)
    return {
        stage: Emergency(sealed.get(stage, ""), tuple(opened[stage]), tuple(lent[stage]))
        for stage in {*sealed, *opened, *lent}
    }


def _lent(standing: Standing, permissions: Sequence[Permission]) -> Iterator[Lent]:
    place = rights_path(standing.name)
    # One that does not exist yet is only asked about: what has no end gives nothing.
    until = standing.ends or _BEFORE
    return (Lent(f"{place}[{i}]", standing.name, each, until) for i, each in enumerate(permissions))


def of_segment(segment: Segment, snapshot: Snapshot, governing: Governance) -> Mapping[str, Emergency]:
    """Give what a segment's exceptions make of its stages now; empty for nearly every segment."""
    if segment.meta.namespace not in snapshot.exceptions:
        return NO_EMERGENCIES
    return emergencies(segment, snapshot, standings(segment, snapshot, governing))


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
        by_class=by_class(governing),
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
