"""The walk of the command line: documents and facts become a Snapshot, each segment its Reach and its objects.

The rooms are the operator's own; only the surroundings come from files.
"""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final, NoReturn

import click

from pipesegment import names
from pipesegment.cli import inputs, output
from pipesegment.cli.inputs import Given, Object, Problem
from pipesegment.cli.known import gathered_from, merged
from pipesegment.cli.options import Options, misused
from pipesegment.compile.desired import Desired, ObjectID, stage_of
from pipesegment.compile.isolation import isolation
from pipesegment.compile.segment import compile_segment
from pipesegment.errors import Refused, Usage
from pipesegment.facts.meta import Key
from pipesegment.facts.parse import snapshot
from pipesegment.facts.snapshot import Segment, Snapshot
from pipesegment.findings import Finding, Refusal
from pipesegment.plan.changes import plan
from pipesegment.plan.live import Live
from pipesegment.reach.governance import govern
from pipesegment.reach.graph import Reach
from pipesegment.reach.resolve import resolve
from pipesegment.reach.withheld import withheld
from pipesegment.spec.phrases import nearest
from pipesegment.verify.moment import Seen
from pipesegment.world import kinds
from pipesegment.world.clock import utc

#: The place of documents that nobody gave: they are the cluster's own.
CLUSTER: Final = "cluster"
#: The most reasons that are told for one document: more say nothing more.
_MOST_TOLD: Final = 100
#: What a segment's objects are; a fact of such a kind may hold a name that is needed.
_OWNED = frozenset(kind.kind for kind in kinds.OWNED)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Documents and facts together; `facts` are the plain objects, `documents` what was given with -f."""

    documents: tuple[Given, ...]
    facts: tuple[Object, ...]
    snapshot: Snapshot
    problems: tuple[Problem, ...]
    #: What a whole look at the cluster gave beside the facts; None without one.
    seen: Seen | None = None
    #: Some of the facts could not be read: what is told of the rest would mislead.
    lacking: bool = False

    def segments(self) -> tuple[tuple[Given, Segment], ...]:
        """Give the segments that are asked about, by namespace and name."""
        found = []
        for given in self.documents:
            if given.kind == names.SEGMENT:
                meta = given.raw["metadata"]
                segment = self.snapshot.segment(meta["namespace"], meta["name"])
                assert segment is not None
                found.append((given, segment))
        return tuple(sorted(found, key=lambda item: item[1].meta.key))


@dataclass(frozen=True, slots=True)
class Walked:
    """A segment that came through: its Reach and what should exist for it."""

    given: Given
    segment: Segment
    reach: Reach
    desired: Desired

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Give everything that is to be told about it."""
        found = (*self.reach.findings, *self.desired.gaps, *self.desired.coarse)
        return tuple(dict.fromkeys(_owned(finding, str(self.reach.segment)) for finding in found))


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A segment of the facts, compiled only to be compared with."""

    reach: Reach
    desired: Desired


@dataclass(frozen=True, slots=True)
class Walk:
    """Every segment that is asked about, and those of the facts."""

    surroundings: Surroundings
    walked: tuple[Walked, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    classes: tuple[Desired, ...] = ()
    problems: tuple[Problem, ...] = field(default=())


@contextmanager
def _keeping() -> Iterator[None]:
    """Hold the garbage collector off: what is read and compiled stays, and looking through it costs as much again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_keeping()
