"""`pipesegment wire`."""

import click

from pipesegment.cli import output
from pipesegment.cli.inputs import once, text_of
from pipesegment.cli.options import Options, printed_as, surroundings
from pipesegment.cli.walk import refuse, walk
from pipesegment.cli.walk import surroundings as read
from pipesegment.findings import Finding
from pipesegment.wire import engines
from pipesegment.wire.given import Given
from pipesegment.wire.values import Piece, Wiring, render, wiring


@click.command("wire", short_help="Show what has to change in the pipeline engine.")
@surroundings()
@click.option(
    "--check",
    "checked",
    type=click.Path(exists=True, allow_dash=True, dir_okay=False),
    help="Tell what this file of the engine lacks instead; exit 1 if anything.",
)
@printed_as("text", "json", "yaml")
@click.pass_context
def command(ctx: click.Context, options: Options, checked: str | None, style: str) -> None:
    """Show what has to change in the pipeline engine so that its pods become the stages' pods.

    As text it is a snippet in the engine's own language: YAML, TOML, or Groovy.
    """
    once(*options.files, *options.facts, *([checked] if checked else []))
    found = walk(read(options, optional=True))
    if found.problems:
        refuse(found.problems)
    wirings = []
    for each in found.walked:
        assert each.segment.spec is not None
        wirings.append(wiring(each.segment.spec, each.reach))
    if checked is None:
        _print(wirings, style)
        return
    given = Given("stdin" if checked == "-" else checked, text_of(checked))
    lacks = [(w, lack) for w in wirings for lack in engines.lacks(w, given)]
    _print_lacks(given.name, lacks, style, of_something=bool(wirings))
    ctx.exit(1 if lacks else 0)


def _print(wirings: list[Wiring], style: str) -> None:
    made = [(w, engines.pieces(w)) for w in wirings]
    if style == "text" and not made:
        output.nothing("show")
    elif style == "text":
        output.write(render([piece for _, pieces in made for piece in pieces]))
    else:
        data = [{"segment": str(w.segment), "engine": engines.name(w), "pieces": list(map(_data, p))} for w, p in made]
        output.write_data({"wirings": data}, style)


def _print_lacks(name: str, lacks: list[tuple[Wiring, Finding]], style: str, *, of_something: bool) -> None:
    if style != "text":
        fields = ("path", "reason", "target", "message", "fix")
        data = [{"segment": str(w.segment), **{f: getattr(lack, f) for f in fields}} for w, lack in lacks]
        output.write_data({"file": name, "lacks": data}, style)
    elif lacks:
        output.write_lines(*(f"{name}: {lack.path}: {lack.message}: {lack.fix}" for _, lack in lacks))
    elif of_something:
        output.say(f"{name} lacks nothing")
    else:
        output.nothing("check")


def _data(piece: Piece) -> dict[str, object]:
    return {"title": piece.title, "language": piece.language, "notes": list(piece.notes), "text": piece.text}
