"""`pipesegment run`: every setting of the operator is a flag, from the one table in `settings`."""

from dataclasses import fields
from typing import Any

import click

from pipesegment.settings import Settings, environment_name


def _options(function: Any) -> Any:
    for item in reversed(fields(Settings)):
        known = item.metadata
        kind: Any = {int: int, float: float}.get(item.type, str)
        function = click.option(
            f"--{item.name.replace('_', '-')}",
            item.name,
            type=click.Choice(known["choices"]) if known["choices"] else kind,
            help=f"{known['help']}  [env: {', '.join((environment_name(item.name), *known['also']))}]",
        )(function)
    return function


@click.command("run", short_help="Run the operator.")
@_options
def command(**flags: Any) -> None:
    """Run the operator until it is told to stop.

    Flags win over the environment, the environment over the defaults. In a pod it uses the pod's own account.
    """
    settings = Settings.load(flags)
    from pipesegment import serving  # noqa: PLC0415 - kopf and the clients are loaded for this verb alone

    serving.main(settings)
