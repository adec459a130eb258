"""`pipesegment completion SHELL`."""

import click
from click.shell_completion import ShellComplete, get_completion_class

from pipesegment.cli import output


@click.command("completion", short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash:  source <(pipesegment completion bash)
    zsh:   source <(pipesegment completion zsh)
    fish:  pipesegment completion fish > ~/.config/fish/completions/pipesegment.fish
    """  # noqa: D301 - \b is click's mark for 'keep these line breaks'
    complete = get_completion_class(shell)
    assert complete is not None
    parent = ctx.find_root().command
    # The base class's source(): bash's own first asks an installed bash for its version, which a script that is only
    # printed does not need.
    output.write(ShellComplete.source(complete(parent, {}, "pipesegment", "_PIPESEGMENT_COMPLETE")))
