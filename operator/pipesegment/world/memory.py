"""The in-memory twin of a cluster: the same door as `Api`, for tests of everything behind it.

It keeps what matters to us of the API server's ways: server-side apply, generations, uids, preconditions, finalizers,
dependents, watches that break and expire. It does not validate, default or authorize.
"""

import asyncio
import copy
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from pipesegment import names
from pipesegment.compile.desired import Object, ObjectID
from pipesegment.errors import Rejected, Unreachable
from pipesegment.world.faults import WRITES, Crash, Fault, Write
from pipesegment.world.kinds import KNOWN, Kind
from pipesegment.world.ownership import Owners, applied
from pipesegment.world.port import EVERYTHING, Json, Page, Propagation, Selection, WatchEvent
from pipesegment.world.selection import event_for, shown
from pipesegment.world.store import Place, Store

_FOREVER: Final = 1_000_000_000


class MemoryCluster(Store):
    """A cluster in memory; see `port.Cluster` for its calls and `Store` for what tests do behind our back.

    `writes` records every call that was carried out to change something, in order, no-ops included; `calls` counts
    all calls by verb; `events` are the Events posted.
    """

    def __init__(self, *, page_size: int = 500) -> None:
        super().__init__()
        self.writes: list[Write] = []
        self.events: list[Json] = []
        self.calls: Counter[str] = Counter()
        self.absent: set[Place] = set()  # groups and kinds whose CRD is missing
        self.denied: set[tuple[str, str]] = set()  # verbs and plurals that `review` answers with no
        self.logs: dict[tuple[str, str], str] = {}  # what pods have written, by namespace and name
        self._page_size = page_size
        self._faults: list[Fault] = []

    def fail(
        self,
        error: BaseException,
        *,
        verbs: frozenset[str] = WRITES,
        matches: Callable[[ObjectID], bool] = lambda _: True,
        at: int = 1,
        times: int = 1,
        after: bool = False,
    ) -> None:
        """Let the `at`-th matching call from now on fail, and `times - 1` after it."""
        self._faults.append(Fault(error, verbs, matches, at, times, after))

    def crash(self, at: int, *, after: bool = False) -> None:
        """Let the process die at its `at`-th write from now on; `after`: when that write was done."""
        self.fail(Crash(), at=at, times=_FOREVER, after=after)

    def mend(self) -> None:
        """Take every fault back."""
        self._faults.clear()

    async def get(self, target: ObjectID) -> Json | None:
        """Read one object."""
        await asyncio.sleep(0)
        with self._call("get", target):
            return self.peek(target)

    async def pages(self, kind: Kind, selection: Selection = EVERYTHING) -> AsyncIterator[Page]:
        """List objects page by page."""
        await asyncio.sleep(0)
        with self._call("list", ObjectID(kind.api_version, kind.kind, selection.namespace, "")):
            self._known(kind)
            found = [item for obj in self.objects(kind.kind, kind.group) if (item := shown(obj, kind, selection))]
            version = str(self.version)
        for start in range(0, len(found) or 1, self._page_size):
            yield Page(found[start : start + self._page_size], version, start == 0)

    async def list(self, kind: Kind, selection: Selection = EVERYTHING) -> Page:
        """List objects at once."""
        collected = [page async for page in self.pages(kind, selection)]
        return Page([item for page in collected for item in page.items], collected[0].resource_version, first=True)

    async def watch(self, kind: Kind, version: str, selection: Selection = EVERYTHING) -> AsyncIterator[WatchEvent]:
        """Follow the changes after a resourceVersion."""
        at, streams = int(version), self.streams
        await asyncio.sleep(0)
        with self._call("watch", ObjectID(kind.api_version, kind.kind, selection.namespace, "")):
            self._known(kind)
        if at >= self.oldest:
            yield WatchEvent("OPENED", {"metadata": {"resourceVersion": version}})
        while True:
            if at < self.oldest:
                raise Rejected(410, "Expired", f"too old resource version: {at} ({self.oldest})")
            if streams != self.streams:
                raise Unreachable("the stream was cut")
            news = self.news
            for change in self.since(at):
                at = change.version
                if event := event_for(change, kind, selection):
                    yield event
            await news.wait()

    async def apply(self, obj: Object, *, dry_run: bool = False, force: bool = True) -> Json:
        """Server-side apply as our field manager."""
        await asyncio.sleep(0)
        target = ObjectID.of(obj)
        config = {key: value for key, value in copy.deepcopy(dict(obj)).items() if key != "status"}
        with self._call("dry_run" if dry_run else "apply", target):
            live = self.peek(target)
            _check_uid(target, live, obj["metadata"].get("uid"))
            owners: Owners = dict(self.owners.get(live["metadata"]["uid"], {})) if live else {}
            blank = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": _identity(target)}
            new: Json = applied(live or blank, config, owners, names.FIELD_MANAGER, force=force)
            if live is None:
                self.check_namespace(target)
            if dry_run:
                return new
            if live is None:
                made = self.add(new, names.FIELD_MANAGER)
                self.owners[made["metadata"]["uid"]] = owners
                return made
            self.owners[live["metadata"]["uid"]] = owners
            return self.put(self.existing(target), new)

    async def patch_status(self, obj: Object) -> Json:
        """Server-side apply the status."""
        await asyncio.sleep(0)
        target = ObjectID.of(obj)
        with self._call("patch_status", target):
            live = self.existing(target)
            config = {"status": copy.deepcopy(obj["status"])}
            owners = self.owners[live["metadata"]["uid"]]
            new = applied(copy.deepcopy(live), config, owners, f"{names.FIELD_MANAGER} status", force=True)
            return self.put(live, new)

    async def create(self, obj: Object) -> Json:
        """Make an object."""
        await asyncio.sleep(0)
        target = ObjectID.of(obj)
        with self._call("create", target):
            if self.peek(target) is not None:
                raise Rejected(409, "AlreadyExists", f"{target} already exists")
            self.check_namespace(target)
            return self.add(obj, names.FIELD_MANAGER)

    async def replace(self, obj: Object) -> Json:
        """Replace an object as a whole."""
        await asyncio.sleep(0)
        target = ObjectID.of(obj)
        with self._call("replace", target):
            live = self.existing(target)
            if obj["metadata"].get("resourceVersion") != live["metadata"]["resourceVersion"]:
                raise Rejected(409, "Conflict", f"{target} has been modified")
            return self.update(live, copy.deepcopy(dict(obj)), names.FIELD_MANAGER)

    async def delete(
        self,
        target: ObjectID,
        *,
        uid: str,
        resource_version: str = "",
        propagation: Propagation = "Background",
    ) -> bool:
        """Delete an object if it is still that one; what it owns goes with it at once, unless orphaned."""
        await asyncio.sleep(0)
        with self._call("delete", target):
            if self.peek(target) is None:
                return False
            live = self.existing(target)
            _check_uid(target, live, uid)
            if resource_version and resource_version != live["metadata"]["resourceVersion"]:
                raise Rejected(409, "Conflict", f"{target} has another resourceVersion")
            self.drop(live, orphan=propagation == "Orphan")
            return True

    async def post_event(self, event: Object) -> None:
        """Post an Event."""
        await asyncio.sleep(0)
        self.events.append(copy.deepcopy(dict(event)))

    async def log(self, pod: ObjectID, container: str) -> str:
        """Read what a pod has written so far, whichever container it was."""
        del container
        await asyncio.sleep(0)
        with self._call("log", pod):
            self.existing(pod)
            return self.logs.get((pod.namespace, pod.name), "")

    async def review(self, verb: str, kind: Kind, *, namespace: str = "", subresource: str = "") -> bool:
        """Ask whether we ourselves may do something: all but `denied`, in every namespace alike."""
        del namespace
        await asyncio.sleep(0)
        return (verb, f"{kind.plural}/{subresource}" if subresource else kind.plural) not in self.denied

    async def kind_of(self, api_version: str, kind: str) -> Kind:
        """Find a kind of our table."""
        await asyncio.sleep(0)
        found = KNOWN.get((api_version, kind))
        if found is None:
            raise Rejected(404, "NotFound", f"the cluster knows no kind {kind} in {api_version}")
        return found

    def _known(self, kind: Kind) -> None:
        if (kind.group, kind.kind) in self.absent:
            raise Rejected(404, "NotFound", "the server could not find the requested resource")

    @contextmanager
    def _call(self, verb: str, target: ObjectID) -> Iterator[None]:
        """Count a call, let the faults strike, record it. What happens inside is not interrupted."""
        self.calls[verb] += 1
        striking = [fault for fault in self._faults if fault.strikes(verb, target)]
        for fault in striking:
            if not fault.after:
                raise fault.error
        before = self.peek(target) if verb in WRITES else None
        yield
        if verb in WRITES:
            self.writes.append(Write(verb, target, before, self.peek(target)))
        for fault in striking:
            raise fault.error


def _identity(target: ObjectID) -> Json:
    return {"name": target.name, **({"namespace": target.namespace} if target.namespace else {})}


def _check_uid(target: ObjectID, live: Json | None, uid: str | None) -> None:
    if uid is not None and (live is None or live["metadata"]["uid"] != uid):
        found = live["metadata"]["uid"] if live else "none"
        raise Rejected(409, "Conflict", f"Precondition failed: UID in precondition: {uid}, UID of {target}: {found}")
