"""The in-memory twin of a cluster: the same door as `Api`, for tests of everything behind it.

It keeps what matters to us of the API server's ways: server-side apply with owners of fields, generations,
resourceVersions, uids, finalizers, ownerReferences, preconditions, watches that can break and expire. It does not
validate, default, or authorize.
"""

import asyncio
import copy
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from pipesegment import names
from pipesegment.compile.desired import Object, ObjectID
from pipesegment.errors import Rejected, Unreachable
from pipesegment.world import kinds
from pipesegment.world.faults import WRITES, Crash, Fault, Write
from pipesegment.world.kinds import KNOWN, Kind
from pipesegment.world.ownership import Owners, applied, edited
from pipesegment.world.port import EVERYTHING, Json, Page, Propagation, Selection, WatchEvent
from pipesegment.world.selection import chosen

#: Kinds whose objects carry no metadata.generation.
_UNCOUNTED: Final = frozenset({"Namespace", "Node", "Service", "ServiceAccount", "Lease", "Event", "ConfigMap"})
_EPOCH: Final = datetime(2030, 1, 1, tzinfo=UTC)
_FOREVER: Final = 1_000_000_000

_Place = tuple[str, str]  # group and kind: versions of one kind share their objects
_Key = tuple[str, str]  # namespace and name


class _Change(NamedTuple):
    version: int
    place: _Place
    before: Json | None
    after: Json | None


