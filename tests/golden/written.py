"""How a golden file is written: short lists and mappings on one line, everything else one item a line."""

from typing import Any

import yaml

from lab.yaml import Dumper

_LINE = 120
_SHORT = 112


class _Dumper(Dumper):
    """Writes in one line what fits into it."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        node = super().represent_sequence(tag, sequence, flow_style)
        node.flow_style = all(isinstance(item, yaml.ScalarNode) for item in node.value) and _size(node) <= _SHORT
        return node

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        node = super().represent_mapping(tag, mapping, flow_style)
        node.flow_style = all(isinstance(v, yaml.ScalarNode) for _, v in node.value) and _size(node) <= _SHORT
        return node


def written(value: Any) -> str:
    """Write a value as a golden file has it."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_LINE)


def _size(node: yaml.Node) -> int:
    if isinstance(node, yaml.ScalarNode):
        return len(node.value)
    items = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
    return sum(_size(item) + 2 for item in items)
