"""A file of the engine that somebody asks about: read once, in whatever language it is in."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from pipesegment.errors import Refused
from pipesegment.findings import Refusal


@dataclass(frozen=True, slots=True)
class Given:
    """A file's name (for messages) and its text."""

    name: str
    text: str

    def documents(self) -> tuple[Mapping[str, Any], ...]:
        """Read it as YAML (or JSON); Lists are opened. Raises Refused when it is not YAML."""
        try:
            loaded = list(yaml.safe_load_all(self.text))
        except yaml.YAMLError as error:
            raise Refused([self._unreadable("YAML", error)]) from error
        return tuple(item for doc in loaded for item in _opened(doc))

    def toml(self) -> Mapping[str, Any]:
        """Read it as TOML. Raises Refused when it is not TOML."""
        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise Refused([self._unreadable("TOML", error)]) from error

    def _unreadable(self, language: str, error: Exception) -> Refusal:
        where = " ".join(str(error).split())
        return Refusal(self.name, f"it is not {language}:", where, f"give a file that is {language}")


def _opened(doc: Any) -> Iterator[Mapping[str, Any]]:
    if not isinstance(doc, Mapping):
        return
    items = doc.get("items")
    if str(doc.get("kind", "")).endswith("List") and isinstance(items, list):
        for item in items:
            yield from _opened(item)
    else:
        yield doc
