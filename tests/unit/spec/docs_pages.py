"""Reads the pages of docs/ and does what they show: every command and every refusal, in a folder of its own.

Comments in a page say what its blocks are:

`<!-- file: shop.yaml -->`        the block below is this file, for the commands after it
`<!-- files: a.yaml = b c -->`    this file is these files of the repository, one after the other
`<!-- from: path -->`             the block below stands in this file of the repository
`<!-- refused: KIND -->`          the block below holds fields of such an object; the block after it is what is said

In a `console` block each `$ pipesegment …` is run; a comment `# exits 1` says how it ends, a line `…` stands for any lines.
`python -m tests.unit.spec.docs_pages` writes what is really said into the pages.
"""

import contextlib
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from lab import yaml
from pipesegment import names
from pipesegment.cli import program
from pipesegment.errors import Refused
from pipesegment.spec.documents import load

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
#: Pages whose commands are run.
PAGES = tuple(sorted([*DOCS.glob("spec/**/*.md"), *DOCS.glob("how-to/*.md"), DOCS / "semantics.md"]))

_FENCE = re.compile(r"(?:<!-- (file|from|refused): (\S+) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILES = re.compile(r"^<!-- files: (\S+) = (.+) -->$", re.MULTILINE)
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*(?:\[\][^\]]*)*)\]\(([^)\s]+)\)")
_CLUSTER = {"--cluster", "--context", "run", "verify"}


@dataclass(frozen=True)
class Block:
    """A fenced block; `role` and `name` are what the comment above it says, `at` where its text stands."""

    role: str
    name: str
    language: str
    text: str
    at: tuple[int, int]


@dataclass(frozen=True)
class Said:
    """What a page shows, and what is really said; `at` is where it is shown."""

    what: str
    shown: str
    real: str
    exit_shown: int
    exit_real: int
    at: tuple[int, int]

    @property
    def agrees(self) -> bool:
        pattern = r"(?:.*\n)*".join(re.escape(part) for part in re.split(r"^…\n", self.shown, flags=re.MULTILINE))
        return self.exit_shown == self.exit_real and re.fullmatch(pattern, self.real) is not None


def blocks(text: str) -> list[Block]:
    return [Block(m[1] or "", m[2] or "", m[3], m[4], m.span(4)) for m in _FENCE.finditer(text)]


def prose(text: str) -> str:
    """A page without its blocks and its code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def links(text: str) -> list[tuple[str, str]]:
    """Text and target of each link."""
    return _LINK.findall(re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def headings(text: str) -> list[str]:
    return [m[2] for m in _HEADING.finditer(re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))]


def part(text: str, heading: str) -> str:
    """What stands under a heading, down to the next one of its level or above."""
    (found,) = (m for m in _HEADING.finditer(text) if m[2] == heading)
    following = (m.start() for m in _HEADING.finditer(text, found.end()) if len(m[1]) <= len(found[1]))
    return text[found.end() : next(following, len(text))]


def tables(text: str) -> list[list[dict[str, str]]]:
    """The tables of a text, each row by the names of its columns."""
    found = []
    for table in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        head, _, *rows = ([c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines())
        found.append([dict(zip(head, row, strict=True)) for row in rows])
    return found


def said(page: Path) -> list[Said]:
    """Do what a page shows."""
    text = page.read_text()
    with _folder(text):
        return list(_said(text))


def written(page: Path) -> str:
    """The page with what is really said."""
    text = page.read_text()
    for each in sorted(said(page), key=lambda s: s.at, reverse=True):
        if not each.agrees:
            text = text[: each.at[0]] + each.real + text[each.at[1] :]
    return text


def run(line: str) -> tuple[str, int]:
    """Run a command line as a terminal shows it."""
    words = shlex.split(line, comments=True)[1:]
    done = CliRunner().invoke(program, words, prog_name="pipesegment", catch_exceptions=False)
    return "".join(f"{shown.rstrip()}\n" for shown in done.output.splitlines()), done.exit_code


def is_offline(line: str) -> bool:
    """Whether a command of ours needs no cluster."""
    words = shlex.split(line, comments=True)
    return not _CLUSTER.intersection(words) and ("plan" not in words or "--live" in words)


def whole(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """An object that has these fields."""
    metadata = {"name": "shop"} | ({} if kind == names.CLASS else {"namespace": "ci-shop"})
    return {"apiVersion": names.API_VERSION, "kind": kind, "metadata": metadata, **fields}


def _said(text: str) -> Iterator[Said]:
    found = blocks(text)
    for block, following in zip_longest(found, found[1:]):
        if block.role == "file":
            Path(block.name).write_text(block.text)
        elif block.role == "refused":
            assert following is not None, "what is said stands below"
            yield Said(block.text, following.text, _refused(block), 1, 1, following.at)
        elif block.language == "console":
            yield from _commands(block)


def _refused(block: Block) -> str:
    try:
        load([whole(block.name, yaml.safe_load(block.text))])
    except Refused as refused:
        return "".join(f"{refusal}\n" for refusal in refused.refusals)
    return "nothing is refused\n"


def _commands(block: Block) -> Iterator[Said]:
    for command in re.finditer(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE):
        if not command[1].startswith("pipesegment ") or not is_offline(command[1]):
            continue
        real, code = run(command[1])
        ends = re.search(r"# exits (\d)", command[1])
        at = tuple(block.at[0] + place for place in command.span(2))
        yield Said(command[1], command[2], real if command[2] else "", int(ends[1]) if ends else 0, code, at)


@contextlib.contextmanager
def _folder(text: str) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("manifests").symlink_to(ROOT / "manifests")
        for made in _FILES.finditer(text):
            Path(made[1]).write_text("---\n".join((ROOT / given).read_text() for given in made[2].split()))
        yield


if __name__ == "__main__":
    for one in PAGES:
        one.write_text(written(one))
