"""A scenario for people: played in the lab, with a picture of every moment and what differs in red."""

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lab.network import scenario
from lab.network.lab import NetworkLab, with_control_plane
from lab.network.matrix import Matrix, Way, differences, every
from lab.network.play import Seen, play
from lab.network.scenario import Moment
from lab.network.world import World


def picture(moment: Moment, found: Matrix, expected: Matrix) -> Table:
    """Draw who reaches whom, and in red every port at which that is not as expected."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("from \\ to", no_wrap=True)
    names = [member.name for member in moment.members]
    for name in names:
        table.add_column(name.replace("/", "/\n"), justify="center", overflow="fold")
    asked = set(every(moment.members, moment.ports))
    for source in names:
        cells = []
        for destination in names:
            ways = [Way(source, destination, port) for port in moment.ports]
            cells.append(_cell(ways, found, expected) if asked.issuperset(ways) else "")
        table.add_row(source, *cells)
    return table


def show(files: Sequence[Path], *, nodes: int = 1) -> bool:
    """Play scenarios in a lab of their own and print what was seen; tell whether all of it was as expected."""
    console = Console(highlight=False)
    with with_control_plane(nodes=nodes) as lab:
        outcomes = [asyncio.run(_show(lab, file, console)) for file in files]
    return all(outcomes)


async def _show(lab: NetworkLab, file: Path, console: Console) -> bool:
    console.print(f"\n[bold cyan]{file.stem.replace('-', ' ')}[/]")
    good = True
    async with lab.plane.api() as api, World(lab, api) as world:
        async for seen in play(world, scenario.read(file, lab.addresses)):
            good &= _tell(seen, console)
    return good


def _tell(seen: Seen, console: Console) -> bool:
    moment, expected = seen.moment, seen.moment.expected
    console.print(picture(moment, seen.kernel, expected))
    found = differences(expected | moment.withheld, seen.compiled.declared, "the declaration")
    found += differences(expected, seen.compiled.enforced, "the evaluator")
    found += differences(expected, seen.kernel, "the kernel")
    for line in found:
        console.print(f"[bold red]{line}[/]")
    for finding in seen.compiled.findings:
        console.print(f"[dim]{finding}[/]", soft_wrap=True)
    console.print(
        f"{len(seen.kernel)} ways are open; declaration, evaluator and kernel {'differ' if found else 'agree'}."
    )
    return not found


def _cell(ways: Sequence[Way], found: Collection[Way], expected: Collection[Way]) -> str:
    wrong = [way for way in ways if (way in found) != (way in expected)]
    opened = [way for way in ways if way in found]
    if wrong:
        return "[bold red]" + " ".join(f"{_port(way)}{'' if way in found else ' shut'}" for way in wrong) + "[/]"
    if not opened:
        return "[dim]·[/]"
    return f"[green]{'all' if opened == ways else ' '.join(map(_port, opened))}[/]"


def _port(way: Way) -> str:
    return way.port.removeprefix("TCP/")
