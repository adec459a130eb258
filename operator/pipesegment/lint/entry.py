"""One line of the catalogue of findings."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of finding; `reason` is the word that refusals, findings and conditions carry."""

    code: str
    reason: str
    severity: Severity
    title: str
    why: str
    fix: str
