"""Where documents and their fields stand in what people give."""

from dataclasses import dataclass

from pipesegment.spec.yamllines import Lines


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document begins, such as `shop.yaml:12`; `inside` leads to it where it is an item of a List there."""

    file: str
    line: int = 0
    inside: str = ""
    lines: Lines | None = None

    def __str__(self) -> str:
        """Render as `file:line`."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def of(self, path: str) -> str:
        """Give the place of a field, as near as it is known."""
        return f"{self.file}:{self.lines.find(self.line, self.inside + path)}" if self.lines else str(self)
