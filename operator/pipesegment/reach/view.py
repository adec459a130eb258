"""A stage with everything that follows from its own segment and class alone.

That is its pods, account, mode, mesh, and its entries with those of `common` and of the class's baseline. Peers of other
segments are seen through Views as well.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, TypeVar

from pipesegment import names
from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import Segment
from pipesegment.findings import Refusal
from pipesegment.reach import engines, governance, mesh
from pipesegment.reach.edges import Mesh, Mode, StageKey
from pipesegment.reach.exceptions import CALM, Emergency, Lent
from pipesegment.reach.graph import Governance
from pipesegment.reach.stages import placements
from pipesegment.spec.segment import AcceptEntry, ReachEntry, Stage

E = TypeVar("E", ReachEntry, AcceptEntry)


@dataclass(frozen=True, slots=True)
class Declared(Generic[E]):
    """An entry and where it stands: `spec.stages[0].reaches[1]`, `spec.common…`, `SegmentClass/x spec.baseline…`."""

    because: str
    entry: E


@dataclass(frozen=True)
class View:
    """One stage, as far as its own segment and class tell.

    `reaches` are its own entries, those of `common` and of the class's baseline, what its engine needs, and what exceptions
    open. One that is `sealed` (by which exception) is enforced and has none, whatever was declared.
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
    sealed: str = ""
    #: Rights in AWS that exceptions give.
    lent: tuple[Lent, ...] = ()

    @property
    def path(self) -> str:
        """Where the stage stands in its segment."""
        return f"spec.stages[{self.index}]"

    @property
    def selector(self) -> Selector:
        """The stage's pods."""
        return self.placed.selector

    @cached_property
    def naming(self) -> Mapping[StageKey, tuple[Declared[ReachEntry], ...]]:
        """The entries of `reaches` that name a stage, by that stage."""
        found: defaultdict[StageKey, list[Declared[ReachEntry]]] = defaultdict(list)
        for declared in self.reaches:
            named = declared.entry.stage
            if named is not None:
                there = StageKey(named.namespace or self.key.namespace, named.segment or self.key.segment, named.name)
                found[there].append(declared)
        return {key: tuple(entries) for key, entries in found.items()}

    @cached_property
    def pointing(self) -> tuple[Declared[ReachEntry], ...]:
        """The entries of `reaches` that may lead to a stage without naming it."""
        return tuple(d for d in self.reaches if d.entry.kind in {"pods", "service", "destination"})


def views_of(
    segment: Segment, governing: Governance, provider: Mesh, emergencies: Mapping[str, Emergency]
) -> Iterator[View]:
    """Give a segment's stages; a stage that its preset cannot place is left out."""
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
    places = placements(segment)
    for index, stage in enumerate(spec.stages):
        placed = places[index]
        if isinstance(placed, Refusal):
            continue
        path = f"spec.stages[{index}]"
        emergency = emergencies.get(stage.name, CALM)
        view = View(
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
                *(Declared(because, entry) for because, entry in emergency.opened),
            ),
            accepts=(*_declared(f"{path}.accepts", stage.accepts), *shared_accepts),
            lent=emergency.lent,
        )
        yield _cut_off(view, emergency.sealed) if emergency.sealed else view


def _cut_off(view: View, seal: str) -> View:
    """Seal a stage, in whatever mode it was: nothing that it or its engine needs is left."""
    runner_needs = engines.Needs() if view.placed.runner_needs is not None else None
    placed = replace(view.placed, needs=engines.Needs(), runner_needs=runner_needs)
    return replace(view, placed=placed, mode=Mode.ENFORCE, reaches=(), accepts=(), lent=(), sealed=seal)


def _declared(path: str, entries: tuple[E, ...]) -> tuple[Declared[E], ...]:
    return tuple(Declared(f"{path}[{i}]", entry) for i, entry in enumerate(entries))
