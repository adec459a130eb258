"""`pipesegment verify`."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import click

from pipesegment import __version__, names
from pipesegment.cli import output
from pipesegment.cli.existing import Existing, inventories
from pipesegment.cli.inputs import Problem
from pipesegment.cli.options import Options, printed_as, surroundings
from pipesegment.cli.walk import CLUSTER, Surroundings, Walk, Walked, isolations, refuse, walk
from pipesegment.cli.walk import surroundings as read
from pipesegment.errors import Refused, Usage
from pipesegment.findings import Finding, Refusal, quoted
from pipesegment.plan.changes import ChangeSet
from pipesegment.report.cloud import unread
from pipesegment.verify import junit, moment, objects, results
from pipesegment.verify.moment import Seen
from pipesegment.verify.results import Verified

#: What a finding may say without anything being enforced otherwise than it is declared: the own half is open as it should be,
#: a sidecar has nothing that it could reach.
_NO_DIFFERENCE: Final = frozenset({"Ungranted", "MeshIdle"})


@click.command("verify", short_help="Check that what is declared is enforced now.")
@click.argument("segments", nargs=-1, metavar="[SEGMENT]...")
@surroundings()
@click.option(
    "--probe", "probing", is_flag=True, help="Start short-lived pods that try what is declared and what is not."
)
@click.option(
    "--probe-image",
    "image",
    metavar="IMAGE",
    default="",
    help=f"The image of these pods: the operator's, such as registry.example.com/pipesegment/pipesegment:{__version__}.  "
    "[default: what the operator's Deployment runs]",
)
@click.option(
    "--max-probes",
    "most",
    type=click.IntRange(2, 32),
    default=16,
    show_default=True,
    help="The most such pods at once; each stage takes two.",
)
@click.option(
    "--probe-timeout",
    "seconds",
    type=click.IntRange(10, 600),
    default=120,
    show_default=True,
    help="Seconds after which the pods of one segment are gone, whatever they have told.",
)
@printed_as("text", "json", "yaml", "junit")
@click.pass_context
def command(
    ctx: click.Context,
    options: Options,
    segments: tuple[str, ...],
    probing: bool,
    image: str,
    most: int,
    seconds: int,
    style: str,
) -> None:
    """Check that what is declared is enforced now; exit 1 on any difference.

    Reads the objects back from the cluster, and finds what nobody enforces and what others have opened. About every
    segment of the cluster, those of a namespace (-n), those of these names, or those of -f. With --probe it also starts
    pods with the stages' labels and accounts, and takes them away again.
    """
    options = options.in_cluster()
    found = read(options, optional=True, whole=True)
    _require_segments(found, options)
    found = narrowed(found, segments)
    walked = walk(found, taken=False)
    wrong = [problem for problem in walked.problems if problem.place != CLUSTER]
    if wrong:
        refuse(wrong)
    verified = verify(walked)
    if probing:
        from pipesegment.cli.probing import Limits, probed  # noqa: PLC0415 - the client is loaded only for a cluster

        verified = tuple(probed(walked, verified, options, image, Limits(most, seconds)))
    # One author's mistake hides nothing of the others'.
    verified = (*verified, *map(_refused, walked.problems))
    show(verified, style)
    if not verified:
        output.nothing("verify", _where(options))
    ctx.exit(1 if results.differences(verified) else 0)


def _require_segments(found: Surroundings, options: Options) -> None:
    """Raise Refused where the segments that are meant are the cluster's, and nobody may say which there are."""
    unread = (found.seen or Seen()).unread
    if not options.files and names.SEGMENT in unread:
        fix = "let whoever runs verify list them, in every namespace"
        raise Refused(
            [Refusal(names.SEGMENT, "could not be listed, so nothing is verified:", unread[names.SEGMENT], fix)]
        )


def _where(options: Options) -> str:
    if options.files:
        return "the input"
    return f"namespace {options.namespace}" if options.namespace else "the cluster"


