"""Logs: one JSON object a line, every field cut and escaped, so that no input can forge a line or a field."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TextIO

import orjson
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from pipesegment.report.text import clean

_MESSAGE: Final = 4096
_TRACE_LINES: Final = 200
_FIELD: Final = 1024
_ITEMS: Final = 64
#: Fields of many lines; JSON writes them on one, and viewers show them as they were.
_TRACES: Final = frozenset({"exc_info", "stack_info"})
#: What kopf hangs on its records for its own formatters.
_KOPF: Final = ("settings", "k8s_skip")


class SafeJsonFormatter(JsonFormatter):
    """Writes time (RFC 3339, UTC), level, logger, message and the record's extra fields."""

    def __init__(self) -> None:
        super().__init__(
            "%(levelname)s %(name)s %(message)s",
            rename_fields={"levelname": "level", "name": "logger"},
            timestamp="time",
            json_ensure_ascii=True,
            reserved_attrs=[*RESERVED_ATTRS, *_KOPF],
        )

    def format(self, record: logging.LogRecord) -> str:
        """Format on one line. Audit lines are clean already, and as many as there are writes."""
        if isinstance(record.msg, dict) and record.msg.get("audit") is True:
            return orjson.dumps({"level": record.levelname, "logger": record.name, **record.msg}).decode()
        return super().format(record)

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Bound and escape every field."""
        found = super().process_log_record(log_data)
        return {
            clean(key, 64): _trace(value) if key in _TRACES else _safe(value, _MESSAGE) for key, value in found.items()
        }


class SafeTextFormatter(logging.Formatter):
    """Writes one line for people: time, level, logger, message; a traceback follows on the same line, escaped."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Format on one line."""
        return clean(super().format(record), _MESSAGE)


def set_up(stream: TextIO, *, level: str, style: str) -> None:
    """Send every log to a stream, as `json` or `text`; kopf's chatter about objects only from WARNING on."""
    # Looked up for every record, and shown by no format of ours.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(stream)
    handler.setFormatter(SafeJsonFormatter() if style == "json" else SafeTextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("kopf.objects").setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))


def _trace(value: Any) -> str:
    # The end of a traceback says what happened.
    return "\n".join(clean(line, _FIELD) for line in str(value).splitlines()[-_TRACE_LINES:])


def _safe(value: Any, limit: int) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {clean(key, 64): _safe(item, _FIELD) for key, item in list(value.items())[:_ITEMS]}
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe(item, _FIELD) for item in list(value)[:_ITEMS]]
    return clean(value, limit)
