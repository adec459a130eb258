"""The scene of one resolve: stages as seen from anywhere, and what was looked at on the way.

A View is a stage with everything that follows from its own segment and class alone: its pods, account, mode, mesh, and
its entries with those of `common` and of the class's baseline. Peers of other segments are seen through Views as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, TypeVar

from pipesegment import names
from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import Key, Segment, Service, Snapshot
from pipesegment.findings import Finding, Refusal
from pipesegment.reach import engines, governance, mesh, network
from pipesegment.reach.graph import CoveredEdge, Governance, Mesh, Mode, Network, StageKey, Tunnel
from pipesegment.spec.segment import AcceptEntry, ReachEntry, Stage

#: Services, and the TCP ports of the pods that each leads to; None for all of them.
Fronts = list[tuple[Key, frozenset[int] | None]]

E = TypeVar("E", ReachEntry, AcceptEntry)


@dataclass(frozen=True, slots=True)
class Declared(Generic[E]):
    """An entry and where it stands: `spec.stages[0].reaches[1]`, `spec.common…`, `SegmentClass/x spec.baseline…`."""

    because: str
    entry: E


@dataclass(frozen=True)
class View:
    """One stage, as far as its own segment and class tell.

    `reaches` are its own entries, those of `common` and of the class's baseline, and what its engine needs.
    """

    key: StageKey
    index: int
    stage: Stage
    placed: engines.Placed
    mode: Mode
    mesh: Mesh
    account: str
    governing: Governance
    reaches: tuple[Declared[ReachEntry], ...]
    accepts: tuple[Declared[AcceptEntry], ...]

    @property
    def path(self) -> str:
        """Where the stage stands in its segment."""
        return f"spec.stages[{self.index}]"

    @property
    def selector(self) -> Selector:
        """The stage's pods."""
        return self.placed.selector


@dataclass
class Scene:
    """One segment in its surroundings; notes which facts were read and what is to be told."""

    segment: Segment
    snapshot: Snapshot
    reads: set[tuple[str, str, str]] = field(default_factory=set)
    watches: set[tuple[str, Selector]] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    covered: list[CoveredEdge] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    #: What each stage's Services lead to, found once: every edge to it asks (`fronts`).
    fronts: dict[StageKey, Fronts] = field(default_factory=dict)
    tunnels: dict[StageKey, Tunnel] = field(default_factory=dict)
    _governed: dict[str, Governance] = field(default_factory=dict)
    _providers: dict[tuple[str, int], Mesh] = field(default_factory=dict)

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
        finding = Finding(path, reason, target, message, fix, self.object)
        if finding not in self.findings:
            self.findings.append(finding)

    def refuse(self, path: str, problem: str, value: str, fix: str) -> None:
        """Tell what the class does not allow."""
        refusal = Refusal(path, problem, value, fix, "Invalid", self.object)
        if refusal not in self.refusals:
            self.refusals.append(refusal)

    def service(self, namespace: str, name: str) -> Service | None:
        """Find a Service, and remember that it was asked for."""
        self.reads.add(("Service", namespace, name))
        return self.snapshot.service(namespace, name)

    def view(self, namespace: str, segment: str, stage: str) -> View | None:
        """Find a stage of any segment; None when the segment or the stage is not there (yet)."""
        self.reads.add((names.SEGMENT, namespace, segment))
        found = self.snapshot.segment(namespace, segment)
        if found is None or found.spec is None or found.meta.deleting:
            return None
        return next((v for v in self.views(found) if v.key.stage == stage), None)

    def views_in(self, namespace: str) -> Iterator[View]:
        """Give the stages of every segment of a namespace, in the order of their names.

        The caller notes in `reads` or `watches` which of them matter: all of them would make every segment of a
        namespace due whenever one changes.
        """
        segments = self.snapshot.segments.get(namespace, {})
        for name in sorted(segments):
            found = segments[name]
            if found.spec is not None and not found.meta.deleting:
                yield from self.views(found)

    def views(self, segment: Segment) -> tuple[View, ...]:
        """Give a segment's stages; a stage that its preset cannot place is left out."""
        governing = self._governing(segment)
        provider = self._provider(segment.meta.namespace, governing)
        # The memo lives as long as this very revision of the segment; class and mesh may change under it.
        memo = segment.memo.get("views")
        if memo is not None and memo[0] is governing.spec and memo[1] == provider:
            return memo[2]  # type: ignore[no-any-return] # stored three lines below
        views = tuple(_views(segment, governing, provider))
        segment.memo["views"] = (governing.spec, provider, views)
        return views

    def _governing(self, segment: Segment) -> Governance:
        """Give a segment's class; whose namespace has one is found once, since every segment of it asks."""
        namespace = segment.meta.namespace
        mine = self.governance
        if segment.meta.key == self.segment.meta.key or (
            namespace == self.namespace and mine.name and not mine.stalled
        ):
            return mine
        if namespace not in self._governed:
            self._governed[namespace] = governance.govern(namespace, self.snapshot)
        return governance.of_segment(segment, self.snapshot, self._governed[namespace])

    def _provider(self, namespace: str, governing: Governance) -> Mesh:
        key = (namespace, id(governing.spec))
        if key not in self._providers:
            self._providers[key] = mesh.provider(namespace, governing, self.snapshot)
        return self._providers[key]


def _views(segment: Segment, governing: Governance, provider: Mesh) -> Iterator[View]:
    spec = segment.spec
    assert spec is not None
    name, namespace = segment.meta.name, segment.meta.namespace
    baseline = governing.spec.baseline
    prefix = f"SegmentClass/{governing.name} spec.baseline"
    shared_reaches = (
        *_declared("spec.common.reaches", spec.common.reaches),
        *_declared(f"{prefix}.reaches", baseline.reaches),
    )
    shared_accepts = (
        *_declared("spec.common.accepts", spec.common.accepts),
        *_declared(f"{prefix}.accepts", baseline.accepts),
    )
    for index, stage in enumerate(spec.stages):
        placed = engines.place(name, index, spec)
        if isinstance(placed, Refusal):
            continue
        path = f"spec.stages[{index}]"
        yield View(
            key=StageKey(namespace, name, stage.name),
            index=index,
            stage=stage,
            placed=placed,
            mode=governance.mode_of(spec, stage, governing),
            mesh=mesh.of_stage(stage, placed.selector, governing, provider),
            account=stage.service_account.name or names.object_name(name, stage.name),
            governing=governing,
            reaches=(
                *_declared(f"{path}.reaches", stage.reaches),
                *shared_reaches,
                *(Declared(engines.BECAUSE, entry) for entry in placed.needs.reaches),
            ),
            accepts=(*_declared(f"{path}.accepts", stage.accepts), *shared_accepts),
        )


def _declared(path: str, entries: tuple[E, ...]) -> tuple[Declared[E], ...]:
    return tuple(Declared(f"{path}[{i}]", entry) for i, entry in enumerate(entries))
