"""Our evaluator of the network's policies beside the judges: where they differ for no known reason."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from lab.oracle import differences
from lab.oracle.judges import POLICY_KINDS, Engine, Raw
from lab.oracle.readings import Case, Question
from lab.oracle.world import Way, World
from pipesegment.evaluate.endpoints import End, Port


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One answer that differs for no known reason."""

    judge: str
    way: Way
    ours: bool
    because: str
    theirs: bool


def judge(
    engine: Engine, objects: Iterable[Raw], ends: Sequence[End], ports: Sequence[Port], **options: Any
) -> list[Disagreement]:
    """Ask a judge and our evaluator about every pair of ends at every port; the list is empty when they agree.

    Of the objects only policies of the network count. Options are the judge's.
    """
    policies = tuple(obj for obj in objects if obj.get("kind") in POLICY_KINDS)
    case = Case(policies, tuple(ends), block_holds_pods=engine.program.block_holds_pods)
    asked = differences.bridged(case, engine.name)
    allowed = engine.matrix(asked.policies, World.of(asked.ends), ports, **options)
    case = replace(case, ends=asked.ends)
    found = []
    for source, destination, port in product(case.ends, case.ends, ports):
        way = Way(str(source), str(destination), str(port))
        question = Question(case, source, destination, port, way in allowed)
        if not question.agreed and not differences.explaining(question, engine.name):
            ours = question.ours
            found.append(Disagreement(engine.name, way, ours.allowed, ours.because, question.answer))
    return found
