"""A picture as SVG, drawn without any external program."""

from typing import Final
from xml.sax.saxutils import escape

from pipesegment.cli.layout import Layout, Place, lay_out
from pipesegment.cli.picture import Arrow, Picture

_FILLS: Final = {"source": ("#f3f4f6", "#6b7280"), "stage": ("#dbeafe", "#1d4ed8"), "target": ("#ecfdf5", "#047857")}
_OPEN: Final = "#374151"
_CLOSED: Final = "#dc2626"

_STYLE: Final = "text{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:12px}.l{font-size:10px}"


def render(picture: Picture) -> str:
    """Draw boxes and arrows; closed ways are dashed and red, with their reason."""
    layout = lay_out(picture)
    # Arrows that go back leave the drawing's body below it.
    height = layout.height + (60 if any(_backward(a, layout) for a in picture.arrows) else 0)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {layout.width:.0f} {height:.0f}" '
        f'width="{layout.width:.0f}" height="{height:.0f}" role="img">'
    )
    lines = [
        head,
        f"<title>{escape(_legal(picture.title))}</title>",
        f"<style>{_STYLE}</style>",
        f"<defs>{_marker('open', _OPEN)}{_marker('closed', _CLOSED)}</defs>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        *(_box(place) for place in layout.places.values()),
        *_arrows(picture, layout),
        "</svg>",
    ]
    return "\n".join(lines)


def _arrows(picture: Picture, layout: Layout) -> list[str]:
    # Each arrow has a port of its own on its boxes' sides, in the order of the other ends, so that arrows do not lie on
    # each other.
    out: dict[str, list[Arrow]] = {box.id: [] for box in picture.boxes}
    into: dict[str, list[Arrow]] = {box.id: [] for box in picture.boxes}
    for arrow in picture.arrows:
        out[arrow.source].append(arrow)
        into[arrow.target].append(arrow)
    for arrows in out.values():
        arrows.sort(key=lambda a: layout.places[a.target].y)
    for arrows in into.values():
        arrows.sort(key=lambda a: layout.places[a.source].y)
    drawn = []
    for arrow in picture.arrows:
        start, end = layout.places[arrow.source], layout.places[arrow.target]
        y1 = start.y + _share(out[arrow.source], arrow) * start.height
        y2 = end.y + _share(into[arrow.target], arrow) * end.height
        drawn.append(_arrow(arrow, (start.x + start.width, y1), (end.x, y2), bottom=layout.height))
    return drawn


def _arrow(arrow: Arrow, start: tuple[float, float], end: tuple[float, float], *, bottom: float) -> str:
    (x1, y1), (x2, y2) = start, end
    if x2 > x1:
        bend = (x2 - x1) / 2
        path = f"M{x1:.0f},{y1:.0f} C{x1 + bend:.0f},{y1:.0f} {x2 - bend:.0f},{y2:.0f} {x2 - 7:.0f},{y2:.0f}"
        # Near the arrow's end: there the ways of one stage have parted.
        tx, ty = x1 + 0.62 * (x2 - x1), y1 + 0.70 * (y2 - y1) - 4
    else:
        low = bottom + 20
        path = f"M{x1:.0f},{y1:.0f} C{x1 + 60:.0f},{low:.0f} {x2 - 60:.0f},{low:.0f} {x2 - 7:.0f},{y2:.0f}"
        tx, ty = (x1 + x2) / 2, bottom
    colour, name = (_OPEN, "open") if arrow.open else (_CLOSED, "closed")
    dashes = "" if arrow.open else ' stroke-dasharray="6 4"'
    text = arrow.label if arrow.open else f"{arrow.label} {arrow.reason}".strip()
    return (
        f'<path d="{path}" fill="none" stroke="{colour}"{dashes} marker-end="url(#{name})">'
        f"<title>{escape(_legal(arrow.because))}</title></path>"
        f'<text class="l" x="{tx:.0f}" y="{ty:.0f}" text-anchor="middle" fill="{colour}" '
        f'stroke="#ffffff" stroke-width="3" paint-order="stroke">{escape(_legal(text))}</text>'
    )


def _box(place: Place) -> str:
    fill, line = _FILLS[place.box.kind]
    corner = 3 if place.box.kind == "stage" else 12
    middle = place.x + place.width / 2
    first = place.y + place.height / 2 + 4 - (len(place.lines) - 1) * 8.5
    texts = "".join(
        f'<text x="{middle:.0f}" y="{first + 17 * i:.0f}" text-anchor="middle" fill="{"#111827" if i == 0 else "#4b5563"}">'
        f"{escape(_legal(text))}</text>"
        for i, text in enumerate(place.lines)
    )
    return (
        f'<rect x="{place.x:.0f}" y="{place.y:.0f}" width="{place.width:.0f}" height="{place.height:.0f}" '
        f'rx="{corner}" fill="{fill}" stroke="{line}"/>{texts}'
    )


def _marker(name: str, colour: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="1" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0,0 L8,4 L0,8 z" fill="{colour}"/></marker>'
    )


def _share(arrows: list[Arrow], arrow: Arrow) -> float:
    return (arrows.index(arrow) + 1) / (len(arrows) + 1)


def _backward(arrow: Arrow, layout: Layout) -> bool:
    start, end = layout.places[arrow.source], layout.places[arrow.target]
    return end.x <= start.x + start.width


def _legal(text: str) -> str:
    # XML 1.0 knows no control characters, not even escaped ones.
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
