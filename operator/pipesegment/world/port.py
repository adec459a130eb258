"""The door: what the rest of the program may ask of a cluster. `Api` is the real one, `MemoryCluster` its twin."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from pipesegment.compile.desired import Object, ObjectID
from pipesegment.world.kinds import Kind

Json = dict[str, Any]
Propagation = Literal["Background", "Foreground", "Orphan"]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a kind: of one namespace (or all), by label and field selector; whole, or metadata alone."""

    namespace: str = ""
    labels: str = ""
    fields: str = ""
    metadata_only: bool = False


EVERYTHING = Selection()


class Page(NamedTuple):
    """Some objects of a list. `first` starts the list, perhaps anew: what came before it does not count."""

    items: list[Json]
    resource_version: str
    first: bool


class WatchEvent(NamedTuple):
    """One event of a watch; a BOOKMARK's object holds a resourceVersion and nothing else, and so does OPENED's.

    OPENED says that the server took the watch: an idle kind has no other event for a minute.
    """

    type: Literal["OPENED", "ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Json


class Cluster(Protocol):
    """A cluster. Objects carry apiVersion and kind, in lists and metadata too.

    Everything raises Rejected when the API server says no, and Unreachable when it says nothing.
    """

    async def get(self, target: ObjectID) -> Json | None:
        """Read one object; None when it does not exist."""

    def pages(self, kind: Kind, selection: Selection = EVERYTHING) -> AsyncIterator[Page]:
        """List objects, page by page, all at one resourceVersion."""

    async def list(self, kind: Kind, selection: Selection = EVERYTHING) -> Page:
        """List objects at once."""

    def watch(self, kind: Kind, version: str, selection: Selection = EVERYTHING) -> AsyncIterator[WatchEvent]:
        """Follow the changes after a resourceVersion until the server ends the stream.

        Raises Rejected 410 when that version is too old: list again.
        """

    async def apply(self, obj: Object, *, dry_run: bool = False, force: bool = True) -> Json:
        """Server-side apply the fields of `obj`, and no other; gives the whole object.

        With `metadata.uid` it never makes an object nor changes a namesake of that uid: Rejected 409.
        """

    async def create(self, obj: Object) -> Json:
        """Make an object; Rejected 409 when the name is taken."""

    async def replace(self, obj: Object) -> Json:
        """Replace an object as a whole; Rejected 409 unless its `metadata.resourceVersion` is the live one."""

    async def delete(
        self, target: ObjectID, *, uid: str, resource_version: str = "", propagation: Propagation = "Background"
    ) -> bool:
        """Delete an object if it is still that one; False when it was gone already, Rejected 409 when another's."""

    async def patch_status(self, obj: Object) -> Json:
        """Server-side apply `obj.status`, on the status alone. The API server checks no uid here, only the name."""

    async def post_event(self, event: Object) -> None:
        """Post an Event. It is a courtesy: a failure is logged and forgotten."""

    async def log(self, pod: ObjectID, container: str) -> str:
        """Read what a container has written so far."""

    async def review(self, verb: str, kind: Kind, *, namespace: str = "", subresource: str = "") -> bool:
        """Ask whether we ourselves may do something."""

    async def kind_of(self, api_version: str, kind: str) -> Kind:
        """Find a kind; Rejected 404 when the cluster does not know it."""
