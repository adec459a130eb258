"""A session for kopf's own watch, with our credentials: a rotated token never reaches kopf as a 401.

kopf closes its session with every open stream when it sees a 401; the session that writes is another one.
"""

from collections.abc import Callable
from http import HTTPStatus

import aiohttp

from pipesegment import names
from pipesegment.world.access import Access


def unheard(_path: str) -> None:
    """Tell nobody."""


def session(access: Access, fetched: Callable[[str], None] = unheard) -> aiohttp.ClientSession:
    """Open a session that authorizes each request anew, and once more after it was turned down.

    `fetched` is told the path of everything that was read at once, lists among them; of watches it is not.
    """

    async def authorize(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        token = await access.authorization()
        _set(request, token)
        response = await handler(request)
        if response.status == HTTPStatus.UNAUTHORIZED:
            await access.renew(token)
            renewed = await access.authorization()
            if renewed != token:
                response.release()
                _set(request, renewed)
                response = await handler(request)
        if response.ok and "watch" not in request.url.query:
            fetched(request.url.path)
        return response

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=access.tls),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": names.FIELD_MANAGER},
        middlewares=(authorize,),
        proxy=access.proxy,
    )


def _set(request: aiohttp.ClientRequest, token: str) -> None:
    if token:
        request.headers["Authorization"] = token
