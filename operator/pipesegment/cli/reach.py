"""`pipesegment reach`."""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import Any, Final

import click

from pipesegment.cli import output
from pipesegment.cli.advice import additions, nothing
from pipesegment.cli.options import Options, printed_as, surroundings
from pipesegment.cli.verdicts import Matrix, Verdict
from pipesegment.cli.walk import Walk, refuse, walk
from pipesegment.cli.walk import surroundings as read
from pipesegment.declared.members import STALLED
from pipesegment.errors import Refused, Usage
from pipesegment.facts.ends import AddressEnd, End, Port
from pipesegment.findings import Finding

#: A matrix with more columns than this no terminal shows in one piece; a list of its cells is easier to read.
_MOST_COLUMNS: Final = 6


@click.command("reach", short_help="Show who reaches whom, declared and enforced.")
@surroundings()
@click.option("--from", "source", metavar="NS/POD|ADDRESS", help="Ask one question: from this pod or address…")
@click.option("--to", "destination", metavar="NS/POD|ADDRESS", help="…to this pod or address…")
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
    asked = (source, destination, port)
    if any(asked) and not all(asked):
        raise Usage("one question needs all of --from, --to and --port")
    walked = walk(read(options, optional=True))
    if walked.problems:
        refuse(walked.problems)
    for finding in _stalled(walked):
        output.say(str(finding))
    with output.progress("collecting who is there"):
        matrix = Matrix(walked)
    if source and destination and port:
        verdict = matrix.ask(_end(source, matrix), _end(destination, matrix), _port(port))
        if style == "text":
            _explain(verdict, matrix, walked)
            ctx.exit(1 if verdict.differs else 0)
        found: Iterable[Verdict] = [verdict]
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


def _end(name: str, matrix: Matrix) -> End:
    known_end = matrix.ends.find(name)
    if known_end is not None:
        return known_end
    try:
        return AddressEnd(str(ip_address("" if "%" in name else name)))  # a zone means something on one host alone
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

    output.write_lines(f"{verdict.source} → {verdict.destination} at {verdict.port}")
    output.write_lines(f"declared: {answer(verdict.declared)}: {verdict.declared_because}")
    output.write_lines(f"enforced: {answer(verdict.enforced)}: {verdict.enforced_because}")
    if not verdict.declared and STALLED in verdict.declared_because:
        output.write_lines("nothing opens until the class is known")
    elif not verdict.declared:
        every = (*matrix.reaches, *matrix.neighbours)
        found = additions(verdict.source, verdict.destination, verdict.port, every, matrix.snapshot)
        for addition in found:
            output.write_lines(*str(addition).splitlines())
        if not found:
            output.write_lines(nothing(verdict.source, verdict.destination, every))
    elif not verdict.enforced:
        for each in walked.walked:
            for finding in each.findings:
                if finding.path in verdict.declared_because:
                    output.write_lines(str(finding))


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
