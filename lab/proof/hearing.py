"""The hearing: every judge is asked about every way, and each answer is held against the declaration."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from lab.errors import LabError, UnsupportedError
from lab.network.matrix import Way
from lab.progress import say
from lab.proof.scene import Scene


class Answer(NamedTuple):
    """Whether a way is open, and what was said to whoever tried it, if anything."""

    open: bool
    said: str = ""


class Judge(Protocol):
    """Somebody who can say which ways are open."""

    @property
    def name(self) -> str:
        """What its column is called."""

    @property
    def about(self) -> str:
        """How it finds out, in half a line."""

    def ask(self, scene: Scene) -> Mapping[Way, Answer]:
        """Answer for every way that it can see.

        Raises UnsupportedError where the machine lacks what it needs, LabError when it fails.
        """


@dataclass(frozen=True)
class Heard:
    """A judge that answered, after how many seconds."""

    name: str
    about: str
    answers: Mapping[Way, Answer]
    seconds: float


@dataclass(frozen=True)
class Missing:
    """A judge that did not: the machine lacks what it needs, or it failed."""

    name: str
    reason: str
    failed: bool

    def __str__(self) -> str:
        """Say it loudly."""
        return f"{self.name} {'FAILED' if self.failed else 'IS MISSING'}: {self.reason}"


@dataclass(frozen=True)
class Proof:
    """What came of it."""

    scene: Scene
    heard: Sequence[Heard]
    missing: Sequence[Missing]

    def declared(self, way: Way) -> bool:
        """Tell whether the declaration opens a way."""
        return way in self.scene.compiled.declared

    def differs(self, way: Way) -> bool:
        """Tell whether some judge sees a way otherwise than it is declared."""
        declared = self.declared(way)
        return any(way in each.answers and each.answers[way].open != declared for each in self.heard)

    @property
    def differences(self) -> list[Way]:
        """Every way that differs, shown or not."""
        return [way for way in self.scene.ways if self.differs(way)]

    @property
    def holds(self) -> bool:
        """Whether somebody answered, nothing differs and no judge failed; one that a machine cannot have is no objection."""
        return bool(self.heard) and not self.differences and not any(each.failed for each in self.missing)


def hear(scene: Scene, judges: Sequence[Judge]) -> Proof:
    """Ask the judges, one after the other."""
    heard, missing = list[Heard](), list[Missing]()
    for judge in judges:
        say(f"{judge.name} is asked: {judge.about}")
        begun = time.monotonic()
        try:
            answers = judge.ask(scene)
        except (LabError, OSError) as error:
            missing.append(Missing(judge.name, str(error), failed=not isinstance(error, UnsupportedError)))
            say(str(missing[-1]))
        else:
            heard.append(Heard(judge.name, judge.about, answers, time.monotonic() - begun))
    return Proof(scene, heard, missing)
