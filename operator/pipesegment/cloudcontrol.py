"""The corridor to other controllers: read custom resources → plan → apply, for the roles of one segment.

It is the API server that is called, and still work apart: what a controller does not do holds up nothing of the network.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from pipesegment import names
from pipesegment.cloudwish import Wish
from pipesegment.compile.desired import Desired, Object, ObjectID, stage_of
from pipesegment.compile.iam.backends import CONTROLLERS, DIRECT, VERSIONS, maker
from pipesegment.compile.iam.controlled import Verdict
from pipesegment.errors import Unreachable
from pipesegment.facts.meta import Key
from pipesegment.facts.snapshot import Segment
from pipesegment.plan.aws.controllers import arrange, companions, cut_by, settled
from pipesegment.plan.aws.revocation import Standing
from pipesegment.plan.aws.settled import beginning
from pipesegment.plan.aws.steps import Moment
from pipesegment.plan.changes import ChangeSet
from pipesegment.plan.live import Entry
from pipesegment.plan.sequence import Wave
from pipesegment.report.outcome import CloudState, Failed
from pipesegment.report.text import clean, listing
from pipesegment.spec.status import Reason
from pipesegment.world import kinds
from pipesegment.world.applying import Applier, OnCall
from pipesegment.world.aws.applying import CloudResults
from pipesegment.world.kinds import Kind
from pipesegment.world.owned import OwnedObjects
from pipesegment.world.port import Cluster


class Controllers:
    """Brings custom resources about, those of the `backends` alone. `served` names the CRDs that exist."""

    def __init__(
        self,
        cluster: Cluster,
        owned: OwnedObjects,
        backends: Iterable[str],
        *,
        served: Callable[[], frozenset[str]],
        audited: Callable[[Key, int], OnCall],
    ) -> None:
        self._cluster = cluster
        self._owned = owned
        self._applier = Applier(cluster, owned)
        self._served = served
        self._audited = audited
        #: Cuts of sessions that were refused. The rights went meanwhile, so that nothing else would tell of them.
        self._owed: dict[Key, dict[str, Standing]] = {}
        self.backends = frozenset(backends)

    def unable(self, backend: str) -> tuple[str, str] | None:
        """Say why a backend's resources are none of ours to write; None when they are, or it is nobody else's work."""
        if backend == DIRECT or backend in self.backends:
            return None
        return (
            Reason.SWITCHED_OFF.value,
            f"this operator writes nothing for {backend}: its setting `aws_backends` leaves it out",
        )

    def beyond(self, known: Iterable[Entry]) -> tuple[str, str] | None:
        """Say why something that was written before is none of ours to write any more."""
        versions = {entry.id.api_version for entry in known}
        made = [name for name, theirs in VERSIONS.items() if theirs & versions and self.unable(name) is not None]
        if not made:
            return None
        told = f"{made[0]} made roles of this segment: keep it in the operator's setting `aws_backends` until they are gone"
        return Reason.SWITCHED_OFF.value, told

    def absent(self, objects: Iterable[Object]) -> frozenset[ObjectID]:
        """Name what cannot be written, for its kind is not there; without the kinds of a role nothing of its stage can."""
        return frozenset(ObjectID.of(obj) for obj in _absent(tuple(objects), self._served()))

    def missing(self, objects: Iterable[Object]) -> tuple[str, str] | None:
        """Say which kinds of objects are not there."""
        return _missing((obj for obj in objects if ObjectID.of(obj).by_controller), self._served())

    def makers(self, segment: Segment) -> frozenset[str]:
        """Name the controllers whose resources stand for a segment, also where they are about to go."""
        owned = self._owned.of(segment.meta.key).values()
        return frozenset(maker(each.id.api_version) for each in owned if each.segment_uid == segment.meta.uid)

    def not_yet(self) -> tuple[CloudState, CloudResults] | None:
        """Say why nothing can be written yet; None when it can."""
        if not self._owned.synced:
            waiting = "the custom resources by which others make roles are not read yet"
            return CloudState(trouble=(Reason.PROGRESSING.value, waiting)), CloudResults(trouble=Unreachable(waiting))
        return None

    async def walk(
        self, wish: Wish, recorded: tuple[Entry, ...], known: Iterable[Entry], moment: Moment
    ) -> tuple[CloudState, CloudResults]:
        """Bring about what of a wish is other controllers' to make; tells what they say of it. Not while it is `not_yet`."""
        desired, absent = wish.desired, self.absent(wish.desired.objects)
        try:
            live = await self._read(
                (
                    *map(ObjectID.of, (*desired.objects, *companions(desired))),
                    *(e.id for e in (*recorded, *known)),
                    *self._owned.of(desired.segment),
                )
            )
        except Unreachable as error:
            told = (Reason.UNREACHABLE.value, clean(f"the API server gives no answer, tried again later: {error}"))
            return CloudState(trouble=told), CloudResults(trouble=error)
        planned = arrange(
            desired,
            live,
            moment,
            deletes=wish.terms.deletes,
            inventory=recorded,
            paths=wish.paths,
            absent=absent,
            owed=self._owed.pop(desired.segment, {}),
        )
        on_call = self._audited(desired.segment, wish.generation)
        done: dict[ObjectID, str] = {}
        failed: list[Failed] = []
        writes = 0
        for sequence in planned.sequences:
            # One stage that fails holds back no other, and nothing that only takes rights holds back the like.
            results = await self._applier.run(sequence, on_call, taking=Wave.NARROW)
            done |= results.finished
            failed += [failure.told for failure in results.failures]
            uncut = {cut_by(f.step.object) for f in results.failures if f.step.object is not None}
            if owed := {role: cut for role, cut in planned.cuts.items() if role in uncut}:
                self._owed.setdefault(desired.segment, {}).update(owed)
            writes += results.writes
        trouble = None if failed else _missing(desired.objects, self._served())
        if not (failed or planned.findings or planned.withheld):
            trouble = trouble or _told(desired.objects, live, done)
        changes = settled(planned, desired, done)
        state = CloudState(changes, tuple(failed), planned.findings, planned.withheld, trouble)
        return state, CloudResults(failed=failed, writes=writes)

    async def _read(self, targets: Iterable[ObjectID]) -> dict[ObjectID, Object]:
        served = self._served()
        asked = sorted({t for t in targets if t.by_controller and kinds.KNOWN[t.api_version, t.kind].crd in served})
        found = await asyncio.gather(*(self._cluster.get(target) for target in asked))
        return {target: obj for target, obj in zip(asked, found, strict=True) if obj is not None}


