"""`pipesegment exception`: ask for more reach for a while, approve it, see what there is, take it back."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import click

from pipesegment import names
from pipesegment.cli import output
from pipesegment.cli.emergency import (
    Place,
    check,
    document,
    every,
    existing,
    looked_at,
    make,
    place,
    refuse,
    run,
    take_back,
    target,
    told_anyhow,
    whoami,
)
from pipesegment.cli.options import Options, of_cluster, printed_as
from pipesegment.cli.wanted import wanted as what
from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Usage
from pipesegment.report.text import plain
from pipesegment.spec.base import shown
from pipesegment.spec.exception import User, spec_hash
from pipesegment.world import kinds
from pipesegment.world.port import Cluster, Json

#: How many actions a row names.
_FEW: Final = 2
_COLUMNS: Final = ("EXCEPTION", "EFFECT", "STAGE", "AWS", "PHASE", "APPROVALS", "UNTIL", "ASKED BY", "WHY")


@click.group("exception", short_help="Ask for more reach for a while, approve it, take it back.")
def command() -> None:
    """Ask for more reach for a while, approve it as somebody else, see what there is, take it back.

    Who asks and who approves is who the API server says you are; `kubectl auth whoami` tells.
    """


@command.command("request", short_help="Ask for more reach for a while.")
@click.argument("stage", metavar="[NAMESPACE/]SEGMENT/STAGE")
@click.option("--reason", metavar="TEXT", required=True, help="Why, for those who approve and for the audit trail.")
@click.option("--ticket", metavar="WORD", required=True, help="Where it is written down, such as INC-4711.")
@click.option("--duration", metavar="TIME", required=True, help="How long it lasts from now on, such as 1h.")
@click.option(
    "-f",
    "--filename",
    "file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=str),
    help="What to reach: a list as in spec.stages[].reaches, in YAML or JSON; - for stdin. Rights in AWS too: a mapping with"
    " reaches and aws, as a SegmentException's spec has them.",
)
@click.option("--cidr", "cidrs", metavar="BLOCK", multiple=True, help="Addresses to reach. Repeatable.")
@click.option("--fqdn", "fqdns", metavar="NAME", multiple=True, help="A host name to reach. Repeatable.")
@click.option(
    "--service", "services", metavar="NAME[.NAMESPACE]", multiple=True, help="A Service to reach. Repeatable."
)
@click.option(
    "--port", "ports", metavar="PORT[/PROTOCOL]", multiple=True, help="Ports of all these; TCP by default. Repeatable."
)
@click.option("--name", metavar="NAME", help="The SegmentException's name.  [default: after the stage]")
@of_cluster()
@printed_as("text", "json", "yaml")
@click.pass_context
def request(
    ctx: click.Context,
    options: Options,
    stage: str,
    reason: str,
    ticket: str,
    duration: str,
    file: str | None,
    cidrs: Sequence[str],
    fqdns: Sequence[str],
    services: Sequence[str],
    ports: Sequence[str],
    name: str | None,
    style: str,
) -> None:
    """Ask that a stage reaches more for a while. It does once enough people have approved, until its time is over.

    Exit 1 also when it is made and the operator refuses it at once, for the class does not allow it.
    """
    wanted = place(stage, options)
    asked = what(file, cidrs, fqdns, services, ports)
    spec = {"effect": "Open", **asked, "reason": reason, "ticket": ticket, "duration": duration}
    made = run(options, "asking", lambda cluster: _request(cluster, wanted, spec, name))
    _tell(made, style, f"stage {wanted} {_asked(made)}")
    ctx.exit(1 if (made.get("status") or {}).get("phase") == "Refused" else 0)


def _asked(made: Json) -> str:
    """Say what became of what was asked for, by the operator's first word."""
    told, place = _told(made), _place(made)
    approve = f"pipesegment exception approve {place}"
    if not told["reason"]:
        return f"waits for the operator to look at it, then for approval: {approve}"
    if told["phase"] == "Pending" and told["reason"] == "AwaitingApproval":
        return f"waits for approval: {approve}"
    if told["phase"] == "Pending":
        return f"waits, and not for approval alone ({told['reason']}): {told['message']}"
    gone = f": take it back with `pipesegment exception revoke {place}`" if told["phase"] == "Refused" else ""
    return f"is not opened ({told['phase']}): {told['message']}{gone}"


