"""Acting as somebody else: what a kubeconfig's user says with `as`, as the headers that the API server reads.

The official client passes these fields over, so that whoever looks through another's eyes would look through their own.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import yaml

Headers = tuple[tuple[str, str], ...]

_FIELDS: Final = {"as": "Impersonate-User", "as-uid": "Impersonate-Uid", "as-groups": "Impersonate-Group"}
_EXTRA: Final = "as-user-extra"
#: What may stand in a header's name; the percent sign escapes everything else.
_NAMED: Final = "!#$&'*+-.^_`|~"
#: What would end a header, or begin another one.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def impersonation(paths: str, name: str) -> Headers:
    """Read as whom the user called `name` acts, from the kubeconfigs (joined by colons) that are merged.

    Raises ValueError or TypeError for fields that make no sense.
    """
    for path in filter(None, paths.split(":")):
        file = Path(path).expanduser()
        found = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
        for entry in (found or {}).get("users") or ():
            if entry.get("name") == name:
                return tuple(_headers(entry.get("user") or {}))
    return ()


def _headers(user: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    given = [field for field in (*_FIELDS, _EXTRA) if user.get(field)]
    if given and "as" not in given:
        raise ValueError(f"{given[0]} is given without `as`, which says whose it is")
    for field in given:
        if field != _EXTRA:
            yield from ((_FIELDS[field], value) for value in _texts(field, user[field]))
            continue
        if not isinstance(user[field], Mapping):
            raise TypeError(f"{field} is no object")
        for key, values in user[field].items():
            header = f"Impersonate-Extra-{quote(str(key), safe=_NAMED)}"
            yield from ((header, value) for value in _texts(f"{field}.{key}", values))


def _texts(field: str, value: Any) -> list[str]:
    """Take text, or for what may be many a list of it."""
    found = value if isinstance(value, list) and field not in {"as", "as-uid"} else [value]
    if not all(isinstance(text, str) and not _CONTROL.search(text) for text in found):
        raise ValueError(f"{field} is not text on one line")
    return found
