"""The API server over one aiohttp session with orjson: about a fifth of a generated client's CPU for each write.

Nothing is decided here. Errors come out as Rejected (it said no) or Unreachable (it said nothing).
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final, Self, cast
from urllib.parse import urlencode

from pipesegment import names
from pipesegment.compile.desired import Object, ObjectID
from pipesegment.errors import Rejected, Unreachable
from pipesegment.settings import Settings
from pipesegment.world import kinds
from pipesegment.world.access import Access
from pipesegment.world.answers import complete, parse_event
from pipesegment.world.clock import Clock
from pipesegment.world.kinds import KNOWN, Kind
from pipesegment.world.port import EVERYTHING, Json, Page, Propagation, Selection, WatchEvent
from pipesegment.world.transport import JSON, Observer, Request, Transport, unobserved

_APPLY: Final = "application/apply-patch+yaml"
_METADATA: Final = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
_WRITE: Final = urlencode({"fieldManager": names.FIELD_MANAGER, "fieldValidation": "Strict"})
_FORCED: Final = f"{_WRITE}&force=true"
_UNFORCED: Final = f"{_WRITE}&force=false"
#: A list that expired this often on the way is asked for in one piece.
_RESTARTS: Final = 3

_log = logging.getLogger(__name__)


class Api:
    """A real cluster; see `port.Cluster` for what each method promises.

    Use as an async context manager. `observe` is told of every exchange: verb, kind, status (0: no answer), seconds.
    """

    def __init__(
        self,
        access: Access,
        settings: Settings | None = None,
        *,
        observe: Observer = unobserved,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings or Settings()
        self._transport = Transport(access, self._settings, observe, clock)
        self._writes = asyncio.Semaphore(self._settings.writes_in_flight)
        self._discovered: dict[tuple[str, str], Kind] = {}
        self._random = random.Random()  # noqa: S311 - spreads load, guards nothing

    async def __aenter__(self) -> Self:
        """Open the session; makes no call yet."""
        await self._transport.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session."""
        await self._transport.close()

    async def get(self, target: ObjectID) -> Json | None:
        """Read one object."""
        try:
            kind, path = await self._locate(target)
            return await self._transport.call(Request("get", kind, "GET", path))
        except Rejected as error:
            if error.status == 404:
                return None
            raise

    async def pages(self, kind: Kind, selection: Selection = EVERYTHING) -> AsyncIterator[Page]:
        """List objects page by page, anew from the start when the list expires on the way."""
        accept = _METADATA.format("List") if selection.metadata_only else JSON
        token, first, restarts = "", True, 0
        while True:
            limit = self._settings.page_size if restarts < _RESTARTS else 0
            query = {**_selectors(selection), "limit": str(limit), **({"continue": token} if token else {})}
            request = Request("list", kind, "GET", kind.path(selection.namespace), urlencode(query), accept=accept)
            try:
                answer = await self._transport.call(request)
            except Rejected as error:
                if error.status != 410 or not token:
                    raise
                token, first, restarts = "", True, restarts + 1
                continue
            items = [complete(item, kind) for item in answer.get("items") or ()]
            yield Page(items, answer["metadata"].get("resourceVersion", ""), first)
            token, first = answer["metadata"].get("continue") or "", False
            if not token:
                return

    async def list(self, kind: Kind, selection: Selection = EVERYTHING) -> Page:
        """List objects at once."""
        items: list[Json] = []
        version = ""
        async with aclosing(cast("Any", self.pages(kind, selection))) as pages:
            async for page in pages:
                if page.first:
                    items.clear()
                items += page.items
                version = page.resource_version
        return Page(items, version, first=True)

    async def watch(self, kind: Kind, version: str, selection: Selection = EVERYTHING) -> AsyncIterator[WatchEvent]:
        """Follow the changes after a resourceVersion."""
        seconds = int(self._settings.watch_seconds * self._random.uniform(0.85, 1.15))
        query = {
            **_selectors(selection),
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(max(seconds, 1)),
        }
        accept = _METADATA.format("") if selection.metadata_only else JSON
        request = Request("watch", kind, "GET", kind.path(selection.namespace), urlencode(query), accept=accept)
        async with aclosing(cast("Any", self._transport.lines(request))) as lines:
            async for line in lines:
                opened = WatchEvent("OPENED", {"metadata": {"resourceVersion": version}})
                yield parse_event(line, kind) if line else opened

    async def apply(self, obj: Object, *, dry_run: bool = False, force: bool = True) -> Json:
        """Server-side apply as our field manager."""
        query = (_FORCED if force else _UNFORCED) + ("&dryRun=All" if dry_run else "")
        try:
            return await self._write("apply", "PATCH", obj, query, content_type=_APPLY)
        except Rejected as error:
            # The API server says 409 when the object that is meant is gone, and 422 when another has its name.
            if error.status == 422 and await self._is_another(obj):
                raise Rejected(409, "Conflict", error.message) from error
            raise

    async def patch_status(self, obj: Object) -> Json:
        """Server-side apply the status."""
        return await self._write("apply_status", "PATCH", obj, _FORCED, subresource="status", content_type=_APPLY)

    async def create(self, obj: Object) -> Json:
        """Make an object."""
        kind = await self.kind_of(obj["apiVersion"], obj["kind"])
        path = kind.path(obj["metadata"].get("namespace", ""))
        async with self._writes:
            return await self._transport.call(Request("create", kind, "POST", path, _WRITE, obj))

    async def replace(self, obj: Object) -> Json:
        """Replace an object. It does not queue behind other writes: the Lease is renewed by it."""
        kind, path = await self._locate(ObjectID.of(obj))
        return await self._transport.call(Request("replace", kind, "PUT", path, _WRITE, obj))

    async def delete(
        self, target: ObjectID, *, uid: str, resource_version: str = "", propagation: Propagation = "Background"
    ) -> bool:
        """Delete an object if it is still that one."""
        conditions = {"uid": uid, **({"resourceVersion": resource_version} if resource_version else {})}
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": conditions,
        }
        try:
            kind, path = await self._locate(target)
            async with self._writes:
                await self._transport.call(Request("delete", kind, "DELETE", path, body=options))
        except Rejected as error:
            if error.status == 404:
                return False
            raise
        return True

    async def post_event(self, event: Object) -> None:
        """Post an Event."""
        try:
            await self.create(event)
        except Unreachable as error:
            _log.warning("an Event was lost: %s", error)

    async def log(self, pod: ObjectID, container: str) -> str:
        """Read what a container has written so far."""
        path = kinds.POD.path(pod.namespace, pod.name, "log")
        request = Request("log", kinds.POD, "GET", path, urlencode({"container": container}), accept="*/*")
        return (await self._transport.read(request)).decode("utf-8", "replace")

    async def review(self, verb: str, kind: Kind, *, namespace: str = "", subresource: str = "") -> bool:
        """Ask whether we ourselves may do something."""
        attributes = {
            "verb": verb,
            "group": kind.group,
            "resource": kind.plural,
            "subresource": subresource,
            "namespace": namespace,
        }
        review = kinds.ACCESS_REVIEW
        body = {
            "apiVersion": review.api_version,
            "kind": review.kind,
            "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}},
        }
        answer = await self._transport.call(Request("review", review, "POST", review.path(), body=body))
        return bool(answer.get("status", {}).get("allowed"))

    async def kind_of(self, api_version: str, kind: str) -> Kind:
        """Find a kind: in our table, or by asking the server."""
        found = KNOWN.get((api_version, kind)) or self._discovered.get((api_version, kind))
        if found is None:
            found = self._discovered[api_version, kind] = await self._discover(api_version, kind)
        return found

    async def _discover(self, api_version: str, kind: str) -> Kind:
        path = f"{'/apis' if '/' in api_version else '/api'}/{api_version}"
        answer = await self._transport.call(Request("discover", Kind(api_version, kind, ""), "GET", path))
        for entry in answer.get("resources") or ():
            if entry["kind"] == kind and "/" not in entry["name"]:
                return Kind(api_version, kind, entry["name"], entry["namespaced"])
        raise Rejected(404, "NotFound", f"the cluster knows no kind {kind} in {api_version}")

    async def _is_another(self, obj: Object) -> bool:
        uid = obj["metadata"].get("uid")
        live = await self.get(ObjectID.of(obj)) if uid else None
        return live is not None and live["metadata"]["uid"] != uid

    async def _locate(self, target: ObjectID, subresource: str = "") -> tuple[Kind, str]:
        kind = await self.kind_of(target.api_version, target.kind)
        return kind, kind.path(target.namespace, target.name, subresource)

    async def _write(
        self,
        verb: str,
        method: str,
        obj: Object,
        query: str,
        *,
        subresource: str = "",
        content_type: str = JSON,
    ) -> Json:
        kind, path = await self._locate(ObjectID.of(obj), subresource)
        async with self._writes:
            return await self._transport.call(Request(verb, kind, method, path, query, obj, content_type))


def _selectors(selection: Selection) -> dict[str, str]:
    pairs = {"labelSelector": selection.labels, "fieldSelector": selection.fields}
    return {key: value for key, value in pairs.items() if value}
