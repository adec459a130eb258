"""A small API server on loopback whose answers each test writes itself."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from pipesegment.settings import Settings
from pipesegment.world.access import Access
from pipesegment.world.api import Api

Answer = web.StreamResponse | Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Call:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Script:
    """Answers in order; the last one stays. `calls` are the requests that came."""

    answers: list[Answer] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    url: str = ""
    kubeconfig: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        headers = {name: request.headers[name] for name in request.headers}
        body = json.loads(raw) if raw else None
        self.calls.append(Call(request.method, request.path, dict(request.query), headers, body))
        async with self.news:
            self.news.notify_all()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, web.Response):
            # One response object serves one request only.
            return web.Response(body=answer.body, status=answer.status, headers=answer.headers)
        return await answer(request)

    async def called(self, times: int) -> None:
        """Wait until so many requests came."""
        async with asyncio.timeout(5), self.news:
            await self.news.wait_for(lambda: len(self.calls) >= times)


def ok(body: Any, status: int = 200, **headers: str) -> web.Response:
    return web.json_response(body, status=status, headers=headers)


def no(status: int, reason: str, message: str = "because", **headers: str) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "code": status, "reason": reason, "message": message}
    return web.json_response(body, status=status, headers=headers)


def page(*names: str, version: str = "100", token: str = "") -> web.Response:
    items = [{"metadata": {"name": name, "namespace": "shop", "resourceVersion": "1"}} for name in names]
    return ok({"metadata": {"resourceVersion": version, "continue": token}, "items": items})


def stream(*lines: bytes, then: Callable[[web.Request], Awaitable[None]] | None = None) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            await response.write(line)
        if then is not None:
            await then(request)
        return response

    return answer


def event(kind: str, name: str, version: str, **more: Any) -> bytes:
    obj = {"metadata": {"name": name, "namespace": "shop", "resourceVersion": version}, **more}
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


@asynccontextmanager
async def serving(tmp_path: Any, *answers: Answer, user: dict[str, Any] | None = None):
    """Give a Script that is being served, and a kubeconfig for it."""
    script = Script(list(answers))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", script.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    script.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    script.kubeconfig = kubeconfig(tmp_path, script.url, user)
    try:
        yield script
    finally:
        await runner.cleanup()


def kubeconfig(tmp_path: Any, server: str, user: dict[str, Any] | None = None, **cluster: str) -> str:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "test", "user": user or {"token": "first"}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    return str(path)


def client(script: Script, **settings: Any) -> Api:
    settings.setdefault("request_timeout", 5.0)
    observe = settings.pop("observe", None)
    clock = settings.pop("clock", None)
    more = {"observe": observe} if observe else {}
    return Api(Access(script.kubeconfig), Settings(**settings), clock=clock, **more)
