"""Where the boxes and arrows of a picture go: a layered layout of our own.

The method is the textbook one (Sugiyama, Tagawa, Toda 1981): columns, bends where an arrow crosses a column, crossings
reduced by sweeps of barycentres, then coordinates. Sources are the first column, targets the last, stages between them
by their longest way. No graph library is used: those that are kept are copyleft or draw by an external program, and this
part is small.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from pipesegment.cli.picture import Arrow, Box, Picture

_CHARACTER: Final = 7.4
_SMALL_CHARACTER: Final = 6.2
_PADDING: Final = 14
_LINE: Final = 17
#: Room for each arrow at a box's side, enough for its label.
_ARROW: Final = 16
_GAP_X: Final = 110
_GAP_Y: Final = 24
_MARGIN: Final = 24
_SWEEPS: Final = 8


@dataclass(frozen=True, slots=True)
class Place:
    """A rectangle, in pixels from the upper left corner: a box, or the bend of an arrow (`box` None)."""

    box: Box | None
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Layout:
    """All boxes placed; `routes` has, for each arrow of the picture in its order, the bends between its boxes."""

    places: Mapping[str, Place]
    routes: tuple[tuple[Place, ...], ...]
    width: float
    height: float


def lay_out(picture: Picture) -> Layout:
    """Place every box; the same picture always gives the same places."""
    rank = _ranks(picture)
    columns: dict[int, list[str]] = defaultdict(list)
    for box in picture.boxes:
        columns[rank[box.id]].append(box.id)
    bends = [_bends(number, arrow, rank, columns) for number, arrow in enumerate(picture.arrows)]
    paths = [(a.source, *names, a.target) for a, names in zip(picture.arrows, bends, strict=True)]
    ordered = _ordered([columns[layer] for layer in sorted(columns)], paths)
    places, width, height = _placed(ordered, picture)
    routes = tuple(tuple(places[name] for name in names) for names in bends)
    return Layout({box.id: places[box.id] for box in picture.boxes}, routes, width, height)


def label(arrow: Arrow) -> str:
    """Give the words beside an arrow: its ports, and why it is closed."""
    return arrow.label if arrow.open else f"{arrow.label} {arrow.reason}".strip()


def _ranks(picture: Picture) -> dict[str, int]:
    kinds = {box.id: box.kind for box in picture.boxes}
    between = [(a.source, a.target) for a in picture.arrows if kinds[a.source] == kinds[a.target] == "stage"]
    stages = [box.id for box in picture.boxes if box.kind == "stage"]
    longest = dict.fromkeys(stages, 0)
    # Longest way by relaxation; one round a stage ends it, and bounds it where stages reach each other in a circle.
    for _ in stages:
        for source, target in between:
            if source != target and longest[target] <= longest[source] < len(stages) - 1:
                longest[target] = longest[source] + 1
    used = {layer: number for number, layer in enumerate(sorted(set(longest.values())))}
    found = {name: used[layer] for name, layer in longest.items()}
    return {box.id: found.get(box.id, -1 if box.kind == "source" else len(used)) for box in picture.boxes}


def _bends(number: int, arrow: Arrow, rank: Mapping[str, int], columns: Mapping[int, list[str]]) -> tuple[str, ...]:
    """Make a bend in every column that an arrow crosses, and put it there."""
    crossed = [layer for layer in range(rank[arrow.source] + 1, rank[arrow.target]) if columns.get(layer)]
    names = tuple(f"bend {number} {layer}" for layer in crossed)
    for layer, name in zip(crossed, names, strict=True):
        columns[layer].append(name)
    return names


def _ordered(columns: list[list[str]], paths: Iterable[Sequence[str]]) -> list[list[str]]:
    near: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        for one, other in pairwise(path):
            near[one].append(other)
            near[other].append(one)
    for sweep in range(_SWEEPS):
        settled: dict[str, float] = {}
        for column in columns if sweep % 2 == 0 else reversed(columns):
            here = {name: (i + 0.5) / len(column) for i, name in enumerate(column)}
            pull = {n: _mean([settled[m] for m in near[n] if m in settled], here[n]) for n in column}
            column.sort(key=lambda name: (pull[name], here[name]))
            settled |= {name: (i + 0.5) / len(column) for i, name in enumerate(column)}
    return columns


def _placed(columns: Sequence[Sequence[str]], picture: Picture) -> tuple[dict[str, Place], float, float]:
    boxes = {box.id: box for box in picture.boxes}
    heights = {name: _height(boxes.get(name), picture) for column in columns for name in column}
    totals = [sum(heights[name] + _GAP_Y for name in column) - _GAP_Y for column in columns]
    tallest = max(totals, default=0)
    gap = max((len(label(a)) * _SMALL_CHARACTER + 50 for a in picture.arrows), default=0)
    places: dict[str, Place] = {}
    x = float(_MARGIN)
    for column, total in zip(columns, totals, strict=True):
        width = max(_width(boxes.get(name)) for name in column)
        y = _MARGIN + (tallest - total) / 2
        for name in column:
            places[name] = Place(boxes.get(name), x, y, width, heights[name])
            y += heights[name] + _GAP_Y
        x += width + max(gap, _GAP_X)
    return places, max(x - max(gap, _GAP_X), 0) + _MARGIN, tallest + 2 * _MARGIN


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _width(box: Box | None) -> float:
    return max(len(box.label), len(box.note)) * _CHARACTER + 2 * _PADDING if box else 0


def _height(box: Box | None, picture: Picture) -> float:
    if box is None:
        return 0
    leaving = sum(a.source == box.id for a in picture.arrows)
    coming = sum(a.target == box.id for a in picture.arrows)
    text = (2 if box.note else 1) * _LINE + _PADDING
    return max(text, (max(leaving, coming) + 1) * _ARROW)
