"""How the demo speaks: titles, the commands that it runs, and what they print."""

import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import yaml
from rich.console import Console
from rich.markup import escape

from lab.controlplane import ControlPlane
from lab.demo.matrix import PORTS, picture
from lab.errors import LabError

ROOT = Path(__file__).parents[2]
_console = Console(highlight=False, soft_wrap=True)


def title(text: str) -> None:
    """Begin a step."""
    _console.print(f"\n[bold cyan]{escape(text)}[/]")


def say(text: str) -> None:
    """Say a sentence."""
    _console.print(escape(text))


def fail(error: Exception) -> None:
    """Say why the demo ends here."""
    _console.print(f"[bold red]the demo failed:[/] {escape(str(error))}")
    for text in (getattr(error, "stdout", None), getattr(error, "stderr", None)):
        if text:
            _console.print(escape(text))


def show(path: Path, begin: str, end: str) -> None:
    """Show a part of a file."""
    text = path.read_text()
    start = text.index(begin)
    _console.print(f"[dim]# {path.relative_to(ROOT)}[/]")
    _console.print(escape(text[start : text.index(end, start)].rstrip()))


def excerpt(text: str, word: str) -> None:
    """Show the line of a text that holds a word, and what is around it."""
    lines = text.splitlines()
    at = next(number for number, line in enumerate(lines) if word in line)
    for number in range(max(at - 2, 0), min(at + 2, len(lines))):
        style = "bold red" if number == at else "dim"
        _console.print(f"[dim]{number + 1:>4}[/] [{style}]{escape(lines[number])}[/]")


def beginning(most: int) -> Callable[[str], str]:
    """Give what cuts a text after some lines, and says so."""

    def cut(text: str) -> str:
        lines = text.splitlines()
        left = len(lines) - most
        return "\n".join([*lines[:most], *([f"… and {left} more lines"] if left > 0 else [])])

    return cut


def pipesegment(
    *arguments: str,
    only: Callable[[str], str] = str,
    quiet: bool = False,
    expect: int | None = 0,
) -> None:
    """Run the command line and show what it prints; `quiet` leaves its messages out, `expect` is the exit code."""
    command = " ".join(map(_short, arguments))
    _console.print(f"[green]$ pipesegment {escape(command)}[/]")
    done = subprocess.run(
        [sys.executable, "-m", "pipesegment", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "operator")},
        capture_output=True,
        text=True,
        check=False,
    )
    if expect is not None and done.returncode != expect:
        raise LabError(f"`pipesegment {command}` ended with {done.returncode}, not {expect}:\n{done.stderr}")
    if done.stdout:
        _console.print(escape(only(done.stdout).rstrip()))
    told = done.stderr
    for part in arguments:
        told = told.replace(part, _short(part))
    if not quiet or expect:
        _console.print(f"[yellow]{escape(told.rstrip())}[/]")


def kubectl(plane: ControlPlane, *arguments: str, stdin: str | None = None, expect: int = 0) -> None:
    """Run kubectl and show what it prints."""
    _console.print(f"[green]$ kubectl {escape(' '.join(map(_short, arguments)))}[/]")
    try:
        _console.print(escape(plane.kubectl(*arguments, stdin=stdin).rstrip()))
    except LabError as error:
        _, refused, told = str(error).partition(f" ended with {expect}: ")
        if not refused:
            raise
        _console.print(f"[yellow]{escape(told)}[/]")
    else:
        if expect:
            raise LabError(f"kubectl {arguments[0]} was expected to be refused")


def matrix(plane: ControlPlane) -> None:
    """Show who reaches whom right now."""
    table, legend, opened, asked = picture(plane)
    _console.print(table)
    for line in textwrap.wrap(legend, 76):
        _console.print(f"[dim]  {escape(line)}[/]")
    ports = ", ".join(str(port.number) for port in PORTS)
    say(f"{opened} of {asked} pairs are open at any of the TCP ports {ports}.")


def names_of_objects(text: str) -> str:
    """Shorten a stream of objects to their names."""
    return "\n".join(
        f"{obj['kind']:16} {obj['metadata']['namespace']}/{obj['metadata']['name']}" for obj in yaml.safe_load_all(text)
    )


def without_accounts(text: str) -> str:
    """Take the accounts out of pods: a run that nobody has wired yet."""
    return re.sub(r"serviceAccountName: [a-z-]+, ", "", text)


def _short(part: str) -> str:
    path = Path(part)
    return path.name if path.is_relative_to(tempfile.gettempdir()) else part.replace(f"{ROOT}/", "")
