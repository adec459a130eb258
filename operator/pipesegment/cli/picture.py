"""The picture of a segment as values: boxes and arrows, before any drawing language.

Three kinds of boxes: what reaches the stages (sources), the stages, what they reach (targets). An arrow that is not open
carries the reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pipesegment.findings import Finding
from pipesegment.reach.edges import Edge, Mode, PortRange, StageKey, Target
from pipesegment.reach.graph import Reach, StageReach

Kind = Literal["source", "stage", "target"]

#: Reasons under which an open edge stays open: the own half is written, or a part of the entry is.
_STILL_OPEN: Final = frozenset(
    {"Ungranted", "Unresolved", "HttpNotEnforced", "FqdnCoarse", "AwsServiceCoarse", "PrefixListCoarse"}
)

#: Where findings stand that say why no class can be known.
_OF_CLASS: Final = "metadata.namespace"


@dataclass(frozen=True, slots=True)
class Box:
    """One thing in the picture; `id` is stable, plain ASCII and unique in it."""

    id: str
    kind: Kind
    label: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Arrow:
    """One way from a box to a box; `reason` says why it is closed (empty when it is open)."""

    source: str
    target: str
    label: str
    because: str
    reason: str = ""

    @property
    def open(self) -> bool:
        """Tell whether the way is open."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class Picture:
    """A segment, drawn: boxes in the order of declaration."""

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]

    def data(self) -> dict[str, Any]:
        """Give it as plain JSON: `{"segment", "boxes": [...], "arrows": [...]}`."""
        return {
            "segment": self.title,
            "boxes": [{"id": b.id, "kind": b.kind, "label": b.label, "note": b.note} for b in self.boxes],
            "arrows": [
                {
                    "from": a.source,
                    "to": a.target,
                    "ports": a.label,
                    "open": a.open,
                    "reason": a.reason,
                    "because": a.because,
                }
                for a in self.arrows
            ],
        }


def draw(segments: Sequence[tuple[Reach, Sequence[Finding]]]) -> Picture:
    """Turn Reaches, and what there is to tell about each, into boxes and arrows."""
    drawing = _Drawing(many=len(segments) > 1)
    for reach, _ in segments:
        drawing.place(reach)
    for reach, findings in segments:
        drawing.connect(reach, {finding.path: finding.reason for finding in findings})
    title = ", ".join(str(reach.segment) for reach, _ in segments)
    boxes = (*drawing.stages.values(), *drawing.others.values())
    return Picture(title, boxes, tuple(dict.fromkeys(drawing.arrows)))


@dataclass(slots=True)
class _Drawing:
    """A picture while it is drawn; with `many` segments a stage is called by its segment too."""

    many: bool
    stages: dict[tuple[StageKey, str], Box] = field(default_factory=dict)
    others: dict[tuple[Kind, str], Box] = field(default_factory=dict)
    arrows: list[Arrow] = field(default_factory=list)

    def place(self, reach: Reach) -> None:
        """Draw the segment's stages; ARC's runner pods are a box of their own."""
        for stage in reach.stages:
            name = f"{stage.key.segment}/{stage.key.stage}" if self.many else stage.key.stage
            self._stage(stage.key, "", Box(f"stage_{len(self.stages)}", "stage", name, _note(stage)))
            if stage.runner is not None:
                self._stage(stage.key, "runner", Box(f"stage_{len(self.stages)}", "stage", f"{name} (runner)"))

    def connect(self, reach: Reach, reasons: Mapping[str, str]) -> None:
        """Draw what the segment's stages reach and accept."""
        for stage in reach.stages:
            me = self.stages[stage.key, ""].id
            for edge in stage.egress:
                self.arrows.append(_arrow(me, self._other("target", edge, stage), edge, stage, reasons))
            for edge in stage.runner.egress if stage.runner else ():
                runner = self.stages[stage.key, "runner"].id
                self.arrows.append(_arrow(runner, self._other("target", edge, stage), edge, stage, reasons))
            for edge in stage.ingress:
                # A stage that is drawn has drawn this arrow itself.
                if self._peer(edge, stage) is None:
                    self.arrows.append(_arrow(self._other("source", edge, stage), me, edge, stage, reasons))

    def _stage(self, key: StageKey, part: str, box: Box) -> None:
        self.stages[key, part] = box

    def _other(self, kind: Kind, edge: Edge, stage: StageReach) -> str:
        peer = self._peer(edge, stage)
        if peer is not None:
            return peer.id
        box = Box(f"{kind}_{len(self.others)}", kind, edge.described)
        return self.others.setdefault((kind, edge.described), box).id

    def _peer(self, edge: Edge, stage: StageReach) -> Box | None:
        """Find the drawn stage that an edge names: `stage test`, or `stage ci-shop/shop/test` of another segment."""
        if edge.target is not Target.STAGE:
            return None
        parts = edge.described.removeprefix("stage ").split("/")
        own = (stage.key.namespace, stage.key.segment)
        namespace, segment = parts[:2] if len(parts) > 1 else own
        return self.stages.get((StageKey(namespace, segment, parts[-1]), ""))


def ports(ranges: Iterable[PortRange]) -> str:
    """Say which ports: `TCP/443, UDP/53-54`; `every port` for none."""
    texts = (f"{p.protocol}/{p.port}" + (f"-{p.end}" if p.end else "") for p in ranges)
    return ", ".join(texts) or "every port"


def _arrow(source: str, target: str, edge: Edge, stage: StageReach, reasons: Mapping[str, str]) -> Arrow:
    reason = ""
    if not edge.open or stage.closed or edge.because in reasons:
        reason = next(filter(None, map(reasons.get, (edge.because, stage.path, _OF_CLASS))), "Closed")
    # An entry may be told of and still be open in part, or in spite of it.
    if edge.open and not stage.closed and reason in _STILL_OPEN:
        reason = ""
    return Arrow(source, target, ports(edge.ports) if edge.ports or edge.open else "", edge.because, reason)


def _note(stage: StageReach) -> str:
    notes = [f"account {stage.account.name}"]
    if stage.mode is not Mode.ENFORCE:
        notes.append(str(stage.mode))
    if stage.closed:
        notes.append("refused")
    return ", ".join(notes)
