"""Which pod is which stage's, and who restricts it: the ground on which the declaration is judged, pod by pod.

Nothing here is resolved: stages are placed by their selectors, and every further question is about one concrete pod.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Generic, TypeVar

from pipesegment import names
from pipesegment.facts.ends import PodEnd
from pipesegment.facts.selectors import Selector, canonical
from pipesegment.facts.snapshot import Segment, Snapshot
from pipesegment.findings import Refusal
from pipesegment.reach import engines, exceptions, governance, mesh, stages
from pipesegment.reach.aws import lent, services
from pipesegment.reach.edges import Mode
from pipesegment.reach.graph import Governance
from pipesegment.spec.segment import AcceptEntry, PipelineSegmentSpec, ReachEntry, Stage

E = TypeVar("E", ReachEntry, AcceptEntry)

#: Said of a stage that declares in vain.
STALLED: Final = "whose SegmentClass cannot be known"


@dataclass(frozen=True, slots=True)
class Said(Generic[E]):
    """An entry and where it stands; `authored` by the segment, its engine's needs too, so that the guardrails bind it."""

    because: str
    entry: E
    authored: bool = True


@dataclass(frozen=True, eq=False)
class Member:
    """A stage as pods belong to it; `runner` stands for ARC's runner pods, which have the engine's needs alone.

    `age` orders segments: the greater one is the younger, and one without a time of creation does not exist yet; of
    two such neither is older.
    """

    namespace: str
    segment: str
    index: int
    spec: PipelineSegmentSpec
    selector: Selector
    needs: engines.Needs
    governance: Governance
    enforced: bool
    meshed: tuple[mesh.ControlPlane, ...]
    age: tuple[bool, str, str]
    runner: bool = False
    emergency: exceptions.Emergency = exceptions.CALM

    @property
    def stage(self) -> Stage:
        """The stage as declared."""
        return self.spec.stages[self.index]

    @property
    def account(self) -> str:
        """The account that the stage's pods run as."""
        return self.stage.service_account.name or names.object_name(self.segment, self.stage.name)

    def path(self, field: str) -> str:
        """Write where something of the stage is declared."""
        return f"{self.namespace}/{self.segment} spec.stages[{self.index}].{field}"

    def reaches(self) -> tuple["Said[ReachEntry]", ...]:
        """Give everything that the stage reaches by its own, its segment's, its class's or its engine's word."""
        return self._every_reach

    def accepts(self) -> tuple["Said[AcceptEntry]", ...]:
        """Give everything that the stage accepts by its own, its segment's or its class's word."""
        return self._every_accept

    @cached_property
    def needed_services(self) -> tuple[services.Needed, ...]:
        """The services of AWS that its rights need, and those that exceptions give, where its class lets it reach any."""
        targets = self.governance.spec.guardrails.targets
        if self.runner or (targets and "awsService" not in targets):
            return ()
        given = (
            (f"{self.namespace}/{self.segment} {each.because}", each.permission)
            for each in lent.fit(self.governance, self.stage.aws, self.emergency.lent)
        )
        return services.needed(self.path("aws"), self.stage.aws, self.governance.spec.aws, given)

    @cached_property
    def _every_reach(self) -> tuple["Said[ReachEntry]", ...]:
        return tuple(self._reaches())

    @cached_property
    def _every_accept(self) -> tuple["Said[AcceptEntry]", ...]:
        return tuple(self._accepts())

    def _reaches(self) -> Iterator["Said[ReachEntry]"]:
        yield from (Said(f"{self.path('engine')} (engine)", entry) for entry in self.needs.reaches)
        if not self.runner:
            parts = (self.stage.reaches, self.spec.common.reaches, self.governance.spec.baseline.reaches)
            yield from self._said("reaches", *parts)
            yield from (
                Said(f"{self.namespace}/{self.segment} {because}", entry) for because, entry in self.emergency.opened
            )

    def _accepts(self) -> Iterator["Said[AcceptEntry]"]:
        if not self.runner:
            parts = (self.stage.accepts, self.spec.common.accepts, self.governance.spec.baseline.accepts)
            yield from self._said("accepts", *parts)

    def _said(self, field: str, own: tuple[E, ...], common: tuple[E, ...], base: tuple[E, ...]) -> Iterator["Said[E]"]:
        yield from (Said(self.path(f"{field}[{i}]"), entry) for i, entry in enumerate(own))
        here = f"{self.namespace}/{self.segment} spec.common"
        yield from (Said(f"{here}.{field}[{i}]", entry) for i, entry in enumerate(common))
        there = f"SegmentClass/{self.governance.name} spec.baseline"
        yield from (Said(f"{there}.{field}[{i}]", entry, authored=False) for i, entry in enumerate(base))

    def is_of(self, namespace: str, segment: str) -> bool:
        """Tell whether it belongs to a segment."""
        return (self.namespace, self.segment) == (namespace, segment)


