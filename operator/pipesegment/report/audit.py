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


def audit_line(
    step: Called,
    failed: Failed | None,
    *,
    time: str,
    segment: Key,
    generation: int,
    because: Iterable[str],
    user: str,
) -> dict[str, Any]:
    """Build the line for one call. `because` are the paths of the declarations behind the object.

    `user` is the operator as the API server knows it; `segment` the segment or class that the call was made for.
    """
    change, target = step.change, step.id
    every = sorted(set(because))
    line: dict[str, Any] = {
        "audit": True,
        "time": time,
        "action": step.verb,
        "apiVersion": target.api_version,
        "kind": target.kind,
        "namespace": target.namespace,
        "name": target.name,
        "segment": clean(segment, LINE),
        "stage": clean(change.stage, LINE),
        "generation": generation,
        "because": [clean(path) for path in every[:_MAX_BECAUSE]],
        "why": change.why.value,
        "final": step.final,
        "result": "failed" if failed else "done",
        "user": clean(user, LINE),
    }
    line |= {key: clean(value, LINE) for key, value in step.details.items()}
    if len(every) > _MAX_BECAUSE:
        line["becauseLeftOut"] = len(every) - _MAX_BECAUSE
    if failed:
        line |= {"status": failed.status, "error": clean(failed.message, MESSAGE)}
    return line
