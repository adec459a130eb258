"""`pipesegment version`."""

import click

from pipesegment import __version__, names
from pipesegment.cli import output
from pipesegment.cli.options import printed_as


@click.command("version", short_help="Print the version.")
@printed_as("text", "json", "yaml")
def command(style: str) -> None:
    """Print the version of the program and of the API it speaks."""
    if style == "text":
        output.write(f"pipesegment {__version__} ({names.API_VERSION})")
    else:
        output.write_data({"version": __version__, "apiVersion": names.API_VERSION}, style)
