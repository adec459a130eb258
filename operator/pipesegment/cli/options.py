"""The options that verbs share, and the one value that they become."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import wraps
from typing import Any

import click

from pipesegment.errors import Usage
from pipesegment.facts.moments import moment
from pipesegment.findings import Refusal

Verb = Callable[..., Any]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_PATH = click.Path(exists=True, allow_dash=True, path_type=str)


@dataclass(frozen=True, slots=True)
class Options:
    """Where documents and facts come from. `context` and `kubeconfig` are '' for whatever kubectl would take."""

    files: tuple[str, ...]
    facts: tuple[str, ...]
    namespace: str
    cluster: bool
    context: str
    kubeconfig: str
    #: The cluster was named (by --context or --kubeconfig), not just asked for.
    named: bool
    #: The kubeconfig was, by --kubeconfig.
    file_named: bool = False
    #: What time it is for exceptions, by --at; None for now.
    at: datetime | None = None

    def in_cluster(self) -> "Options":
        """Give the same options, for a verb that asks the cluster unless it is told otherwise."""
        return replace(self, cluster=True)


def surroundings() -> Callable[[Verb], Verb]:
    """Add `-f`, `--facts`, `-n`, `--cluster`, `--context`, `--kubeconfig`, `--at`, given to the verb as `options`."""

    def decorate(function: Verb) -> Verb:
        @wraps(function)
        def wrapped(
            files: tuple[str, ...],
            facts: tuple[str, ...],
            namespace: str | None,
            in_cluster: bool,
            context: str | None,
            kubeconfig: str | None,
            at: str | None,
            **rest: Any,
        ) -> Any:
            asked = _asked(namespace, context, kubeconfig)
            options = replace(asked, files=files, facts=facts, cluster=in_cluster or asked.named, at=_moment(at))
            return function(options=options, **rest)

        return _with(_OPTIONS, wrapped)

    return decorate


def of_cluster() -> Callable[[Verb], Verb]:
    """Add `-n`, `--context`, `--kubeconfig`, given as `options`, to a verb that knows nothing but the cluster."""

    def decorate(function: Verb) -> Verb:
        @wraps(function)
        def wrapped(namespace: str | None, context: str | None, kubeconfig: str | None, **rest: Any) -> Any:
            return function(options=_asked(namespace, context, kubeconfig), **rest)

        return _with(_OF_CLUSTER, wrapped)

    return decorate


def printed_as(*styles: str, meaning: str = "The format.") -> Callable[[Verb], Verb]:
    """Add `-o` with the styles that a verb prints, given to it as `style`; the first one is the default."""
    return click.option(
        "-o",
        "--output",
        "style",
        type=click.Choice(styles),
        default=styles[0],
        show_default=True,
        help=meaning,
    )


def misused(where: str, problem: str, value: str, fix: str) -> Usage:
    """Say what is wrong with an option or an argument, as is said of a field."""
    return Usage(str(Refusal(where, problem, value, fix)))


def is_name(given: str) -> bool:
    """Tell whether something may be the name of a namespace, of a stage, or of an object of ours."""
    return _NAME.fullmatch(given) is not None


def _asked(namespace: str | None, context: str | None, kubeconfig: str | None) -> Options:
    """Give the options of a verb that asks the cluster, and which one is asked."""
    source = click.get_current_context().get_parameter_source("kubeconfig")
    file_named = kubeconfig is not None and source is click.core.ParameterSource.COMMANDLINE
    if namespace and not is_name(namespace):
        raise misused("-n", "is not the name of a namespace:", namespace, "write it in a-z, 0-9 and -")
    return Options(
        (),
        (),
        namespace or "",
        cluster=True,
        context=context or "",
        kubeconfig=kubeconfig or "",
        named=file_named or context is not None,
        file_named=file_named,
    )


def _with(options: Sequence[Callable[[Verb], Verb]], function: Verb) -> Verb:
    """Add options to a verb, in their order."""
    for option in reversed(options):
        function = option(function)
    return function


def _moment(at: str | None) -> datetime | None:
    if at is None:
        return None
    found = moment(at)
    if found is None:
        raise misused("--at", "is no time:", at, "write it as 2030-01-31T12:00:00Z")
    return found


_OPTIONS: tuple[Callable[[Verb], Verb], ...] = (
    click.option(
        "-f",
        "--filename",
        "files",
        type=_PATH,
        multiple=True,
        help="Segments, grants, classes, exceptions and approvals: a file, a folder, or - for stdin. Repeatable.",
    ),
    click.option(
        "--facts",
        "facts",
        type=_PATH,
        multiple=True,
        help="What surrounds them (namespaces, Services, pods, policies…), as `kubectl get -o yaml` prints it: "
        "a file, a folder, or - for stdin. Repeatable.",
    ),
    click.option(
        "-n",
        "--namespace",
        "namespace",
        help="The namespace of documents that name none; without -f, take the cluster's segments of this one alone.  "
        "[default: default; without -f: every one]",
    ),
    click.option(
        "--cluster", "in_cluster", is_flag=True, help="Take facts from the cluster of the current context too."
    ),
    click.option("--context", "context", help="Take facts from the cluster of this kubeconfig context."),
    click.option(
        "--kubeconfig",
        "kubeconfig",
        envvar="KUBECONFIG",
        help="The kubeconfig. As a flag it also takes facts from its cluster; the variable alone does not.  "
        "[env: KUBECONFIG]",
    ),
    click.option("--at", "at", metavar="TIME", help="What time it is for SegmentExceptions.  [default: now]"),
)

_OF_CLUSTER: tuple[Callable[[Verb], Verb], ...] = (
    click.option("-n", "--namespace", "namespace", help="The namespace, where it is not said otherwise."),
    click.option("--context", "context", help="The kubeconfig's context.  [default: the current one]"),
    click.option("--kubeconfig", "kubeconfig", envvar="KUBECONFIG", help="The kubeconfig.  [env: KUBECONFIG]"),
)
