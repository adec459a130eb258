"""One shape and one fingerprint for every object: what is compiled twice is byte-equal.

The fingerprint travels as an annotation, so that a restart can tell what it applied before without comparing fields
that the API server defaults.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson
import yaml

from pipesegment import names
from pipesegment.compile.desired import Object

_FIRST: Final = ("apiVersion", "kind", "metadata", "spec")
#: Plain scalars that YAML 1.1 readers other than PyYAML take for booleans.
_BOOLEANS: Final = frozenset({"y", "Y", "n", "N"})


def canonical_bytes(value: object) -> bytes:
    """Serialise a JSON value with sorted keys."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def fingerprint(obj: Object) -> str:
    """Give 16 hex digits of sha256 over the object without its own hash annotation."""
    meta = obj["metadata"]
    annotations = {k: v for k, v in meta.get("annotations", {}).items() if k != names.HASH_ANNOTATION}
    bare = {k: v for k, v in meta.items() if k != "annotations"} | ({"annotations": annotations} if annotations else {})
    return hashlib.sha256(canonical_bytes({**obj, "metadata": bare})).hexdigest()[:16]


def stamped(obj: Object) -> dict[str, Any]:
    """Give the object with its fingerprint in `names.HASH_ANNOTATION`."""
    meta = obj["metadata"]
    annotations = {**meta.get("annotations", {}), names.HASH_ANNOTATION: fingerprint(obj)}
    return {**obj, "metadata": {**meta, "annotations": annotations}}


def sort_key(obj: Object) -> tuple[str, str, str]:
    """Order objects by kind, namespace, name."""
    meta = obj["metadata"]
    return (obj["kind"], meta.get("namespace", ""), meta["name"])


def to_yaml(objects: Iterable[Object]) -> str:
    """Render a YAML stream, sorted and byte-stable: apiVersion, kind, metadata, spec first, every other key sorted."""
    documents = [_ordered_top(obj) for obj in sorted(objects, key=sort_key)]
    return yaml.dump_all(
        documents,
        Dumper=_Dumper,
        sort_keys=False,
        explicit_start=True,
        default_flow_style=False,
        allow_unicode=True,
        width=2**20,
    )


def _ordered_top(obj: Object) -> dict[str, Any]:
    first = {key: _ordered(obj[key]) for key in _FIRST if key in obj}
    return first | {key: _ordered(obj[key]) for key in sorted(obj) if key not in first}


def _ordered(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_ordered(item) for item in value]
    return value


class _Dumper(yaml.CSafeDumper):
    """Writes no aliases, and quotes every text that some YAML reader would take for a number or a boolean.

    libyaml's emitter is many times faster than PyYAML's own, and writes the same bytes; PyYAML's wheels hold it.
    """

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the signature is PyYAML's
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # YAML 1.2 readers take `12e4567`, a short commit id, for a number; PyYAML does not and would leave it plain.
    numeric = text[:1] in set("0123456789+-.") and "/" not in text
    style = '"' if numeric or text in _BOOLEANS else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
