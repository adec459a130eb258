"""What the kubelet and Prometheus ask for: /healthz, /readyz and /metrics.

Health is asked of the event loop that does the work, so a loop that hangs does not answer. A check gives its problem in
words, or nothing.
"""

import errno
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from pipesegment.errors import Usage
from pipesegment.world.fleet import Fleet
from pipesegment.world.informer import Informer
from pipesegment.world.lease import Lease
from pipesegment.world.queue import WorkQueue

#: What is the matter; empty when nothing is.
Check = Callable[[], str]


class Admin:
    """The server. `live` and `ready` are looked at on every request: checks may be added while it runs."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        live: Mapping[str, Check],
        ready: Mapping[str, Check],
        registry: CollectorRegistry,
    ) -> None:
        self._host = host
        self._port = port
        self._registry = registry
        app = web.Application()
        app.router.add_get("/healthz", _reporter(live))
        app.router.add_get("/readyz", _reporter(ready))
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self) -> int:
        """Listen; gives the port, for those who asked for any. Raises Usage where nobody may listen."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host or None, self._port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            if error.errno == errno.EADDRINUSE:
                problem = f"--admin-port: port {self._port} is in use: give a free one, or 0 for any"
            else:
                where = f"{self._host or 'every address'} port {self._port}"
                problem = (
                    f"--admin-host, --admin-port: nobody may listen on {where} ({error.strerror or error}): "
                    "give an address of this host, and a free port above 1023"
                )
            raise Usage(problem) from error
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _reporter(checks: Mapping[str, Check]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def report(_: web.Request) -> web.Response:
        problems = {name: check() for name, check in checks.items()}
        lines = [f"{name}: {problem or 'ok'}" for name, problem in sorted(problems.items())]
        return web.Response(text="\n".join([*lines, ""]), status=503 if any(problems.values()) else 200)

    return report


def informers_check(fleet: Fleet, silence: float) -> Check:
    """Check that every kind was read, is followed, and was heard of within `silence` seconds."""

    def problem(informer: Informer[Any]) -> str:
        if informer.problem:
            return informer.problem
        if not informer.synced.is_set():
            return "not read yet"
        return f"silent for {informer.age:.0f} s" if informer.age > informer.patience + silence else ""

    def check() -> str:
        found = {informer.kind.kind: problem(informer) for informer in fleet.informers}
        return "; ".join(f"{kind}: {text}" for kind, text in found.items() if text)

    return check


def queue_check(queue: WorkQueue[Any], limit: float) -> Check:
    """Check that workers begin or finish something within `limit` seconds while there is work."""

    def check() -> str:
        stalled = queue.stalled_for()
        return f"nothing begun or done for {stalled:.0f} s with {queue.depth} ready" if stalled > limit else ""

    return check


def lease_check(lease: Lease, silence: float) -> Check:
    """Check that the Lease was read within `silence` seconds; a replica that waits for it is as ready as the leader."""

    def check() -> str:
        return f"not read for {lease.silence:.0f} s" if lease.silence > silence else ""

    return check
