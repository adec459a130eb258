"""The command line: one thin file per verb, on the same walk as the operator, stopped earlier.

A verb's module is imported only when that verb runs, so that `pipesegment version` never waits for a client library.
"""

import sys
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final

import click

from pipesegment.cli import output
from pipesegment.errors import Refused, Unreachable, Usage
from pipesegment.report.text import plain

#: verb -> the line that the list of verbs shows (importing every verb for its help would cost what laziness saves).
_VERBS: Final = {
    "compile": "Print every Kubernetes object that the operator would own.",
    "lint": "Find what is wrong, risky or missing in segments, grants and classes.",
    "plan": "Show what would be created, changed and deleted.",
    "reach": "Show who reaches whom, as declared and as the compiled objects enforce it.",
    "verify": "Check that what is declared is enforced now, on a live cluster.",
    "exception": "Ask for more reach for a while, approve it, take it back.",
    "seal": "Cut a stage off at once, or lift that.",
    "graph": "Draw a segment: its stages, what they reach, what reaches them.",
    "aws": "Print what has to be in AWS for the operator and the segments.",
    "wire": "Show what has to change in the pipeline engine so that its pods become the stages' pods.",
    "crd": "Print the CustomResourceDefinitions.",
    "run": "Run the operator.",
    "version": "Print the version.",
    "completion": "Print the completion script of a shell.",
}

#: Verbs that nobody types.
_HIDDEN: Final = frozenset({"probe"})

PLUGIN: Final = "kubectl-pipesegment"

_REFUSED: Final = 1
_USAGE: Final = 2
_UNREACHABLE: Final = 3
_INTERRUPTED: Final = 130


class _Verbs(click.Group):
    """The verbs, imported when asked for; and the one place where an error becomes an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _VERBS and cmd_name not in _HIDDEN:
            return None
        command = import_module(f"pipesegment.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Verbs"):
            formatter.write_dl(list(_VERBS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Refused as refused:
            for refusal in refused.refusals:
                output.say(str(refusal))
            ctx.exit(_REFUSED)
        except click.MissingParameter:
            raise  # of several lines, and nothing in them is the user's
        except click.UsageError as usage:
            # Names of files come from whoever wrote them, through a shell's `*`.
            raise click.UsageError(plain(usage.format_message()), usage.ctx) from usage
        except Usage as usage:
            raise click.UsageError(plain(str(usage))) from usage
        except Unreachable as unreachable:
            output.complain(str(unreachable))
            ctx.exit(_UNREACHABLE)


@click.group(
    cls=_Verbs,
    subcommand_metavar="VERB [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
def program() -> None:
    """Fence in pipeline stages: each reaches only what it declares.

    Exit codes: 0 done; 1 the input is refused, or there is an error (lint), a difference (plan, reach, verify) or something
    missing (wire --check); 2 bad usage; 3 the cluster or AWS cannot be reached.
    """


def main() -> None:
    """Run the program under the name it was started by: kubectl starts its plugins as `kubectl-<name>`."""
    plugin = Path(sys.argv[0]).stem == PLUGIN
    for stream in (sys.stdout, sys.stderr):
        # What is printed is read by others, as UTF-8, whatever the locale says.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        program.main(
            prog_name="kubectl pipesegment" if plugin else "pipesegment",
            complete_var="_PIPESEGMENT_COMPLETE",
            standalone_mode=True,
        )
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
