"""What the API server's answers say: objects, events of a watch, and its ways of saying no."""

from collections.abc import Mapping
from typing import Any, Final, cast

import orjson

from pipesegment.errors import Rejected, Unreachable
from pipesegment.world.kinds import Kind
from pipesegment.world.port import Json, WatchEvent

_EVENTS: Final = frozenset({"ADDED", "MODIFIED", "DELETED", "BOOKMARK"})


def decode(raw: bytes) -> Json:
    """Parse a body; Unreachable when it is no JSON object, as when a proxy on the way answered."""
    try:
        answer = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Unreachable("the answer is not JSON: is something else between us and the API server?") from None
    if not isinstance(answer, dict):
        raise Unreachable("the answer is not a JSON object: is something else between us and the API server?")
    return answer


def complete(item: Json, kind: Kind) -> Json:
    """Name the kind of an object that came in a list, where the server leaves it out, or as metadata alone."""
    item["apiVersion"] = kind.api_version
    item["kind"] = kind.kind
    return item


def parse_event(line: bytes, kind: Kind) -> WatchEvent:
    """Parse one line of a watch; raises Rejected for an ERROR event."""
    event = decode(line)
    if event.get("type") not in _EVENTS:
        raise _from_status(500, event.get("object") or {}, None)
    return WatchEvent(event["type"], complete(event["object"], kind))


def rejected(status: int, headers: Mapping[str, str], raw: bytes) -> Rejected:
    """Read an error: the Status object where there is one, otherwise the beginning of the body."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = {"message": raw[:256].decode("utf-8", "replace")}
    if not isinstance(body, dict):
        body = {"message": str(body)}
    return _from_status(status, body, headers.get("Retry-After"))


def _from_status(status: int, body: Mapping[str, Any], header: str | None) -> Rejected:
    details = body.get("details") or {}
    wait = header if header is not None else details.get("retryAfterSeconds")
    return Rejected(
        int(body.get("code") or status),
        str(body.get("reason") or "Unknown"),
        _printable(str(body.get("message") or "no message")),
        retry_after=_seconds(wait),
    )


def _seconds(value: object) -> float | None:
    # The header may also hold a date; the API server never sends one.
    try:
        return float(cast("str", value))
    except (TypeError, ValueError):
        return None


def _printable(text: str) -> str:
    # Messages quote what users wrote; a line break would forge a log line.
    return "".join(char if char.isprintable() else " " for char in text[:1024])
