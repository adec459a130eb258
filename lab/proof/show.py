"""The proof for people, one line for each way; and for programs, as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lab.network.matrix import Way
from lab.proof.hearing import Answer, Heard, Proof
from lab.proof.rows import rows
from lab.proof.scene import SAMPLE

ROOT: Final = Path(__file__).parents[2]
_DECLARED: Final = "declared"
NOT_ASKED: Final = "–"  # noqa: RUF001 - a dash, as tables have it
#: What is cut off on a narrow terminal would be the differences.
_WIDTH: Final = 110


def picture(proof: Proof, console: Console, *, everything: bool = False) -> None:
    """Print the table, what is missing, and the sum of it."""
    shown = rows(proof, everything=everything)
    console.print(f"The pipeline of [bold]{SAMPLE.relative_to(ROOT)}[/]: {', '.join(proof.scene.stages.values())}\n")
    console.print(_legend(proof))
    console.print()
    console.print(_table(proof, shown))
    console.print()
    for missing in proof.missing:
        console.print(Text(str(missing), "bold red"), soft_wrap=True)
    console.print(_sum(proof, len(shown)), soft_wrap=True)


def for_people() -> Console:
    """Give a console on stdout; colours are for terminals."""
    return Console(highlight=False, width=max(_WIDTH, Console().width))


def document(proof: Proof, *, everything: bool = False) -> str:
    """Render as JSON."""
    return json.dumps(
        {
            "holds": proof.holds,
            "judges": [
                {"name": each.name, "answers": len(each.answers), "seconds": round(each.seconds, 2)}
                for each in proof.heard
            ],
            "missing": [{"name": m.name, "reason": m.reason, "failed": m.failed} for m in proof.missing],
            "compared": len(proof.scene.ways),
            "differences": len(proof.differences),
            "ways": [_row(proof, way) for way in rows(proof, everything=everything)],
        },
        indent=2,
    )


def _row(proof: Proof, way: Way) -> dict[str, Any]:
    answers = {each.name: each.answers[way] for each in proof.heard if way in each.answers}
    said = {
        name: {"open": answer.open, **({"said": answer.said} if answer.said else {})}
        for name, answer in answers.items()
    }
    return {
        "from": way.source,
        "to": way.destination,
        "port": way.port,
        _DECLARED: proof.declared(way),
        "judges": said,
        "differs": proof.differs(way),
    }


def _legend(proof: Proof) -> Table:
    legend = Table.grid(padding=(0, 2))
    legend.add_row(Text(_DECLARED, "bold"), "what the sample says is open, by `pipesegment reach`")
    for each in proof.heard:
        legend.add_row(Text(each.name, "bold"), each.about)
    legend.add_row(f"✓ ✗ {NOT_ASKED}", "open, closed, not this judge's business")
    return legend


def _table(proof: Proof, shown: Sequence[Way]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("from → to : port", no_wrap=True)
    for name in (_DECLARED, *(each.name for each in proof.heard)):
        table.add_column(name, no_wrap=True)
    table.add_column("", no_wrap=True)
    stages = proof.scene.stages
    source = ""
    for way in shown:
        if way.source != source:
            source = way.source
            title = f"stage {stages[source]}" if source in stages else source
            beside = "" if source in stages else " (no stage)"
            table.add_row(Text(f"{title}{beside}", "bold cyan"))
        table.add_row(*_line(proof, way))
    return table


def _line(proof: Proof, way: Way) -> list[Text]:
    declared, differs = proof.declared(way), proof.differs(way)
    name = f"  {way.source} → {way.destination} : {way.port.removeprefix('TCP/')}"
    cells = [_cell(each, way, declared=declared) for each in proof.heard]
    mark = Text("← differs" if differs else "", "bold red")
    return [Text(name, "bold red" if differs else ""), _sign(Answer(declared)), *cells, mark]


def _cell(heard: Heard, way: Way, *, declared: bool) -> Text:
    if way not in heard.answers:
        return Text(NOT_ASKED, "dim")
    answer = heard.answers[way]
    sign = _sign(answer)
    if answer.open != declared:
        sign.stylize("bold red")
    return sign


def _sign(answer: Answer) -> Text:
    sign = "✓" if answer.open else "✗"
    return Text(f"{sign} {answer.said}".rstrip(), "green" if answer.open else "dim")


def _sum(proof: Proof, shown: int) -> Text:
    differences = len(proof.differences)
    if differences:
        text = Text(f"{differences} of the ways are not as they are declared.", "bold red")
    elif proof.missing and proof.heard:
        text = Text(f"No difference, as far as {len(proof.heard)} of {len(proof.heard) + len(proof.missing)} can say.")
    elif proof.heard:
        text = Text("No difference: what is declared is what is enforced.", "bold green")
    else:
        text = Text("Nothing is proved: there was nobody to ask.", "bold red")
    told = ", ".join(f"{each.name} {len(each.answers)} in {each.seconds:.1f} s" for each in proof.heard)
    ways = f"{len(proof.scene.ways)} ways compared, {shown} of them shown."
    return text.append(f"\n{ways}\nAnswers: {told or 'none'} (starts included).", "not bold default")
