"""`pipesegment aws endpoints --apply`: what is missing is printed, then made; what exists is never changed."""

import asyncio
import shlex
from collections.abc import Iterator
from typing import Any

from pipesegment import names
from pipesegment.cli import output
from pipesegment.cli.walk import Walk, Walked
from pipesegment.compile.iam.endpoints import Need, needs
from pipesegment.errors import Refused
from pipesegment.facts.snapshot import Snapshot
from pipesegment.findings import Refusal
from pipesegment.plan.aws.endpoints import GONE, Asked, Ground, Making, makings
from pipesegment.reach.graph import Governance
from pipesegment.spec.classaws import ClassAws
from pipesegment.world.aws.making import ground
from pipesegment.world.aws.making import make as make_one
from pipesegment.world.aws.port import Cloud, Place


def make(found: Walk, asked: Asked, *, dry_run: bool) -> None:
    """Make what is missing. Raises Refused before anything is made when a part of it cannot be; Unreachable as AWS does."""
    classes = {each.reach.governance.name: each.reach.governance for each in found.walked}
    wanted = {name: _needs(found, name) for name in sorted(classes)}
    allowed = {name: _allowed(found, name, classes[name].spec.aws) for name in classes}
    for each in found.walked:
        if not (each.reach.governance.name and each.reach.governance.known):
            output.say(
                f"{each.reach.segment}: no SegmentClass that is known governs it, so nobody says where its endpoints are"
            )
    unwilling = [
        Refusal(
            "--apply",
            f"SegmentClass {name} lets nobody make endpoints, and these are missing or not known:",
            ", ".join(need.service for need in some),
            "have the platform team set spec.aws.ensureEndpoints, or make them with the tools that make your VPC",
        )
        for name, some in wanted.items()
        if some and not allowed[name] and not all(need.endpoints for need in some)
    ]
    if unwilling:
        raise Refused(unwilling)
    meant = {name: some for name, some in wanted.items() if some and allowed[name]}
    asyncio.run(_make(found, classes, meant, asked, dry_run=dry_run))


def _allowed(found: Walk, name: str, given: ClassAws) -> bool:
    """Tell whether a class allows it: as it is in the cluster or among the facts, where anything is known of classes there."""
    there = [obj for obj in found.surroundings.facts if obj.get("kind") == names.CLASS]
    if not there and found.surroundings.seen is None:
        return given.ensure_endpoints
    own = next((obj for obj in there if obj["metadata"].get("name") == name), {})
    spec = own.get("spec") or {}
    return ((spec.get("aws") or {}).get("ensureEndpoints")) is True


async def _make(
    found: Walk, classes: dict[str, Governance], wanted: dict[str, tuple[Need, ...]], asked: Asked, *, dry_run: bool
) -> None:
    """Plan for every class before the first call for any; an endpoint that two classes miss is made once."""
    from pipesegment.world.aws.client import Aws  # noqa: PLC0415 - boto3 is slow to import, and only this needs it

    aws = Aws()
    try:
        planned: dict[str, tuple[Place, Making]] = {}
        refusals: list[Refusal] = []
        for name, some in wanted.items():
            place, made, told = await _of_class(aws, name, classes[name].spec.aws, some, asked, found)
            refusals += told
            for each in made:
                planned.setdefault(f"{each.need.vpc} {each.need.service}", (place, each))
        if refusals:
            raise Refused(list(dict.fromkeys(refusals)))
        for place, each in planned.values():
            output.write_lines(_written(each))
            if not dry_run:
                await _one(aws, place, each)
    finally:
        aws.close()


async def _of_class(
    cloud: Cloud, name: str, aws: ClassAws, some: tuple[Need, ...], asked: Asked, found: Walk
) -> tuple[Place, tuple[Making, ...], tuple[Refusal, ...]]:
    """Plan what a class's VPC lacks, and tell what is there."""
    place = Place.of(name, aws)
    if aws.vpc_id is None or aws.region is None:
        field = "region" if aws.vpc_id else "vpcID"
        refusal = Refusal("--apply", f"SegmentClass {name} has no", f"aws.{field}", "have the platform team set it")
        return place, (), (refusal,)
    with output.progress(f"reading {aws.vpc_id}"):
        there = await ground(cloud, place, aws.vpc_id)
    made, refusals = makings(some, aws, there, asked, _addresses(found.surroundings.snapshot))
    if not refusals:
        _tell(some, there)
    return place, made, refusals


async def _one(cloud: Cloud, place: Place, making: Making) -> None:
    identifier, state = await make_one(cloud, place, making)
    if state.lower() in GONE:
        # A request with this token was answered within the last day, and somebody has deleted what came of it.
        output.complain(f"{identifier} was made for this before and is {state}; AWS makes another after a day")
    else:
        output.say(
            f"{identifier} is made, with AWS's own policy, which allows everything: -o yaml prints a narrower one"
        )


def _needs(found: Walk, name: str) -> tuple[Need, ...]:
    of_class: Iterator[Walked] = (each for each in found.walked if each.reach.governance.name == name)
    return needs((each.reach, each.desired) for each in of_class)


def _tell(some: tuple[Need, ...], there: Ground) -> None:
    for need in some:
        if need.service in there.made:
            output.say(f"{need.service}: {there.made[need.service]} is there, and stays as it is")


def _written(making: Making) -> str:
    """Write a call as AWS's command line takes it."""
    return " ".join(["aws ec2 create-vpc-endpoint", *_options(making.call.parameters)])


def _options(parameters: Any) -> Iterator[str]:
    for name, value in parameters.items():
        option = "--" + "".join(f"-{c.lower()}" if c.isupper() else c for c in name).removeprefix("-")
        if value is True:
            yield option
        elif name == "TagSpecifications":
            tags = ",".join(f"{{Key={tag['Key']},Value={tag['Value']}}}" for tag in value[0]["Tags"])
            yield f"{option} {shlex.quote(f'ResourceType=vpc-endpoint,Tags=[{tags}]')}"
        else:
            yield f"{option} {' '.join(map(shlex.quote, value if isinstance(value, list) else [value]))}"


def _addresses(snapshot: Snapshot) -> Iterator[str]:
    for node in snapshot.nodes.values():
        yield from node.addresses
    for pods in snapshot.pods.values():
        for pod in pods.values():
            yield from pod.ips if pod.live and not pod.host_network else ()
