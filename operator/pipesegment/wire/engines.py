"""Which file wires which engine."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from pipesegment.findings import Finding
from pipesegment.wire import arc, argo, buildkite, drone, gitlab, jenkins, plain, tekton, woodpecker
from pipesegment.wire.given import Given
from pipesegment.wire.values import Piece, Pods, Wiring


class _Engine(NamedTuple):
    pieces: Callable[[Wiring, tuple[Pods, ...]], Iterator[Piece]]
    lacks: Callable[[Wiring, tuple[Pods, ...], Given], Iterator[Finding]]


_PLAIN: Final = _Engine(plain.pieces, plain.lacks)

_ENGINES: Final[Mapping[str, _Engine]] = {
    "Tekton": _Engine(tekton.pieces, tekton.lacks),
    "ArgoWorkflows": _Engine(argo.pieces, argo.lacks),
    "GitLabRunner": _Engine(gitlab.pieces, gitlab.lacks),
    "ActionsRunnerController": _Engine(arc.pieces, arc.lacks),
    "Jenkins": _Engine(jenkins.pieces, jenkins.lacks),
    "Buildkite": _Engine(buildkite.pieces, buildkite.lacks),
    "Woodpecker": _Engine(woodpecker.pieces, woodpecker.lacks),
    "Drone": _Engine(drone.pieces, drone.lacks),
}


def pieces(wiring: Wiring) -> tuple[Piece, ...]:
    """Give what has to be written so that every pod is its stage's."""
    made, plain_stages = _split(wiring)
    found: list[Piece] = []
    if made:
        found += _engine(wiring).pieces(wiring, made)
    if plain_stages:
        found += _PLAIN.pieces(wiring, plain_stages)
    return tuple(found)


def lacks(wiring: Wiring, given: Given) -> tuple[Finding, ...]:
    """Tell what a file of the engine misses; empty when its pods are the stages'.

    Stages that the engine does not make (`engine: {type: None}`) are not looked for in its files.
    """
    made, plain_stages = _split(wiring)
    if made:
        return tuple(_engine(wiring).lacks(wiring, made, given))
    return tuple(_PLAIN.lacks(wiring, plain_stages, given))


def name(wiring: Wiring) -> str:
    """Give the engine's type; `None` without one."""
    return wiring.spec.engine.type if wiring.spec.engine else "None"


def _engine(wiring: Wiring) -> _Engine:
    return _ENGINES.get(name(wiring), _PLAIN)


def _split(wiring: Wiring) -> tuple[tuple[Pods, ...], tuple[Pods, ...]]:
    """Tell the stages whose pods the engine makes from those that somebody else makes."""
    kind = name(wiring)
    made = tuple(pods for pods in wiring.stages if kind != "None" and not _is_made_elsewhere(kind, pods))
    return made, tuple(pods for pods in wiring.stages if pods not in made)


def _is_made_elsewhere(kind: str, pods: Pods) -> bool:
    if pods.engine is not None and pods.engine.type == "None":
        return True
    # Here a stage is a task of its own name; one that has a selector instead and names no task is none.
    named = pods.engine is not None and bool(pods.engine.tasks or pods.engine.steps)
    return kind in {"Tekton", "Woodpecker"} and pods.own and not named
