"""Where the boxes of a picture go: a layered layout of our own.

The method is the textbook one (Sugiyama, Tagawa, Toda 1981): layers, then crossings reduced by sweeps of barycentres,
then coordinates. Sources are the first layer, targets the last, stages between them by their longest way. No graph
library is used: those that are kept are either copyleft or draw by an external program, and this part is small.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipesegment.cli.picture import Arrow, Box, Picture

_CHARACTER: Final = 7.2
_PADDING: Final = 14
_LINE: Final = 17
_GAP_X: Final = 150
_GAP_Y: Final = 26
_MARGIN: Final = 24
_SWEEPS: Final = 8


@dataclass(frozen=True, slots=True)
class Place:
    """A box with its coordinates, in pixels from the upper left corner."""

    box: Box
    x: float
    y: float
    width: float
    height: float

    @property
    def lines(self) -> tuple[str, ...]:
        """Give the box's text, line by line."""
        return (self.box.label, self.box.note) if self.box.note else (self.box.label,)


@dataclass(frozen=True, slots=True)
class Layout:
    """All boxes placed, and the size of the drawing."""

    places: Mapping[str, Place]
    width: float
    height: float


def lay_out(picture: Picture) -> Layout:
    """Place every box; the same picture always gives the same places."""
    columns = _ordered(_columns(picture), picture.arrows)
    label = max((len(a.label if a.open else f"{a.label} {a.reason}") for a in picture.arrows), default=0)
    gap = max(_GAP_X, label * _CHARACTER * 0.85 + 40)
    heights = [sum(_height(b) + _GAP_Y for b in column) - _GAP_Y for column in columns]
    tallest = max(heights, default=0)
    places: dict[str, Place] = {}
    x = float(_MARGIN)
    for column, height in zip(columns, heights, strict=True):
        width = max(_width(box) for box in column)
        y = _MARGIN + (tallest - height) / 2
        for box in column:
            places[box.id] = Place(box, x, y, width, _height(box))
            y += _height(box) + _GAP_Y
        x += width + gap
    return Layout(places, max(x - gap, 0) + _MARGIN, tallest + 2 * _MARGIN)


def _columns(picture: Picture) -> list[list[Box]]:
    kinds = {box.id: box.kind for box in picture.boxes}
    between = [(a.source, a.target) for a in picture.arrows if kinds[a.source] == kinds[a.target] == "stage"]
    rank = {box.id: 0 for box in picture.boxes}
    stages = [box.id for box in picture.boxes if box.kind == "stage"]
    # Longest way by relaxation; one round a stage ends it, and bounds it where stages reach each other in a circle.
    for _ in stages:
        for source, target in between:
            if source != target and rank[target] <= rank[source] < len(stages) - 1:
                rank[target] = rank[source] + 1
    found: dict[int, list[Box]] = defaultdict(list)
    for box in picture.boxes:
        found[{"source": -1, "stage": rank[box.id], "target": len(stages)}[box.kind]].append(box)
    return [found[layer] for layer in sorted(found)]


def _ordered(columns: Sequence[Sequence[Box]], arrows: Sequence[Arrow]) -> list[list[Box]]:
    near: dict[str, list[str]] = defaultdict(list)
    for arrow in arrows:
        near[arrow.source].append(arrow.target)
        near[arrow.target].append(arrow.source)
    ordered = [list(column) for column in columns]
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        settled: dict[str, float] = {}
        for column in ordered if forward else reversed(ordered):
            here = {box.id: (i + 0.5) / len(column) for i, box in enumerate(column)}
            pull = {box.id: _mean([settled[n] for n in near[box.id] if n in settled], here[box.id]) for box in column}
            column.sort(key=lambda box: (pull[box.id], here[box.id]))
            settled |= {box.id: (i + 0.5) / len(column) for i, box in enumerate(column)}
    return ordered


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _width(box: Box) -> float:
    return max(len(box.label), len(box.note)) * _CHARACTER + 2 * _PADDING


def _height(box: Box) -> float:
    return (2 if box.note else 1) * _LINE + 2 * _PADDING * 0.6
