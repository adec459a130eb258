"""The scene of one resolve: stages as seen from anywhere, and what was looked at on the way."""

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeVar

from pipesegment import names
from pipesegment.errors import Refused
from pipesegment.facts.byselector import are_related
from pipesegment.facts.hostnames import Known
from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import Segment, Service, Snapshot
from pipesegment.findings import Finding, Refusal, quoted
from pipesegment.reach import exceptions, governance, mesh, network
from pipesegment.reach.edges import Mesh, Mode, Network, StageKey
from pipesegment.reach.exceptions import NO_EMERGENCIES, Emergency
from pipesegment.reach.graph import CoveredEdge, Governance
from pipesegment.reach.stages import Part, Stages, named, parts, stages_of
from pipesegment.reach.standing import Standing
from pipesegment.reach.view import View, views_of

T = TypeVar("T")

#: The most findings of one reason that are told of a segment: nobody reads more, and an author may cause any number.
_MOST_TOLD: Final = 256
#: The most steps of one resolve, a step being about a microsecond: nobody else is served meanwhile. Sixty-four stages
#: that reach and accept each other take less than half of it.
_MOST_STEPS: Final = 4_000_000


@dataclass
class Scene:
    """One segment in its surroundings; notes which facts were read and what is to be told."""

    segment: Segment
    snapshot: Snapshot
    reads: set[tuple[str, str, str]] = field(default_factory=set)
    watches: set[tuple[str, Selector]] = field(default_factory=set)
    findings: dict[Finding, None] = field(default_factory=dict)
    covered: list[CoveredEdge] = field(default_factory=list)
    ungranted: set[str] = field(default_factory=set)
    refusals: dict[Refusal, None] = field(default_factory=dict)
    #: Host names that were looked up, with those of their addresses that are open.
    followed: dict[str, Known] = field(default_factory=dict)
    _spent: int = 0
    _told: Counter[str] = field(default_factory=Counter)
    _once: dict[Hashable, Any] = field(default_factory=dict)

    @cached_property
    def governance(self) -> Governance:
        """The class that governs the segment."""
        self.reads.add((names.CLASS, "", "*"))
        self.reads.add(("Namespace", "", self.namespace))
        self.reads.add(("NetworkPolicy", self.namespace, names.DEFAULT_DENY))
        return governance.of_segment(self.segment, self.snapshot)

    @cached_property
    def network(self) -> Network:
        """Whose policies the segment's stages get."""
        return network.provider(self.governance, self.snapshot)

    @property
    def namespace(self) -> str:
        """The segment's namespace."""
        return self.segment.meta.namespace

    @property
    def object(self) -> str:
        """The segment as findings name it."""
        return str(self.segment.meta.key)

    def note(self, path: str, reason: str, target: str, message: str, fix: str) -> None:
        """Tell something; saying it twice tells it once."""
        self.tell(Finding(path, reason, target, message, fix, self.object))

    def tell(self, finding: Finding) -> None:
        """Tell a finding, unless there are many of its reason already."""
        if finding not in self.findings and self._told[finding.reason] < _MOST_TOLD:
            self._told[finding.reason] += 1
            self.findings[finding] = None

    def refuse(self, path: str, problem: str, value: str, fix: str) -> None:
        """Tell what the class does not allow. Of an exception it is told beside: the segment itself is not at fault."""
        if exceptions.is_of(path):
            self.note(path, "ExceptionRefused", value, f"{problem} {quoted(value)}, so it stays closed", fix)
            return
        refusal = Refusal(path, problem, value, fix, "Invalid", self.object)
        if len(self.refusals) < _MOST_TOLD:
            self.refusals[refusal] = None

    def spend(self, steps: int) -> None:
        """Count work of which an author may cause any amount; Refused when it is too much for one segment."""
        self._spent += steps
        if self._spent > _MOST_STEPS:
            raise Refused(
                [
                    Refusal(
                        "spec.stages",
                        "mean more pods, in more words, than can be compared for one segment, with",
                        f"{len(self.views(self.segment))} stages",
                        "write one selector for what is meant alike, select by `In` and matchLabels, or split the segment",
                        "Invalid",
                        self.object,
                    )
                ]
            )

    def once(self, key: Hashable, find: Callable[[], T]) -> T:
        """Find something once in this resolve."""
        if key not in self._once:
            self._once[key] = find()
        return self._once[key]  # type: ignore[no-any-return] # stored one line above

    def service(self, namespace: str, name: str) -> Service | None:
        """Find a Service, and remember that it was asked for."""
        self.reads.add(("Service", namespace, name))
        return self.snapshot.service(namespace, name)

    def view(self, namespace: str, segment: str, stage: str) -> View | None:
        """Find a stage of any segment; None when the segment or the stage is not there (yet)."""
        self.reads.add((names.SEGMENT, namespace, segment))
        staged = self.once(
            ("staged", namespace, segment), lambda: {v.key.stage: v for v in self.views_of(namespace, segment)}
        )
        return staged.get(stage)

    def views_in(self, namespace: str) -> Iterator[View]:
        """Give the stages of every segment of a namespace, in the order of their names.

        The caller notes in `reads` or `watches` which of them matter: all of them would make every segment of a
        namespace due whenever one changes.
        """
        for name in sorted(self.snapshot.segments.get(namespace, {})):
            yield from self.views_of(namespace, name)

    def views_of(self, namespace: str, name: str) -> tuple[View, ...]:
        """Give the stages of a segment; none of one that is not there, is refused, or goes away."""
        found = self.snapshot.segment(namespace, name)
        return self.views(found) if found is not None and found.spec is not None and not found.meta.deleting else ()

    def stages(self, namespace: str) -> Stages:
        """Give the stages of a namespace by whom they select; this segment's are among them in any case."""
        own = self.segment if namespace == self.namespace else None
        return self.once(("stages", namespace), lambda: stages_of(self.snapshot, namespace, own))

    def running(self, namespace: str) -> Mapping[str, frozenset[Part]]:
        """Give whose each live pod of a namespace is that is any stage's, by the pod's name."""
        return self.once(("running", namespace), lambda: self._running(namespace))

    def _running(self, namespace: str) -> Mapping[str, frozenset[Part]]:
        staged = self.stages(namespace)
        pods = self.snapshot.pods.get(namespace, {})
        found = ((name, frozenset(staged.matching(pod.labels))) for name, pod in pods.items() if pod.live)
        return {name: whose for name, whose in found if whose}

    def seen_in(self, namespace: str, selector: Selector) -> frozenset[Part]:
        """Give whose pods are among those that a selector selects."""
        return self.once(("seen", namespace, selector), lambda: self._seen_in(namespace, selector))

    def _seen_in(self, namespace: str, selector: Selector) -> frozenset[Part]:
        running = self.running(namespace)
        if not running:
            return frozenset()
        pods = self.snapshot.among(namespace, selector)
        self.spend(2 * len(pods))
        parts = {running[p.meta.name] for p in pods if p.meta.name in running and selector.matches(p.labels)}
        return frozenset().union(*parts)

    def related(self, namespace: str, selector: Selector) -> tuple[tuple[Selector, Part], ...]:
        """Give who has to do with a selector by its own words, in the order of their names."""
        return self.once(("related", namespace, selector), lambda: self._related(namespace, selector))

    def _related(self, namespace: str, selector: Selector) -> tuple[tuple[Selector, Part], ...]:
        near = self.stages(namespace).near(selector)
        self.spend(2 * len(near))
        return tuple(sorted((f for f in near if are_related(f[0], selector)), key=lambda found: found[1]))

    def meeting(self, namespace: str, selector: Selector) -> frozenset[Part]:
        """Give whom a selector provably meets (one implies the other), or shares a pod with."""
        return self.once(("meeting", namespace, selector), lambda: self._meeting(namespace, selector))

    def _meeting(self, namespace: str, selector: Selector) -> frozenset[Part]:
        by_word = (p for own, p in self.related(namespace, selector) if own.implies(selector) or selector.implies(own))
        return self.seen_in(namespace, selector).union(by_word)

    def met(self, namespace: str, selector: Selector) -> frozenset[StageKey]:
        """Give the stages whose pods a selector meets."""
        return self.once(
            ("met", namespace, selector),
            lambda: frozenset(v.key for v in self.viewed(namespace, self.meeting(namespace, selector))),
        )

    def viewed(self, namespace: str, parts: Collection[Part]) -> tuple[View, ...]:
        """Give the stages that parts are, in the order of their names."""
        self.spend(4 * len(parts))
        found = []
        for segment, index in sorted({(p.segment, p.stage) for p in parts if p.kind == "stage"}):
            view = self._indexed(namespace, segment).get(index)
            if view is not None:
                found.append(view)
        return tuple(found)

    def enforcing(self, namespace: str) -> frozenset[str]:
        """Give the names of the live pods of a namespace that some stage there encloses."""
        return self.once(("enforcing", namespace), lambda: self._enforcing(namespace))

    def _enforcing(self, namespace: str) -> frozenset[str]:
        running = {name: _stages(parts) for name, parts in self.running(namespace).items()}
        views = self.viewed(namespace, frozenset().union(*running.values()))
        enforced = {Part(v.key.segment, v.index, "stage") for v in views if v.mode is Mode.ENFORCE}
        return frozenset(name for name, parts in running.items() if not enforced.isdisjoint(parts))

    def is_enforced(self, namespace: str, selector: Selector) -> bool:
        """Tell whether all pods of a selector are provably some stage's that encloses them."""
        inside = [part for own, part in self.related(namespace, selector) if selector.implies(own)]
        return any(view.mode is Mode.ENFORCE for view in self.viewed(namespace, inside))

    def selector_of(self, namespace: str, part: Part) -> Selector:
        """Give the pods of a part."""
        found = self._segment(namespace, part.segment)
        assert found is not None
        return parts(found)[part]

    def _segment(self, namespace: str, name: str) -> Segment | None:
        mine = (namespace, name) == self.segment.meta.key
        return self.segment if mine else self.snapshot.segment(namespace, name)

    def _indexed(self, namespace: str, name: str) -> Mapping[int, View]:
        found = self._segment(namespace, name)
        return self.once(
            ("indexed", namespace, name), lambda: {v.index: v for v in self.views(found)} if found is not None else {}
        )

    def views(self, segment: Segment) -> tuple[View, ...]:
        """Give a segment's stages; a stage that its preset cannot place is left out."""
        governing = self._governing(segment)
        provider = self._provider(segment.meta.namespace, governing)
        # The memo lives as long as this very revision of the segment; class, mesh and exceptions may change under it.
        memo = segment.memo.get("views")
        emergencies = self._emergencies(segment)
        if memo is not None and memo[0] is governing.spec and memo[1] == provider and memo[2] == emergencies:
            return memo[3]  # type: ignore[no-any-return] # stored three lines below
        with named(segment):
            views = tuple(views_of(segment, governing, provider, emergencies))
        segment.memo["views"] = (governing.spec, provider, emergencies, views)
        return views

    def standings(self, segment: Segment) -> tuple[Standing, ...]:
        """Give where the exceptions of a segment stand."""
        if segment.meta.namespace not in self.snapshot.exceptions:
            return ()  # asked for every neighbour, and there is nothing to find for nearly all
        key = ("standings", segment.meta.key)
        return self.once(key, lambda: exceptions.standings(segment, self.snapshot, self._governing(segment)))

    def _emergencies(self, segment: Segment) -> Mapping[str, Emergency]:
        judged = self.standings(segment)
        if not judged:
            return NO_EMERGENCIES
        key = ("emergencies", segment.meta.key)
        return self.once(key, lambda: exceptions.emergencies(segment, self.snapshot, judged))

    def _governing(self, segment: Segment) -> Governance:
        """Give a segment's class; whose namespace has one is found once, since every segment of it asks."""
        namespace = segment.meta.namespace
        mine = self.governance
        if segment.meta.key == self.segment.meta.key or (
            namespace == self.namespace and mine.name and not mine.stalled
        ):
            return mine
        found = self.once(("governed", namespace), lambda: governance.govern(namespace, self.snapshot))
        return governance.of_segment(segment, self.snapshot, found)

    def _provider(self, namespace: str, governing: Governance) -> Mesh:
        key = ("provider", namespace, id(governing.spec))
        return self.once(key, lambda: mesh.provider(namespace, governing, self.snapshot))


def _stages(parts: frozenset[Part]) -> frozenset[Part]:
    """Give the stages whose pods parts are; a stage's runners are closed with it."""
    return frozenset(part._replace(kind="stage") for part in parts if part.kind != "closing")