def left_on_record(
    segment: Segment, known: Iterable[Entry], trouble: tuple[str, str]
) -> tuple[CloudState, CloudResults]:
    """Keep what was made before on record, where it is not ours to take away any more."""
    nothing = Desired(segment.meta.key, segment.meta.uid, ())
    return CloudState(
        beginning(nothing, {entry.id: entry for entry in known}.values()), trouble=trouble
    ), CloudResults()


def part_of(entries: Iterable[Entry], by_controller: bool) -> tuple[Entry, ...]:
    """Give the entries of what other controllers make, or of what is made here."""
    return tuple(entry for entry in entries if entry.id.by_controller is by_controller)


def together(parts: Iterable[tuple[CloudState, CloudResults]]) -> tuple[CloudState, CloudResults]:
    """Put what came of AWS and what came of other controllers together."""
    sum_of, results = CloudState(), CloudResults()
    for state, done in parts:
        sum_of = CloudState(
            ChangeSet((*sum_of.changes.changes, *state.changes.changes)),
            (*sum_of.failed, *state.failed),
            (*sum_of.findings, *state.findings),
            (*sum_of.withheld, *state.withheld),
            sum_of.trouble or state.trouble,
        )
        results.failed += done.failed
        results.writes += done.writes
        results.trouble = results.trouble or done.trouble
    return sum_of, results


def _kind(obj: Object) -> Kind:
    return kinds.KNOWN[obj["apiVersion"], obj["kind"]]


def _absent(objects: tuple[Object, ...], served: frozenset[str]) -> Iterable[Object]:
    unserved = [obj for obj in objects if _kind(obj).crd not in served]
    without = {stage_of(obj) for obj in unserved if obj["kind"] != names.POD_IDENTITY_ASSOCIATION}
    return (obj for obj in objects if obj in unserved or stage_of(obj) in without)


def _missing(objects: Iterable[Object], served: frozenset[str]) -> tuple[str, str] | None:
    """Tell which kinds are not there yet; then nothing is made that needs them."""
    absent = sorted({_kind(obj).crd for obj in objects} - served)
    told = f"not installed, so that nobody makes what needs them: {', '.join(absent)}"
    return (Reason.BACKEND_MISSING.value, told) if absent else None


def _told(
    objects: Iterable[Object], live: Mapping[ObjectID, Object], done: Mapping[ObjectID, str]
) -> tuple[str, str] | None:
    """Give what the controllers say of what is desired, what cannot be before what is not yet."""
    verdicts = [verdict for obj in objects if (verdict := _verdict(ObjectID.of(obj), live, done)) is not None]
    for how, reason in (("fails", Reason.BACKEND_FAILED), ("waits", Reason.PROGRESSING)):
        found = [verdict.message for verdict in verdicts if verdict.how == how]
        if found:
            return reason.value, listing(found)
    return None


def _verdict(target: ObjectID, live: Mapping[ObjectID, Object], done: Mapping[ObjectID, str]) -> Verdict | None:
    obj = live.get(target)
    if obj is None or target in done:
        return Verdict("waits", f"{target} is written, and its controller has said nothing yet")
    return CONTROLLERS[maker(obj["apiVersion"])].verdict(obj)
