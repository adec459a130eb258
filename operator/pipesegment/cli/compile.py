"""`pipesegment compile`."""

import click

from pipesegment.cli import output
from pipesegment.cli.options import Options, printed_as, surroundings
from pipesegment.cli.walk import refuse, told, walk
from pipesegment.cli.walk import surroundings as read
from pipesegment.compile.canonical import sort_key, to_yaml
from pipesegment.compile.desired import ObjectID


@click.command("compile", short_help="Print every Kubernetes object that the operator would own.")
@surroundings()
@click.option("--aws", is_flag=True, help="Print what is made in AWS too: managed roles and Pod Identity associations.")
@printed_as("yaml", "json", "text", meaning="The format; text is YAML.")
def command(options: Options, aws: bool, style: str) -> None:
    """Print every Kubernetes object that the operator would own.

    The same input always gives the same bytes. Findings (what stays closed, and why) go to stderr. When a document is
    refused nothing is printed, and the exit code is 1.
    """
    found = walk(read(options))
    if found.problems:
        refuse(found.problems)
    told(found)
    whole = (*(w.desired for w in found.walked), *found.classes)
    # Custom resources by which other controllers make roles are Kubernetes objects, and the operator's own.
    found_ids = ((ObjectID.of(obj), obj) for each in whole for obj in each.objects)
    objects = sorted((obj for i, obj in found_ids if aws or i.by_controller or not i.in_cloud), key=sort_key)
    if not objects:
        output.nothing("print")
    if style == "json":
        output.write_json({"apiVersion": "v1", "kind": "List", "items": objects})
    elif objects:
        with output.progress("printing"):
            text = to_yaml(objects)
        output.write(text)
