"""`pipesegment aws`: what has to be in AWS for the operator and the segments."""

import click

from pipesegment import names
from pipesegment.cli import endpoints as of_endpoints
from pipesegment.cli import output
from pipesegment.cli.options import Options, printed_as, surroundings
from pipesegment.cli.walk import Surroundings, refuse
from pipesegment.cli.walk import surroundings as read
from pipesegment.compile.iam.operator import needed, operator_policy
from pipesegment.errors import Refused, Usage
from pipesegment.findings import Refusal
from pipesegment.spec.segmentclass import SegmentClassSpec


@click.group("aws", short_help="Print what has to be in AWS.")
def command() -> None:
    """Print what has to be in AWS for the operator and the segments."""


command.add_command(of_endpoints.command)


@command.command("operator-policy", short_help="Print the operator's own IAM policy.")
@surroundings()
@click.option("--class", "name", help="The SegmentClass, where several have an account.")
@click.option("--endpoints", is_flag=True, help="With the rights of `aws endpoints --apply`; the operator needs none.")
@printed_as("json", "yaml")
def policy(options: Options, name: str | None, endpoints: bool, style: str) -> None:
    """Print the operator's own IAM policy, as small as what a class lets stages have.

    The class comes with -f, --facts or from the cluster. Attach the policy to the role that the operator's pod runs as.
    """
    found = read(options, optional=True)
    if found.problems:
        refuse(found.problems)
    chosen, spec = _chosen(found, name)
    missing = needed(spec.aws, endpoints=endpoints)
    if missing:
        raise Refused(
            [
                Refusal(f"spec.aws.{field}", "is missing in SegmentClass", chosen, "set it", object=chosen)
                for field in missing
            ]
        )
    found_policy = operator_policy(spec.aws, endpoints=endpoints)
    if not found_policy["Statement"]:
        output.say(f"none needed: {spec.aws.backend} makes the roles of {chosen}, and the class has no vpcID")
        return
    output.write_data(found_policy, style)


def _chosen(found: Surroundings, name: str | None) -> tuple[str, SegmentClassSpec]:
    classes = {n: c.spec for n, c in sorted(found.snapshot.classes.items()) if c.spec is not None}
    if name is not None:
        spec = classes.get(name)
        if spec is None:
            raise Usage(f"--class: there is no {names.CLASS} '{name}': there are {', '.join(classes) or 'none'}")
        return name, spec
    having = {n: spec for n, spec in classes.items() if spec.aws.account_id}
    if len(having) != 1:
        if having:
            raise Usage(f"give one {names.CLASS} with --class: several have an account ({', '.join(having)})")
        raise Usage(
            f"no {names.CLASS} has an account (spec.aws.accountID): give one with -f or --facts, or use --cluster"
        )
    return next(iter(having.items()))
