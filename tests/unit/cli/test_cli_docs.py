"""The pages know the program: every command and every option that they name is one, and cli.md names them all."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pipesegment.cli import program
from tests.unit.spec.docs_pages import DOCS, ROOT, blocks

#: Decisions say what was when they were made.
PAGES = sorted({*DOCS.rglob("*.md"), ROOT / "README.md", *ROOT.glob("*/README.md")} - {*DOCS.glob("adr/*")})
CLI = (DOCS / "cli.md").read_text()
#: Its settings are shown by itself: docs/cli.md says how.
OF_THE_OPERATOR = ("run",)


def commands(found: click.Command = program, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every verb, those below it too."""
    if path:
        yield path, found
    if isinstance(found, click.Group):
        context = click.Context(found)
        for name in found.list_commands(context):
            below = found.get_command(context, name)
            assert below is not None
            yield from commands(below, *path, name)


VERBS = dict(commands())
OPTIONS = {path: {o for p in verb.params for o in (*p.opts, *p.secondary_opts)} for path, verb in VERBS.items()}


def inline(text: str) -> list[str]:
    """Code in the middle of sentences."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def shown(text: str) -> Iterator[list[str]]:
    """The words of every command of ours in a page's code, after the program's name; in sentences that may be left out."""
    lines = [line for block in blocks(text) for line in block.text.replace("\\\n", " ").splitlines()]
    named = [re.match(r"(?:\$ )?(?:kubectl )?pipesegment ([a-z].*)", line) for line in (*lines, *inline(text))]
    bare = [re.match(rf"((?:{'|'.join(path[0] for path in VERBS)}) .*)", code) for code in inline(text)]
    for found in filter(None, (*named, *bare)):
        yield shlex.split(re.split(r" [|>&#]", found[1])[0], comments=True)


def wrong(words: list[str]) -> list[str]:
    """What of a command is not the program's."""
    verb = max((path for path in VERBS if tuple(words[: len(path)]) == path), key=len, default=())
    if not verb:
        return words[:1]
    given = [word.partition("=")[0] for word in words if re.fullmatch(r"-[a-z]|--[a-z][a-z-]*(=.*)?", word)]
    return [option for option in given if option not in {*OPTIONS[verb], "-h", "--help"}]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_is_one(page: Path) -> None:
    assert [(words, faults) for words in shown(page.read_text()) if (faults := wrong(words))] == []


def test_commands_are_really_found() -> None:
    found = {(page.name, words[0]) for page in PAGES for words in shown(page.read_text())}

    assert {("README.md", "verify"), ("cli.md", "plan"), ("break-glass.md", "exception")} <= found
    assert wrong(["compile", "-f", "a", "--nonsense=1", "-o", "json"]) == ["--nonsense"]
    assert wrong(["nonsense"]) == ["nonsense"]


def test_the_page_of_the_command_line_names_no_other_option() -> None:
    named = {option for code in inline(CLI) for option in re.findall(r"^--?[a-z][a-z-]*", code)}

    assert named - set().union(*OPTIONS.values()) == set()


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_the_page_of_the_command_line_names_every_verb_and_option(path: tuple[str, ...]) -> None:
    missing = [p.name for p in VERBS[path].params if isinstance(p, click.Option) and not any(map(_named, p.opts))]

    assert _named(path[-1])
    assert not missing or path == OF_THE_OPERATOR


def _named(word: str) -> bool:
    return re.search(rf"(?<![\w-]){word}(?![\w-])", CLI) is not None
