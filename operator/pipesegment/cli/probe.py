"""`pipesegment probe`: what `verify --probe` runs in its pods. Hidden: nobody types it."""

import asyncio
import json
from typing import Any, Final

import click

from pipesegment.cli import output
from pipesegment.errors import Usage
from pipesegment.probe import program
from pipesegment.probe.dial import Dial

_MOST: Final = 256


@click.command("probe", hidden=True)
@click.option("--targets", metavar="JSON", help="Call these: [{address, port, echo}].")
@click.option("--listen", "ports", metavar="PORTS", help="Answer at these ports: 8080,8443.")
@click.option(
    "--address", "addresses", default="", help="The own addresses, with --listen: checked before --ready opens."
)
@click.option("--ready", type=click.IntRange(1, 65535), default=61000, help="Opens when every port answers.")
@click.option("--seconds", type=click.FloatRange(0, 3600), default=120.0, help="How long to answer.")
@click.option("--rounds", type=click.IntRange(1, 20), default=4, help="How often each target is tried.")
@click.option("--pause", type=click.FloatRange(0, 60), default=2.0, help="Seconds between two rounds.")
@click.option("--timeout", type=click.FloatRange(0.01, 60), default=1.0, help="Seconds that one try may take.")
def command(
    targets: str | None,
    ports: str | None,
    addresses: str,
    ready: int,
    seconds: float,
    rounds: int,
    pause: float,
    timeout: float,
) -> None:
    """Call targets and print what became of it, or answer at ports."""
    if (targets is None) == (ports is None):
        raise Usage("give --targets or --listen")
    if targets is not None:
        answers = asyncio.run(program.call(_dials(targets), rounds, pause, timeout))
        output.write(json.dumps({"answers": answers}))
    elif ports is not None:
        asyncio.run(program.listen(_ports(ports), [a for a in addresses.split(",") if a], ready, seconds))


def _dials(text: str) -> list[Dial]:
    try:
        found: list[Any] = json.loads(text)
        dials = [Dial(str(t["address"]), int(t["port"]), bool(t.get("echo", True))) for t in found]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Usage(f"--targets is no list of targets: {error}") from error
    if len(dials) > _MOST:
        raise Usage(f"--targets names {len(dials)} targets, and {_MOST} are the most")
    return dials


def _ports(text: str) -> list[int]:
    try:
        ports = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise Usage(f"--listen is no list of ports: {error}") from error
    if not all(0 < port < 65536 for port in ports) or len(ports) > _MOST:
        raise Usage(f"--listen takes up to {_MOST} ports from 1 to 65535")
    return ports
