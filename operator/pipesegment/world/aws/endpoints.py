"""The endpoints of the classes' VPCs, read from EC2 every few minutes.

When AWS gives no answer, what was read last goes on: told as old after a while, and not known any more after a day, for by
then its addresses may be somebody else's (docs/adr/0045).
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from pipesegment.errors import Rejected, Unreachable
from pipesegment.facts import vpc
from pipesegment.facts.moments import written
from pipesegment.facts.snapshot import Class
from pipesegment.facts.vpc import Known, VPCEndpoint
from pipesegment.report.text import MESSAGE, clean
from pipesegment.world.aws.paging import PAGE, Pages, named
from pipesegment.world.aws.port import Cloud, Place
from pipesegment.world.aws.reading import Reader
from pipesegment.world.clock import Clock, LoopClock, wait

_log = logging.getLogger(__name__)

_REFRESH: Final = 300.0
#: When a look that failed is tried again.
_RETRY: Final = 60.0
_OLD: Final = 3 * _REFRESH
_CAP: Final = 24 * 3600.0
#: How long a beginning waits for the first look: ways that are open must not close for a moment.
_PATIENCE: Final = 30.0


@dataclass(slots=True)
class _Vpc:
    """A VPC; `read` is when (monotonic, and the time of day) its endpoints were read, None when they never were."""

    place: Place
    due: float
    found: tuple[VPCEndpoint, ...] = ()
    read: tuple[float, datetime] | None = None
    trouble: str = ""


class Endpoints:
    """Reads the endpoints of every VPC that a class names; `told` hears what is known whenever that is something else."""

    def __init__(
        self,
        cloud: Cloud | None,
        classes: Callable[[], Mapping[str, Class]],
        told: Callable[[Known], None],
        now: Callable[[], datetime],
        clock: Clock | None = None,
    ) -> None:
        self._cloud = cloud
        self._classes = classes
        self._told = told
        self._now = now
        self._clock = clock or LoopClock()
        self._vpcs: dict[str, _Vpc] = {}
        self._known = Known()
        self._news, self._looked = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to read, and wait a little for what comes first."""
        if self._cloud is not None:
            self._task = asyncio.create_task(self._run(self._cloud), name="vpc endpoints")
            await wait(self._clock, self._looked, _PATIENCE)

    async def stop(self) -> None:
        """Read nothing any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """Notice that classes may name other VPCs than before."""
        self._news.set()

    async def _run(self, cloud: Cloud) -> None:
        while True:
            self._follow()
            for name, each in list(self._vpcs.items()):
                if each.due <= self._clock.now():
                    await self._read(cloud, name, each)
            self._tell()
            self._looked.set()
            pause = min((each.due for each in self._vpcs.values()), default=self._clock.now() + _REFRESH)
            await wait(self._clock, self._news, max(0.0, pause - self._clock.now()))
            self._news.clear()

    def _follow(self) -> None:
        """Keep what is known of the VPCs that classes name, as long as they are read in the same place."""
        wanted = dict(_wanted(self._classes()))
        kept = {n: e for n, e in self._vpcs.items() if n in wanted and _whereabouts(wanted[n]) == _whereabouts(e.place)}
        for name, each in kept.items():
            each.place = wanted[name]
        new = {name: _Vpc(place, self._clock.now()) for name, place in wanted.items() if name not in kept}
        self._vpcs = {**kept, **new}

    async def _read(self, cloud: Cloud, name: str, each: _Vpc) -> None:
        try:
            found = await read(cloud, each.place, name)
        except Exception as error:  # noqa: BLE001 - whatever it is: what is not read any more has to grow old, and be told
            each.due = self._clock.now() + _RETRY
            trouble = clean(
                str(error) if isinstance(error, Unreachable) else f"{type(error).__name__}: {error}", MESSAGE
            )
            if trouble != each.trouble:
                _log.warning("the VPC endpoints of %s cannot be read: %s", name, trouble)
            each.trouble = trouble
            return
        now = self._clock.now()
        each.due, each.found, each.read, each.trouble = now + _REFRESH, found, (now, self._now()), ""

    def _tell(self) -> None:
        known = self._sum()
        if known != self._known:
            self._known = known
            self._told(known)

    def _sum(self) -> Known:
        if not self._vpcs:
            return Known()
        now = self._clock.now()
        good = {n: e.read for n, e in self._vpcs.items() if e.read is not None and now - e.read[0] < _CAP}
        old = {name: written(at) for name, (since, at) in good.items() if now - since > _OLD}
        found = tuple(each for name in sorted(good) for each in self._vpcs[name].found)
        return Known(found, frozenset(good), old)


async def read(cloud: Cloud, place: Place, name: str) -> tuple[VPCEndpoint, ...]:
    """Read the endpoints of a VPC. Raises Unreachable, also where our credentials are of another account."""
    await Reader(cloud, place).own()
    reader = _Reader(cloud, place)
    made = await reader.read("DescribeVpcEndpoints", "VpcEndpoints", Filters=[named("vpc-id", name)])
    interfaces = sorted({each for raw in made for each in raw.get("NetworkInterfaceIds") or ()})
    groups = sorted({each["GroupId"] for raw in made for each in raw.get("Groups") or ()})
    answers: list[dict[str, Any]] = [
        {"VpcEndpoints": made},
        {"NetworkInterfaces": await reader.by_id("DescribeNetworkInterfaces", "NetworkInterfaces", interfaces)},
        {"PrefixLists": await reader.prefix_lists(made)},
        {"SecurityGroups": await reader.groups(groups)},
    ]
    if any(True for answer in answers for _ in vpc.wrong(answer)):
        raise Unreachable(f"what EC2 says of the endpoints of {name} cannot be read")
    return vpc.endpoints(answers) or ()


class _Reader(Pages):
    async def by_id(self, action: str, key: str, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Read what has these ids, which are not read in pages."""
        parameter = "GroupIds" if key == "SecurityGroups" else "NetworkInterfaceIds"
        parts = [ids[at : at + PAGE] for at in range(0, len(ids), PAGE)]
        answers = [await self.call(action, **{parameter: list(some)}) for some in parts]
        return [each for answer in answers for each in answer[key]]

    async def groups(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Read security groups, which are only told about: without the right to read them nothing is known of them."""
        try:
            return await self.by_id("DescribeSecurityGroups", "SecurityGroups", ids)
        except Rejected as error:
            if error.status == HTTPStatus.TOO_MANY_REQUESTS or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            return []

    async def prefix_lists(self, made: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Read the prefix lists of gateways, of both families, as `describe-prefix-lists` would print them."""
        wanted = sorted(
            {n for raw in made if raw.get("VpcEndpointType") == "Gateway" for n in _lists(raw["ServiceName"])}
        )
        if not wanted:
            return []
        only = {"Filters": [named("prefix-list-name", *wanted)]}
        return [
            {
                "PrefixListId": each["PrefixListId"],
                "PrefixListName": each["PrefixListName"],
                "Cidrs": [
                    entry["Cidr"]
                    for entry in await self.read(
                        "GetManagedPrefixListEntries", "Entries", PrefixListId=each["PrefixListId"]
                    )
                ],
            }
            for each in await self.read("DescribeManagedPrefixLists", "PrefixLists", **only)
        ]


def _wanted(classes: Mapping[str, Class]) -> Iterator[tuple[str, Place]]:
    """Give the VPCs that classes name, each in the place of the first that does."""
    for name, each in sorted(classes.items(), reverse=True):
        if each.spec is not None and each.spec.aws.vpc_id is not None:
            yield each.spec.aws.vpc_id, Place.of(name, each.spec.aws)


def _whereabouts(place: Place) -> tuple[str, str, str]:
    return place.account, place.partition, place.region


def _lists(service: str) -> tuple[str, str]:
    before, _, last = service.rpartition(".")
    return service, f"{before}.ipv6.{last}"
