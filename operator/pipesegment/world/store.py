"""The storage of the in-memory twin: what an API server keeps, and what others than us do to it in tests."""

import asyncio
import bisect
import copy
import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from pipesegment.compile.desired import Object, ObjectID
from pipesegment.errors import Rejected
from pipesegment.facts.moments import written
from pipesegment.world import kinds
from pipesegment.world.ownership import Owners, edited
from pipesegment.world.port import Json

#: Kinds whose objects carry no metadata.generation.
_UNCOUNTED: Final = frozenset({"Namespace", "Node", "Service", "ServiceAccount", "Lease", "Event", "ConfigMap"})
_CLUSTER_SCOPED: Final = frozenset(kind.kind for kind in kinds.KNOWN.values() if not kind.namespaced)
_EPOCH: Final = datetime(2030, 1, 1, tzinfo=UTC)

Place = tuple[str, str]  # group and kind: the versions of one kind share their objects


class Change(NamedTuple):
    """One step of the history; without place and objects it is a bookmark."""

    version: int
    place: Place
    before: Json | None
    after: Json | None


class Store:
    """Objects with uids, resourceVersions, generations, owners of fields, finalizers and dependents."""

    def __init__(self) -> None:
        self.owners: dict[str, Owners] = {}  # by uid
        self.oldest = 0
        self.version = 1000
        self.streams = 0  # raised to end every stream
        self.news = asyncio.Event()
        self._objects: dict[Place, dict[tuple[str, str], Json]] = {}
        self._changes: list[Change] = []
        self._numbers = itertools.count(1)

    def seed(self, *objects: Object) -> None:
        """Put objects there as somebody else; their namespaces too. Metadata that is given is kept, uid included."""
        for obj in objects:
            namespace = obj["metadata"].get("namespace")
            if namespace and self.peek(_namespace(namespace)) is None:
                self.seed({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            self.add(obj, "seed")

    def peek(self, target: ObjectID) -> Json | None:
        """Look at an object without a call; a copy."""
        return copy.deepcopy(self._objects.get(place(target), {}).get((target.namespace, target.name)))

    def objects(self, kind: str, group: str | None = None) -> list[Json]:
        """Look at every object of a kind (in any group), sorted by namespace and name; copies."""
        wanted = [held for at, held in self._objects.items() if at[1] == kind and group in {None, at[0]}]
        found = sorted((key, obj) for held in wanted for key, obj in held.items())
        return [copy.deepcopy(obj) for _, obj in found]

    def edit(self, target: ObjectID, change: Callable[[Json], None], manager: str = "kubectl-edit") -> Json:
        """Change an object in place as somebody else would; nothing is recorded."""
        live = self.existing(target)
        new = copy.deepcopy(live)
        change(new)
        return self.update(live, new, manager)

    def remove(self, target: ObjectID) -> None:
        """Delete an object as somebody else would; nothing is recorded."""
        self.drop(self.existing(target))

    def expire(self) -> None:
        """Forget the history: every watch and every older resourceVersion is 410 Gone."""
        self.version += 1
        self.oldest = self.version
        self._wake()

    def break_streams(self) -> None:
        """Cut every watch, as a restarted API server does."""
        self.streams += 1
        self._wake()

    def bookmark(self) -> None:
        """Send a bookmark to every watch."""
        self.version += 1
        self._changes.append(Change(self.version, ("", ""), None, None))
        self._wake()

    def since(self, version: int) -> list[Change]:
        """Give the history after a resourceVersion."""
        return self._changes[bisect.bisect_right(self._changes, version, key=lambda change: change.version) :]

    def existing(self, target: ObjectID) -> Json:
        """Give the stored object itself; Rejected 404 when there is none."""
        live = self._objects.get(place(target), {}).get((target.namespace, target.name))
        if live is None:
            raise Rejected(404, "NotFound", f"{target} not found")
        return live

    def add(self, obj: Object, manager: str) -> Json:
        """Make an object."""
        number = next(self._numbers)
        new = copy.deepcopy(dict(obj))
        meta = new["metadata"]
        meta.setdefault("uid", f"00000000-0000-4000-8000-{number:012x}")
        meta.setdefault("creationTimestamp", written(_EPOCH + timedelta(seconds=number)))
        if new["kind"] not in _UNCOUNTED:
            meta.setdefault("generation", 1)
        self.owners.setdefault(meta["uid"], {})
        if manager not in self.owners[meta["uid"]]:
            edited({}, new, self.owners[meta["uid"]], manager)
        return self._put(None, new)

    def update(self, live: Json, new: Json, manager: str) -> Json:
        """Put an object that somebody changed as a whole."""
        edited(live, new, self.owners[live["metadata"]["uid"]], manager)
        return self.put(live, new)

    def put(self, live: Json, new: Json) -> Json:
        """Put the next state of an object, if it is another; the last finalizer of a deleted one lets it go."""
        meta, old = new["metadata"], live["metadata"]
        for key in ("uid", "creationTimestamp", "generation", "deletionTimestamp", "resourceVersion"):
            if key in old:
                meta[key] = old[key]
        meta["managedFields"] = old.get("managedFields", [])
        if new == live:
            return copy.deepcopy(live)
        if new["kind"] not in _UNCOUNTED and _counted(new) != _counted(live):
            meta["generation"] = old.get("generation", 1) + 1
        if "deletionTimestamp" in meta and not meta.get("finalizers"):
            return self._gone(live)
        return self._put(live, new)

    def drop(self, live: Json, *, orphan: bool = False) -> None:
        """Delete an object, or mark it while it has finalizers; what it owns goes with it unless orphaned."""
        if live["metadata"].get("finalizers"):
            if "deletionTimestamp" not in live["metadata"]:
                new = copy.deepcopy(live)
                new["metadata"]["deletionTimestamp"] = written(_EPOCH)
                self._put(live, new)
            return
        self._gone(live, orphan=orphan)

    def _gone(self, live: Json, *, orphan: bool = False) -> Json:
        key = place(ObjectID.of(live))
        meta = live["metadata"]
        del self._objects[key][meta.get("namespace", ""), meta["name"]]
        self.version += 1
        last = copy.deepcopy(live)
        last["metadata"]["resourceVersion"] = str(self.version)
        self._changes.append(Change(self.version, key, last, None))
        self._wake()
        if not orphan:
            self._collect(meta["uid"], meta["name"] if live["kind"] == "Namespace" else None)
        return last

    def _collect(self, uid: str, namespace: str | None) -> None:
        """Take along what the object alone owned, or held as a namespace; of others its reference is taken off."""
        everything = [obj for held in self._objects.values() for obj in held.values()]
        for obj in everything:
            if self.peek(ObjectID.of(obj)) is None:
                continue  # an earlier one took it along
            refs = obj["metadata"].get("ownerReferences", [])
            left = [ref for ref in refs if ref["uid"] != uid]
            if (refs and not left) or (namespace and obj["metadata"].get("namespace") == namespace):
                self.drop(obj)
            elif len(left) < len(refs):
                new = copy.deepcopy(obj)
                new["metadata"]["ownerReferences"] = left
                self.update(obj, new, "kube-controller-manager")

    def _put(self, live: Json | None, new: Json) -> Json:
        self.version += 1
        meta = new["metadata"]
        meta["resourceVersion"] = str(self.version)
        managers = sorted(manager for manager, held in self.owners[meta["uid"]].items() if held)
        meta["managedFields"] = [{"manager": manager} for manager in managers]
        target = ObjectID.of(new)
        stored = copy.deepcopy(new)
        self._objects.setdefault(place(target), {})[target.namespace, target.name] = stored
        self._changes.append(Change(self.version, place(target), live, stored))
        self._wake()
        return new

    def _wake(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    def check_namespace(self, target: ObjectID) -> None:
        """Refuse what the API server refuses in a namespace that is absent or going."""
        if not target.namespace or target.kind in _CLUSTER_SCOPED:
            return
        namespace = self.existing(_namespace(target.namespace))
        if "deletionTimestamp" in namespace["metadata"]:
            text = f"{target} is forbidden: unable to create new content in namespace {target.namespace}"
            raise Rejected(403, "Forbidden", f"{text} because it is being terminated")


def place(target: ObjectID) -> Place:
    """Give the group and kind."""
    return target.api_version.rpartition("/")[0], target.kind


def _namespace(name: str) -> ObjectID:
    return ObjectID("v1", "Namespace", "", name)


def _counted(obj: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in obj.items() if key not in {"metadata", "status"}}
