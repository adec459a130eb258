"""kopf's part: it watches the segments and hands them on. Nothing is decided, and nothing written, here.

Only `on.event` handlers: every other kind writes annotations or finalizers to the segment, which Argo CD would see as
drift and which a segment's author could forge.
"""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import kopf

from pipesegment import names
from pipesegment.settings import Settings
from pipesegment.world.access import Access
from pipesegment.world.session import session

Json = dict[str, Any]
Take = Callable[[Json], None]


class _NoDiffBase(kopf.DiffBaseStorage):
    """Keeps no last state: kopf's own would be an annotation on the segment, and a copy for every event."""

    def build(self, **_: Any) -> Any:
        """Keep nothing of it."""
        return {}

    def fetch(self, **_: Any) -> Any:
        """Remember nothing."""
        return None

    def store(self, **_: Any) -> None:
        """Write nothing."""


class _NoProgress(kopf.ProgressStorage):
    """Keeps no progress: there are no handlers that could have any."""

    def fetch(self, **_: Any) -> Any:
        """Remember nothing."""
        return None

    def store(self, **_: Any) -> None:
        """Write nothing."""

    def purge(self, **_: Any) -> None:
        """Write nothing."""

    def touch(self, **_: Any) -> None:
        """Write nothing."""

    def clear(self, *, essence: Any) -> Any:
        """Leave everything as it is."""
        return essence


class News(NamedTuple):
    """Whom to tell of segments: what was made or changed, what is gone, and that a list told what exists."""

    put: Take
    drop: Take
    listed: Callable[[], None]


def registry(access: Access, news: News) -> kopf.OperatorRegistry:
    """Make kopf's registry: every event of a segment goes on."""
    found = kopf.OperatorRegistry()
    plural = names.KINDS[names.SEGMENT][0]

    def fetched(path: str) -> None:
        # kopf lists anew after a 410, and says nothing of what was deleted meanwhile.
        if path.endswith(f"/{plural}"):
            news.listed()

    @kopf.on.login(registry=found)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=access.host, aiohttp_session=session(access, fetched))

    @kopf.on.event(names.GROUP, names.VERSION, plural, registry=found)
    async def segment_changed(event: kopf.RawEvent, **_: Any) -> None:
        # Items of a list carry no apiVersion and kind of their own.
        obj: Json = {"apiVersion": names.API_VERSION, "kind": names.SEGMENT, **event["object"]}
        (news.drop if event["type"] == "DELETED" else news.put)(obj)

    return found


def configuration(settings: Settings) -> kopf.OperatorSettings:
    """Make kopf's settings; docs/operations.md gives the reason of each."""
    found = kopf.OperatorSettings()
    found.posting.enabled = False
    found.peering.standalone = True
    found.scanning.disabled = True
    found.watching.server_timeout = int(settings.watch_seconds)
    found.watching.connect_timeout = settings.request_timeout
    found.watching.inactivity_timeout = settings.watch_silence
    found.networking.request_timeout = settings.request_timeout
    found.networking.error_backoffs = (0.5, 1, 2, 4, 8)
    found.queueing.worker_limit = None
    found.queueing.idle_timeout = 1.0
    found.persistence.diffbase_storage = _NoDiffBase()
    found.persistence.progress_storage = _NoProgress()
    found.process.ultimate_exiting_timeout = settings.drain_timeout + settings.request_timeout
    return found


async def watch(settings: Settings, access: Access, news: News, stop: asyncio.Event, ready: asyncio.Event) -> None:
    """Run kopf's watch of the segments until `stop` is set; `ready` is set once it has begun."""
    await kopf.operator(
        registry=registry(access, news),
        settings=configuration(settings),
        clusterwide=True,
        standalone=True,
        stop_flag=stop,
        ready_flag=ready,
    )
