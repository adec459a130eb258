"""`pipesegment seal`: cut a stage off at once, without anybody's leave; and lift that, for those who may."""

from typing import Any

import click

from pipesegment import names
from pipesegment.cli import output
from pipesegment.cli.emergency import (
    Place,
    check,
    document,
    every,
    make,
    place,
    refuse,
    run,
    take_back,
    told_anyhow,
    whoami,
)
from pipesegment.cli.options import Options, of_cluster, printed_as
from pipesegment.errors import Usage
from pipesegment.world import kinds
from pipesegment.world.port import Cluster, Json


@click.command("seal", short_help="Cut a stage off at once, or lift that.")
@click.argument("stage", metavar="[NAMESPACE/]SEGMENT/STAGE")
@click.option("--reason", metavar="TEXT", help="Why, for the audit trail. Required, unless the seal is lifted.")
@click.option("--ticket", metavar="WORD", help="Where it is written down, such as INC-4711.")
@click.option("--duration", metavar="TIME", help="When it ends by itself, such as 4h.  [default: never]")
@click.option("--name", metavar="NAME", help="The SegmentException's name.  [default: after the stage]")
@click.option("--lift", is_flag=True, help="Delete the seals of the stage instead, as one of the class's sealerGroups.")
@of_cluster()
@printed_as("text", "json", "yaml")
def command(
    options: Options,
    stage: str,
    reason: str | None,
    ticket: str | None,
    duration: str | None,
    name: str | None,
    lift: bool,
    style: str,
) -> None:
    """Cut a stage off: it reaches nothing, accepts nothing, and loses its rights, at once.

    It is a SegmentException with the effect Seal, so Argo CD does not take it back. With --lift, what was sealed is let go.
    """
    wanted = place(stage, options)
    given = {"--reason": reason, "--ticket": ticket, "--duration": duration}
    if lift:
        superfluous = [option for option, value in given.items() if value is not None]
        if superfluous:
            raise Usage(f"{superfluous[0]}: goes with a new seal, and --lift makes none")
        gone: list[Json] = []
        with told_anyhow(
            gone, lambda: _tell(gone, style, [f"{_name(obj)} is lifted from stage {wanted}" for obj in gone])
        ):
            run(options, "lifting the seal", lambda cluster: _lift(cluster, wanted, name, gone))
        return
    if reason is None:
        raise Usage("--reason: is missing: say why")
    spec = {"effect": "Seal", "reason": reason, "ticket": ticket, "duration": duration}
    made = run(options, "sealing", lambda cluster: _seal(cluster, wanted, spec, name))
    holds = f"kubectl wait psexc {made['metadata']['name']} -n {wanted.namespace} --for=condition=Ready"
    _tell([made], style, [f"{_name(made)} is made; stage {wanted} is cut off once its phase is Sealed: {holds}"])


async def _seal(cluster: Cluster, wanted: Place, spec: dict[str, Any], name: str | None) -> Json:
    given = {key: value for key, value in spec.items() if value is not None}
    obj = document(wanted, {**given, "requestedBy": {"username": "?"}}, name)
    if await check(cluster, wanted):
        output.say(f"segment {wanted.namespace}/{wanted.segment} is being deleted, and a seal ends with its policies")
    obj["spec"]["requestedBy"] = await whoami(cluster)
    return await make(cluster, obj, f"seal-{wanted.segment}-{wanted.stage}", name)


async def _lift(cluster: Cluster, wanted: Place, name: str | None, gone: list[Json]) -> None:
    seals = [
        obj
        for obj in await every(cluster, kinds.EXCEPTION, wanted.namespace)
        if obj["spec"]["effect"] == "Seal"
        and (obj["spec"]["segment"], obj["spec"]["stage"]) == (wanted.segment, wanted.stage)
        and name in {None, obj["metadata"]["name"]}
    ]
    if not seals:
        refuse(
            f"{names.SEGMENT} {wanted.namespace}/{wanted.segment}",
            "is not sealed",
            wanted.stage,
            "see `exception list`",
        )
    for seal in seals:
        await take_back(cluster, seal)
        gone.append(seal)


def _name(obj: Json) -> str:
    return f"{names.EXCEPTION} {obj['metadata']['namespace']}/{obj['metadata']['name']}"


def _tell(found: list[Json], style: str, lines: list[str]) -> None:
    if style == "text":
        output.write_lines(*lines)
    else:
        output.write_data(found[0] if len(found) == 1 else {"items": found}, style)
