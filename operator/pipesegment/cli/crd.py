"""`pipesegment crd`."""

import click

from pipesegment.cli import output
from pipesegment.cli.options import printed_as


@click.command("crd", short_help="Print the CustomResourceDefinitions.")
@printed_as("yaml", "json", "text", meaning="The format; text is YAML.")
def command(style: str) -> None:
    """Print the CustomResourceDefinitions of every kind, ready for `kubectl apply --server-side -f -`."""
    from pipesegment.spec.crd import crds, render  # noqa: PLC0415 - only this verb needs the converter

    if style == "json":
        output.write_json({"apiVersion": "v1", "kind": "List", "items": crds()})
    else:
        output.write("".join(f"---\n{render(crd)}" for crd in crds()))
