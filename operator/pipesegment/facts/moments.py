"""Times as the API prints them."""

from datetime import UTC, datetime, timedelta


def moment(text: str) -> datetime | None:
    """Read a time; None for what is none, as a document from a file may have."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def after(when: datetime, time: timedelta) -> datetime:
    """Give the moment so much later, or the last one that can be written."""
    try:
        return when + time
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def written(when: datetime) -> str:
    """Write a time as the API does, and as IAM compares it."""
    return f"{when.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"
