"""Probes as pods of a cluster: made, followed until they have answered, read, and taken away again.

Their number is bounded by who calls, their time by `seconds` twice: here, and by the pods' own deadline, so that they end
even where nobody is left to delete them.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final, cast

import orjson

from pipesegment.compile.desired import Object, ObjectID
from pipesegment.errors import Rejected, Unreachable
from pipesegment.probe import pods
from pipesegment.probe.dial import Answer, Dial
from pipesegment.probe.port import Caller, Listener
from pipesegment.reach.edges import StageKey
from pipesegment.world import kinds
from pipesegment.world.port import Cluster, Json, Selection

_DONE: Final = frozenset({"Succeeded", "Failed"})
#: What a container waits for in vain.
_HOPELESS: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError"})

_log = logging.getLogger(__name__)

Known = dict[StageKey, Json]


class ClusterProber:
    """Runs the probes of one segment; see `probe.port.Prober`. `run` tells its pods from those of every other run."""

    def __init__(self, cluster: Cluster, image: str, run: str, seconds: int) -> None:
        self._cluster = cluster
        self._image = image
        self._run = run
        self._seconds = seconds
        self._began = asyncio.get_running_loop().time()
        self._made: dict[str, ObjectID] = {}
        self._listeners: dict[StageKey, str] = {}
        self.problems: dict[StageKey, str] = {}

    async def listen(self, listeners: Sequence[Listener]) -> Mapping[StageKey, tuple[str, ...]]:
        """Start listeners, and wait until they are ready or past hope."""
        await self._sweep({listener.actor.stage.namespace for listener in listeners})
        wanted = {
            found.actor.stage: pods.listening(found, self._image, self._run, number, self._seconds)
            for number, found in enumerate(listeners)
        }
        known = await self._until(await self._start(wanted), _is_ready, self._seconds / 2)
        found = {}
        for stage, pod in known.items():
            if _is_ready(pod):
                self._listeners[stage] = pod["metadata"]["name"]
                found[stage] = _addresses(pod)
            else:
                self.problems.setdefault(stage, _problem(pod, "not ready"))
        return found

    async def call(self, callers: Sequence[Caller]) -> Mapping[StageKey, Mapping[Dial, tuple[Answer, ...]]]:
        """Start callers, wait for their end, and read what they have written."""
        dials = {caller.actor.stage: caller.dials for caller in callers}
        wanted = {
            found.actor.stage: pods.calling(found, self._image, self._run, number, self._seconds)
            for number, found in enumerate(callers)
        }
        known = await self._until(await self._start(wanted), _is_over, self._seconds)
        found = {}
        for stage, pod in known.items():
            answers = await self._read(pod) if _is_over(pod) else None
            if answers is not None and len(answers) == len(dials[stage]):
                found[stage] = {dial: tuple(tries) for dial, tries in zip(dials[stage], answers, strict=True)}
            else:
                self.problems.setdefault(
                    stage, _problem(pod, "without an answer" if _is_over(pod) else "not at its end")
                )
        return found

    async def listening(self) -> frozenset[StageKey]:
        """Name the stages whose listeners are ready still."""
        if not self._listeners:
            return frozenset()
        namespace = next(iter(self._listeners)).namespace
        page = await self._cluster.list(kinds.POD, self._selection(namespace))
        ready = {pod["metadata"]["name"] for pod in page.items if _is_ready(pod)}
        return frozenset(stage for stage, name in self._listeners.items() if name in ready)

    async def clear(self) -> None:
        """Delete every pod of this run. Raises Unreachable when one may be left, once each was tried."""
        for namespace in {target.namespace for target in self._made.values()}:
            # One whose making was broken off is known to nobody here.
            with suppress(Unreachable):
                page = await self._cluster.list(kinds.POD, self._selection(namespace))
                self._made |= {pod["metadata"]["uid"]: ObjectID.of(pod) for pod in page.items}
        made = list(self._made.items())
        done = await asyncio.gather(*(self._cluster.delete(t, uid=uid) for uid, t in made), return_exceptions=True)
        left = [str(target) for (_, target), answer in zip(made, done, strict=True) if isinstance(answer, Exception)]
        self._made.clear()
        if left:
            raise Unreachable(f"{', '.join(left)} could not be deleted, and ends by itself in {self._seconds} s")

    async def _start(self, wanted: Mapping[StageKey, Object]) -> Known:
        answers = await asyncio.gather(*map(self._create, wanted.values()), return_exceptions=True)
        known: Known = {}
        for stage, answer in zip(wanted, answers, strict=True):
            match answer:
                case Rejected():
                    # Admission, a quota, a missing account: this one cannot run, the others may.
                    self.problems.setdefault(stage, answer.message)
                case BaseException():
                    raise answer
                case _:
                    known[stage] = answer
        return known

    async def _create(self, pod: Object) -> Json:
        made = await self._cluster.create(pod)
        self._made[made["metadata"]["uid"]] = ObjectID.of(made)
        return made

    async def _until(self, known: Known, done: Callable[[Json], bool], seconds: float) -> Known:
        """Follow pods until each is `done` or past hope, or the time is over; give what they came to."""
        stages = {pod["metadata"]["name"]: stage for stage, pod in known.items()}

        def waits() -> bool:
            return any(not done(pod) and not _is_lost(pod) for pod in known.values())

        def take(pod: Json) -> None:
            stage = stages.get(pod["metadata"]["name"])
            if stage is not None:
                known[stage] = pod

        try:
            async with asyncio.timeout_at(self._began + seconds):
                while waits():
                    await self._follow(next(iter(known)).namespace, take, waits)
        except TimeoutError:
            _log.debug("the time of the probes is over")
        return known

    async def _follow(self, namespace: str, take: Callable[[Json], None], waits: Callable[[], bool]) -> None:
        """Follow the pods until nobody waits, or the stream ends."""
        page = await self._cluster.list(kinds.POD, self._selection(namespace))
        for pod in page.items:
            take(pod)
        watch = self._cluster.watch(kinds.POD, page.resource_version, self._selection(namespace))
        try:
            async with aclosing(cast("Any", watch)) as events:
                while waits():
                    event = await anext(events, None)
                    if event is None:
                        return
                    if event.type == "DELETED":
                        event.object["metadata"].setdefault("deletionTimestamp", "")
                    if event.type not in {"OPENED", "BOOKMARK"}:
                        take(event.object)
        except Rejected as error:
            if error.status != 410:
                raise

    async def _read(self, pod: Json) -> list[list[Answer]] | None:
        try:
            text = await self._cluster.log(ObjectID.of(pod), pods.CONTAINER)
            answers = orjson.loads(text.strip().splitlines()[-1])["answers"]
        except (Rejected, orjson.JSONDecodeError, IndexError, KeyError, TypeError):
            return None
        return cast("list[list[Answer]]", answers)

    async def _sweep(self, namespaces: set[str]) -> None:
        """Delete probes of earlier runs that ended by their own deadline."""
        for namespace in namespaces:
            page = await self._cluster.list(kinds.POD, Selection(namespace=namespace, labels=pods.LABEL))
            over = [pod for pod in page.items if (pod.get("status") or {}).get("phase") in _DONE]
            await asyncio.gather(*(self._cluster.delete(ObjectID.of(p), uid=p["metadata"]["uid"]) for p in over))

    def _selection(self, namespace: str) -> Selection:
        return Selection(namespace=namespace, labels=f"{pods.LABEL}={self._run}")


def _status(pod: Json) -> Json:
    return pod.get("status") or {}


def _is_ready(pod: Json) -> bool:
    conditions = {c["type"]: c["status"] for c in _status(pod).get("conditions") or ()}
    return conditions.get("Ready") == "True" and bool(_addresses(pod))


def _is_over(pod: Json) -> bool:
    """Tell whether the program has ended; a container that somebody injected may go on."""
    ended = any("terminated" in (c.get("state") or {}) for c in _containers(pod) if c.get("name") == pods.CONTAINER)
    return ended or _status(pod).get("phase") in _DONE


def _is_lost(pod: Json) -> bool:
    waiting = {(c.get("state") or {}).get("waiting", {}).get("reason") for c in _containers(pod)}
    gone = "deletionTimestamp" in pod["metadata"]
    return bool(waiting & _HOPELESS) or _status(pod).get("phase") in _DONE or gone


def _addresses(pod: Json) -> tuple[str, ...]:
    return tuple(found["ip"] for found in _status(pod).get("podIPs") or ())


def _containers(pod: Json) -> Sequence[Json]:
    return _status(pod).get("containerStatuses") or ()


def _problem(pod: Json, otherwise: str) -> str:
    """Say why a pod did not do its work, in the words of whoever knows."""
    for container in _containers(pod):
        for state in (container.get("state") or {}).values():
            if state.get("reason") not in {None, "Completed", "ContainerCreating"}:
                return f"{state['reason']}: {state.get('message') or 'no message'}"
    for condition in _status(pod).get("conditions") or ():
        if condition.get("status") == "False" and condition.get("type") == "PodScheduled":
            return str(condition.get("message") or condition.get("reason"))
    if _status(pod).get("reason"):
        return f"{_status(pod)['reason']}: {_status(pod).get('message') or 'no message'}"
    return f"its pod was {otherwise} in time"
