"""AWS by boto3. It blocks, so it runs in threads of its own: nothing of Kubernetes' work ever waits for it.

Credentials, endpoints and proxies are boto3's own business, by its environment (IRSA, Pod Identity, AWS_ENDPOINT_URL…).
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from pipesegment.errors import NoCredentials, Rejected, Unreachable
from pipesegment.plan.aws.steps import Call
from pipesegment.world.aws.budget import Budget
from pipesegment.world.aws.faults import told
from pipesegment.world.aws.port import Answer, Place

#: Told of every call: service, action, HTTP status (0: no answer), seconds. From any thread.
Observer = Callable[[str, str, int, float], None]

#: One call gives up after about a quarter of a minute; its queue tries again later, and more patiently.
_CONNECT: Final = 3.0
_READ: Final = 10.0
_ATTEMPTS: Final = 3
_THREADS: Final = 8


def unobserved(_service: str, _action: str, _status: int, _seconds: float) -> None:
    """Observe nothing."""


class Aws:
    """The real AWS; see `port.Cloud`. `region` is where calls go for a class that names none."""

    def __init__(
        self,
        *,
        region: str = "",
        observe: Observer = unobserved,
        session: boto3.Session | None = None,
        budget: Callable[[], Budget] = Budget,
    ) -> None:
        self._region = region
        self._observe = observe
        self._session = session
        self._new_budget = budget
        self._clients: dict[tuple[str, Place], Any] = {}
        self._budgets: dict[str, Budget] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="aws")

    async def call(self, place: Place, call: Call) -> Answer:
        """Make one call, in a thread."""
        if self._closed:
            raise Unreachable("the operator ends")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._make, place, call)

    def close(self) -> None:
        """Make no call any more; what is under way ends within seconds."""
        self._closed = True
        for budget in self._budgets.values():
            budget.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def client(self, service: str, place: Place) -> Any:
        """Give the client of a service in a place. Clients may be used by several threads; making them may not."""
        with self._lock:
            found = self._clients.get((service, place))
            if found is None:
                found = self._clients[service, place] = self._client(service, place)
        return found

    def _make(self, place: Place, call: Call) -> Answer:
        begun, status = time.monotonic(), 0
        try:
            method = getattr(self.client(call.service, place), xform_name(call.action))
            answer: Answer = method(**call.parameters)
            status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        except (BotoCoreError, ClientError, ResponseParserError) as error:
            fault = told(error)
            status = fault.status if isinstance(fault, Rejected) else 0
            raise fault from error
        except OSError as error:
            # botocore has words of its own for the network; what is left are files, such as the token to sign in with.
            raise NoCredentials(str(error)[:256]) from error
        finally:
            self._observe(call.service, call.action, status, time.monotonic() - begun)
        return answer

    def _client(self, service: str, place: Place) -> Any:
        if self._session is None:
            self._session = boto3.Session()
        config = Config(
            connect_timeout=_CONNECT,
            read_timeout=_READ,
            retries={"mode": "adaptive", "total_max_attempts": _ATTEMPTS},
            max_pool_connections=_THREADS,
            user_agent_appid="pipesegment",
        )
        region = place.region or self._region or self._session.region_name
        if not region:
            raise Unreachable("no region is known: set spec.aws.region of the SegmentClass, or AWS_REGION")
        made = self._session.client(service, region_name=region, config=config)
        budget = self._budgets.setdefault(place.budget, self._new_budget())
        # botocore announces every attempt, and tries again by itself: here none escapes the budget.
        made.meta.events.register("before-send", lambda **_: budget.take(place.calls_per_second))
        return made
