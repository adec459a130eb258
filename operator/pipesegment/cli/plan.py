"""`pipesegment plan`."""

import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import click

from pipesegment.cli import inputs, output
from pipesegment.cli.existing import Existing, inventories
from pipesegment.cli.inputs import Object
from pipesegment.cli.options import Options, printed_as, surroundings
from pipesegment.cli.walk import Walked, refuse, told, walk
from pipesegment.cli.walk import surroundings as read
from pipesegment.facts.meta import Key
from pipesegment.plan import render
from pipesegment.plan.aws.steps import Moment
from pipesegment.plan.changes import Action, Change
from pipesegment.plan.live import Entry
from pipesegment.report.text import plain
from pipesegment.world.clock import utc

_COLOURS: Final[Mapping[render.Style, str]] = {
    "created": "bold green",
    "configured": "bold yellow",
    "deleted": "bold red",
    "conflict": "bold magenta",
    "added": "green",
    "removed": "red",
    "place": "cyan",
}


@click.command("plan", short_help="Show what would be created, changed and deleted.")
@surroundings()
@click.option(
    "--live",
    "live",
    type=click.Path(exists=True, allow_dash=True),
    multiple=True,
    help="Compare with these objects, as `kubectl get -o yaml` prints them, and ask no cluster. Repeatable.",
)
@printed_as("text", "json", "yaml")
@click.pass_context
def command(ctx: click.Context, options: Options, live: tuple[str, ...], style: str) -> None:
    """Show what would be created, changed and deleted; exit 1 when anything would.

    Compares with the cluster, or with --live. What pipesegment did not make is never touched: it shows as a conflict.
    """
    inputs.once(*options.files, *options.facts, *live)
    if not live:
        options = options.in_cluster()
    found = read(options, optional=True)
    walked = walk(found, taken=False)
    if walked.problems:
        refuse(walked.problems)
    told(walked)
    for each in walked.walked:
        if each.reach.governance.stalled:
            output.say(
                f"{each.reach.segment} is stalled: what exists stays, less what is revoked; the rest is shown closed"
            )
        elif each.reach.suspended:
            output.say(f"{each.reach.segment} is suspended: what creates, widens or repairs waits")
    existing = Existing(_objects(live, options) if live else found.facts)
    recorded = inventories(found)
    with output.progress("comparing"):
        changes = [change for w in walked.walked for change in _of(w, existing, recorded, found.snapshot.now)]
        changes += [change for d in walked.classes for change in existing.changes(d, recorded.get(d.segment, ()))]
    _print(changes, style, of_something=bool(changes or walked.walked))
    ctx.exit(1 if any(change.action is not Action.UNCHANGED for change in changes) else 0)


def _of(
    walked: Walked, existing: Existing, recorded: Mapping[Key, tuple[Entry, ...]], now: datetime | None
) -> tuple[Change, ...]:
    reach = walked.reach
    held = bool(reach.governance.stalled)
    return existing.changes(
        walked.desired,
        recorded.get(reach.segment, ()),
        stalled=held,
        moment=Moment(now or utc(), not held),
        deletes=reach.governance.spec.aws.deletion_policy == "Delete",
    )


def _objects(live: tuple[str, ...], options: Options) -> Iterable[Object]:
    with output.reading(*live):
        found = inputs.read((), live, options.namespace or "default")
    if found.problems:
        refuse(found.problems)
    return found.facts


def _print(changes: list[Change], style: str, *, of_something: bool) -> None:
    if style != "text":
        output.write_data(render.as_json(changes), style)
        return
    if not of_something:
        output.nothing("do")
        return
    lines = list(render.spans(changes))
    if lines and sys.stdout.isatty():
        _paint(lines)
    elif lines:
        output.write_lines(*(line.text for line in lines))
    output.say(render.summary(changes))


def _paint(lines: list[render.Span]) -> None:
    from rich.console import Console  # noqa: PLC0415 - piped output never pays for it
    from rich.text import Text  # noqa: PLC0415

    # Text, never markup: a line may hold what somebody wrote into a segment.
    painted = (Text(plain(line.text), style=_COLOURS.get(line.style, "")) for line in lines)
    Console().print(Text("\n").join(painted), soft_wrap=True)
