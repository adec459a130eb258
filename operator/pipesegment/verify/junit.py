"""The result as JUnit XML, which every CI system shows: what was checked and held is told too.

Each segment is a testsuite, each question that verify asks a testcase, each edge that was tried another.
"""

from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from pipesegment.findings import Finding
from pipesegment.lint.catalogue import entry
from pipesegment.lint.results import Result
from pipesegment.report.text import clean
from pipesegment.verify.results import Edge, Verified

#: The reasons that are always asked about, whether anything is found or not.
ASKED: Final = (
    *("Missing", "Drifted", "Leftover", "Conflict"),
    *("NotEnforced", "EngineUnknown", "AgentNotReady"),
    *("BarePods", "StartupWindow", "SharedName", "SecondFamily", "ExceptUnreliable", "UnfencedNode"),
    *("Widened", "HostNetwork", "Unwired", "NamespaceOpen"),
    *("NoSidecar", "NotCaptured", "Captured", "Bypassed", "LaxMutualTLS"),
    *("NotRead", "NotJudged"),
)
_LONGEST: Final = 4096


def render(verified: Sequence[Verified]) -> str:
    """Write the whole document."""
    suites = [_Suite(each) for each in verified]
    counts = [sum(s.tests for s in suites), sum(s.failures for s in suites), sum(s.skipped for s in suites)]
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<testsuites name="pipesegment verify"{_counts(*counts)}>']
    for suite in suites:
        lines += suite.lines
    return "\n".join([*lines, "</testsuites>"]) + "\n"


class _Suite:
    """One segment."""

    def __init__(self, verified: Verified) -> None:
        self.tests = self.failures = self.skipped = 0
        body = [*self._questions(verified), *(line for e in verified.edges for line in self._edge(verified, e))]
        head = f"  <testsuite name={_attribute(verified.object)}{_counts(self.tests, self.failures, self.skipped)}>"
        self.lines = [head, *body, "  </testsuite>"]

    def _questions(self, verified: Verified) -> Iterator[str]:
        found: dict[str, list[tuple[Finding, Result]]] = {reason: [] for reason in ASKED}
        for pair in verified.told:
            found.setdefault(pair[0].reason, []).append(pair)
        for reason, pairs in found.items():
            known = entry(reason)
            told = [f"{f.path}: {f.message}: {f.fix}" for f, r in pairs]
            grave = any(r.severity != "info" for _, r in pairs)
            inner = []
            if grave:
                self.failures += 1
                inner = [_element("failure", reason, told[0], told)]
            yield from self._case(verified, f"{known.code} {reason}: {known.title}", inner)

    def _edge(self, verified: Verified, edge: Edge) -> Iterator[str]:
        inner = []
        if edge.differs:
            self.failures += 1
            said = f"declared {_open(edge.declared)}, and it is {_open(bool(edge.probed))}"
            inner = [_element("failure", "EdgeDiffers", said, [f"{said}: {edge.because}"])]
        elif edge.probed is None:
            self.skipped += 1
            inner = [f"      <skipped message={_attribute(edge.because)}/>"]
        yield from self._case(verified, f"{edge.source} → {edge.destination} at {edge.port}", inner)

    def _case(self, verified: Verified, name: str, inner: Sequence[str]) -> Iterator[str]:
        self.tests += 1
        start = f"    <testcase classname={_attribute(verified.object)} name={_attribute(name)}"
        if inner:
            yield f"{start}>"
            yield from inner
            yield "    </testcase>"
        else:
            yield f"{start}/>"


def _element(kind: str, reason: str, message: str, told: Sequence[str]) -> str:
    text = "\n".join(escape(clean(line, _LONGEST)) for line in told)
    return f"      <{kind} type={_attribute(reason)} message={_attribute(message)}>{text}</{kind}>"


def _attribute(text: str) -> str:
    return quoteattr(clean(text, _LONGEST))


def _counts(tests: int, failures: int, skipped: int) -> str:
    return f' tests="{tests}" failures="{failures}" errors="0" skipped="{skipped}"'


def _open(value: bool) -> str:
    return "open" if value else "closed"