class Members:
    """The stages of all segments of a Snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._members: dict[str, tuple[Member, ...]] = {}
        self._closing: dict[str, tuple[tuple[str, Selector], ...]] = {}
        self._of: dict[PodEnd, tuple[Member, ...]] = {}
        self._yields: dict[Member, bool] = {}

    def of(self, pod: PodEnd) -> tuple[Member, ...]:
        """Give the stages that select a pod."""
        found = self._of.get(pod)
        if found is None:
            found = tuple(m for m in self.within(pod.namespace) if m.selector.matches(pod.labels))
            self._of[pod] = found
        return found

    def speaking(self, pod: PodEnd) -> tuple[Member, ...]:
        """Give the stages whose declarations open anything for a pod."""
        return tuple(m for m in self.of(pod) if self.speaks(m))

    def speaks(self, member: Member) -> bool:
        """Tell whether a stage's declarations open anything: enforced, its class known, not refused for an overlap."""
        return self.declares(member) and member.enforced and not member.governance.stalled

    def declares(self, member: Member) -> bool:
        """Tell whether a stage's words count at all, enforced or not: it is neither sealed nor refused for an overlap."""
        return not member.emergency.sealed and not self.yields(member)

    def restricted_by(self, pod: PodEnd) -> str:
        """Say who closes a pod to all that nobody opens; '' when nobody does."""
        for member in self.of(pod):
            if member.enforced:
                unknown = f", {STALLED}" if member.governance.stalled else ""
                return f"stage {member.stage.name} of {member.namespace}/{member.segment}{unknown}"
        pipeline = self._pipeline_of(pod)
        if pipeline:
            return f"the pipeline of {pod.namespace}/{pipeline}, none of whose stages it is"
        governing = governance.govern(pod.namespace, self._snapshot)
        left = governance.standing(pod.namespace, self._snapshot) if governing.stalled else None
        if left is not None and left.selector.matches(pod.labels):
            return f"the isolation of namespace {pod.namespace}, although nobody can be said to govern it"
        excepted = any(canonical(s).matches(pod.labels) for s in governing.spec.network.isolation.except_pods)
        if not excepted and governance.is_declared(governing, pod.namespace, self._snapshot):
            return f"SegmentClass/{governing.name}, which isolates namespace {pod.namespace}"
        return ""

    def is_of_a_pipeline(self, pod: PodEnd) -> bool:
        """Tell whether a pod is a stage's, or one that its pipeline closes."""
        return any(m.enforced for m in self.of(pod)) or bool(self._pipeline_of(pod))

    def _pipeline_of(self, pod: PodEnd) -> str:
        self.within(pod.namespace)
        return next((name for name, selector in self._closing[pod.namespace] if selector.matches(pod.labels)), "")

    def everyone(self) -> Iterator[Member]:
        """Give every stage of the cluster."""
        for namespace in sorted(self._snapshot.segments):
            yield from self.within(namespace)

    def selectors(self) -> Iterator[Selector]:
        """Give every selector that pods are placed by."""
        for member in self.everyone():
            yield member.selector
            if member.needs.siblings is not None:
                yield member.needs.siblings
        yield from (selector for found in self._closing.values() for _, selector in found)

    def within(self, namespace: str) -> tuple[Member, ...]:
        """Give every stage of a namespace."""
        found = self._members.get(namespace)
        if found is None:
            segments = sorted(self._snapshot.segments.get(namespace, {}).items())
            found = tuple(m for _, segment in segments for m in _place(segment, self._snapshot))
            self._members[namespace] = found
            # A pipeline is closed by its labels alone, which must not block a stage of its own that only observes.
            observing = [(m.segment, m.selector) for m in found if not m.enforced]
            self._closing[namespace] = tuple(
                (name, selector)
                for name, segment in segments
                if segment.spec is not None
                for selector in engines.closing(segment.spec)
                if all(selector.disjoint(other) for owner, other in observing if owner == name)
            )
        return found

    def yields(self, member: Member) -> bool:
        """Tell whether a stage is refused because an older segment's stage has the same pods or account."""
        found = self._yields.get(member)
        if found is None:
            union = member.governance.spec.guardrails.overlap == "Union"
            others = self.within(member.namespace)
            found = not union and (any(self._gives_way(member, o) for o in others) or self._is_beneath(member))
            self._yields[member] = found
        return found

    def _is_beneath(self, member: Member) -> bool:
        """Tell whether a policy that stands of an older segment, which is refused or goes away, has the same pods."""
        pods = [pod.labels for pod in self._snapshot.pods_of(member.namespace, member.selector)]
        return any(
            policy.selector.overlaps(member.selector) or any(policy.selector.matches(labels) for labels in pods)
            for owner, policy in stages.standing(self._snapshot, member.namespace)
            if owner.meta.name != member.segment and member.age >= _age(owner)
        )

    def _gives_way(self, member: Member, other: Member) -> bool:
        if other.segment == member.segment:
            return False
        if member.age < other.age:
            return False
        if member.account == other.account:
            return True
        one, two = member.selector, other.selector
        if one.overlaps(two):
            return True
        return any(two.matches(pod.labels) for pod in self._snapshot.pods_of(member.namespace, one))


def _age(segment: Segment) -> tuple[bool, str, str]:
    return (not segment.meta.created, segment.meta.created, segment.meta.uid)


def _place(segment: Segment, snapshot: Snapshot) -> Iterator[Member]:
    if segment.spec is None:
        return
    meta = segment.meta
    governing = governance.of_segment(segment, snapshot)
    emergencies = exceptions.of_segment(segment, snapshot, governing)
    provider = mesh.provider(meta.namespace, governing, snapshot)
    age = _age(segment)
    for index, stage in enumerate(segment.spec.stages):
        placed = engines.place(meta.name, index, segment.spec)
        if isinstance(placed, Refusal):
            continue
        emergency = emergencies.get(stage.name, exceptions.CALM)
        enforced = governance.mode_of(segment.spec, stage, governing) is Mode.ENFORCE or bool(emergency.sealed)
        meshed = mesh.CONTROL_PLANES.get(mesh.of_stage(stage, placed.selector, governing, provider), ())
        parts = [(placed.selector, placed.needs, False)]
        if placed.runner is not None and placed.runner_needs is not None:
            parts.append((placed.runner, placed.runner_needs, True))
        for selector, needs, runner in parts:
            yield Member(
                meta.namespace,
                meta.name,
                index,
                segment.spec,
                selector,
                needs,
                governing,
                enforced,
                meshed,
                age,
                runner,
                emergency,
            )
