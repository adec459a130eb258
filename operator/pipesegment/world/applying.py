"""Sends a safe sequence to the API server, wave by wave, and tells what became of each call.

A wave begins only when everything before it succeeded: `plan.order` argues that every subset of one wave is safe, and
nothing more than that. Of what only takes away, whoever plans it may say that every part goes by itself (`taking`).
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from pipesegment import names
from pipesegment.compile.desired import Object, ObjectID
from pipesegment.errors import Rejected, Unreachable
from pipesegment.plan.changes import Why
from pipesegment.plan.live import Applied, Live
from pipesegment.plan.sequence import Sequence, Step, Wave
from pipesegment.report.outcome import Failed
from pipesegment.world.owned import OwnedObjects
from pipesegment.world.port import Cluster, Json


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that did not succeed. HTTP 409: somebody else took the name, or the object changed meanwhile."""

    step: Step
    error: Unreachable

    @property
    def told(self) -> Failed:
        """Tell it in the report's words."""
        error = self.error
        if not isinstance(error, Rejected):
            return Failed(self.step.id, self.step.verb, 0, str(error))
        conflict = error.status == HTTPStatus.CONFLICT and self.step.verb == "create"
        text = f"{error.reason}: {error.message}"
        return Failed(self.step.id, self.step.verb, error.status, text, conflict, error.retry_after or 0.0)


@dataclass(slots=True)
class Results:
    """What became of a sequence. `done` holds the uid of what was applied, '' for what was deleted.

    `unfinished` are the objects of which something was applied, but not yet what a later step should bring.
    """

    done: dict[ObjectID, str] = field(default_factory=dict)
    unfinished: set[ObjectID] = field(default_factory=set)
    failures: list[Failure] = field(default_factory=list)
    writes: int = 0

    @property
    def finished(self) -> dict[ObjectID, str]:
        """What is done to its end."""
        return {target: uid for target, uid in self.done.items() if target not in self.unfinished}


#: Told of every call, with what went wrong.
OnCall = Callable[[Step, Failed | None], None]


class Applier:
    """The hand that writes. Remembers what the API server answered, so that only a change of it is drift."""

    def __init__(self, cluster: Cluster, owned: OwnedObjects) -> None:
        self._cluster = cluster
        self._owned = owned
        self._applied: dict[ObjectID, Applied] = {}

    @property
    def remembered(self) -> Mapping[ObjectID, Applied]:
        """What was known of each object when it was last as we want it."""
        return self._applied

    def verified(self, live: Live) -> None:
        """Remember an object that was read as a whole and found to be as we want it."""
        self._applied[live.id] = live.applied

    def forget(self, target: ObjectID) -> None:
        """Forget an object that is gone."""
        self._applied.pop(target, None)

    async def run(self, sequence: Sequence, told: OnCall, *, taking: Wave | None = None) -> Results:
        """Send a sequence; stops behind the first wave that has a failure. `told` hears of every call.

        The waves up to `taking` are sent whatever becomes of one another.
        """
        results = Results()
        for wave in sequence.waves:
            if results.failures and (taking is None or wave[0].wave > taking):
                break
            await asyncio.gather(*(self._call(step, results, told) for step in wave))
        return results

    async def _call(self, step: Step, results: Results, told: OnCall) -> None:
        try:
            with self._owned.writing(step.id):
                if step.deletes:
                    await self._delete(step, results)
                else:
                    await self._apply(step, results)
        except Unreachable as error:
            failure = Failure(step, error)
            results.failures.append(failure)
            told(step, failure.told)
        else:
            told(step, None)

    async def _delete(self, step: Step, results: Results) -> None:
        # What an earlier step of the sequence made has a uid since then.
        uid = step.uid or results.done[step.id]
        await self._cluster.delete(step.id, uid=uid, resource_version=step.resource_version)
        results.writes += 1
        self.forget(step.id)
        self._owned.deleted(step.id)
        results.done[step.id] = ""
        results.unfinished.discard(step.id)

    async def _apply(self, step: Step, results: Results) -> None:
        assert step.object is not None
        fresh = step.verb == "create"
        # A fresh object is applied without force: whoever took the name meanwhile keeps it (docs/adr/0005).
        answer = await self._cluster.apply(step.object if fresh else _pinned(step.object, step.uid), force=not fresh)
        results.writes += 1
        if fresh and _is_shared(answer):
            if step.change.why is Why.NEW:
                await self._give_back(answer)
            raise Rejected(HTTPStatus.CONFLICT, "AlreadyExists", f"{step.id} was made by somebody else meanwhile")
        self._owned.wrote(answer)
        live = Live.of(answer, whole=False)
        if step.final:
            self._applied[step.id] = live.applied
            results.unfinished.discard(step.id)
        else:
            results.unfinished.add(step.id)
        results.done[step.id] = live.uid

    async def _give_back(self, taken: Json) -> None:
        """Take our fields off an object that turned out to be somebody else's: an apply of nothing gives them all up."""
        meta = {key: taken["metadata"][key] for key in ("name", "namespace", "uid") if key in taken["metadata"]}
        await self._cluster.apply({"apiVersion": taken["apiVersion"], "kind": taken["kind"], "metadata": meta})


def _pinned(obj: Object, uid: str) -> Object:
    """Name the very object that is meant: a namesake made anew meanwhile is not changed (409)."""
    if not uid:
        return obj
    return {**obj, "metadata": {**obj["metadata"], "uid": uid}}


def _is_shared(answer: Json) -> bool:
    entries: list[dict[str, Any]] = answer["metadata"].get("managedFields") or []
    return any(e.get("manager") != names.FIELD_MANAGER and e.get("subresource") != "status" for e in entries)
