"""Why tests were skipped, read off the reports: those of every process that ran tests come together in one place."""

import pytest


def because(reporter: pytest.TerminalReporter, beginning: str) -> str:
    """Give the reason of the first test that was skipped with a reason that begins so, without its beginning; else ''."""
    for report in reporter.getreports("skipped"):
        if isinstance(report.longrepr, tuple):
            _, found, reason = str(report.longrepr[2]).partition(f"Skipped: {beginning}")
            if found:
                return reason
    return ""
