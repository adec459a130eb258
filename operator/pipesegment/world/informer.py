"""A kind of objects, kept in memory as values and followed by a watch; nothing that happens to it is fatal.

The list is read page by page, the watch is renewed from where it ended; after a refusal (410 and all others) the list
is read anew. A kind that does not exist counts as one without objects, until it appears.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import aclosing
from typing import Any, Final, Generic, TypeVar, cast

from pipesegment.errors import Rejected, Unreachable
from pipesegment.world.clock import Clock, LoopClock, wait
from pipesegment.world.kinds import Kind
from pipesegment.world.port import EVERYTHING, Cluster, Json, Selection

T = TypeVar("T")

#: (kind, value before, value after); None: it was, or is, not there.
OnChange = Callable[[str, T | None, T | None], None]

_LONGEST_PAUSE: Final = 30.0
#: How often in a row the server must deny that a kind exists before its objects count as gone: a server that is just
#: starting may deny it wrongly, and what follows from 'gone' cannot be taken back.
_DENIALS: Final = 3

_log = logging.getLogger(__name__)


class Informer(Generic[T]):
    """The objects of one kind as `store[namespace][name]`; the namespace of cluster-scoped ones is empty.

    `project` makes a value of an object. `on_change` is called, synchronously, whenever a value appears, goes, or becomes
    unequal to what it was. The mappings are changed in place, never replaced, so that they can be read as views.
    With `relist_every` there is no watch: somebody else brings the changes by `put` and `remove`. Of a `vital` kind even
    the first answer that it does not exist is doubted.
    """

    def __init__(
        self,
        cluster: Cluster,
        kind: Kind,
        project: Callable[[Json], T],
        on_change: OnChange[T],
        *,
        selection: Selection = EVERYTHING,
        relist_every: float | None = None,
        vital: bool = False,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.kind = kind
        self.store: dict[str, dict[str, T]] = {} if kind.namespaced else {"": {}}
        self.synced = asyncio.Event()
        self.problem = ""
        self.relists = 0
        self._cluster = cluster
        self._project = project
        self._on_change = on_change
        self._selection = selection
        self._relist_every = relist_every
        self._vital = vital
        self._clock = clock or LoopClock()
        self._random = rng or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._versions: dict[str, dict[str, int]] = {}
        self._removed: dict[tuple[str, str], int] = {}
        self._listed = 0
        self._version = ""
        self._newest = 0
        self._failures = 0
        self._denials = 0
        self._watch_failed = False
        self._last_activity = self._clock.now()
        self._poke = asyncio.Event()

    @property
    def age(self) -> float:
        """Seconds since the server last said anything about this kind."""
        return self._clock.now() - self._last_activity

    @property
    def patience(self) -> float:
        """Seconds of silence that mean nothing: where there is no watch, the pause between two lists."""
        return self._relist_every or 0.0

    def wake(self) -> None:
        """End a pause at once: there is reason to believe that things are better now."""
        self._failures = 0
        self._poke.set()

    async def run(self) -> None:
        """Follow the kind until cancelled."""
        while True:
            # Until this round has proved itself: what ends or fails at once must not be tried in a loop.
            self._failures += 1
            try:
                await self._round()
            except Rejected as error:
                self._refused(error)
            except Unreachable as error:
                self._failed(str(error))
            if self._failures:
                await self._pause(self._random.uniform(0.5, 1.0) * min(_LONGEST_PAUSE, 2.0 ** min(self._failures, 5)))

    async def _round(self) -> None:
        if not self._version:
            await self._list()
        if self._relist_every is not None:
            self._failures = 0
            await self._pause(self._relist_every)
            self._version = ""
            return
        began = self._clock.now()
        try:
            await self._watch()
        finally:
            if self._clock.now() - began >= _LONGEST_PAUSE:
                self._failures = 0

    def put(self, obj: Json) -> None:
        """Take an object in, unless what is known is as new.

        One that cannot be read any more stays as it was known last: it is there all the same, and what follows from its
        absence (a segment's policies are taken away, a class governs no more) would open what it closes.
        """
        meta = obj["metadata"]
        version = _number(meta.get("resourceVersion"))
        known = self._versions.get(meta.get("namespace", ""), {})
        if self._relist_every is not None and meta["name"] not in known and 0 < version <= self._listed:
            # It was there before the last list, which had it no more: whoever brings it read an older one.
            return
        self._take(obj)

    def _take(self, obj: Json) -> None:
        meta = obj["metadata"]
        namespace, name = meta.get("namespace", ""), meta["name"]
        version = _number(meta.get("resourceVersion"))
        versions = self._versions.get(namespace, {})
        if 0 < version <= max(versions.get(name, 0), self._removed.get((namespace, name), 0)):
            return
        self._versions.setdefault(namespace, {})[name] = version
        try:
            value = self._project(obj)
        except Exception:  # noqa: BLE001 - a parser's fault must not stop the informer
            _log.exception("%s %s/%s cannot be read", self.kind.kind, namespace, name)
        else:
            self._set(namespace, name, value)

    def remove(self, namespace: str, name: str, version: str = "") -> None:
        """Take an object out, unless what is known is newer than its deletion."""
        if 0 < _number(version) < self._versions.get(namespace, {}).get(name, 0):
            return
        if self._relist_every is not None:
            # A list that is under way may still hold it.
            self._removed[namespace, name] = max(self._removed.get((namespace, name), 0), _number(version))
        self._forget(namespace, name)

    async def _list(self) -> None:
        seen: set[tuple[str, str]] = set()
        version = ""
        async with aclosing(cast("Any", self._cluster.pages(self.kind, self._selection))) as pages:
            async for page in pages:
                if page.first:
                    seen.clear()
                    self._note_time(_number(page.resource_version))
                for item in page.items:
                    self._take(item)
                    seen.add((item["metadata"].get("namespace", ""), item["metadata"]["name"]))
                version = page.resource_version
                self._heard(watching=False)
        self._forget_others(seen, _number(version))
        self._removed.clear()
        self.relists += 1
        self._version = version
        self._listed = _number(version)
        self.synced.set()

    async def _watch(self) -> None:
        async with aclosing(cast("Any", self._cluster.watch(self.kind, self._version, self._selection))) as events:
            async for event in events:
                meta = event.object["metadata"]
                if event.type == "OPENED":
                    self._heard(watching=True)
                    continue
                if event.type == "DELETED":
                    self.remove(meta.get("namespace", ""), meta["name"], meta.get("resourceVersion", ""))
                elif event.type != "BOOKMARK":
                    self.put(event.object)
                self._version = meta["resourceVersion"]
                self._newest = _number(self._version)
                self._failures = 0
                self._heard(watching=True)

    def _note_time(self, version: int) -> None:
        """Notice when the cluster was put back to an earlier state: then what is known is no newer than what comes."""
        if 0 < version < self._newest:
            self._versions = {namespace: dict.fromkeys(held, 0) for namespace, held in self._versions.items()}
        self._newest = version

    def _heard(self, *, watching: bool) -> None:
        self._last_activity = self._clock.now()
        self._denials = 0
        # A list that works says nothing about a watch that does not.
        if self.problem and (watching or not self._watch_failed):
            _log.info("%s: followed again", self.kind.kind)
            self.problem = ""

    def _refused(self, error: Rejected) -> None:
        if error.status == 410:
            self._failures = max(self._failures, 1)
        elif error.status == 404:
            self._denied()
        else:
            self._failed(str(error))
        self._version = ""

    def _denied(self) -> None:
        self._failures = max(self._failures, 1)
        self._denials += 1
        self._last_activity = self._clock.now()
        if self._denials < _DENIALS and (self._versions or (self._vital and not self.synced.is_set())):
            return
        # The server answers, and the answer is that nothing is there: that is no trouble.
        self.problem = ""
        if self._versions or not self.synced.is_set():
            _log.info("%s: there is no such kind: waiting for it", self.kind.kind)
        self._forget_others(set(), 0)
        self.synced.set()

    def _failed(self, problem: str) -> None:
        self._failures = max(self._failures, 1)
        if not self.problem:
            _log.warning("%s: %s: trying on", self.kind.kind, problem)
        self.problem = problem
        self._watch_failed = bool(self._version)

    def _forget_others(self, seen: set[tuple[str, str]], version: int) -> None:
        """Take out what a list did not hold, but for what came to be after it was made."""
        for namespace, versions in list(self._versions.items()):
            for name, known in list(versions.items()):
                if (namespace, name) not in seen and (version == 0 or known <= version):
                    self._forget(namespace, name)

    def _forget(self, namespace: str, name: str) -> None:
        versions = self._versions.get(namespace, {})
        versions.pop(name, None)
        if not versions:
            self._versions.pop(namespace, None)
        self._set(namespace, name, None)

    def _set(self, namespace: str, name: str, value: T | None) -> None:
        held = self.store.get(namespace, {})
        old = held.get(name)
        if value is not None:
            self.store.setdefault(namespace, {})[name] = value
        elif old is not None:
            del held[name]
            if not held and self.kind.namespaced:
                del self.store[namespace]
        if old == value:
            return
        try:
            self._on_change(self.kind.kind, old, value)
        except Exception:  # noqa: BLE001 - a listener's fault must not stop the informer
            _log.exception("nobody could be told that %s %s/%s changed", self.kind.kind, namespace, name)

    async def _pause(self, seconds: float) -> None:
        await wait(self._clock, self._poke, seconds)
        self._poke.clear()


def _number(version: str | None) -> int:
    # Of one kind, and on every supported API server, a greater number is a later version. What is no number is taken in
    # as it comes.
    return int(version) if version and version.isdecimal() else 0
