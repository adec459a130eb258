"""One HTTP exchange with the API server: credentials, patience when it asks for it, errors of our own, counting."""

import random
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
import orjson
from yarl import URL

from pipesegment import names
from pipesegment.compile.desired import Object
from pipesegment.errors import NoAnswer
from pipesegment.settings import Settings
from pipesegment.world.access import Access
from pipesegment.world.answers import decode, rejected
from pipesegment.world.clock import Clock, LoopClock, sleep
from pipesegment.world.kinds import Kind
from pipesegment.world.port import Json

#: How aiohttp tells which TLS settings it tried: mostly an address in memory, which nobody can use and which is never the same.
_TLS: Final = re.compile(r" ssl:(?:<[^>]*>|\w+)")

#: (verb, kind, HTTP status or 0 when there was no answer, seconds)
Observer = Callable[[str, str, int, float], None]

JSON: Final = "application/json"
#: How often a call waits for what Retry-After asks, and the longest that it does so with a worker's time.
_PATIENCE: Final = 3
_LONGEST_WAIT: Final = 10.0


@dataclass(frozen=True, slots=True)
class Request:
    """One call: its name in the metrics, and what goes over the wire; `query` is encoded, without the question mark."""

    verb: str
    kind: Kind
    method: str
    path: str
    query: str = ""
    body: Object | None = None
    content_type: str = JSON
    accept: str = JSON


def unobserved(_verb: str, _kind: str, _code: int, _seconds: float) -> None:
    """Observe nothing."""


class Transport:
    """The session with one API server. `observe` is told of every exchange, also of those that are repeated."""

    def __init__(self, access: Access, settings: Settings, observe: Observer, clock: Clock | None) -> None:
        self._access = access
        self._observe = observe
        self._clock = clock or LoopClock()
        self._random = random.Random()  # noqa: S311 - spreads load, guards nothing
        self._session: aiohttp.ClientSession | None = None
        self._patience = aiohttp.ClientTimeout(total=settings.request_timeout)
        # Bookmarks come about every minute: a stream that is silent for longer is dead, whatever TCP believes.
        self._stream_patience = aiohttp.ClientTimeout(
            total=None, sock_connect=settings.request_timeout, sock_read=settings.watch_silence
        )

    async def open(self) -> None:
        """Read the configuration and open the session; makes no call yet."""
        await self._access.load()
        self._session = aiohttp.ClientSession(
            # The number of writes is bounded by us; watches, lists and the Lease must never queue behind them.
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            # Within a cluster bandwidth is cheaper than the server's CPU.
            headers={"User-Agent": names.FIELD_MANAGER, "Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        """Close the session and every stream."""
        if self._session is not None:
            await self._session.close()

    async def call(self, request: Request) -> Json:
        """Make one call and give the answer's object. Raises Rejected for every answer but success."""
        return decode(await self.read(request))

    async def read(self, request: Request) -> bytes:
        """Make one call and give the answer, waiting as often and as long as the server asks within reason."""
        for attempt in range(_PATIENCE + 1):
            with self._counted(request) as count:
                async with await self._exchange(request, self._patience) as response:
                    raw = await response.read()
                    count(response.status)
            if response.status < 300:
                return raw
            error = rejected(response.status, response.headers, raw)
            # 429 is said before anything is done; after a 503 a POST may have happened all the same.
            mendable = error.status == 429 or (error.status == 503 and request.method != "POST")
            wait = error.retry_after
            if attempt == _PATIENCE or not mendable or wait is None or not 0 <= wait <= _LONGEST_WAIT:
                raise error
            await sleep(self._clock, wait * self._random.uniform(1.0, 1.2))
        raise AssertionError("the last attempt returns or raises")

    async def lines(self, request: Request) -> AsyncIterator[bytes]:
        """Give an endless answer line by line; an empty one says that it has begun.

        Raises Rejected when it does not begin, Unreachable when it breaks or falls silent.
        """
        with self._counted(request) as count:
            async with await self._exchange(request, self._stream_patience) as response:
                count(response.status)
                if response.status != 200:
                    raise rejected(response.status, response.headers, await response.read())
                yield b""
                rest = b""
                async for chunk in response.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in filter(None, lines):
                        yield line

    async def _exchange(self, request: Request, limits: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        """Send a request; once more with new credentials after a 401 or a certificate that does not fit."""
        assert self._session is not None
        access = self._access
        text = access.host + request.path + (f"?{request.query}" if request.query else "")
        headers = {"Accept": request.accept}
        data = None
        if request.body is not None:
            headers["Content-Type"] = request.content_type
            data = orjson.dumps(request.body)
        for last in (False, True):
            authorization = await access.authorization()
            if authorization:
                headers["Authorization"] = authorization
            try:
                response = await self._session.request(
                    request.method,
                    URL(text, encoded=True),
                    headers=[*headers.items(), *access.impersonation],
                    data=data,
                    timeout=limits,
                    ssl=access.tls,
                    proxy=access.proxy,
                    server_hostname=access.server_name,
                    allow_redirects=False,
                )
            except aiohttp.ClientSSLError:
                if last:
                    raise
            else:
                if response.status != 401 or last:
                    return response
                response.release()
            await access.renew(authorization)
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def _counted(self, request: Request) -> Iterator[Callable[[int], None]]:
        """Report an exchange to the observer, and turn what the client raises into NoAnswer."""
        started = self._clock.now()
        counted = False

        def count(code: int) -> None:
            nonlocal counted
            counted = True
            self._observe(request.verb, request.kind.kind, code, self._clock.now() - started)

        try:
            yield count
        except (aiohttp.ClientError, OSError) as error:
            if not counted:
                count(0)
            text = f"{request.verb} {request.kind.kind}: {type(error).__name__}: {_TLS.sub('', str(error))}"
            raise NoAnswer(text[:256]) from error
