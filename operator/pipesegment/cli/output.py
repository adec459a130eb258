"""What people see: results on stdout, everything else on stderr; colours and boxes only on a terminal.

What comes from files and clusters is escaped on its way: it may hold characters that paint, hide or forge lines.

rich is imported only when a terminal is there to paint on: piped output never pays for it.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import islice
from threading import Timer
from typing import Any, Final, TextIO

import click

from pipesegment.report.text import acts, plain

#: Work that takes longer than this says what it is doing.
_PATIENCE_SECONDS: Final = 2.0

#: So many items of a long list are written at once.
_AT_ONCE: Final = 1000

#: The words of a table that have a colour of their own.
_COLOURS: Final = {
    "error": "bold red",
    "warning": "yellow",
    "info": "blue",
    "no": "red",
    "yes": "green",
    "differs": "bold red",
    "created": "green",
    "configured": "yellow",
    "deleted": "red",
    "unchanged": "dim",
}


def say(message: str) -> None:
    """Print a message to stderr, on one line."""
    click.echo(plain(message), err=True)


def nothing(doing: str, where: str = "the input") -> None:
    """Say that there is no segment to do something with: that is no failure (docs/cli.md)."""
    say(f"nothing to {doing}: {where} holds no PipelineSegment")


def complain(message: str) -> None:
    """Print an error that is not the input's fault to stderr."""
    click.secho(f"Error: {plain(message)}", err=True, fg="red", bold=True)


def write(text: str) -> None:
    """Print a result in some language of its own to stdout, ending in exactly one newline."""
    click.echo(text.rstrip("\n"))


def write_lines(*lines: str) -> None:
    """Print a result for people to stdout."""
    write("\n".join(map(plain, lines)))


def write_json(value: Any) -> None:
    """Print a result to stdout as JSON, keys in the order that they were made in."""
    write(_json(value))


def _json(value: Any) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text if text.isascii() else "".join(c if c.isascii() or not acts(c) else json.dumps(c)[1:-1] for c in text)


def write_yaml(value: Any) -> None:
    """Print a result to stdout as YAML, keys in the order that they were made in."""
    write(_yaml(value))


def _yaml(value: Any) -> str:
    import yaml  # noqa: PLC0415 - `version` and `completion` need none

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def write_data(value: Any, style: str) -> None:
    """Print a result as `json` or `yaml`."""
    (write_json if style == "json" else write_yaml)(value)


def write_stream(name: str, items: Iterable[Any], rest: Callable[[], Mapping[str, Any]], style: str) -> None:
    """Print `{name: items, **rest()}` as `write_data` would, but the items as they come; `rest` is asked when they ended."""
    parts = _json_parts(name, items, rest) if style == "json" else _yaml_parts(name, items, rest)
    # On a terminal what is printed shows that something happens.
    with nullcontext() if _on_terminal(sys.stdout) else progress(f"writing {name}"):
        for part in parts:
            click.echo(part, nl=False)


def _json_parts(name: str, items: Iterable[Any], rest: Callable[[], Mapping[str, Any]]) -> Iterator[str]:
    yield f"{{\n  {json.dumps(name)}: ["
    between, end = "", "]"
    for part in _batches(items):
        inner = _json(part).removeprefix("[").removesuffix("\n]")
        yield between + inner.replace("\n", "\n  ")
        between, end = ",", "\n  ]"
    last = _json(rest()).removeprefix("{")
    yield f"{end},{last}\n"


def _yaml_parts(name: str, items: Iterable[Any], rest: Callable[[], Mapping[str, Any]]) -> Iterator[str]:
    empty: dict[str, Any] = {name: []}
    for part in _batches(items):
        yield _yaml(part) if not empty else f"{name}:\n{_yaml(part)}"
        empty = {}
    yield _yaml({**empty, **rest()})


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(items)
    return iter(lambda: list(islice(iterator, _AT_ONCE)), [])


def write_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table to stdout: boxed and coloured on a terminal, aligned columns when piped."""
    rows = [[plain(cell) for cell in row] for row in rows]
    if _on_terminal(sys.stdout):
        _paint(headers, rows)
    else:
        write("\n".join(_align([headers, *rows])))


@contextmanager
def progress(doing: str) -> Iterator[None]:
    """Tell on stderr what is being done: a spinner on a terminal, one line when it takes long elsewhere."""
    if _on_terminal(sys.stderr):
        from rich.console import Console  # noqa: PLC0415 - see the module docstring

        with Console(stderr=True).status(f"{doing}…"):
            yield
        return
    timer = Timer(_PATIENCE_SECONDS, say, [f"{doing}…"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def reading(*paths: str) -> Iterator[None]:
    """Tell that files are read, unless somebody is just typing one of them."""
    with nullcontext() if "-" in paths and _on_terminal(sys.stdin) else progress("reading"):
        yield


def _align(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        yield "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _paint(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box  # noqa: PLC0415 - see the module docstring
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        # Text, never markup: a cell may hold what somebody wrote into a segment.
        table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
    Console().print(table)


def _on_terminal(stream: TextIO) -> bool:
    return stream.isatty()
