"""`pipesegment plan`."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import click

from pipesegment.cli import inputs, output
from pipesegment.cli.inputs import Object
from pipesegment.cli.options import Options, surroundings
from pipesegment.cli.walk import Surroundings, refuse, told, walk
from pipesegment.cli.walk import surroundings as read
from pipesegment.compile.desired import Desired, ObjectID
from pipesegment.plan.changes import Action, Change, plan
from pipesegment.plan.live import Entry, Live
from pipesegment.world import kinds

_VERSIONS: Final = {(kind.group, kind.kind): kind.api_version for kind in kinds.OWNED}
#: What a line of text shows of one side of a difference.
_CUT: Final = 60


@click.command("plan", short_help="Show what would be created, changed and deleted.")
@surroundings()
@click.option(
    "--live",
    "live",
    type=click.Path(exists=True, allow_dash=True),
    multiple=True,
    help="Compare with these objects (as `kubectl get -o yaml` prints them), and ask no cluster.",
)
@click.option("-o", "--output", "style", type=click.Choice(["text", "json", "yaml"]), default="text", show_default=True)
@click.pass_context
def command(ctx: click.Context, options: Options, live: tuple[str, ...], style: str) -> None:
    """Show what would be created, changed and deleted; exit 1 when anything would.

    Compares with the cluster, or with --live FILE. What is not ours is never touched: it shows as a conflict.
    """
    if not live:
        options = options.in_cluster()
    found = read(options, optional=True)
    walked = walk(found, taken=False)
    if walked.problems:
        refuse(walked.problems)
    told(walked)
    for each in walked.walked:
        if each.reach.suspended:
            output.say(f"{each.reach.segment} is suspended: what creates, widens or repairs waits")
    existing = _live(_objects(live, options) if live else found.facts)
    desired = (*(w.desired for w in walked.walked), *walked.classes)
    changes = [c for d in desired for c in plan(d, existing, _inventory(d, found)).changes]
    _print(changes, style)
    ctx.exit(1 if any(change.action is not Action.UNCHANGED for change in changes) else 0)


def _objects(live: tuple[str, ...], options: Options) -> Iterable[Object]:
    found = inputs.read((), live, options.namespace or "default")
    if found.problems:
        refuse(found.problems)
    return found.facts


def _live(objects: Iterable[Object]) -> dict[ObjectID, Live]:
    """Read what may be ours, under the API versions that we write, whatever version it was printed in."""
    found = {}
    for obj in objects:
        version = _VERSIONS.get((str(obj.get("apiVersion", "")).rpartition("/")[0], str(obj["kind"])))
        if version is not None:
            live = Live.of({**obj, "apiVersion": version})
            found[live.id] = live
    return found


def _inventory(desired: Desired, found: Surroundings) -> tuple[Entry, ...]:
    """Read the inventory that the segment's status recorded."""
    for obj in found.facts:
        meta = obj.get("metadata") or {}
        if obj.get("kind") == kinds.SEGMENT.kind and (meta.get("namespace"), meta.get("name")) == desired.segment:
            recorded = (obj.get("status") or {}).get("inventory") or ()
            return tuple(
                Entry(ObjectID(i["apiVersion"], i["kind"], i.get("namespace", ""), i["name"]), i.get("uid", ""))
                for i in recorded
            )
    return ()


def _print(changes: list[Change], style: str) -> None:
    counts = {action.value: sum(c.action is action for c in changes) for action in Action}
    if style != "text":
        output.write_data({"changes": [_data(change) for change in changes], "counts": counts}, style)
        return
    rows = []
    for change in changes:
        if change.action is not Action.UNCHANGED:
            first, *more = [*_details(change), ""]
            rows.append([change.action.value, str(change.id), change.why.value, first])
            rows += [["", "", "", detail] for detail in more if detail]
    if rows:
        output.write_table(["ACTION", "OBJECT", "WHY", "DIFFERENCE"], rows)
    output.say(", ".join(f"{number} {action}" for action, number in counts.items() if number) or "nothing to do")


def _data(change: Change) -> Mapping[str, Any]:
    return {
        "action": change.action.value,
        "apiVersion": change.id.api_version,
        "kind": change.id.kind,
        "namespace": change.id.namespace,
        "name": change.id.name,
        "why": change.why.value,
        "differences": [{"path": d.path, "old": d.old, "new": d.new} for d in change.differences],
    }


def _details(change: Change) -> list[str]:
    return [f"{d.path}: {_short(d.old)} → {_short(d.new)}" for d in change.differences]


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= _CUT else f"{text[:_CUT]}…"
