"""A picture as SVG, drawn without any external program."""

from typing import Final
from xml.sax.saxutils import escape

from pipesegment.cli.layout import Layout, Place, label, lay_out
from pipesegment.cli.picture import Arrow, Box, Picture

_FILLS: Final = {"source": ("#f3f4f6", "#6b7280"), "stage": ("#dbeafe", "#1d4ed8"), "target": ("#ecfdf5", "#047857")}
_OPEN: Final = "#374151"
_CLOSED: Final = "#dc2626"
#: Room below the boxes for arrows that go back.
_CELLAR: Final = 60

_STYLE: Final = (
    "text{font-family:Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:12px;text-anchor:middle}"
    ".l{font-size:10px;stroke:#fff;stroke-width:3px;paint-order:stroke}path{fill:none}"
)

Point = tuple[float, float]


def render(picture: Picture) -> str:
    """Draw boxes and arrows; closed ways are dashed and red, with their reason."""
    layout = lay_out(picture)
    back = any(_is_back(arrow, layout) for arrow in picture.arrows)
    height = layout.height + (_CELLAR if back else 0)
    size = f'width="{layout.width:.0f}" height="{height:.0f}" viewBox="0 0 {layout.width:.0f} {height:.0f}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{_text(picture.title)}</title>",
        f"<style>{_STYLE}</style>",
        f"<defs>{_marker('open', _OPEN)}{_marker('closed', _CLOSED)}</defs>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        *(_box(place.box, place) for place in layout.places.values() if place.box),
        *_arrows(picture, layout),
        "</svg>",
    ]
    return "\n".join(lines)


def _arrows(picture: Picture, layout: Layout) -> list[str]:
    # Each arrow has a place of its own on its boxes' sides, in the order of where it goes next, so that no two lie on
    # each other.
    routes = dict(zip(picture.arrows, layout.routes, strict=True))

    def onward(arrow: Arrow) -> float:
        return _middle((*routes[arrow], layout.places[arrow.target])[0])

    def before(arrow: Arrow) -> float:
        return _middle((layout.places[arrow.source], *routes[arrow])[-1])

    drawn = []
    for arrow in picture.arrows:
        leaving = sorted((a for a in picture.arrows if a.source == arrow.source), key=onward)
        coming = sorted((a for a in picture.arrows if a.target == arrow.target), key=before)
        start, end = layout.places[arrow.source], layout.places[arrow.target]
        first = (start.x + start.width, start.y + _share(leaving, arrow) * start.height)
        last = (end.x - 7, end.y + _share(coming, arrow) * end.height)
        if _is_back(arrow, layout):
            drawn.append(_back(arrow, first, last, layout.height))
        else:
            drawn.append(_forward(arrow, first, routes[arrow], last))
    return drawn


def _forward(arrow: Arrow, first: Point, bends: tuple[Place, ...], last: Point) -> str:
    path = f"M{first[0]:.0f},{first[1]:.0f}"
    here = first
    for bend in bends:
        path += f" {_curve(here, (bend.x, bend.y))} H{bend.x + bend.width:.0f}"
        here = (bend.x + bend.width, bend.y)
    path += f" {_curve(here, last)}"
    # On the last stretch the label belongs to the target's side, where arrows have parted from their siblings.
    at = (here[0] + 0.58 * (last[0] - here[0]), here[1] + 0.64 * (last[1] - here[1]) - 3)
    return _drawn(arrow, path, at)


def _back(arrow: Arrow, first: Point, last: Point, bottom: float) -> str:
    low = bottom + 30
    curve = f"C{first[0] + 70:.0f},{low:.0f} {last[0] - 70:.0f},{low:.0f} {last[0]:.0f},{last[1]:.0f}"
    return _drawn(arrow, f"M{first[0]:.0f},{first[1]:.0f} {curve}", ((first[0] + last[0]) / 2, bottom + 12))


def _drawn(arrow: Arrow, path: str, at: Point) -> str:
    colour, name = (_OPEN, "open") if arrow.open else (_CLOSED, "closed")
    dashes = "" if arrow.open else ' stroke-dasharray="6 4"'
    return (
        f'<path d="{path}" stroke="{colour}"{dashes} marker-end="url(#{name})">'
        f"<title>{_text(arrow.because)}</title></path>"
        f'<text class="l" x="{at[0]:.0f}" y="{at[1]:.0f}" fill="{colour}">{_text(label(arrow))}</text>'
    )


def _curve(here: Point, there: Point) -> str:
    bend = (there[0] - here[0]) / 2
    return f"C{here[0] + bend:.0f},{here[1]:.0f} {there[0] - bend:.0f},{there[1]:.0f} {there[0]:.0f},{there[1]:.0f}"


def _box(box: Box, place: Place) -> str:
    fill, line = _FILLS[box.kind]
    corner = 3 if box.kind == "stage" else 12
    middle, top = place.x + place.width / 2, _middle(place) + 4
    texts = [(box.label, top, "#111827")]
    if box.note:
        texts = [(box.label, top - 8, "#111827"), (box.note, top + 9, "#4b5563")]
    return (
        f'<rect x="{place.x:.0f}" y="{place.y:.0f}" width="{place.width:.0f}" height="{place.height:.0f}" '
        f'rx="{corner}" fill="{fill}" stroke="{line}"/>'
        + "".join(
            f'<text x="{middle:.0f}" y="{y:.0f}" fill="{colour}">{_text(text)}</text>' for text, y, colour in texts
        )
    )


def _marker(name: str, colour: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="1" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0,0 L8,4 L0,8 z" style="fill:{colour}"/></marker>'
    )


def _share(arrows: list[Arrow], arrow: Arrow) -> float:
    return (arrows.index(arrow) + 1) / (len(arrows) + 1)


def _middle(place: Place) -> float:
    return place.y + place.height / 2


def _is_back(arrow: Arrow, layout: Layout) -> bool:
    start, end = layout.places[arrow.source], layout.places[arrow.target]
    return end.x <= start.x + start.width


def _text(text: str) -> str:
    # XML 1.0 knows no control characters, not even escaped ones.
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))
