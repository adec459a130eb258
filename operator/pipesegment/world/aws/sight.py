"""What there is to see in AWS of one segment: the roles and associations by whose names anything is decided.

What a status recorded is looked at by its name. What nothing recorded, for somebody died between making and recording it,
is found by a list of the roles' path, which every segment of the place shares.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

from pipesegment import names
from pipesegment.compile.desired import Desired
from pipesegment.compile.iam.values import Association
from pipesegment.plan.aws.associations import Bound
from pipesegment.plan.aws.look import Sight
from pipesegment.plan.aws.ownership import Owner
from pipesegment.plan.live import Entry
from pipesegment.world.aws.port import Cloud, Place
from pipesegment.world.aws.reading import Reader
from pipesegment.world.aws.rights import Rights
from pipesegment.world.clock import Clock, LoopClock

#: How old a list of roles may be: what it is for happened before this process began.
_LISTED: Final = 300.0
#: How long it is taken for known whose credentials we have.
_KNOWN: Final = 3600.0


class Sights:
    """Looks at AWS. Lists, and whose our credentials are, are kept for a while."""

    def __init__(self, cloud: Cloud, clock: Clock | None = None) -> None:
        self._cloud = cloud
        self._clock = clock or LoopClock()
        self._listed: dict[tuple[Place, str], tuple[float, frozenset[str]]] = {}
        self._accounts: dict[Place, tuple[float, str]] = {}
        self._rights = Rights()
        self._asking = asyncio.Lock()

    async def stranger(self, place: Place) -> str:
        """Give the account of our credentials if it is not the place's own; '' if it is."""
        async with self._asking:
            at, account = self._accounts.get(place, (0.0, ""))
            if not account or self._clock.now() - at > _KNOWN:
                account = await Reader(self._cloud, place).account()
                self._accounts[place] = (self._clock.now(), account)
        return "" if account == place.account else account

    async def of(
        self,
        desired: Desired,
        owner: Owner,
        place: Place,
        path: str,
        known: Iterable[Entry],
        others: frozenset[str],
        *,
        everything: bool,
        at_rest: bool = False,
    ) -> Sight:
        """Look at what is desired, what is `known` to be there, and what may have been left behind.

        `others` are roles that other segments wish for. With `everything` all associations of the namespace are read.
        `at_rest`: all was as desired at the last look, and the same is desired now.
        """
        reader, entries = Reader(self._cloud, place), tuple(known)
        wanted = {obj["metadata"]["name"] for obj in desired.objects if obj["kind"] == names.IAM_ROLE}
        there = {entry.id.name for entry in entries if entry.id.kind == names.IAM_ROLE}
        there |= {name for name in await self._names(reader, place, path) if _alike(name, owner)} - others
        roles = {}
        for name in sorted(wanted | there):
            found = await reader.head(name, known=name in there)
            if found is None:
                self._rights.forget(place, name)
            else:
                ours = found.role.tags.get(names.SEGMENT_UID_TAG) == owner.uid
                roles[name] = await self._rights.of(reader, place, found, at_rest=at_rest) if ours else found
        return Sight(roles, tuple(await self._bound(reader, desired, owner, entries, everything=everything)))

    async def _names(self, reader: Reader, place: Place, path: str) -> frozenset[str]:
        async with self._asking:
            at, found = self._listed.get((place, path), (0.0, None))
            if found is None or self._clock.now() - at > _LISTED:
                found = await reader.names(path)
                self._listed[place, path] = (self._clock.now(), found)
        return found

    async def _bound(
        self, reader: Reader, desired: Desired, owner: Owner, known: tuple[Entry, ...], *, everything: bool
    ) -> Iterable[Bound]:
        wanted = [Association.of(obj) for obj in desired.objects if obj["kind"] == names.POD_IDENTITY_ASSOCIATION]
        recorded = [entry.uid for entry in known if entry.id.kind == names.POD_IDENTITY_ASSOCIATION]
        found: dict[str, Bound] = {}
        for each in wanted:
            found |= {b.id: b for b in await reader.bound(owner.cluster, each.namespace, each.account)}
        if everything and recorded:
            found |= {b.id: b for b in await reader.bound(owner.cluster, owner.segment.namespace)}
        for identifier in recorded:
            if identifier not in found and (one := await reader.association(owner.cluster, identifier)) is not None:
                found[identifier] = one
        return found.values()


def _alike(name: str, owner: Owner) -> bool:
    """Tell whether a role's name begins like those of a segment's stages; its tags tell whether it is one."""
    return name.startswith(f"{owner.segment.namespace}-{owner.segment.name}-"[: names.MAX_ROLE_NAME - 21].rstrip("-"))
