"""The process: settings, logs, the Lease, the admin server, kopf's watch, and the order in which they begin and end.

A replica that does not lead holds nothing but the Lease in view: facts that it followed for hours without kopf's watch
would be old when it takes over, and old facts must never be enforced.
"""

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Iterable
from typing import Any

import uvloop
from prometheus_client import CollectorRegistry

from pipesegment import __version__, handlers
from pipesegment.report.logs import set_up
from pipesegment.report.metrics import Metrics
from pipesegment.reporting import Reporter
from pipesegment.running import Operator
from pipesegment.settings import Settings
from pipesegment.world import kinds
from pipesegment.world.access import Access
from pipesegment.world.admin import Admin, Check, informers_check, lease_check, queue_check
from pipesegment.world.api import Api
from pipesegment.world.aws.client import Aws
from pipesegment.world.discovery import wait_served
from pipesegment.world.informer import Informer
from pipesegment.world.latedns import Dns
from pipesegment.world.lease import Lease

_log = logging.getLogger(__name__)

_PULSE = 5.0
_GC = (50_000, 20, 100)


def main(settings: Settings) -> None:
    """Run the operator until SIGTERM or SIGINT; raises what ends it otherwise."""
    set_up(sys.stderr, level=settings.log_level, style=settings.log_format)
    # A reconcile makes thousands of values and no cycles; collecting as eagerly as by default is a tenth of its CPU.
    gc.freeze()
    gc.set_threshold(*_GC)
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
                metrics.leader.set(1)
                await _lead(settings, api, access, metrics, (live, ready), stop)
        finally:
            metrics.leader.set(0)
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
    cloud = Aws(region=settings.aws_region, observe=metrics.aws_called) if settings.aws == "on" else None
    operator = Operator(api, settings, reporter, cloud=cloud, lookups=Dns(settings.dns_servers))
    live, ready = checks
    silence = settings.watch_seconds + settings.watch_silence
    live["queue"] = queue_check(operator.queue, settings.reconcile_timeout * 2)
    ready["facts"] = informers_check(operator.surroundings, silence)
    ready["owned"] = informers_check(operator.owned, silence)
    operator.start()
    reporter.start()
    pulse = asyncio.create_task(_pulse(operator, metrics), name="pulse")
    working = asyncio.create_task(_work(operator), name="work")
    kopf_stop, kopf_ready = asyncio.Event(), asyncio.Event()
    watching = asyncio.create_task(_watch(settings, access, operator, kopf_stop, kopf_ready), name="kopf")
    stopping = asyncio.create_task(_stopped(stop, kopf_ready), name="stop")
    try:
        await asyncio.wait({watching, stopping, _failure_of(working)}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # kopf cancels every task that is younger than itself when it ends: what we began has to be finished before.
        for task in (pulse, working, stopping):
            task.cancel()
        if cloud is not None:
            # Its threads end by themselves; nobody waits for them.
            cloud.close()
        await operator.stop()
        await reporter.stop()
        kopf_stop.set()
        await asyncio.gather(watching, return_exceptions=True)
    for task in (working, watching):
        if task.done() and not task.cancelled():
            task.result()


async def _watch(
    settings: Settings, access: Access, operator: Operator, stop: asyncio.Event, ready: asyncio.Event
) -> None:
    await operator.served()
    await wait_served(access, kinds.SEGMENT)
    news = handlers.News(operator.put_segment, operator.drop_segment, operator.listed_segments)
    await handlers.watch(settings, access, news, stop, ready)


def _failure_of(task: asyncio.Task[None]) -> asyncio.Future[None]:
    """Give a future that is done only if the task fails: its success is no reason to end."""
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(ended: asyncio.Task[None]) -> None:
        if not ended.cancelled() and ended.exception() is not None and not failed.done():
            failed.set_exception(ended.exception() or RuntimeError())

    task.add_done_callback(done)
    return failed


async def _pulse(operator: Operator, metrics: Metrics) -> None:
    """Measure what has no event of its own: depth, silence, and how late the loop is."""
    loop = asyncio.get_running_loop()
    relists: dict[Informer[Any], int] = {}
    while True:
        due = loop.time() + _PULSE
        await asyncio.sleep(_PULSE)
        metrics.loop_lag.set(max(0.0, loop.time() - due))
        operator.measure()
        metrics.queue_depth.set(operator.queue.depth)
        metrics.aws_queue_depth.set(operator.roles.queue.depth)
        metrics.aws_failing.set(operator.roles.queue.failing)
        _tell_silence((*operator.surroundings.informers, *operator.owned.informers), metrics, relists)


def _tell_silence(informers: Iterable[Informer[Any]], metrics: Metrics, relists: dict[Informer[Any], int]) -> None:
    """Tell how long each kind has been silent. Several informers may follow one kind, or kinds of one name."""
    ages: dict[str, float] = {}
    for informer in informers:
        kind = informer.kind.kind
        metrics.informer_relists.labels(kind).inc(informer.relists - relists.get(informer, 0))
        relists[informer] = informer.relists
        ages[kind] = max(ages.get(kind, 0.0), informer.age)
    for kind, age in ages.items():
        metrics.informer_age.labels(kind).set(age)


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
