"""Whether the API server serves a kind yet: a CustomResourceDefinition exists a while before its objects can be watched."""

import asyncio
from typing import Final

import aiohttp

from pipesegment.world.access import Access
from pipesegment.world.kinds import Kind
from pipesegment.world.session import session

_PAUSE: Final = 0.25
_LIMITS: Final = aiohttp.ClientTimeout(total=30)


async def wait_served(access: Access, kind: Kind) -> None:
    """Wait until discovery names a kind. There is no event for it: it is asked again and again."""
    url = f"{access.host}/apis/{kind.api_version}"
    async with session(access) as client:
        while not await _names(client, url, kind):  # noqa: ASYNC110 - the API server is asked, nobody here could set an event
            await asyncio.sleep(_PAUSE)


async def _names(client: aiohttp.ClientSession, url: str, kind: Kind) -> bool:
    try:
        async with client.get(url, timeout=_LIMITS) as response:
            answer = await response.json() if response.status == 200 else {}
    except (aiohttp.ClientError, OSError, ValueError):
        return False
    return any(entry["name"] == kind.plural for entry in answer.get("resources") or ())
