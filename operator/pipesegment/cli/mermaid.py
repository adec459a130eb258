"""A picture in Mermaid's flowchart language."""

from typing import Final

from pipesegment.cli.picture import Box, Picture

_SHAPES: Final = {"source": ("([", "])"), "stage": ("[", "]"), "target": ("(", ")")}

_CLASSES: Final = (
    "classDef stage fill:#dbeafe,stroke:#1d4ed8,color:#111827",
    "classDef source fill:#f3f4f6,stroke:#6b7280,color:#111827",
    "classDef target fill:#ecfdf5,stroke:#047857,color:#111827",
)


def render(picture: Picture) -> str:
    """Write the flowchart, left to right; closed ways are dashed and red, with their reason."""
    lines = ["flowchart LR"]
    lines += [f"  {_box(box)}" for box in picture.boxes]
    closed: list[int] = []
    for number, arrow in enumerate(picture.arrows):
        text = arrow.label if arrow.open else f"{arrow.label} {arrow.reason}".strip()
        line = f"-->|{_quote(text)}|" if arrow.open else f"-.->|{_quote(text)}|"
        lines.append(f"  {arrow.source} {line} {arrow.target}")
        if not arrow.open:
            closed.append(number)
    lines += [f"  {line}" for line in _CLASSES]
    if closed:
        lines.append(f"  linkStyle {','.join(map(str, closed))} stroke:#dc2626,color:#dc2626")
    return "\n".join(lines)


def _box(box: Box) -> str:
    before, after = _SHAPES[box.kind]
    text = f"{box.label}\n{box.note}" if box.note else box.label
    return f"{box.id}{before}{_quote(text)}{after}:::{box.kind}"


def _quote(text: str) -> str:
    # Inside quotes Mermaid reads `#code;` entities, HTML and Markdown: whatever is not a plain character is sent as a
    # numbered entity.
    plain = (c if c.isalnum() or c in " .,:/-_" else "<br/>" if c == "\n" else f"#{ord(c)};" for c in text)
    return f'"{"".join(plain)}"'