class MemoryCluster:
    """A cluster in memory; see `port.Cluster` for its calls.

    `writes` records every call that changed or would have changed something, in order; `calls` counts all by verb.
    """

    def __init__(self, *, page_size: int = 500) -> None:
        self.writes: list[Write] = []
        self.events: list[Json] = []
        self.calls: dict[str, int] = {}
        self.denied: set[tuple[str, str]] = set()  # (verb, plural) that `review` refuses
        self.absent: set[_Place] = set()  # kinds whose CRD is missing
        self._page_size = page_size
        self._objects: dict[_Place, dict[_Key, Json]] = {}
        self._owners: dict[str, Owners] = {}  # by uid
        self._faults: list[Fault] = []
        self._changes: list[_Change] = []
        self._version = 1000
        self._oldest = 0
        self._streams = 0  # raised to end every stream
        self._numbers = itertools.count(1)
        self._news = asyncio.Event()

    # What tests do to it

    def seed(self, *objects: Object) -> None:
        """Put objects there as somebody else; their namespaces too. Metadata that is given is kept, uid included."""
        for obj in objects:
            namespace = obj["metadata"].get("namespace")
            if namespace and self.peek(_namespace(namespace)) is None:
                self.seed({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            self._store(None, dict(obj), "seed")

    def peek(self, target: ObjectID) -> Json | None:
        """Look at an object without a call; a copy."""
        return copy.deepcopy(self._objects.get(_place(target), {}).get((target.namespace, target.name)))

    def objects(self, kind: str) -> list[Json]:
        """Look at every object of a kind, sorted by namespace and name; copies."""
        found = [(key, obj) for place, held in self._objects.items() if place[1] == kind for key, obj in held.items()]
        return [copy.deepcopy(obj) for _, obj in sorted(found, key=lambda item: item[0])]

    def edit(self, target: ObjectID, change: Callable[[Json], None], manager: str = "kubectl-edit") -> Json:
        """Change an object in place as somebody else would; nothing is recorded."""
        live = self._existing(target)
        new = copy.deepcopy(live)
        change(new)
        return self._update(live, new, manager)

    def remove(self, target: ObjectID) -> None:
        """Delete an object as somebody else would; nothing is recorded."""
        self._delete(self._existing(target))

    def fail(
        self,
        error: BaseException,
        *,
        verbs: frozenset[str] = WRITES,
        matches: Callable[[ObjectID], bool] = lambda _: True,
        at: int = 1,
        times: int = 1,
        after: bool = False,
    ) -> Fault:
        """Let the `at`-th matching call from now on fail."""
        fault = Fault(error, verbs, matches, at, times, after)
        self._faults.append(fault)
        return fault

    def crash(self, at: int, *, after: bool = False) -> None:
        """Let the process die at its `at`-th write from now on; `after`: when that write was done."""
        self.fail(Crash(), at=at, times=_FOREVER, after=after)

    def mend(self) -> None:
        """Take every fault back."""
        self._faults.clear()

    def expire(self) -> None:
        """Forget the history: every watch and every older resourceVersion is 410 Gone."""
        self._version += 1
        self._oldest = self._version
        self._wake()

    def break_streams(self) -> None:
        """Cut every watch, as a restarted API server does."""
        self._streams += 1
        self._wake()

    def bookmark(self) -> None:
        """Send a bookmark to every watch."""
        self._version += 1
        self._changes.append(_Change(self._version, ("", ""), None, None))
        self._wake()

    # The door

    async def get(self, target: ObjectID) -> Json | None:
        """Read one object."""
        with self._call("get", target):
            await asyncio.sleep(0)
            return self.peek(target)

    async def pages(self, kind: Kind, selection: Selection = EVERYTHING) -> AsyncIterator[Page]:
        """List objects page by page."""
        with self._call("list", ObjectID(kind.api_version, kind.kind, selection.namespace, "")):
            await asyncio.sleep(0)
            self._known(kind)
            held = self._objects.get((kind.group, kind.kind), {})
            found = [shown for _, obj in sorted(held.items()) if (shown := _shown(obj, kind, selection))]
            version = str(self._version)
        for start in range(0, len(found) or 1, self._page_size):
            yield Page(found[start : start + self._page_size], version, start == 0)

    async def list(self, kind: Kind, selection: Selection = EVERYTHING) -> Page:
        """List objects at once."""
        collected = [page async for page in self.pages(kind, selection)]
        return Page([item for page in collected for item in page.items], collected[0].resource_version, first=True)

    async def watch(self, kind: Kind, version: str, selection: Selection = EVERYTHING) -> AsyncIterator[WatchEvent]:
        """Follow the changes after a resourceVersion."""
        with self._call("watch", ObjectID(kind.api_version, kind.kind, selection.namespace, "")):
            await asyncio.sleep(0)
            self._known(kind)
        at, streams = int(version), self._streams
        while True:
            if at < self._oldest:
                raise Rejected(410, "Expired", f"too old resource version: {at} ({self._oldest})")
            if streams != self._streams:
                raise Unreachable("the stream was cut")
            news = self._news
            for change in [change for change in self._changes if change.version > at]:
                at = change.version
                if event := _event(change, kind, selection):
                    yield event
            await news.wait()

    async def apply(self, obj: Object, *, dry_run: bool = False, force: bool = True) -> Json:
        """Server-side apply as our field manager."""
        target = ObjectID.of(obj)
        config = {key: value for key, value in copy.deepcopy(dict(obj)).items() if key != "status"}
        with self._call("apply", target, recorded=not dry_run):
            await asyncio.sleep(0)
            return self._apply(target, config, force=force, dry_run=dry_run)

    async def patch_status(self, obj: Object) -> Json:
        """Server-side apply the status."""
        target = ObjectID.of(obj)
        config = {key: copy.deepcopy(obj[key]) for key in ("apiVersion", "kind", "status")}
        with self._call("patch_status", target, recorded=True):
            await asyncio.sleep(0)
            live = self._existing(target)
            _check_uid(live, obj["metadata"].get("uid", ""))
            owners = self._owners[live["metadata"]["uid"]]
            new = applied(copy.deepcopy(live), config, owners, f"{names.FIELD_MANAGER}/status", force=True)
            return self._put(live, new)

    async def create(self, obj: Object) -> Json:
        """Make an object."""
        target = ObjectID.of(obj)
        with self._call("create", target, recorded=target.kind != "Event"):
            await asyncio.sleep(0)
            if self.peek(target) is not None:
                raise Rejected(409, "AlreadyExists", f"{target} already exists")
            self._check_namespace(target)
            return self._store(None, copy.deepcopy(dict(obj)), names.FIELD_MANAGER)

    async def replace(self, obj: Object) -> Json:
        """Replace an object as a whole."""
        target = ObjectID.of(obj)
        with self._call("replace", target, recorded=True):
            await asyncio.sleep(0)
            live = self._existing(target)
            if obj["metadata"].get("resourceVersion") != live["metadata"]["resourceVersion"]:
                raise Rejected(409, "Conflict", f"{target} has been modified")
            return self._update(live, copy.deepcopy(dict(obj)), names.FIELD_MANAGER)

    async def delete(
        self,
        target: ObjectID,
        *,
        uid: str,
        resource_version: str = "",
        propagation: Propagation = "Background",  # noqa: ARG002 - what hangs on an object is collected at once
    ) -> bool:
        """Delete an object if it is still that one."""
        with self._call("delete", target, recorded=True):
            await asyncio.sleep(0)
            live = self._objects.get(_place(target), {}).get((target.namespace, target.name))
            if live is None:
                return False
            _check_uid(live, uid)
            if resource_version and resource_version != live["metadata"]["resourceVersion"]:
                raise Rejected(409, "Conflict", f"{target} has another resourceVersion")
            self._delete(live)
            return True

    async def post_event(self, event: Object) -> None:
        """Post an Event."""
        self.events.append(copy.deepcopy(dict(event)))

    async def review(self, verb: str, kind: Kind, *, namespace: str = "", subresource: str = "") -> bool:  # noqa: ARG002
        """Ask whether we ourselves may do something: all but `denied`."""
        return (verb, f"{kind.plural}/{subresource}" if subresource else kind.plural) not in self.denied

    async def kind_of(self, api_version: str, kind: str) -> Kind:
        """Find a kind of our table."""
        found = KNOWN.get((api_version, kind))
        if found is None or (found.group, found.kind) in self.absent:
            raise Rejected(404, "NotFound", f"the cluster knows no kind {kind} in {api_version}")
        return found
