"""The picture of a segment as values: boxes and arrows, before any drawing language.

Three kinds of boxes: what reaches the stages (sources), the stages, what they reach (targets). An arrow that is not open
carries the reason.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipesegment.findings import Finding
from pipesegment.reach.graph import Edge, PortRange, Reach, StageReach, Target

Kind = Literal["source", "stage", "target"]


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


def draw(reach: Reach, gaps: Sequence[Finding] = ()) -> Picture:
    """Turn a Reach, and the gaps that its compilers found, into boxes and arrows."""
    reasons = {finding.path: finding.reason for finding in (*reach.findings, *gaps)}
    stages = {stage.key.stage: f"stage_{number}" for number, stage in enumerate(reach.stages)}
    boxes = [Box(stages[s.key.stage], "stage", s.key.stage, _note(s)) for s in reach.stages]
    others: dict[tuple[Kind, str], Box] = {}
    arrows: list[Arrow] = []

    def other(kind: Kind, label: str) -> str:
        return others.setdefault((kind, label), Box(f"{kind}_{len(others)}", kind, label)).id

    for stage in reach.stages:
        me = stages[stage.key.stage]
        runner = stage.runner.egress if stage.runner else ()
        for edge in (*stage.egress, *runner):
            there = _sibling(edge, stages) or other("target", edge.described)
            arrows.append(_arrow(me, there, edge, stage, reasons))
        for edge in stage.ingress:
            # A sibling's own `reaches` has drawn this arrow already.
            if _sibling(edge, stages) is None:
                arrows.append(_arrow(other("source", edge.described), me, edge, stage, reasons))
    return Picture(str(reach.segment), (*boxes, *others.values()), tuple(dict.fromkeys(arrows)))


def ports(ranges: Iterable[PortRange]) -> str:
    """Say which ports: `TCP/443, UDP/53-54`; `every port` for none."""
    texts = (f"{p.protocol}/{p.port}" + (f"-{p.end}" if p.end else "") for p in ranges)
    return ", ".join(texts) or "every port"


def _arrow(source: str, target: str, edge: Edge, stage: StageReach, reasons: dict[str, str]) -> Arrow:
    closed = "" if edge.open and not stage.closed and edge.because not in reasons else "Closed"
    if closed or not edge.open:
        closed = reasons.get(edge.because) or reasons.get(stage.path) or "Closed"
    return Arrow(source, target, ports(edge.ports) if edge.ports or edge.open else "", edge.because, closed)


def _sibling(edge: Edge, stages: dict[str, str]) -> str | None:
    if edge.target is not Target.STAGE:
        return None
    return stages.get(edge.described.removeprefix("stage "))


def _note(stage: StageReach) -> str:
    notes = [f"account {stage.account.name}"]
    if stage.mode != "Enforce":
        notes.append(str(stage.mode))
    if stage.closed:
        notes.append("refused")
    return ", ".join(notes)
