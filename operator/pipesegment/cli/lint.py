"""`pipesegment lint`."""

from collections.abc import Iterator
from dataclasses import replace

import click

from pipesegment import names
from pipesegment.cli import output
from pipesegment.cli.options import Options, printed_as, surroundings
from pipesegment.cli.walk import Surroundings, Walk, walk
from pipesegment.cli.walk import surroundings as read
from pipesegment.facts.emergency import SegmentException
from pipesegment.lint import actions, asked, declared, endpoints
from pipesegment.lint import surroundings as around
from pipesegment.lint.actions import Reference
from pipesegment.lint.results import Result, of_finding, of_refusal, ordered
from pipesegment.reach import exceptions


@click.command("lint", short_help="Find what is wrong, risky or missing.")
@surroundings()
@click.option("--strict", is_flag=True, help="Exit 1 on warnings too.")
@click.option("--aws", is_flag=True, help="Check actions against AWS's own reference; needs the extra `aws-lint`.")
@printed_as("text", "json", "yaml")
@click.pass_context
def command(ctx: click.Context, options: Options, strict: bool, aws: bool, style: str) -> None:
    """Find what is wrong, risky or missing in segments, grants and classes; exit 1 on errors.

    Facts are optional; what they do not hold is taken to be absent. docs/lint.md explains every code.
    """
    reference = _reference() if aws else None
    found = read(options, optional=True)
    walked = walk(found)
    with output.progress("checking"):
        results = ordered((*_results(found, walked), *(_actions(found, reference) if reference else ())))
    if style == "text":
        _print(results, of_something=bool(found.documents or walked.walked))
    else:
        output.write_data({"findings": [result.data() for result in results]}, style)
    grave = {"error", "warning"} if strict else {"error"}
    ctx.exit(1 if any(result.severity in grave for result in results) else 0)


def _results(found: Surroundings, walked: Walk) -> Iterator[Result]:
    for problem in walked.problems:
        for refusal in problem.refusals:
            yield of_refusal(refusal, problem.object)
    for _, segment in found.segments():
        if segment.spec is not None:
            yield from map(of_finding, declared.check(segment))
    for exception in _exceptions(found):
        yield from map(of_finding, asked.check(exception, found.snapshot))
    for each in walked.walked:
        yield from map(of_finding, each.findings)
        yield from map(of_finding, around.check(each.segment, each.reach, found.snapshot))
        yield from map(of_finding, endpoints.check(each.reach, found.snapshot))
    for desired in walked.classes:
        yield from map(of_finding, (*desired.gaps, *desired.notes))


def _exceptions(found: Surroundings) -> Iterator[SegmentException]:
    for given in found.documents:
        if given.kind == names.EXCEPTION:
            meta = given.raw["metadata"]
            yield found.snapshot.exceptions[meta["namespace"]][meta["name"]]


def _reference() -> Reference:
    from pipesegment.cli.actions import reference  # noqa: PLC0415 - an extra, loaded for --aws alone

    return reference()


def _actions(found: Surroundings, reference: Reference) -> Iterator[Result]:
    for _, segment in found.segments():
        if segment.spec is not None:
            for finding in actions.check(segment.spec, reference):
                yield of_finding(replace(finding, object=str(segment.meta.key)))
    for exception in _exceptions(found):
        if exception.spec is not None and exception.spec.aws is not None:
            place, given = exceptions.rights_path(exception.meta.name), exception.spec.aws.permissions
            for finding in actions.of(place, given, reference):
                yield of_finding(replace(finding, object=str(exception.meta.key)))


def _print(results: tuple[Result, ...], *, of_something: bool) -> None:
    if not results:
        output.say(f"nothing to tell{'' if of_something else ': the input holds no document of ours'}")
        return
    rows = [[r.severity, r.code, r.object, r.path, f"{r.message}: {r.fix}"] for r in results]
    output.write_table(["SEVERITY", "CODE", "OBJECT", "PATH", "FINDING"], rows)
    counts = [(kind, sum(r.severity == kind for r in results)) for kind in ("error", "warning", "info")]
    output.say(", ".join(f"{n} {kind}{'' if n == 1 or kind == 'info' else 's'}" for kind, n in counts if n))
