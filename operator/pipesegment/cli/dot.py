"""A picture in Graphviz's DOT language."""

import json
from typing import Final

from pipesegment.cli.picture import Picture
from pipesegment.report.text import plain

_STYLES: Final = {
    "stage": 'shape=box, style="filled", fillcolor="#dbeafe", color="#1d4ed8"',
    "source": 'shape=box, style="rounded,filled", fillcolor="#f3f4f6", color="#6b7280"',
    "target": 'shape=box, style="rounded,filled", fillcolor="#ecfdf5", color="#047857"',
}


def render(picture: Picture) -> str:
    """Write the digraph, left to right; closed ways are dashed and red, with their reason."""
    lines = [
        f"digraph {_quote(picture.title)} {{",
        "  rankdir=LR;",
        '  node [fontname="sans-serif", fontsize=11];',
        '  edge [fontname="sans-serif", fontsize=9];',
    ]
    for box in picture.boxes:
        text = f"{box.label}\n{box.note}" if box.note else box.label
        lines.append(f"  {box.id} [label={_quote(text)}, {_STYLES[box.kind]}];")
    for arrow in picture.arrows:
        text = arrow.label if arrow.open else f"{arrow.label}\n{arrow.reason}".strip()
        style = "" if arrow.open else ', style=dashed, color="#dc2626", fontcolor="#dc2626"'
        lines.append(f"  {arrow.source} -> {arrow.target} [label={_quote(text)}{style}];")
    return "\n".join([*lines, "}"])


def _quote(text: str) -> str:
    # DOT's own escapes (`\N`, `\G`, `\l`…) begin with a backslash: a user's backslash is doubled before JSON's quoting
    # would let it through, and a line break is DOT's `\n`.
    return '"' + "\\n".join(json.dumps(plain(line), ensure_ascii=False)[1:-1] for line in text.split("\n")) + '"'
