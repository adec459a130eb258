"""`pipesegment graph`."""

import click

from pipesegment.cli import output
from pipesegment.cli.options import Options, surroundings
from pipesegment.cli.picture import draw
from pipesegment.cli.walk import Walked, refuse, walk
from pipesegment.cli.walk import surroundings as read
from pipesegment.errors import Usage


@click.command("graph", short_help="Draw a segment.")
@surroundings()
@click.argument("segments", metavar="[SEGMENT]...", nargs=-1)
@click.option(
    "-o",
    "--output",
    "style",
    type=click.Choice(["mermaid", "dot", "svg", "json"]),
    default="mermaid",
    show_default=True,
    help="The language of the picture.",
)
def command(options: Options, segments: tuple[str, ...], style: str) -> None:
    """Draw segments: their stages, what they reach, what reaches them.

    SEGMENT is a name, or namespace/name; without any, every segment that is given is drawn. Ways that stay closed are
    dashed and red, with the reason.
    """
    found = walk(read(options, optional=True))
    if found.problems:
        refuse(found.problems)
    picture = draw([(each.reach, each.findings) for each in _chosen(found.walked, segments)])
    if style == "json":
        output.write_json(picture.data())
    elif style == "svg":
        from pipesegment.cli import svg  # noqa: PLC0415 - one language is asked for

        output.write(svg.render(picture))
    elif style == "dot":
        from pipesegment.cli import dot  # noqa: PLC0415 - one language is asked for

        output.write(dot.render(picture))
    else:
        from pipesegment.cli import mermaid  # noqa: PLC0415 - one language is asked for

        output.write(mermaid.render(picture))


def _chosen(walked: tuple[Walked, ...], wanted: tuple[str, ...]) -> list[Walked]:
    known = {str(each.reach.segment) for each in walked} | {each.reach.segment.name for each in walked}
    missing = [name for name in wanted if name not in known]
    if missing or not walked:
        what = f"segment {missing[0]}" if missing else "segment"
        given = ", ".join(str(each.reach.segment) for each in walked) or "none"
        raise Usage(f"there is no {what} in the input: it holds {given}")
    return [w for w in walked if not wanted or {str(w.reach.segment), w.reach.segment.name} & set(wanted)]