@command.command("approve", short_help="Approve what somebody else asked for.")
@click.argument("exception", metavar="[NAMESPACE/]NAME")
@click.option("--yes", is_flag=True, help="Do not ask whether what is shown is what you approve.")
@click.option("--name", metavar="NAME", help="The SegmentApproval's name.  [default: after the exception]")
@of_cluster()
@printed_as("text", "json", "yaml")
def approve(options: Options, exception: str, yes: bool, name: str | None, style: str) -> None:
    """Approve what somebody else asked for, as one of the class's approverGroups and with a second factor.

    What it opens, for whom and why is shown on stderr before. It counts for exactly that, and only while you could have said so.
    """
    wanted = target(exception, options)
    found = run(options, "reading the exception", lambda cluster: existing(cluster, wanted))
    spec = _approvable(found)
    for line in _shown(found):
        output.say(line)
    if not yes:
        if not sys.stdin.isatty():
            raise Usage("--yes: is missing, and nobody is there to be asked")
        click.confirm("Approve?", abort=True, err=True)
    made = run(options, "approving", lambda cluster: _approve(cluster, found, spec, name))
    _tell(made, style, f"{names.EXCEPTION} {_place(found)} is approved by {made['spec']['approvedBy']['username']}")


@command.command("list", short_help="Show exceptions and seals.")
@of_cluster()
@printed_as("text", "json", "yaml")
def listed(options: Options, style: str) -> None:
    """Show the exceptions and seals of a namespace (-n), or of all: what is open or sealed, by whose word, until when."""
    found = run(options, "listing exceptions", lambda c: every(c, kinds.EXCEPTION, options.namespace))
    ordered = sorted(found, key=lambda o: (o["metadata"]["namespace"], o["metadata"]["name"]))
    if style == "text":
        output.write_table(_COLUMNS, [_row(obj) for obj in ordered])
    else:
        output.write_data({"exceptions": [_told(obj) for obj in ordered]}, style)


@command.command("revoke", short_help="Take exceptions back: what they opened closes.")
@click.argument("exceptions", metavar="[NAMESPACE/]NAME...", nargs=-1, required=True)
@of_cluster()
@printed_as("text", "json", "yaml")
def revoke(options: Options, exceptions: Sequence[str], style: str) -> None:
    """Delete exceptions: what they opened closes; seals are lifted, by those who may."""
    wanted = dict.fromkeys(target(given, options) for given in exceptions)
    gone: list[Json] = []
    with told_anyhow(gone, lambda: _tell_gone(gone, style)):
        run(options, "taking back", lambda cluster: _revoke(cluster, wanted, gone))


def _tell_gone(gone: Sequence[Json], style: str) -> None:
    if style == "text":
        output.write_lines(*(f"{names.EXCEPTION} {_place(obj)} is taken back" for obj in gone))
    else:
        output.write_data({"exceptions": [_told(obj) for obj in gone]}, style)


async def _request(cluster: Cluster, wanted: Place, spec: Mapping[str, Any], name: str | None) -> Json:
    obj = document(wanted, {**spec, "requestedBy": {"username": "?"}}, name)
    if await check(cluster, wanted):
        where = f"{names.SEGMENT} {wanted.namespace}/{wanted.segment}"
        refuse(
            where,
            "is being deleted, so nothing of it opens any more, not even",
            wanted.stage,
            "ask when it is there again",
        )
    obj["spec"]["requestedBy"] = await whoami(cluster)
    return await looked_at(cluster, await make(cluster, obj, f"{wanted.segment}-{wanted.stage}", name))


def _approvable(found: Json) -> dict[str, Any]:
    """Write what the approval has to name; Refused where there is nothing to approve."""
    where, status, spec = f"{names.EXCEPTION} {_place(found)}", found.get("status") or {}, found["spec"]
    if spec["effect"] != "Open":
        refuse(where, "needs no approval, for it is a", spec["effect"], "lift it with `pipesegment seal --lift`")
    if not status.get("specHash"):
        refuse(where, "was not looked at yet", "", "wait until the operator has told its status")
    if status["specHash"] != spec_hash(spec):
        refuse(where, "has a status of another spec", status["specHash"], "wait until the operator has looked at it")
    if status.get("phase") in {"Expired", "Refused"}:
        refuse(where, "cannot be approved any more", status["phase"], "ask anew")
    if not status.get("class"):
        refuse(
            where, "has nobody who may approve", status.get("reason", ""), "have one SegmentClass govern the namespace"
        )
    return {
        "exception": {
            "name": found["metadata"]["name"],
            "uid": found["metadata"]["uid"],
            "specHash": status["specHash"],
            "requestedBy": spec["requestedBy"],
        },
        "class": {key: status["class"][key] for key in ("name", "uid")},
    }


