"""`pipesegment run`: every setting of the operator is a flag, from the one table in `settings`."""

from dataclasses import MISSING, Field, fields
from typing import Any

import click

from pipesegment.errors import NoKubeconfig, Unreachable
from pipesegment.settings import Settings, environment_name


def _options(function: Any) -> Any:
    for item in reversed(fields(Settings)):
        known = item.metadata
        kind: Any = {int: int, float: float}.get(item.type, str)
        function = click.option(
            f"--{item.name.replace('_', '-')}",
            item.name,
            type=click.Choice(known["choices"]) if known["choices"] else kind,
            help=f"{known['help']}  [{_default(item)}env: {', '.join((environment_name(item.name), *known['also']))}]",
        )(function)
    return function


def _default(item: "Field[Any]") -> str:
    """Show a default that is the same everywhere and says something."""
    if item.default is MISSING or item.default == "":
        return ""
    return f"default: {item.default:g}; " if isinstance(item.default, int | float) else f"default: {item.default}; "


@click.command("run", short_help="Run the operator.")
@_options
def command(**flags: Any) -> None:
    """Run the operator until it is told to stop.

    Flags win over the environment, the environment over the defaults. Times are seconds. Without a kubeconfig it uses
    the account of the pod that it runs in.
    """
    settings = Settings.load(flags)
    from pipesegment import serving  # noqa: PLC0415 - kopf and the clients are loaded for this verb alone

    try:
        serving.main(settings)
    except NoKubeconfig as error:
        if flags.get("kubeconfig"):
            raise
        raise Unreachable(str(error)) from error
