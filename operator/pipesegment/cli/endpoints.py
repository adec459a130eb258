"""`pipesegment aws endpoints`: which VPC endpoints the segments need and have, and the policies that would hold them."""

import re
from typing import Any

import click

from pipesegment.cli import making, output
from pipesegment.cli.options import Options, printed_as, surroundings
from pipesegment.cli.walk import Walk, refuse, walk
from pipesegment.cli.walk import surroundings as read
from pipesegment.compile.iam.endpoints import Need, needs
from pipesegment.errors import Usage
from pipesegment.facts.snapshot import Snapshot
from pipesegment.plan.aws.endpoints import Asked


@click.command("endpoints", short_help="Print the VPC endpoints that the segments need and have.")
@surroundings()
@click.option("--apply", is_flag=True, help="Make what is missing, where the class has ensureEndpoints.")
@click.option("--dry-run", is_flag=True, help="With --apply: print the calls, and make none.")
@click.option(
    "--subnet", "subnets", multiple=True, help="With --apply: where interfaces go; where pods are when absent."
)
@click.option("--security-group", "groups", multiple=True, help="With --apply: what guards interfaces.")
@click.option(
    "--route-table", "tables", multiple=True, help="With --apply: whose routes lead to gateways; the pods' when absent."
)
@printed_as("text", "json", "yaml", meaning="The format; json and yaml have each endpoint's policy.")
@click.pass_context
def command(
    ctx: click.Context,
    options: Options,
    apply: bool,
    dry_run: bool,
    subnets: tuple[str, ...],
    groups: tuple[str, ...],
    tables: tuple[str, ...],
    style: str,
) -> None:
    """Print the VPC endpoints that the segments need and have, and the policies that least privilege would give them.

    What is there comes with --facts, as `aws ec2 describe-vpc-endpoints` and its like print it. Exit 1 when an endpoint is
    missing, or nobody knows whether it is there.

    With --apply AWS is asked what is there, and what is missing is made, tagged as ours, where the SegmentClass has
    aws.ensureEndpoints. What exists is never changed. An endpoint costs money, and carries the calls of the whole VPC.
    """
    asked = Asked(subnets, groups, tables)
    if not apply and (dry_run or asked != Asked()):
        raise Usage("--dry-run, --subnet, --security-group and --route-table belong to --apply")
    if apply and style != "text":
        raise Usage("--apply prints calls as AWS's command line takes them: leave -o out")
    for option, values, shape in (
        ("--subnet", subnets, "subnet"),
        ("--security-group", groups, "sg"),
        ("--route-table", tables, "rtb"),
    ):
        for value in values:
            if not re.fullmatch(rf"{shape}-(?:[0-9a-f]{{8}}|[0-9a-f]{{17}})", value, re.ASCII):
                raise Usage(f"{option}: is no ID '{value}': write {shape}- and 8 or 17 of 0-9a-f")
    found = walk(read(options, optional=True))
    if found.problems:
        refuse(found.problems)
    if apply:
        making.make(found, asked, dry_run=dry_run)
        return
    wanted = _needs(found)
    states = [_state(each, found.surroundings.snapshot) for each in wanted]
    if style == "text":
        _print(wanted, states)
    else:
        output.write_data({"endpoints": list(map(_data, wanted, states))}, style)
    ctx.exit(0 if set(states) <= {"there"} else 1)


def _needs(found: Walk) -> tuple[Need, ...]:
    return needs((each.reach, each.desired) for each in found.walked)


def _state(need: Need, snapshot: Snapshot) -> str:
    if need.endpoints:
        return "there"
    return "unknown" if not need.vpc or snapshot.endpoints_of(need.vpc) is None else "missing"


def _data(need: Need, state: str) -> dict[str, Any]:
    callers = [
        {"stage": c.stage, "because": list(c.because), **({"roleARN": c.role} if c.role else {})} for c in need.callers
    ]
    return {
        "service": need.service,
        "vpcID": need.vpc,
        "type": _type(need),
        "state": state,
        "endpointIDs": list(need.endpoints),
        "neededBy": callers,
        "policy": need.policy,
        "notInPolicy": list(need.unread),
    }


def _type(need: Need) -> str:
    return "Gateway" if need.gateway else "Interface"


def _print(wanted: tuple[Need, ...], states: list[str]) -> None:
    if not wanted:
        output.say("the segments reach no service of AWS")
        return
    rows = [
        [state, n.service, _type(n), ", ".join(n.endpoints) or "-", ", ".join(c.stage for c in n.callers)]
        for n, state in zip(wanted, states, strict=True)
    ]
    output.write_table(["STATE", "SERVICE", "TYPE", "ENDPOINT", "NEEDED BY"], rows)
    for need in wanted:
        if need.unread:
            told = ", ".join(need.unread)
            output.say(f"{need.service}: what the roles of {told} may do is not all known here, and not in its policy")
    output.say("-o yaml prints the policy that each of them should have")
