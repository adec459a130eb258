"""What lint tells: one line of the catalogue, at one place of one document."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pipesegment.findings import Finding, Refusal, quoted
from pipesegment.lint.catalogue import entry
from pipesegment.lint.entry import Severity
from pipesegment.reach import exceptions

_RANK: Final = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Result:
    """One finding with its code. `object` is `namespace/name`, or the name alone for cluster-scoped kinds."""

    code: str
    severity: Severity
    path: str
    message: str
    fix: str
    object: str

    def data(self) -> dict[str, str]:
        """Give it as the JSON that the contract fixes."""
        return {
            "code": self.code,
            "severity": self.severity,
            "path": self.path,
            "message": self.message,
            "fix": self.fix,
            "object": self.object,
        }


def of_refusal(refusal: Refusal, name: str) -> Result:
    """Give a refusal its code; `name` is the document's, for one that does not know it."""
    found = entry(refusal.reason) if refusal.reason in {"NotYetSupported", "Conflict"} else entry("Invalid")
    message = f"{refusal.problem} {quoted(refusal.value)}"
    return Result(found.code, "error", refusal.path, message, refusal.fix, refusal.object or name)


def of_finding(finding: Finding) -> Result:
    """Give a finding its code. What an exception asks for and does not get is no error: everything else is as declared."""
    found = entry(finding.reason)
    asked = exceptions.is_of(finding.path)
    severity: Severity = "warning" if asked and found.severity == "error" else found.severity
    return Result(found.code, severity, finding.path, finding.message, finding.fix, finding.object)


def ordered(results: Iterable[Result]) -> tuple[Result, ...]:
    """Sort results: errors first, then by document, code and path; what is said twice is told once."""
    return tuple(sorted(set(results), key=lambda r: (_RANK[r.severity], r.object, r.code, r.path, r.message)))
