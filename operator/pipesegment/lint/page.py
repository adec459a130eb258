"""The page of `docs/lint.md`, written from the catalogue.

`python -m pipesegment.lint.page > docs/lint.md` writes it; a test fails when page and catalogue differ.
"""

import sys
from collections.abc import Iterator

from pipesegment.lint.catalogue import CATALOGUE
from pipesegment.lint.entry import Entry

_HEAD = """\
# What lint finds

Written from `operator/pipesegment/lint/catalogue.py`; change it there.

`pipesegment lint` exits 1 when there is an error, with `--strict` also when there is a warning. Surroundings (`--facts`,
`--cluster`) are optional; without them nothing is taken to be there. `pipesegment verify` tells the same findings of a live
cluster; those from PS601 to PS626 need facts that it alone reads (or that you give: DaemonSets, objects of Istio and Cilium).

| code | reason | severity | finding |
|---|---|---|---|
"""


def render() -> str:
    """Write the page: a table, then one section a code."""
    rows = [
        f"| [{e.code}](#{e.code.lower()}) | `{e.reason}` | {e.severity} | {e.title} |\n" for e in CATALOGUE.values()
    ]
    return _HEAD + "".join(rows) + "".join("\n" + "\n".join(_section(e)) + "\n" for e in CATALOGUE.values())


def _section(found: Entry) -> Iterator[str]:
    yield f"## {found.code}"
    yield ""
    yield f"**{found.title}** (`{found.reason}`, {found.severity})"
    yield ""
    yield found.why
    yield ""
    yield f"What helps: {found.fix}"


if __name__ == "__main__":
    sys.stdout.write(render())