def surroundings(options: Options, *, optional: bool = False, whole: bool = False) -> Surroundings:
    """Read everything that the options name.

    `optional` lets a verb go without documents when it asks the cluster; `whole` looks there for what may undo a segment,
    too.
    """
    if not options.files and not (optional and options.cluster):
        raise Usage("nothing is given: name files, folders or - with -f")
    with output.reading(*options.files, *options.facts):
        read = inputs.read(options.files, options.facts, options.namespace or "default")
    seen = None
    if options.cluster:
        gathered, seen = gathered_from(options, whole=whole)
        if not options.files:
            _require_namespace(options.namespace, gathered)
        told = [(obj, inputs.refused(obj, CLUSTER) or inputs.unreadable(obj, CLUSTER)) for obj in gathered]
        # Of ours even what is refused says that it is there: a class that cannot be read stalls its namespaces.
        read.facts[:0] = [obj for obj, problem in told if problem is None or obj["kind"] in names.KINDS]
        read.ignored += [problem for _, problem in told if problem is not None]
    documents = tuple(read.documents)
    if not options.files:
        documents = tuple(_from_cluster(read.facts, options.namespace))
        meant = {given.title for given in documents}
        read.problems += [problem for problem in read.ignored if problem.title in meant]
        documents = tuple(given for given in documents if given.title not in {p.title for p in read.problems})
    for problem in read.ignored:
        if problem not in read.problems:
            output.say(f"{problem.place}: {problem.title} is refused, and counts for nothing among the facts:")
            for refusal in problem.refusals:
                output.say(f"  {refusal}")
    with output.progress("looking at what is there"):
        found = replace(snapshot(merged(read.facts, documents)), now=options.at or utc())
    if seen is not None and kinds.DAEMON_SET.kind not in seen.unread:
        found = replace(found, others=replace(found.others, daemon_sets=found.others.daemon_sets or {}))
    return Surroundings(documents, tuple(read.facts), found, tuple(read.problems), seen, read.lacking)


def _require_namespace(namespace: str, gathered: Sequence[Object]) -> None:
    """Raise Usage for a namespace that the cluster does not have; who may not list namespaces is not held up."""
    there = [obj["metadata"]["name"] for obj in gathered if obj["kind"] == kinds.NAMESPACE.kind]
    if namespace and there and namespace not in there:
        meant = nearest(namespace, there)
        fix = f"did you mean {meant}?" if meant else "correct the name, or choose another --context"
        raise misused("-n", "is no namespace of the cluster:", namespace, fix)


@_keeping()
def walk(found: Surroundings, *, taken: bool = True) -> Walk:
    """Resolve and compile every segment; what is refused on the way is in `problems`.

    Unless `taken` is False (where objects are compared one by one anyway) a name that somebody else has is refused.
    """
    if found.lacking:
        return Walk(found, problems=found.problems)
    with output.progress("resolving and compiling"):
        walked, problems = _walked(found)
        neighbours = tuple(_neighbours(found, {w.reach.segment for w in walked}))
        classes = tuple(isolations(found, own=True))
        names_taken = _taken(found, walked, neighbours) if taken else ()
        return Walk(found, tuple(walked), neighbours, classes, (*found.problems, *problems, *names_taken))


def _walked(found: Surroundings) -> tuple[list[Walked], list[Problem]]:
    walked: list[Walked] = []
    problems: list[Problem] = []
    for given, segment in found.segments():
        try:
            reach = withheld(resolve(segment, found.snapshot))
            desired = compile_segment(reach)
        except Refused as refused:
            problems.append(given.refused(refused.refusals))
            continue
        if reach.every_refusal:
            problems.append(given.refused(reach.every_refusal))
        else:
            walked.append(Walked(given, segment, reach, desired))
    return walked, problems


def isolations(found: Surroundings, *, own: bool) -> Iterator[Desired]:
    """Compile the isolation of classes: of those given with -f (`own`), or of every class there is."""
    given = {item.raw["metadata"]["name"] for item in found.documents if item.kind == names.CLASS}
    meant = [(name, c) for name, c in sorted(found.snapshot.classes.items()) if name in given or not own]
    governed: dict[str, list[str]] = {}
    for space in sorted(found.snapshot.spaces()) if meant else ():
        governed.setdefault(govern(space, found.snapshot).name, []).append(space)
    for name, each in meant:
        if each.spec is not None:
            spaces = {
                s: found.snapshot.namespaces[s].meta.uid if s in found.snapshot.namespaces else ""
                for s in governed.get(name, ())
            }
            yield isolation(name, each.meta.uid, each.spec, spaces)


def refuse(problems: Sequence[Problem]) -> NoReturn:
    """Tell why documents are refused, on stderr, and end with exit code 1."""
    for problem in problems:
        before = ""
        for place, refusal in islice(problem.told(), _MOST_TOLD):
            if place != before:
                output.say(f"{place}: {problem.title} is refused:")
            output.say(str(refusal))
            before = place
        if len(problem.refusals) > _MOST_TOLD:
            output.say(f"… and {len(problem.refusals) - _MOST_TOLD} more")
    click.get_current_context().exit(1)