async def _approve(cluster: Cluster, found: Json, spec: Mapping[str, Any], name: str | None) -> Json:
    me = await whoami(cluster)
    asked = spec["exception"]["requestedBy"]
    if User.model_validate(me).is_same(User.model_validate(asked)):
        where = f"{names.EXCEPTION} {_place(found)}"
        refuse(where, "was asked for by yourself", me["username"], "have somebody else approve it")
    obj = {
        "apiVersion": names.API_VERSION,
        "kind": names.APPROVAL,
        "metadata": {"namespace": found["metadata"]["namespace"]},
        "spec": {**spec, "approvedBy": me},
    }
    return await make(cluster, obj, found["metadata"]["name"], name)


async def _revoke(cluster: Cluster, wanted: Iterable[ObjectID], gone: list[Json]) -> None:
    for each in [await existing(cluster, each) for each in wanted]:
        await take_back(cluster, each)
        gone.append(each)


def _shown(found: Json) -> list[str]:
    spec, status = found["spec"], found.get("status") or {}
    stage = f"stage {spec['segment']}/{spec['stage']} of namespace {found['metadata']['namespace']}"
    opened = "; ".join(plain(shown(entry)) for entry in spec.get("reaches") or ())
    given = [plain(shown(each)) for each in _permissions(spec)]
    return [
        *([f"{stage} shall reach: {opened}"] if opened else ()),
        *(f"{stage} shall be allowed in AWS: {each}" for each in given),
        f"for {spec.get('duration', '')}, until {status.get('expiresAt') or 'then'}",
        f"asked for by {spec['requestedBy']['username']} ({spec.get('ticket', '')}): {spec['reason']}",
        f"approved by {status.get('approvals', 0)} of {status.get('approvalsNeeded', 1)}",
    ]


def _permissions(spec: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (spec.get("aws") or {}).get("permissions") or ()


def _row(obj: Json) -> list[str]:
    told = _told(obj)
    counted = f"{told['approvals']}/{told['approvalsNeeded']}" if told["effect"] == "Open" else "-"
    until = told["expiresAt"] or "-"
    stage = f"{told['segment']}/{told['stage']}"
    given = _few(told["rights"])
    if not given and told["phase"] == "Pending":
        asked = _few(sorted({action for each in _permissions(obj["spec"]) for action in each.get("actions") or ()}))
        given = f"asks {asked}" if asked else ""
    who = told["requestedBy"]
    return [_place(obj), told["effect"], stage, given or "-", told["phase"], counted, until, who, told["why"]]


def _few(actions: Sequence[str]) -> str:
    return ",".join(actions[:_FEW]) + (",…" if len(actions) > _FEW else "")


def _told(obj: Json) -> dict[str, Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    return {
        "namespace": obj["metadata"]["namespace"],
        "name": obj["metadata"]["name"],
        "effect": spec["effect"],
        "segment": spec["segment"],
        "stage": spec["stage"],
        "rights": status.get("gives") or [],
        "phase": status.get("phase") or "Pending",
        "reason": status.get("reason") or "",
        "message": next((c["message"] for c in status.get("conditions") or () if c["type"] == "Ready"), ""),
        "approvals": status.get("approvals", 0),
        "approvalsNeeded": status.get("approvalsNeeded", 0),
        "approvers": status.get("approvers") or [],
        "opensAt": status.get("opensAt") or "",
        "expiresAt": status.get("expiresAt") or "",
        "requestedBy": spec["requestedBy"]["username"],
        "ticket": spec.get("ticket") or "",
        "why": spec["reason"],
    }


def _place(obj: Json) -> str:
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


def _tell(made: Json, style: str, line: str) -> None:
    if style == "text":
        output.write_lines(f"{made['kind']} {_place(made)}: {line}")
    else:
        output.write_data(made, style)
