"""The corridor in AWS: see what is there → plan → send, for the roles of one segment.

It is work of its own, with a queue, workers and pauses of its own: AWS out of reach holds up nothing of Kubernetes. What
comes of it waits in `state` for the segment's next report. The rooms do the work; what is decided is decided in `plan.aws`.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final

from pipesegment import names
from pipesegment.cloudcontrol import Controllers, left_on_record, part_of, together
from pipesegment.cloudwish import Wish, farewell, wished
from pipesegment.compile.desired import Desired, ObjectID
from pipesegment.compile.iam.backends import DIRECT, maker
from pipesegment.errors import NoCredentials, Rejected, Unreachable
from pipesegment.facts.meta import Key
from pipesegment.facts.snapshot import Segment, Snapshot
from pipesegment.plan.aws.look import CloudPlan, look
from pipesegment.plan.aws.settled import beginning, settled
from pipesegment.plan.aws.steps import Moment
from pipesegment.plan.live import Entry
from pipesegment.plan.sequence import Restraint
from pipesegment.report.outcome import CloudState, Outcome
from pipesegment.report.text import MESSAGE, clean
from pipesegment.settings import Settings
from pipesegment.spec.status import Reason
from pipesegment.world.aws.applying import CloudResults, OnCall, send
from pipesegment.world.aws.port import Cloud, Place
from pipesegment.world.aws.sight import Sights
from pipesegment.world.clock import Clock
from pipesegment.world.port import Cluster
from pipesegment.world.queue import NEVER, Priority, WorkQueue, unobserved

_log = logging.getLogger(__name__)

#: While nobody knows what the class said, a segment that goes waits for somebody to say it.
_UNKNOWN_RETRY: Final = 60.0

#: When what another controller says is read again though it was no news.
_UNTOLD_RETRY: Final = 60.0

Audited = Callable[[Key, int], OnCall]


class CloudWork:
    """Looks after the roles of every segment. Without a `cloud` nothing is made or read, and the state says so."""

    def __init__(
        self,
        cloud: Cloud | None,
        cluster: Cluster,
        settings: Settings,
        snapshot: Callable[[], Snapshot],
        inventory: Callable[[Segment], Iterable[Entry]],
        audited: Audited,
        due: Callable[[Key], None],
        now: Callable[[], datetime],
        controllers: Controllers,
        clock: Clock | None = None,
    ) -> None:
        self._controllers = controllers
        self._cloud = cloud
        self._cluster = cluster
        self._snapshot = snapshot
        self._inventory = inventory
        self._audited = audited
        self._due = due
        self._now = now
        self._sights = Sights(cloud, clock) if cloud is not None else None
        self._wishes: dict[Key, Wish] = {}
        self._states: dict[Key, CloudState] = {}
        self._held: set[str] = set()
        #: What was wished when all was found to be so, and nothing had to be written.
        self._rested: dict[Key, tuple[object, ...]] = {}
        self.queue: WorkQueue[Key] = WorkQueue(
            self._look,
            workers=settings.aws_workers,
            coalesce=settings.coalesce,
            backoff=(1.0, settings.backoff_max),
            resync=(settings.aws_resync * 0.9, settings.aws_resync),
            # Many roles at a small budget take long, and a thread cannot be called off.
            time_limit=3600.0,
            observe=unobserved,
            clock=clock,
        )

    def holds(self, segment: Segment) -> bool:
        """Tell whether a segment carries our finalizer: then something in AWS may be left when it goes."""
        return segment.meta.uid in self._held or names.AWS_FINALIZER in segment.meta.finalizers

    def wish(self, segment: Segment, outcome: Outcome) -> CloudState:
        """Take in what one look at a segment came to; gives what is known of it in AWS. Makes it due when it is news.

        Of a refused segment what was wished before goes on, less what exceptions gave stages that are shut.
        """
        key, before = segment.meta.key, self._wishes.get(segment.meta.key)
        if before is not None and before.owner.uid != segment.meta.uid:
            before = None
            self._states.pop(key, None)
        recorded = [entry for entry in self._inventory(segment) if entry.id.in_cloud]
        makers = self._makers(segment, (*recorded, *self._state(key).changes.inventory({})))
        if outcome.reach is not None:
            wish: Wish | None = wished(segment, outcome, self._snapshot(), before, makers)
        else:
            wish = before.ended(outcome.shut) if before is not None else None
        concerned = wish is not None and bool(wish.desired.objects or recorded or self.holds(segment))
        if key not in self._states:
            desired = wish.desired if wish is not None else Desired(key, segment.meta.uid, ())
            self._states[key] = CloudState(beginning(desired, recorded))
        if (trouble := self._unable(wish)) is not None:
            self._states[key] = replace(self._states[key], trouble=trouble)
        if wish is not None and concerned:
            self._wishes[key] = wish
            if (trouble is None or makers) and (before is None or before.fingerprint != wish.fingerprint):
                first = before is None and not segment.meta.deleting
                self.queue.add(key, priority=Priority.RESYNC if first and recorded else Priority.CHANGE)
        return self._states[key]

    def going(self, segment: Segment) -> None:
        """Take in that a segment is being deleted."""
        if self._cloud is not None or self._controllers.backends:
            self.queue.add(segment.meta.key)
        else:
            _log.warning("%s waits for its finalizer %s, and AWS is off", segment.meta.key, names.AWS_FINALIZER)

    def again(self, key: Key) -> None:
        """Take in that another controller has said something of a segment's roles, or can from now on."""
        if key in self._wishes:
            self.queue.add(key)

    def gone(self, key: Key) -> None:
        """Forget a segment that is gone."""
        self._wishes.pop(key, None)
        self._states.pop(key, None)
        self._rested.pop(key, None)

    async def _look(self, key: Key) -> float | None:
        segment = self._snapshot().segment(*key)
        if segment is None or (segment.meta.deleting and not self.holds(segment)):
            return NEVER
        wish = self._wishes.get(key)
        if segment.meta.deleting:
            wish = farewell(segment, self._snapshot(), wish)
            if wish is None:
                return _UNKNOWN_RETRY
        if wish is None or wish.owner.uid != segment.meta.uid or wish.restraint is Restraint.HELD:
            return None
        state = await self._brought(segment, wish)
        if state.trouble is None and not wish.desired.objects and not state.changes.changes:
            await self._release(segment)
            return NEVER if segment.meta.deleting else None
        # A controller may find nothing to do, and then says nothing that would be news.
        waits = state.trouble is not None and state.trouble[0] == Reason.PROGRESSING
        return _UNTOLD_RETRY if waits else None

    async def _brought(self, segment: Segment, wish: Wish) -> CloudState:
        """Bring a segment's roles to what is wished, and keep what came of it; raises what has to be tried again."""
        key = segment.meta.key
        try:
            state, results = await self._walk(segment, wish)
        except Unreachable as error:
            self._note(key, replace(self._state(key), failed=(), trouble=_trouble(error)))
            raise
        self._note(key, state)
        if results.trouble is not None:
            raise results.trouble
        if results.failed:
            told = "; ".join(f"{f.verb} {f.id}: {f.message}" for f in results.failed[:3])
            raise Rejected(results.failed[0].status, "Failed", told)
        return state

    async def _walk(self, segment: Segment, wish: Wish) -> tuple[CloudState, CloudResults]:
        """Walk to AWS, to other controllers, or (where the class has changed its mind) to both."""
        recorded = tuple(entry for entry in self._inventory(segment) if entry.id.in_cloud)
        known = (*recorded, *self._state(segment.meta.key).changes.inventory({}))
        others = self._makers(segment, known) - {wish.backend}
        if others and wish.desired.objects:
            state, results = await self._held_back(segment, wish, others, known, recorded)
            if state.trouble is not None or results.failed or results.trouble is not None:
                return state, results
            known = state.changes.inventory({})
        elif not others and (trouble := self._unable(wish)) is not None:
            return replace(self._state(segment.meta.key), trouble=trouble), CloudResults()
        return await self._parts(segment, wish, known, recorded)

    async def _held_back(
        self,
        segment: Segment,
        wish: Wish,
        others: frozenset[str],
        known: tuple[Entry, ...],
        recorded: tuple[Entry, ...],
    ) -> tuple[CloudState, CloudResults]:
        """Make nothing while what somebody else made before stands: two that look after one role undo each other's work.

        It is given up where roles are deleted and can be made anew; else it stays, and loses what it should not have.
        """
        who = ", ".join(sorted(others))
        trouble = self._unable(wish) or self._controllers.missing(wish.desired.objects)
        if trouble is None and not wish.terms.deletes:
            told = (
                f"{who} made roles that {wish.backend} cannot take over: set the class's backend back, or its "
                "deletionPolicy to Delete until CloudReady is True, by which they are made anew"
            )
            trouble = (Reason.PROGRESSING.value, told)
        held = wish.held if trouble is not None else replace(wish, restraint=Restraint.NO_WIDENING)
        state, results = await self._parts(segment, held, known, recorded)
        if trouble is None:
            left = self._makers(segment, state.changes.inventory({})) - {wish.backend}
            told = f"{wish.backend} makes roles when those that {who} made are gone"
            trouble = (Reason.PROGRESSING.value, told) if left else None
            state = replace(state, withheld=()) if trouble is None else state
        return replace(state, trouble=trouble or state.trouble), results

    def _makers(self, segment: Segment, known: Iterable[Entry]) -> frozenset[str]:
        """Name those who made something of a segment that this operator can still reach."""
        made = {maker(entry.id.api_version) for entry in known} | self._controllers.makers(segment)
        reached = self._controllers.backends | ({DIRECT} if self._cloud is not None else frozenset())
        return frozenset(made & reached)

    async def _parts(
        self, segment: Segment, wish: Wish, known: tuple[Entry, ...], recorded: tuple[Entry, ...]
    ) -> tuple[CloudState, CloudResults]:
        here, there = part_of(known, False), part_of(known, True)
        ours, theirs = wish.part(by_controller=False), wish.part(by_controller=True)
        parts = []
        if ours.desired.objects or here or (wish.backend == DIRECT and not (there and self._unable(wish))):
            parts.append(await self._to_aws(segment, ours, here, part_of(recorded, False)))
        if theirs.desired.objects or there or (wish.backend != DIRECT and not (here and self._unable(wish))):
            parts.append(await self._to_controllers(segment, theirs, there, part_of(recorded, True)))
        return together(parts)

    async def _to_controllers(
        self, segment: Segment, wish: Wish, known: tuple[Entry, ...], recorded: tuple[Entry, ...]
    ) -> tuple[CloudState, CloudResults]:
        if (beyond := self._controllers.beyond(known)) is not None:
            return left_on_record(segment, known, beyond)
        if (not_yet := self._controllers.not_yet()) is not None:
            state, results = not_yet
            return replace(state, changes=beginning(wish.desired, recorded)), results
        moment = Moment(self._now(), wish.restraint is Restraint.NONE)
        makes = len(wish.desired.objects) > len(self._controllers.absent(wish.desired.objects))
        if makes and moment.widens and (held := await self._held_by(segment)) is not None:
            return held
        return await self._controllers.walk(wish, recorded, known, moment)

    async def _held_by(self, segment: Segment) -> tuple[CloudState, CloudResults] | None:
        """Hold a segment before anything is made; what came of it when it cannot be held."""
        try:
            await self._hold(segment)
        except Unreachable as error:
            told = clean(f"the finalizer cannot be set, and nothing is made before: {error}")
            state = replace(self._state(segment.meta.key), trouble=(Reason.APPLY_FAILED, told))
            return state, CloudResults(trouble=error)
        return None

    async def _to_aws(
        self, segment: Segment, wish: Wish, known: tuple[Entry, ...], recorded: tuple[Entry, ...]
    ) -> tuple[CloudState, CloudResults]:
        if self._cloud is None or self._sights is None:
            return left_on_record(segment, known, _off())
        if account := await self._sights.stranger(wish.place):
            return replace(self._state(segment.meta.key), trouble=_elsewhere(account, wish.place)), CloudResults()
        everything = segment.meta.deleting or not wish.desired.objects
        rested = self._rested.pop(segment.meta.key, None) == wish.fingerprint
        sight = await self._sights.of(
            wish.desired,
            wish.owner,
            wish.place,
            wish.role_path,
            known,
            self._others(segment),
            everything=everything,
            at_rest=rested,
        )
        moment = Moment(self._now(), wish.restraint is Restraint.NONE)
        planned = look(
            wish.desired,
            sight,
            wish.owner,
            wish.terms,
            moment,
            inventory=recorded,
            stood=_stood(self._state(segment.meta.key)),
            paths=wish.paths,
        )
        for kept in planned.kept:
            _log.warning("%s: %s", segment.meta.key, clean(kept, MESSAGE))
        makes = any(step.makes for chain in planned.chains for step in chain)
        if makes and (held := await self._held_by(segment)) is not None:
            return held
        told = self._audited(segment.meta.key, wish.generation)
        results = await send(self._cloud, wish.place, wish.owner, planned.chains, told)
        if not planned.chains and not planned.findings:
            self._rested[segment.meta.key] = wish.fingerprint
        return _state(planned, results, moment), results

    def _others(self, segment: Segment) -> frozenset[str]:
        """Name the roles that other segments wish for: their names may begin like ours."""
        return frozenset(
            obj["metadata"]["name"]
            for key, wish in self._wishes.items()
            if key != segment.meta.key and key.namespace == segment.meta.namespace
            for obj in wish.desired.objects
            if obj["kind"] == names.IAM_ROLE
        )

    def _unable(self, wish: Wish | None) -> tuple[str, str] | None:
        """Say why what is wished is not this operator's to bring about."""
        backend = wish.backend if wish is not None else DIRECT
        return _off() if backend == DIRECT and self._cloud is None else self._controllers.unable(backend)

    def _state(self, key: Key) -> CloudState:
        return self._states.get(key, CloudState())

    def _note(self, key: Key, state: CloudState) -> None:
        """Keep what became of a look; the segment's report is due when it says something else."""
        if self._states.get(key) != state:
            self._states[key] = state
            self._due(key)

    async def _hold(self, segment: Segment) -> None:
        """Set our finalizer, before anything exists that would outlive the segment."""
        if not self.holds(segment):
            await self._cluster.apply(_finalized(segment, names.AWS_FINALIZER))
            self._held.add(segment.meta.uid)

    async def _release(self, segment: Segment) -> None:
        """Take our finalizer off: nothing of the segment is left in AWS, or what is left is retained."""
        if self.holds(segment):
            await self._cluster.apply(_finalized(segment))
            self._held.discard(segment.meta.uid)


