"""The process: settings, logs, the Lease, the admin server, kopf's watch, and the order in which they begin and end.

A replica that does not lead holds nothing but the Lease in view: facts that it followed for hours without kopf's watch
would be old when it takes over, and old facts must never be enforced.
"""

import asyncio
import gc
import logging
import signal

import uvloop
from prometheus_client import CollectorRegistry

from pipesegment import __version__, handlers
from pipesegment.report.logs import set_up
from pipesegment.report.metrics import Metrics
from pipesegment.reporting import Reporter
from pipesegment.running import Operator
from pipesegment.settings import Settings
from pipesegment.world.access import Access
from pipesegment.world.admin import Admin, Check, informers_check, lease_check, queue_check
from pipesegment.world.api import Api
from pipesegment.world.lease import Lease

_log = logging.getLogger(__name__)


def main(settings: Settings) -> None:
    """Run the operator until SIGTERM or SIGINT; raises what ends it otherwise."""
    set_up(settings.log_level, settings.log_format)
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    _on_signals(stop)
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    access = Access(settings.kubeconfig, settings.context)
    live: dict[str, Check] = {}
    ready: dict[str, Check] = {}
    admin = Admin(settings.admin_host, settings.admin_port, live=live, ready=ready, registry=registry)
    async with Api(access, settings, observe=metrics.api_called) as api:
        lease = Lease(
            api,
            namespace=settings.namespace,
            name=settings.lease_name,
            identity=settings.identity,
            duration=settings.lease_duration,
            renew=settings.lease_renew,
            retry=settings.lease_retry,
            patience=settings.lease_timeout,
        )
        live["lease"] = ready["lease"] = lease_check(lease, settings.lease_duration * 4)
        port = await admin.start()
        _log.info("pipesegment %s on %s, admin port %d", __version__, access.host, port)
        try:
            if await _led(lease, stop):
                metrics.leader(leading=True)
                await _lead(settings, api, access, metrics, (live, ready), stop)
        finally:
            metrics.leader(leading=False)
            await lease.release()
            await admin.stop()


async def _led(lease: Lease, stop: asyncio.Event) -> bool:
    """Wait until we lead, or are told to stop."""
    acquiring = asyncio.create_task(lease.acquire(), name="candidate")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    done, _ = await asyncio.wait({acquiring, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if acquiring in done:
        await acquiring
        return not stop.is_set()
    acquiring.cancel()
    return False


async def _lead(
    settings: Settings,
    api: Api,
    access: Access,
    metrics: Metrics,
    checks: tuple[dict[str, Check], dict[str, Check]],
    stop: asyncio.Event,
) -> None:
    reporter = Reporter(api, metrics, settings.identity)
    operator = Operator(api, settings, reporter)
    live, ready = checks
    silence = settings.watch_seconds + settings.watch_silence
    live["queue"] = queue_check(operator.queue, settings.reconcile_timeout * 2)
    ready["facts"] = informers_check(operator.surroundings, silence)
    ready["owned"] = informers_check(operator.owned, silence)
    metrics.follow(operator.queue, (*operator.surroundings.informers, *operator.owned.informers))
    operator.start()
    reporter.start()
    working = asyncio.create_task(_work(operator), name="work")
    kopf_stop, kopf_ready = asyncio.Event(), asyncio.Event()
    watching = asyncio.create_task(
        handlers.watch(settings, access, operator.put_segment, operator.drop_segment, kopf_stop, kopf_ready),
        name="kopf",
    )
    stopping = asyncio.create_task(_stopped(stop, kopf_ready), name="stop")
    ended, _ = await asyncio.wait({watching, stopping, working}, return_when=asyncio.FIRST_COMPLETED)
    while ended == {working} and working.exception() is None:
        ended, _ = await asyncio.wait({watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
    # kopf cancels every task that is younger than itself when it ends: what we began has to be finished before.
    await operator.stop()
    await reporter.stop()
    kopf_stop.set()
    await asyncio.gather(working, return_exceptions=True)
    stopping.cancel()
    await watching


async def _work(operator: Operator) -> None:
    await operator.lead()
    # What was read at the start stays: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()


async def _stopped(stop: asyncio.Event, kopf_ready: asyncio.Event) -> None:
    await kopf_ready.wait()
    # kopf has put its own handlers in place of ours, and would end before our work is finished.
    _on_signals(stop)
    await stop.wait()


def _on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
