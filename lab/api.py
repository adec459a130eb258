"""A small asynchronous client for tests and tools: plain JSON objects, server-side apply, and waiting by watches."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp

from lab.access import Access
from lab.errors import LabError

Object = dict[str, Any]
#: (namespace or "", name) -> object
Objects = dict[tuple[str, str], Object]

APPLY = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"

DEFAULT_TIMEOUT = 30.0
_ERROR, _NOT_FOUND, _GONE, _SERVER_ERROR = 400, 404, 410, 500
_TOO_MANY_REQUESTS = 429
#: Between two tries at an API server that does not answer (a restart).
_RETRY = 0.1


class ApiError(Exception):
    """The API server refused: HTTP status, reason and message of its Status object, and that object as `body`."""

    def __init__(self, status: int, body: Object) -> None:
        self.status = status
        self.reason = str(body.get("reason", ""))
        self.message = str(body.get("message", ""))
        self.body = body
        super().__init__(f"{status} {self.reason}: {self.message}")


class WaitError(LabError):
    """What was waited for did not come in time; the message shows what was there instead."""


class Api:
    """Everything one does to a cluster in a test; an async context manager.

    Objects are named by apiVersion, kind, name and namespace; plurals come from discovery. Refusals raise ApiError.
    """

    def __init__(self, access: Access) -> None:
        self.access = access
        self._kinds: dict[tuple[str, str], tuple[str, bool]] = {}

    async def __aenter__(self) -> Self:
        self._tls = self.access.ssl_context() or True
        self._session = aiohttp.ClientSession(
            self.access.server,
            headers=self.access.headers | {"User-Agent": "pipesegment-lab"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Any:
        """Send one request and return the decoded answer (text when it is not JSON).

        It is sent again while the server has no time for it, as when the storage of a new kind is being set up (429).
        """
        async with asyncio.timeout(DEFAULT_TIMEOUT):
            while True:
                async with self._session.request(
                    method,
                    path,
                    params=query,
                    data=None if body is None else json.dumps(body),
                    headers={"Content-Type": content_type},
                    ssl=self._tls,
                ) as reply:
                    if reply.status != _TOO_MANY_REQUESTS:
                        return _decoded(reply.status, await reply.read())
                await asyncio.sleep(_RETRY)

    async def apply(self, obj: Object, *, manager: str = "lab", force: bool = True, subresource: str = "") -> Object:
        """Server-side apply the object and return what the API server made of it."""
        path = await self._path_of(obj, subresource)
        query = {"fieldManager": manager, "force": str(force).lower(), "fieldValidation": "Strict"}
        return _object(await self.request("PATCH", path, obj, query=query, content_type=APPLY))

    async def create(self, obj: Object, *, dry_run: bool = False) -> Object:
        """Create the object (`generateName` works) and return it."""
        namespace = obj["metadata"].get("namespace")
        path = await self._path(obj["apiVersion"], obj["kind"], namespace)
        query = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        return _object(await self.request("POST", path, obj, query=query))

    async def patch(
        self,
        api_version: str,
        kind: str,
        name: str,
        change: Any,
        namespace: str | None = None,
        *,
        subresource: str = "",
        content_type: str = MERGE_PATCH,
    ) -> Object:
        """Change a part of an object: a merge patch, or a JSON patch (a list) with `content_type=JSON_PATCH`."""
        path = await self._path(api_version, kind, namespace, name, subresource)
        return _object(await self.request("PATCH", path, change, content_type=content_type))

    async def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object:
        """Return the object."""
        return _object(await self.request("GET", await self._path(api_version, kind, namespace, name)))

    async def objects(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> list[Object]:
        """Return the objects that match the selectors, of all namespaces unless one is given."""
        items, _ = await self._list(_Selection(api_version, kind, namespace, labels, fields))
        return list(items.values())

    async def delete(
        self, api_version: str, kind: str, name: str, namespace: str | None = None, *, propagation: str = "Background"
    ) -> None:
        """Delete the object; it is no error when it is gone already. `wait_gone` waits for the end of it."""
        path = await self._path(api_version, kind, namespace, name)
        try:
            await self.request("DELETE", path, {"propagationPolicy": propagation})
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise

    async def install_crds(self, definitions: Iterable[Object], *, within: float = DEFAULT_TIMEOUT) -> None:
        """Apply CustomResourceDefinitions and wait until the API server serves all of them."""
        names = set()
        for definition in definitions:
            await self.apply(definition)
            names.add(definition["metadata"]["name"])

        def served(objects: Objects) -> bool:
            return all(_established(objects.get(("", name), {})) for name in names)

        await self.wait_list("apiextensions.k8s.io/v1", "CustomResourceDefinition", until=served, within=within)

    async def wait(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        until: Callable[[Object], object] = bool,
        within: float = DEFAULT_TIMEOUT,
    ) -> Object:
        """Wait by a watch until the object exists and `until` holds for it, and return it; WaitError after `within` s."""

        def arrived(objects: Objects) -> bool:
            return any(until(obj) for obj in objects.values())

        found = await self.wait_list(
            api_version, kind, namespace, fields=f"metadata.name={name}", until=arrived, within=within
        )
        return next(obj for obj in found if until(obj))

    async def wait_gone(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        within: float = DEFAULT_TIMEOUT,
    ) -> None:
        """Wait by a watch until no such object exists."""
        fields = f"metadata.name={name}"
        await self.wait_list(api_version, kind, namespace, fields=fields, until=_empty, within=within)

    async def wait_list(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        *,
        until: Callable[[Objects], object],
        labels: str = "",
        fields: str = "",
        within: float = DEFAULT_TIMEOUT,
    ) -> list[Object]:
        """Wait by a watch until `until` holds for the objects by (namespace, name), and return them.

        An API server that goes away is waited for.
        """
        last: Objects = {}
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                async for objects in self.states(api_version, kind, namespace, labels=labels, fields=fields):
                    last = objects
                    if until(objects):
                        return list(objects.values())
        shown = json.dumps(list(last.values()))[:2000] if last else "none"
        where = f" in {namespace}" if namespace else ""
        raise WaitError(f"{kind} {labels or fields}{where}: not as awaited after {within:g} s; last seen: {shown}")

    async def states(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Objects]:
        """Yield the matching objects as they are now, and again after every change, for ever.

        The mapping is the same one each time: copy what is to be kept.
        """
        selection = _Selection(api_version, kind, namespace, labels, fields)
        while True:
            try:
                objects, version = await self._list(selection)
                yield objects
                async for event in self._events(selection, version):
                    obj = event["object"]
                    key = _key(obj)
                    if event["type"] == "DELETED":
                        objects.pop(key, None)
                    else:
                        objects[key] = obj
                    yield objects
            except aiohttp.ClientError:
                await asyncio.sleep(_RETRY)
            except ApiError as error:
                if error.status < _SERVER_ERROR and error.status != _TOO_MANY_REQUESTS:
                    raise
                await asyncio.sleep(_RETRY)

    async def _events(self, selection: "_Selection", version: str) -> AsyncIterator[Object]:
        """Yield watch events until the API server ends the stream, also because `version` is too old (410)."""
        path = await self._path(selection.api_version, selection.kind, selection.namespace)
        query = selection.query | {"watch": "true", "resourceVersion": version}
        async with self._session.get(path, params=query, ssl=self._tls) as reply:
            if reply.status >= _ERROR:
                _decoded(reply.status, await reply.read())
            buffer = b""
            async for chunk in reply.content.iter_any():
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        if event["object"].get("code") == _GONE:
                            return
                        raise ApiError(event["object"].get("code", 0), event["object"])
                    yield event

    async def _list(self, selection: "_Selection") -> tuple[Objects, str]:
        path = await self._path(selection.api_version, selection.kind, selection.namespace)
        reply = await self.request("GET", path, query=selection.query)
        # Items of a list carry no type of their own.
        items = [{"apiVersion": selection.api_version, "kind": selection.kind} | item for item in reply["items"]]
        return {_key(item): item for item in items}, reply["metadata"]["resourceVersion"]

    async def _path_of(self, obj: Object, subresource: str) -> str:
        metadata = obj["metadata"]
        return await self._path(
            obj["apiVersion"], obj["kind"], metadata.get("namespace"), metadata["name"], subresource
        )

    async def _path(
        self, api_version: str, kind: str, namespace: str | None, name: str = "", subresource: str = ""
    ) -> str:
        plural, namespaced = await self._kind(api_version, kind)
        parts = [_group(api_version)]
        if namespaced and namespace:
            parts += ["namespaces", quote(namespace)]
        parts += [plural, *([quote(name)] if name else []), *([subresource] if subresource else [])]
        return "/".join(parts)

    async def _kind(self, api_version: str, kind: str) -> tuple[str, bool]:
        if (api_version, kind) not in self._kinds:
            try:
                found = await self.request("GET", _group(api_version))
            except ApiError as error:
                if error.status != _NOT_FOUND:
                    raise
                found = {"resources": []}
            for resource in found["resources"]:
                if "/" not in resource["name"]:
                    self._kinds[api_version, resource["kind"]] = (resource["name"], resource["namespaced"])
        try:
            return self._kinds[api_version, kind]
        except KeyError:
            raise LabError(f"the API server knows no {kind} in {api_version}: is its CRD installed?") from None


@dataclass(frozen=True)
class _Selection:
    """Which objects of a kind are meant."""

    api_version: str
    kind: str
    namespace: str | None
    labels: str
    fields: str

    @property
    def query(self) -> dict[str, str]:
        given = {"labelSelector": self.labels, "fieldSelector": self.fields}
        return {name: value for name, value in given.items() if value}


def _group(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _key(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def _established(crd: Object) -> bool:
    conditions = crd.get("status", {}).get("conditions") or []
    return any(condition["type"] == "Established" and condition["status"] == "True" for condition in conditions)


def _empty(objects: Objects) -> bool:
    return not objects


def _decoded(status: int, content: bytes) -> Any:
    try:
        body = json.loads(content)
    except ValueError:
        body = content.decode(errors="replace")
    if status >= _ERROR:
        raise ApiError(status, body if isinstance(body, dict) else {"message": body})
    return body


def _object(body: Any) -> Object:
    assert isinstance(body, dict)
    return body
