"""Something between the operator and the API server, as proxies and load balancers are: it can hold watches and end them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
from aiohttp import web

from lab.access import Access

_EXPIRED = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410}
_HOPS = {"Host", "Connection", "Transfer-Encoding", "Content-Length", "Content-Encoding"}


class Gateway:
    """Passes everything on, under the caller's own credentials. While it `holds`, events of watches are lost."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._holding = False
        self._expired = asyncio.Event()
        self.watches = 0
        self.server = ""

    def hold(self) -> None:
        """From now on no event of a watch comes through, as on a connection that is dead without knowing it."""
        self._holding = True

    def expire(self) -> None:
        """End every watch as the API server does when a resourceVersion is too old: 410 Gone."""
        ended, self._expired, self._holding = self._expired, asyncio.Event(), False
        ended.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Gateway"]:
        """Listen on loopback; `server` is the URL."""
        app = web.Application(client_max_size=2**24)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
            app.router.add_route("*", "/{path:.*}", partial(self._pass, session=session))
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.server = f"http://127.0.0.1:{runner.addresses[0][1]}"
            try:
                yield self
            finally:
                await runner.cleanup()

    def kubeconfig(self, given: Path, folder: Path) -> Path:
        """Write a kubeconfig's twin that leads through here."""
        config = json.loads(given.read_text())
        config["clusters"][0]["cluster"] = {"server": self.server}
        path = folder / "kubeconfig"
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        return path

    async def _pass(self, request: web.Request, *, session: aiohttp.ClientSession) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name not in _HOPS}
        async with session.request(
            request.method,
            f"{self._access.server}{request.raw_path}",
            headers=headers,
            data=await request.read() or None,
            ssl=self._access.ssl_context() or True,
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name not in _HOPS}
            if request.query.get("watch") not in {"1", "true"} or answer.status != web.HTTPOk.status_code:
                return web.Response(status=answer.status, headers=kept, body=await answer.read())
            reply = web.StreamResponse(status=answer.status, headers=kept)
            await reply.prepare(request)
            await self._watch(reply, answer)
            return reply

    async def _watch(self, reply: web.StreamResponse, answer: aiohttp.ClientResponse) -> None:
        self.watches += 1
        expired = asyncio.create_task(self._expired.wait())
        try:
            while True:
                line = asyncio.create_task(answer.content.readline())
                await asyncio.wait({line, expired}, return_when=asyncio.FIRST_COMPLETED)
                if expired.done():
                    line.cancel()
                    await asyncio.gather(line, return_exceptions=True)
                    await reply.write(json.dumps({"type": "ERROR", "object": _EXPIRED}).encode() + b"\n")
                    return
                if not (event := await line):
                    return
                if not self._holding:
                    await reply.write(event)
        finally:
            expired.cancel()
