"""`pipesegment reach`."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import click

from pipesegment.cli import asked, output
from pipesegment.cli.advice import additions, nothing
from pipesegment.cli.options import Options, printed_as, surroundings
from pipesegment.cli.verdicts import Matrix, Verdict
from pipesegment.cli.walk import Walk, refuse, walk
from pipesegment.cli.walk import surroundings as read
from pipesegment.declared.members import STALLED
from pipesegment.errors import Refused, Usage
from pipesegment.facts.ends import Port
from pipesegment.findings import Finding

#: A matrix with more columns than this no terminal shows in one piece; a list of its cells is easier to read.
_MOST_COLUMNS: Final = 6


@click.command("reach", short_help="Show who reaches whom, declared and enforced.")
@surroundings()
@click.option(
    "--from",
    "source",
    metavar="NS/POD|ADDRESS",
    help="Ask one question: from this pod, stage (NS/SEGMENT-STAGE), Service or address…",
)
@click.option(
    "--to", "destination", metavar="NS/POD|ADDRESS", help="…to this one, or to a destination of the class by its name…"
)
@click.option("--port", "port", metavar="PORT", help="…at this port: TCP/443, UDP/53; 443 alone is TCP.")
@printed_as("text", "json", "yaml")
@click.pass_context
def command(
    ctx: click.Context, options: Options, source: str | None, destination: str | None, port: str | None, style: str
) -> None:
    """Show who reaches whom, as declared and as the compiled objects enforce it; exit 1 where the two differ.

    With --from, --to and --port together one question is answered, with the reason or with what to add. Pods that the
    facts lack are made up: a stage's is called <segment>-<stage>, in the segment's namespace.
    """
    question = (source, destination, port)
    if any(question) and not all(question):
        raise Usage("one question needs all of --from, --to and --port")
    walked = walk(read(options, optional=True))
    if walked.problems:
        refuse(walked.problems)
    for finding in _stalled(walked):
        output.say(str(finding))
    with output.progress("collecting who is there"):
        matrix = Matrix(walked)
    if source and destination and port:
        verdicts = _asked(source, destination, _port(port), matrix)
        if style == "text":
            for number, verdict in enumerate(verdicts):
                output.write_lines(*[""][: number > 0], *_explained(verdict, matrix, walked))
            ctx.exit(1 if any(verdict.differs for verdict in verdicts) else 0)
        found: Iterable[Verdict] = verdicts
    elif style == "text" and not walked.walked:
        output.nothing("ask")
        return
    elif style == "text":
        with output.progress("asking everybody about everybody"):
            found = list(matrix.telling())
        _print(found, len(matrix))
        ctx.exit(1 if any(verdict.differs for verdict in found) else 0)
    else:
        found = matrix.verdicts()
    ctx.exit(1 if _write(found, style) else 0)


def _write(found: Iterable[Verdict], style: str) -> int:
    """Write the answers as they come, for a large cluster has millions; give the number of mismatches."""
    mismatches = 0

    def data() -> Iterator[dict[str, Any]]:
        nonlocal mismatches
        for verdict in found:
            mismatches += verdict.differs
            yield verdict.data()

    output.write_stream("verdicts", data(), lambda: {"mismatches": mismatches}, style)
    return mismatches


def _stalled(walked: Walk) -> Iterator[Finding]:
    """Give the findings that say why no class can be known: they close everything."""
    for each in walked.walked:
        yield from (f for f in each.findings if f.reason == each.reach.governance.stalled)


def _asked(source: str, destination: str, port: Port, matrix: Matrix) -> Sequence[Verdict]:
    """Answer one question; a name that stands for several ends may have several answers."""
    sources = asked.source(source, matrix)
    destinations = asked.destination(destination, matrix, sources)
    for note in filter(None, (sources.note, destinations.note)):
        output.say(note)
    return [matrix.ask(one, other, port) for one in sources.ends for other in destinations.ends]


def _port(text: str) -> Port:
    try:
        return Port.parse(text)
    except Refused as refused:
        raise Usage(str(refused)) from refused


def _explained(verdict: Verdict, matrix: Matrix, walked: Walk) -> Iterator[str]:
    yield f"{verdict.source} → {verdict.destination} at {verdict.port}"
    yield f"declared: {_yes(verdict.declared)}: {verdict.declared_because}"
    yield f"enforced: {_yes(verdict.enforced)}: {verdict.enforced_because}"
    if not verdict.declared and STALLED in verdict.declared_because:
        yield "nothing opens until the class is known"
    elif not verdict.declared:
        every = (*matrix.reaches, *matrix.neighbours)
        found = additions(verdict.source, verdict.destination, verdict.port, every, matrix.snapshot)
        for addition in found:
            yield from str(addition).splitlines()
        if not found:
            yield nothing(verdict.source, verdict.destination, every)
    elif not verdict.enforced:
        for each in walked.walked:
            yield from (str(finding) for finding in each.findings if finding.path in verdict.declared_because)


def _print(found: Sequence[Verdict], asked: int) -> None:
    """Print what is open or differs of all that was asked."""
    rows = list(dict.fromkeys(str(v.source) for v in found))
    columns = list(dict.fromkeys(str(v.destination) for v in found))
    cells: dict[tuple[str, str], list[str]] = {}
    for verdict in found:
        cell = f"{verdict.port}{'!' if verdict.differs else ''}"
        cells.setdefault((str(verdict.source), str(verdict.destination)), []).append(cell)
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
    output.say(f"{asked} questions, {open_ways} open, {len(differing)} mismatches")


def _yes(value: bool) -> str:
    return "yes" if value else "no"
