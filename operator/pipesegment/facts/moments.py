"""Times as the API prints them."""

from datetime import datetime


def moment(text: str) -> datetime | None:
    """Read a time; None for what is none, as a document from a file may have."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
