"""`pipesegment reach`."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

import click

from pipesegment.cli import output
from pipesegment.cli.advice import additions
from pipesegment.cli.options import Options, surroundings
from pipesegment.cli.verdicts import Matrix, Verdict, mismatches
from pipesegment.cli.walk import Walk, refuse, walk
from pipesegment.cli.walk import surroundings as read
from pipesegment.errors import Refused, Usage
from pipesegment.facts.ends import AddressEnd, End, Port

#: A matrix with more columns than this no terminal shows in one piece; a list of its cells is easier to read.
_MOST_COLUMNS: Final = 6


@click.command("reach", short_help="Show who reaches whom, declared and enforced.")
@surroundings()
@click.option("--from", "source", metavar="NS/POD|ADDRESS", help="Ask one question: from this pod or address…")
@click.option("--to", "destination", metavar="NS/POD|ADDRESS", help="…to this pod or address…")
@click.option("--port", "port", metavar="PORT", help="…at this port: TCP/443, UDP/53; 443 alone is TCP.")
@click.option(
    "-o",
    "--output",
    "style",
    type=click.Choice(["text", "json", "yaml"]),
    default="text",
    show_default=True,
    help="The format.",
)
@click.pass_context
def command(
    ctx: click.Context, options: Options, source: str | None, destination: str | None, port: str | None, style: str
) -> None:
    """Show who reaches whom, as declared and as the compiled objects enforce it; exit 1 where the two differ.

    With --from, --to and --port together one question is answered, with the reason or with what to add. Pods that the
    facts lack are made up: a stage's is called <segment>-<stage>, in the segment's namespace.
    """
    asked = (source, destination, port)
    if any(asked) and not all(asked):
        raise Usage("one question needs all of --from, --to and --port")
    walked = walk(read(options, optional=True))
    if walked.problems:
        refuse(walked.problems)
    matrix = Matrix(walked)
    if source and destination and port:
        verdict = matrix.ask(_end(source, matrix), _end(destination, matrix), _port(port))
        found = [verdict]
        if style == "text":
            _explain(verdict, matrix, walked)
    else:
        with output.progress("asking everybody about everybody"):
            found = list(matrix.verdicts())
        if style == "text":
            _print(found)
    if style != "text":
        data = {"verdicts": [verdict.data() for verdict in found], "mismatches": mismatches(found)}
        output.write_data(data, style)
    ctx.exit(1 if mismatches(found) else 0)


def _end(name: str, matrix: Matrix) -> End:
    known_end = matrix.ends.find(name)
    if known_end is not None:
        return known_end
    try:
        return AddressEnd(str(ip_address(name)))
    except ValueError:
        known = ", ".join(str(end) for end in matrix.ends.own)
        raise Usage(f"there is no pod or address '{name}': the stages' pods are {known or 'none'}") from None


def _port(text: str) -> Port:
    try:
        return Port.parse(text)
    except Refused as refused:
        raise Usage(str(refused)) from refused


def _explain(verdict: Verdict, matrix: Matrix, walked: Walk) -> None:
    def answer(yes: bool) -> str:
        return "yes" if yes else "no"

    output.write(f"{verdict.source} → {verdict.destination} at {verdict.port}")
    output.write(f"declared: {answer(verdict.declared)}: {verdict.declared_because}")
    output.write(f"enforced: {answer(verdict.enforced)}: {verdict.enforced_because}")
    if not verdict.declared:
        every = (*matrix.reaches, *matrix.neighbours)
        found = additions(verdict.source, verdict.destination, verdict.port, every, matrix.snapshot)
        for addition in found:
            output.write(str(addition))
        if not found:
            output.write("nothing that a segment may declare opens this way")
    elif not verdict.enforced:
        for each in walked.walked:
            for finding in each.findings:
                if finding.path in verdict.declared_because:
                    output.write(str(finding))


def _print(found: Sequence[Verdict]) -> None:
    rows = [str(end) for end in dict.fromkeys(v.source for v in found)]
    columns = [str(end) for end in dict.fromkeys(v.destination for v in found)]
    cells: dict[tuple[str, str], list[str]] = {}
    for verdict in found:
        if verdict.enforced or verdict.differs:
            cell = f"{verdict.port}{'!' if verdict.differs else ''}"
            cells.setdefault((str(verdict.source), str(verdict.destination)), []).append(cell)
    # Columns in which nothing is open say nothing that the rest does not.
    columns = [c for c in columns if any((row, c) in cells for row in rows)]
    rows = [row for row in rows if any((row, c) in cells for c in columns)]
    if len(columns) > _MOST_COLUMNS:
        output.write_table(["FROM", "TO", "OPEN"], [[*pair, " ".join(ways)] for pair, ways in cells.items()])
    elif columns:
        table = [[row, *(" ".join(cells.get((row, c), ["."])) for c in columns)] for row in rows]
        output.write_table(["FROM \\ TO", *columns], table)
    differing = [verdict for verdict in found if verdict.differs]
    if differing:
        output.write("")
        lines = [
            [str(v.source), str(v.destination), str(v.port), _yes(v.declared), _yes(v.enforced), v.because]
            for v in differing
        ]
        output.write_table(["FROM", "TO", "PORT", "DECLARED", "ENFORCED", "BECAUSE"], lines)
    open_ways = sum(verdict.enforced for verdict in found)
    output.say(f"{len(found)} questions, {open_ways} open, {len(differing)} mismatches")


def _yes(value: bool) -> str:
    return "yes" if value else "no"