def narrowed(found: Surroundings, segments: Sequence[str]) -> Surroundings:
    """Keep the segments of these names; every other one stays a neighbour. Raises Usage for one that is not there."""
    if not segments:
        return found
    there = {given.raw["metadata"]["name"] for given in found.documents if given.kind == names.SEGMENT}
    there |= {problem.title.rpartition("/")[2] for problem in found.problems}
    absent = [name for name in segments if name not in there]
    if absent:
        raise Usage(f"there is no segment '{absent[0]}': there are {', '.join(sorted(there)) or 'none'}")
    kept = (g for g in found.documents if g.kind != names.SEGMENT or g.raw["metadata"]["name"] in segments)
    problems = (p for p in found.problems if p.place != CLUSTER or p.title.rpartition("/")[2] in segments)
    return replace(found, documents=tuple(kept), problems=tuple(problems))


def verify(walked: Walk) -> tuple[Verified, ...]:
    """Verify every segment that is asked about, by what the cluster's objects tell."""
    found = walked.surroundings
    existing, recorded = Existing(found.facts), inventories(found)
    agents = [obj for obj in found.facts if obj.get("kind") == "DaemonSet"]
    isolation = [change for d in isolations(found, own=False) for change in existing.changes(d)]

    def findings(each: Walked) -> Iterator[Finding]:
        desired, space = each.desired, each.reach.segment.namespace
        inventory, stalled = recorded.get(desired.segment, ()), bool(each.reach.governance.stalled)
        own = existing.changes(desired.in_cluster, inventory, stalled=stalled)
        # While nobody can be said to govern, isolation stays as it is, whosever it was.
        around = () if stalled else (change for change in isolation if change.id.namespace == space)
        changes = ChangeSet((*own, *around))
        paths = {stage.key.stage: stage.path for stage in each.reach.stages}
        seen, name = found.seen or Seen(), str(each.reach.segment)
        yield from objects.check(changes, paths, seen.unread, name)
        yield from unread(desired, paths)
        yield from (finding for finding in each.findings if finding.reason not in _NO_DIFFERENCE)
        yield from moment.check(space, name, agents, seen)

    return tuple(Verified(str(each.reach.segment), tuple(findings(each))) for each in walked.walked)


def _refused(problem: Problem) -> Verified:
    """Tell why a segment of the cluster is refused: what is enforced for it is what was before."""
    name = problem.title.partition(" ")[2]
    told = (Finding(r.path, r.reason, r.value, f"{r.problem} {quoted(r.value)}", r.fix, name) for r in problem.refusals)
    return Verified(name, tuple(told))


def show(verified: Sequence[Verified], style: str) -> None:
    """Print the result."""
    if style == "junit":
        output.write(junit.render(verified))
    elif style != "text":
        output.write_data(results.data(verified), style)
    elif verified:
        _print(verified)


def _print(verified: Sequence[Verified]) -> None:
    rows = [
        [result.severity, result.code, each.object, finding.path, f"{finding.reason}: {result.message}: {result.fix}"]
        for each in verified
        for finding, result in each.told
    ]
    if rows:
        output.write_table(["SEVERITY", "CODE", "SEGMENT", "PATH", "FINDING"], rows)
    tried = [edge for each in verified for edge in each.edges]
    if rows and tried:
        output.write("")
    if tried:
        ways = [[e.source, e.destination, e.port, _open(e.declared), _open(e.probed), e.because] for e in tried]
        output.write_table(["FROM", "TO", "PORT", "DECLARED", "PROBED", "BECAUSE"], ways)
    number = results.differences(verified)
    told = f"{number} difference{'' if number == 1 else 's'}" if number else "everything is as declared"
    ways_told = f", {len(tried)} ways tried, {sum(e.probed is None for e in tried)} of them not shown" if tried else ""
    output.say(f"{len(verified)} segment{'' if len(verified) == 1 else 's'} verified{ways_told}: {told}")


def _open(value: bool | None) -> str:
    return {True: "open", False: "closed", None: "?"}[value]
