"""Lists the decisions of docs/adr/ by their titles: `python -m tests.unit.house.decisions` writes the page."""

import re
from pathlib import Path
from typing import Final

ADRS: Final = Path(__file__).parents[3] / "docs" / "adr"
PAGE: Final = ADRS / "README.md"

_FILE: Final = re.compile(r"(\d{4})-[a-z0-9-]+\.md")
_TITLE: Final = re.compile(r"# (\d+)\. (.+)\n")
_HEAD: Final = """\
# Decisions

Why things are as they are, one decision a page, half a page each: what the question was, what was decided, what follows.
A decision that is taken back keeps its page, and says on top which one replaces it.

Numbers are never used twice, and some are missing: they were set aside and not needed.

| number | decision |
|---|---|
"""


def titles() -> dict[int, tuple[str, str]]:
    """Give each decision's file and title by its number. ValueError for a page that is not named by its number."""
    found: dict[int, tuple[str, str]] = {}
    for path in sorted(ADRS.glob("*.md")):
        if path == PAGE:
            continue
        name, title = _FILE.fullmatch(path.name), _TITLE.match(path.read_text())
        if not name or not title or int(name[1]) != int(title[1]):
            raise ValueError(f"{path.name}: the name does not begin with the number of the title")
        if int(name[1]) in found:
            raise ValueError(f"{path.name}: has the number of {found[int(name[1])][0]}")
        found[int(name[1])] = (path.name, title[2])
    return found


def page() -> str:
    """Write the index."""
    return _HEAD + "".join(f"| {number} | [{title}]({name}) |\n" for number, (name, title) in titles().items())


if __name__ == "__main__":
    PAGE.write_text(page())
