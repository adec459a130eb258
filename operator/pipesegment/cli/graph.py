"""`pipesegment graph`."""

from importlib import import_module

import click

from pipesegment.cli import output
from pipesegment.cli.options import Options, printed_as, surroundings
from pipesegment.cli.picture import Picture, draw
from pipesegment.cli.walk import Walked, refuse, walk
from pipesegment.cli.walk import surroundings as read
from pipesegment.errors import Usage


@click.command("graph", short_help="Draw a segment.")
@surroundings()
@click.argument("segments", metavar="[SEGMENT]...", nargs=-1)
@printed_as("mermaid", "dot", "svg", "json", meaning="The language of the picture.")
def command(options: Options, segments: tuple[str, ...], style: str) -> None:
    """Draw segments: their stages, what they reach, what reaches them.

    SEGMENT is a name, or namespace/name; without any, every segment that is given is drawn. Ways that stay closed are
    dashed and red, with the reason.
    """
    found = walk(read(options, optional=True))
    if found.problems:
        refuse(found.problems)
    chosen = _chosen(found.walked, segments)
    if not chosen and style != "json":
        output.nothing("draw")
        return
    with output.progress("drawing"):
        picture = draw([(each.reach, each.findings) for each in chosen])
        text = "" if style == "json" else _rendered(picture, style)
    if style == "json":
        output.write_json(picture.data())
    else:
        output.write(text)


def _rendered(picture: Picture, style: str) -> str:
    """Draw in the language that is asked for, and load no other."""
    module = import_module(f"pipesegment.cli.{style}")
    return str(module.render(picture))


def _chosen(walked: tuple[Walked, ...], wanted: tuple[str, ...]) -> list[Walked]:
    known = {str(each.reach.segment) for each in walked} | {each.reach.segment.name for each in walked}
    missing = [name for name in wanted if name not in known]
    if missing:
        given = ", ".join(str(each.reach.segment) for each in walked) or "none"
        raise Usage(f"there is no segment {missing[0]} in the input: it holds {given}")
    return [w for w in walked if not wanted or {str(w.reach.segment), w.reach.segment.name} & set(wanted)]
