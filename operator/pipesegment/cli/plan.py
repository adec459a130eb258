"""`pipesegment plan`."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

import click

from pipesegment import names
from pipesegment.cli import inputs, output
from pipesegment.cli.inputs import Object
from pipesegment.cli.options import Options, surroundings
from pipesegment.cli.walk import Surroundings, refuse, told, walk
from pipesegment.cli.walk import surroundings as read
from pipesegment.compile.desired import Desired, ObjectID
from pipesegment.facts.snapshot import Key
from pipesegment.plan import render
from pipesegment.plan.changes import Action, Change, Why, plan
from pipesegment.plan.live import Entry, Live
from pipesegment.report.text import plain
from pipesegment.world import kinds

_VERSIONS: Final = {(kind.group, kind.kind): kind.api_version for kind in kinds.OWNED}
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
    existing = _Existing(_objects(live, options) if live else found.facts)
    inventories = _inventories(found)
    desired = (*(w.desired for w in walked.walked), *walked.classes)
    stalled = {w.reach.segment for w in walked.walked if w.reach.governance.stalled}
    changes = [
        _kept(change) if d.segment in stalled else change
        for d in desired
        for change in plan(d, existing.around(d), inventories.get(d.segment, ())).changes
    ]
    _print(changes, style)
    ctx.exit(1 if any(change.action is not Action.UNCHANGED for change in changes) else 0)


def _kept(change: Change) -> Change:
    """Leave what exists as it is: while the class is not known, nobody knows what it should be."""
    if change.live is None or not change.writes:
        return change
    return replace(change, action=Action.UNCHANGED, why=Why.SAME, differences=())


def _objects(live: tuple[str, ...], options: Options) -> Iterable[Object]:
    found = inputs.read((), live, options.namespace or "default")
    if found.problems:
        refuse(found.problems)
    return found.facts


class _Existing:
    """What exists and may be ours, under the API versions that we write, whatever version it was printed in."""

    def __init__(self, objects: Iterable[Object]) -> None:
        self._all: dict[ObjectID, Live] = {}
        for obj in objects:
            version = _VERSIONS.get((str(obj.get("apiVersion", "")).rpartition("/")[0], str(obj["kind"])))
            if version is not None:
                live = Live.of({**obj, "apiVersion": version})
                self._all[live.id] = live
        # `plan` looks at all that it is given: a thousand segments must not each look at every other's objects.
        self._claimed: dict[str | Key, list[Live]] = {}
        for live in self._all.values():
            for owner in _claims(live):
                self._claimed.setdefault(owner, []).append(live)

    def around(self, desired: Desired) -> dict[ObjectID, Live]:
        """Give what has the name of a desired object, and what may have been made for the same segment or class."""
        named = (ObjectID.of(obj) for obj in desired.objects)
        found = {target: self._all[target] for target in named if target in self._all}
        namespace, name = desired.segment
        for owner in (desired.uid, Key(namespace, name if namespace else names.label_value(name))):
            found |= {live.id: live for live in self._claimed.get(owner, ())}
        return found


def _claims(live: Live) -> set[str | Key]:
    """Name whom an object says that it was made for: by uid, and by the names in its labels."""
    labels = live.labels
    origin = labels.get(names.ORIGIN_LABEL, live.id.namespace)
    said = (Key(origin, labels.get(names.SEGMENT_LABEL, "")), Key("", labels.get(names.CLASS_LABEL, "")))
    return {*(uid for uid in (live.owner, live.segment_uid) if uid), *(key for key in said if key.name)}


def _inventories(found: Surroundings) -> dict[Key, tuple[Entry, ...]]:
    """Read the inventories that the segments' statuses recorded."""
    inventories: dict[Key, tuple[Entry, ...]] = {}
    for obj in found.facts:
        meta, status = obj.get("metadata") or {}, obj.get("status") or {}
        if obj.get("kind") == kinds.SEGMENT.kind:
            recorded = tuple(
                Entry(ObjectID(i["apiVersion"], i["kind"], i.get("namespace", ""), i["name"]), i.get("uid", ""))
                for i in status.get("inventory") or ()
            )
            inventories.setdefault(Key(meta.get("namespace", ""), meta.get("name", "")), recorded)
    return inventories


def _print(changes: list[Change], style: str) -> None:
    if style != "text":
        output.write_data(render.as_json(changes), style)
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
