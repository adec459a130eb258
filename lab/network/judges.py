"""The same matrix from everybody who can be asked without a network: the declaration, and the evaluator of objects.

Every judge is a function of a moment (and the objects in it) to the ways that are open. The kernel's answer comes from
`World.sweep`, in the same form; engines of others are asked with the ends and ports of `asked`.
"""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from lab import yaml
from lab.errors import LabError
from lab.network import matrix
from lab.network.matrix import Matrix, Way
from lab.network.objects import Object
from lab.network.scenario import Moment
from pipesegment.cli import verdicts
from pipesegment.cli.options import Options
from pipesegment.cli.walk import Walk, surroundings, walk
from pipesegment.evaluate import endpoints
from pipesegment.evaluate.world import World
from pipesegment.facts.ends import AddressEnd, End, Port
from pipesegment.facts.parse import snapshot

#: What an API server would have to know of an object's owner, and no compiler without a cluster can.
_OWNERS: Final = "ownerReferences"


@dataclass(frozen=True)
class Compiled:
    """What `pipesegment compile` and `pipesegment reach` make of a moment, offline.

    `objects` are those that would be in force, foreign NetworkPolicies included; `declared` and `enforced` are what
    `reach` says about every way.
    """

    objects: tuple[Object, ...]
    declared: Matrix
    enforced: Matrix
    findings: tuple[str, ...]


def compiled(moment: Moment) -> Compiled:
    """Take a moment through the command line's walk. Raises LabError when a document is refused."""
    walked = _walked(moment)
    if walked.problems:
        raise LabError("\n".join(str(refusal) for problem in walked.problems for refusal in problem.refusals))
    asked_of = verdicts.Matrix(walked)

    def ask(source: End, destination: End, port: Port) -> verdicts.Verdict:
        return asked_of.ask(source, destination, port)

    desired = (*(each.desired for each in walked.walked), *walked.classes)
    ours = [_without_owner(obj) for each in desired for obj in each.objects]
    return Compiled(
        objects=(*ours, *foreign(moment)),
        declared=_matrix(moment, lambda *way: ask(*way).declared),
        enforced=_matrix(moment, lambda *way: ask(*way).enforced),
        findings=tuple(str(finding) for each in walked.walked for finding in each.findings),
    )


def foreign(moment: Moment) -> list[Object]:
    """Give the NetworkPolicies that are in the world already."""
    return [obj for obj in moment.facts if obj["kind"] == "NetworkPolicy"]


def evaluator(objects: Iterable[Object], moment: Moment) -> Matrix:
    """Ask our evaluator about objects alone. Raises LabError where engines are known to differ about them."""
    judged = World(objects)

    def allowed(source: End, destination: End, port: Port) -> bool:
        found = judged.judge(source, destination, port)
        if not found.certain:
            raise LabError(f"{source} → {destination} at {port}: engines differ about ipBlock and pods")
        return found.enforced

    return _matrix(moment, allowed)


def asked(moment: Moment) -> tuple[list[End], list[Port]]:
    """Give the ends and ports of a moment as the evaluator and the oracles take them."""
    return [end for ends in _ends(moment).values() for end in ends], [Port.parse(port) for port in moment.ports]


def _matrix(moment: Moment, allowed: Callable[[End, End, Port], bool]) -> Matrix:
    ends = _ends(moment)

    def opened(way: Way) -> bool:
        port = Port.parse(way.port)
        answers = {
            allowed(source, destination, port)
            for source in ends[way.source]
            for destination in ends[way.destination]
            if _meet(source, destination)
        }
        if len(answers) != 1:
            raise LabError(f"{way} differs by address: give its ends one family each")
        return answers.pop()

    return frozenset(filter(opened, matrix.every(moment.members, moment.ports)))


def _ends(moment: Moment) -> dict[str, Sequence[End]]:
    inside = {str(end): [end] for end in endpoints.live(snapshot(moment.surroundings()))}
    return {**inside, **{name: [AddressEnd(ip) for ip in ips] for name, ips in moment.outside.items()}}


def _meet(source: End, destination: End) -> bool:
    return not {":" in ip for ip in source.ips}.isdisjoint({":" in ip for ip in destination.ips})


def _walked(moment: Moment) -> Walk:
    """Read the moment from files, as people give it."""
    with tempfile.TemporaryDirectory() as folder:
        given, facts = Path(folder, "given.yaml"), Path(folder, "facts.yaml")
        given.write_text(yaml.safe_dump_all(moment.given))
        # What a document says of its age counts only where the cluster says so too.
        known = [obj for obj in moment.given if "creationTimestamp" in obj["metadata"]]
        facts.write_text(yaml.safe_dump_all([*moment.surroundings(), *known]))
        options = Options((str(given),), (str(facts),), "", cluster=False, context="", kubeconfig="", named=False)
        with click.Context(click.Command("compile")).scope():
            return walk(surroundings(options))


def _without_owner(obj: Mapping[str, Any]) -> Object:
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != _OWNERS}}
