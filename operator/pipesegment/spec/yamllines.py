"""Where in a text a field stands: asked only when it is refused, so that reading costs nothing for it.

The text has been read by `yamlfile` before: it nests no deeper than that allows.
"""

import re
from collections.abc import Iterator
from typing import Final

import yaml

_STEP: Final = re.compile(r"\[(\d+)\]|\['(.*?)'\]|([^.\[\]]+)")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: Texts that are longer (in characters) are not looked through once more: their documents' lines have to do.
_LONGEST: Final = 2**20


class Lines:
    """The lines of a text's fields."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._roots: dict[int, yaml.Node] | None = None

    def find(self, document: int, path: str) -> int:
        """Give the line of the key that a path names, in the document that begins at a line.

        Of what is missing the line of what should hold it; the document's where nothing of the path is found.
        """
        node, line = self._documents().get(document), document
        steps = [match.group(match.lastindex or 0) for match in _STEP.finditer(path)]
        while node is not None and steps:
            found = next(_taken(node, steps), None)
            if found is None:
                break
            line, node, steps = found
        return line

    def _documents(self) -> dict[int, yaml.Node]:
        if self._roots is None:
            self._roots = {}
            try:
                every = yaml.compose_all(self._text, _LOADER) if len(self._text) <= _LONGEST else ()
                self._roots = {node.start_mark.line + 1: node for node in every}
            except yaml.YAMLError:
                pass  # JSON that is no YAML
        return self._roots


def _taken(node: yaml.Node, steps: list[str]) -> Iterator[tuple[int, yaml.Node, list[str]]]:
    """Go as many steps as one key takes (a key may have dots): its line, its value, and the steps that are left."""
    if isinstance(node, yaml.SequenceNode) and steps[0].isdecimal() and int(steps[0]) < len(node.value):
        item = node.value[int(steps[0])]
        yield item.start_mark.line + 1, item, steps[1:]
    elif isinstance(node, yaml.MappingNode):
        for number in range(1, len(steps) + 1):
            name = ".".join(steps[:number])
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value == name:
                    yield key.start_mark.line + 1, value, steps[number:]