def told(walked: Walk) -> None:
    """Tell every finding on stderr."""
    for each in walked.walked:
        for finding in each.findings:
            output.say(str(finding))
    for desired in walked.classes:
        for finding in (*desired.gaps, *desired.notes):
            output.say(str(finding))


def _neighbours(found: Surroundings, own: set[Key]) -> Iterator[Neighbour]:
    for by_name in found.snapshot.segments.values():
        for segment in by_name.values():
            if segment.meta.key not in own and segment.spec is not None:
                try:
                    reach = withheld(resolve(segment, found.snapshot))
                    yield Neighbour(reach, compile_segment(reach))
                except Refused:
                    # The operator would make nothing for it either.
                    continue


def _taken(found: Surroundings, walked: Sequence[Walked], neighbours: Sequence[Neighbour]) -> Iterator[Problem]:
    """Find names that somebody else has: another segment, or an object among the facts that is not ours."""
    owners: dict[ObjectID, set[Key]] = {}
    for desired in (*(w.desired for w in walked), *(n.desired for n in neighbours)):
        for obj in desired.objects:
            owners.setdefault(ObjectID.of(obj), set()).add(desired.segment)
    existing = {_place(obj): obj for obj in found.facts if obj.get("kind") in _OWNED}
    told = {problem.title for problem in found.problems}
    for each in walked:
        # Of documents given together the names are compared as they are read.
        refusals = [*(_by_segments(each, owners) if each.given.title not in told else ()), *_by_objects(each, existing)]
        if refusals:
            yield each.given.refused(dict.fromkeys(refusals))


def _by_segments(walked: Walked, owners: Mapping[ObjectID, set[Key]]) -> Iterator[Refusal]:
    paths = _paths(walked.reach)
    shared: dict[tuple[str, str, str], list[str]] = {}
    for obj in walked.desired.objects:
        others = owners[ObjectID.of(obj)] - {walked.reach.segment}
        if others:
            other = ", ".join(str(key) for key in sorted(others))
            shared.setdefault((paths.get(stage_of(obj), "spec"), obj["metadata"]["name"], other), []).append(
                obj["kind"]
            )
    for (path, name, other), kinds_needed in shared.items():
        problem = f"needs objects ({', '.join(kinds_needed)}) whose name another segment ({other}) needs too"
        yield _conflict(walked, path, problem, name)


def _by_objects(walked: Walked, existing: Mapping[tuple[str, ...], Object]) -> Iterator[Refusal]:
    live = {}
    for obj in walked.desired.objects:
        there = existing.get(_place(obj))
        if there is not None:
            # Whose it is its metadata says; what is in it need not be compared.
            live[ObjectID.of(obj)] = Live.of({**there, "apiVersion": obj["apiVersion"]}, whole=False)
    for finding in plan(walked.desired, live).conflicts(_paths(walked.reach)):
        yield _conflict(walked, finding.path, "needs a name that is not free:", finding.target)


def _conflict(walked: Walked, path: str, problem: str, value: str) -> Refusal:
    fix = "rename the stage or the segment, or remove the other object"
    return Refusal(path, problem, value, fix, "Conflict", str(walked.reach.segment))


def _paths(reach: Reach) -> dict[str, str]:
    return {stage.key.stage: f"{stage.path}.name" for stage in reach.stages}


def _place(obj: Object) -> tuple[str, ...]:
    """Identify an object whatever version of its group it was printed in."""
    meta = obj["metadata"]
    group = str(obj.get("apiVersion", "")).rpartition("/")[0]
    return (group, str(obj["kind"]), str(meta.get("namespace", "")), str(meta.get("name", "")))


def _from_cluster(facts: Sequence[Object], namespace: str) -> Iterator[Given]:
    for obj in facts:
        if obj.get("kind") == names.SEGMENT and namespace in {"", obj["metadata"].get("namespace")}:
            yield Given(CLUSTER, names.SEGMENT, obj)


def _owned(finding: Finding, name: str) -> Finding:
    if finding.object:
        return finding
    return Finding(finding.path, finding.reason, finding.target, finding.message, finding.fix, name)
