"""Times as the API prints them."""

from datetime import UTC, datetime


def moment(text: str) -> datetime | None:
    """Read a time; None for what is none, as a document from a file may have."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def written(when: datetime) -> str:
    """Write a time as the API does, and as IAM compares it."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
