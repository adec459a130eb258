"""What verify tells of a segment: findings, and edges that were tried."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pipesegment.findings import Finding
from pipesegment.lint.results import Result, of_finding


@dataclass(frozen=True, slots=True)
class Edge:
    """One way that was tried. `probed` is None where it could not be shown; `because` says why, and by which control."""

    source: str
    destination: str
    port: str
    declared: bool
    probed: bool | None
    because: str

    @property
    def differs(self) -> bool:
        """Tell whether what passes is not what is declared."""
        return self.probed is not None and self.probed != self.declared

    def data(self) -> dict[str, Any]:
        """Give it as the JSON that the contract fixes."""
        return {
            "from": self.source,
            "to": self.destination,
            "port": self.port,
            "declared": self.declared,
            "probed": self.probed,
            "because": self.because,
        }


@dataclass(frozen=True, slots=True)
class Verified:
    """One segment, which is `object`: its findings and the edges that were tried."""

    object: str
    findings: tuple[Finding, ...]
    edges: tuple[Edge, ...] = ()

    @property
    def told(self) -> tuple[tuple[Finding, Result], ...]:
        """Give every finding with its code, once, the gravest first."""
        rank = {"error": 0, "warning": 1, "info": 2}
        pairs = {finding: of_finding(finding) for finding in self.findings}
        return tuple(sorted(pairs.items(), key=lambda p: (rank[p[1].severity], p[1].code, p[0].path, p[0].message)))

    @property
    def differences(self) -> int:
        """Count what is not as declared; what is only for information does not count."""
        return sum(r.severity != "info" for _, r in self.told) + sum(edge.differs for edge in self.edges)

    def data(self) -> dict[str, Any]:
        """Give it as the JSON that the contract fixes; a finding's `object` is what it is about."""
        findings = [
            {
                "code": result.code,
                "severity": result.severity,
                "path": result.path,
                "object": finding.target,
                "message": result.message,
                "fix": result.fix,
            }
            for finding, result in self.told
        ]
        return {"object": self.object, "findings": findings, "edges": [edge.data() for edge in self.edges]}


def data(verified: Sequence[Verified]) -> dict[str, Any]:
    """Give everything as the JSON that the contract fixes."""
    return {"segments": [each.data() for each in verified], "differences": differences(verified)}


def differences(verified: Iterable[Verified]) -> int:
    """Count every difference."""
    return sum(each.differences for each in verified)
