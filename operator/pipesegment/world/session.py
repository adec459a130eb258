"""A session for kopf's own watch, with our credentials: a rotated token never reaches kopf as a 401.

kopf closes its session with every open stream when it sees a 401; the session that writes is another one.
"""

from http import HTTPStatus

import aiohttp

from pipesegment import names
from pipesegment.world.access import Access


def session(access: Access) -> aiohttp.ClientSession:
    """Open a session that authorizes each request anew, and once more after it was turned down."""

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
                return await handler(request)
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