def _state(planned: CloudPlan, results: CloudResults, moment: Moment) -> CloudState:
    changes, withheld = settled(planned, results.made, results.undone, moment)
    # What ended everything is told once, and not for each call that met it.
    trouble = _trouble(results.trouble) if results.trouble is not None else None
    return CloudState(changes, () if trouble else tuple(results.failed), planned.findings, withheld, trouble)


def _stood(state: CloudState) -> dict[ObjectID, str]:
    """Give the fingerprints of what was as desired when it was last looked at."""
    stand = (c for c in state.changes.changes if not c.writes and c.desired is not None and c.live is not None)
    return {c.id: c.desired["metadata"]["annotations"][names.HASH_ANNOTATION] for c in stand if c.desired is not None}


def _elsewhere(account: str, place: Place) -> tuple[str, str]:
    return Reason.WRONG_ACCOUNT.value, f"our credentials are of account {account}, and the class's is {place.account}"


def _off() -> tuple[str, str]:
    return Reason.SWITCHED_OFF.value, "this operator makes nothing in AWS: its setting `aws` is off"


def _trouble(error: Unreachable) -> tuple[str, str]:
    if isinstance(error, NoCredentials):
        told = f"AWS does not know who is asking: {error}; give the operator's account a role, or set its setting `aws` to off"
        return Reason.NO_CREDENTIALS.value, clean(told)
    if isinstance(error, Rejected) and error.status == 429:
        return Reason.THROTTLED.value, clean(f"AWS asks for patience, tried again later: {error.message}")
    if isinstance(error, Rejected) and error.status < 500:
        return Reason.APPLY_FAILED.value, clean(f"{error.reason}: {error.message}")
    return Reason.UNREACHABLE.value, clean(f"AWS gives no answer, tried again later: {error}")


def _finalized(segment: Segment, *finalizers: str) -> dict[str, object]:
    """Give a segment as our field manager applies it: nothing but its identity and our finalizer."""
    meta = segment.meta
    identity: dict[str, object] = {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid}
    held = {"finalizers": list(finalizers)} if finalizers else {}
    return {"apiVersion": names.API_VERSION, "kind": names.SEGMENT, "metadata": {**identity, **held}}
