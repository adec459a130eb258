"""The audit line: one for every call that changes something, whoever asks later who opened what, and why."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from pipesegment.compile.desired import ObjectID
from pipesegment.facts.meta import Key
from pipesegment.plan.changes import Change
from pipesegment.report.outcome import Failed
from pipesegment.report.text import LINE, MESSAGE, clean

#: How many declarations one line names; a stage may have hundreds.
_MAX_BECAUSE: Final = 32


class Called(Protocol):
    """A call as it is told, of the API server or of AWS."""

    @property
    def verb(self) -> str:
        """What was called."""

    @property
    def id(self) -> ObjectID:
        """The object that it is about."""

    @property
    def change(self) -> Change:
        """What happens to that object, and why."""

    @property
    def final(self) -> bool:
        """Whether no later call is needed to bring it to its end."""

    @property
    def deletes(self) -> bool:
        """Whether the object is gone after it."""

    @property
    def details(self) -> Mapping[str, str]:
        """What more there is to know of it: which policy, since when sessions are cut."""


class Trail:
    """The lines of one look: what they share is written once, for there are as many lines as calls.

    `because` gives for each stage the paths of the declarations behind its objects, `user` is the operator as the API server
    knows it; `segment` the segment or class that the calls are made for.
    """

    def __init__(self, segment: Key, generation: int, because: Mapping[str, Iterable[str]], user: str) -> None:
        self._segment = clean(segment, LINE)
        self._generation = generation
        self._because = because
        self._user = clean(user, LINE)
        self._said: dict[str, tuple[list[str], int]] = {}

    def line(self, step: Called, failed: Failed | None, time: str) -> dict[str, Any]:
        """Build the line for one call."""
        change, target = step.change, step.id
        because, left_out = self._behind(change.stage)
        line: dict[str, Any] = {
            "audit": True,
            "time": time,
            "action": step.verb,
            "apiVersion": target.api_version,
            "kind": target.kind,
            "namespace": target.namespace,
            "name": target.name,
            "segment": self._segment,
            "stage": clean(change.stage, LINE),
            "generation": self._generation,
            "because": because,
            "why": change.why.value,
            "final": step.final,
            "result": "failed" if failed else "done",
            "user": self._user,
        }
        line |= {key: clean(value, LINE) for key, value in step.details.items()}
        if left_out:
            line["becauseLeftOut"] = left_out
        if failed:
            line |= {"status": failed.status, "error": clean(failed.message, MESSAGE)}
        return line

    def _behind(self, stage: str) -> tuple[list[str], int]:
        """Give the first paths behind a stage's objects, and how many are left out."""
        if stage not in self._said:
            every = sorted(set(self._because.get(stage, ())))
            self._said[stage] = [clean(path) for path in every[:_MAX_BECAUSE]], max(0, len(every) - _MAX_BECAUSE)
        return self._said[stage]
