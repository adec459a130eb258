"""The corridor: gather → resolve → compile → plan → apply → report, for one segment, one class or one grant.

Every door that it passes decides nothing here: this file is read aloud, the rooms do the work.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace

from pipesegment import names
from pipesegment.compile.canonical import stamped
from pipesegment.compile.desired import Desired, ObjectID
from pipesegment.compile.isolation import isolation
from pipesegment.compile.networkpolicy import network_policies
from pipesegment.compile.segment import compile_segment
from pipesegment.enforcing import Enforcer, default_deny, living_classes, made_for
from pipesegment.errors import Refused
from pipesegment.facts.meta import Key
from pipesegment.facts.snapshot import Class, Segment, Snapshot
from pipesegment.findings import Finding
from pipesegment.plan import cut, elsewhere
from pipesegment.plan.live import Entry, Live
from pipesegment.plan.sequence import Restraint
from pipesegment.reach import governance, sealing
from pipesegment.reach.graph import Reach
from pipesegment.reach.resolve import resolve
from pipesegment.report.outcome import Outcome
from pipesegment.world.applying import OnCall, Results
from pipesegment.world.facts_source import Surroundings
from pipesegment.world.owned import OwnedObjects

Audited = Callable[[Key, int, Reach | None], OnCall]


class Corridor:
    """Walks one key from its facts to what enforces it."""

    def __init__(self, surroundings: Surroundings, owned: OwnedObjects, enforcer: Enforcer, audited: Audited) -> None:
        self._surroundings = surroundings
        self._owned = owned
        self._enforcer = enforcer
        self._audited = audited

    async def segment(
        self,
        segment: Segment,
        inventory: Iterable[Entry],
        resolved: Callable[[Reach], None],
        refused: Callable[[Key, Iterable[str]], None],
        ended: Callable[[], Mapping[str, str]],
    ) -> Outcome:
        """Bring one segment's objects to what it declares.

        `resolved` hears of the Reach before anything is awaited: what changes from then on must make the segment due.
        Of one that is `refused` it is what happens in the other namespaces that it has objects in. `ended` gives stages for
        which an exception is in force no more, or that are sealed, by which one: they are closed though nobody can say
        what should stand instead. They are closed as well when it is we who fail at the segment (`Outcome.fault`).
        """
        snapshot = self._surroundings.snapshot
        generation = segment.meta.generation
        try:
            reach = resolve(segment, snapshot)
            # Whether two objects share a name may depend on facts too: what ends a refusal must make the segment due.
            resolved(reach)
            desired = compile_segment(reach)
        except Refused as error:
            abroad = {t: o.live for t, o in self._owned.of(segment.meta.key).items() if o.segment_uid}
            refused(segment.meta.key, {target.namespace for target in abroad})
            results = await self._withdraw(segment, abroad) if abroad else Results()
            closed, shut = await self._cut(segment, ended())
            failed = tuple(f.told for f in (*results.failures, *closed.failures))
            return Outcome(generation, error.refusals, failed=failed, shut=shut)
        except Exception as fault:  # noqa: BLE001 - what failed is unknown: a seal must arrive all the same
            closed, shut = await self._cut(segment, ended())
            return Outcome(generation, failed=tuple(f.told for f in closed.failures), shut=shut, fault=fault)
        told = self._audited(segment.meta.key, generation, reach)
        restraint = _restraint(segment, reach, snapshot)
        ours = desired.in_cluster
        live = self._enforcer.live(ours)
        sealed = frozenset(stage.key.stage for stage in reach.stages if stage.sealed)
        changes, results, withheld = await self._enforcer.enforce(
            ours, live, tuple(inventory), restraint, told, segment, sealed
        )
        if restraint is Restraint.HELD:
            # What should stand instead nobody knows, only that this must not.
            results.failures += (await self._cut(segment, ended()))[0].failures
        failed = tuple(f.told for f in results.failures)
        return Outcome(
            generation, reach.every_refusal, reach, desired, changes, failed, withheld, results.done, restraint
        )

    async def _withdraw(self, segment: Segment, abroad: Mapping[ObjectID, Live]) -> Results:
        """Take away what a segment whose words have no meaning has in other namespaces without their consent."""
        whole = await self._enforcer.read(abroad)
        snapshot = self._surroundings.snapshot
        left = {t: live for t, live in abroad.items() if elsewhere.is_withdrawn(segment, snapshot, live, whole[t])}
        told = self._audited(segment.meta.key, segment.meta.generation, None)
        nothing = Desired(segment.meta.key, segment.meta.uid, ())
        _, results, _ = await self._enforcer.enforce(nothing, left, (), Restraint.NONE, told)
        return results

    async def going(
        self, segment: Segment, ended: Mapping[str, str], inventory: Iterable[Entry], *, orphaned: bool
    ) -> Outcome:
        """Shut stages of a segment that is being deleted, however long that takes; `orphaned` ones outlive it."""
        results, shut = await self._cut(segment, ended, tuple(inventory), orphaned=orphaned)
        failed = tuple(f.told for f in results.failures)
        return Outcome(segment.meta.generation, failed=failed, going=True, shut=shut)

    async def _cut(
        self,
        segment: Segment,
        ended: Mapping[str, str],
        inventory: tuple[Entry, ...] = (),
        *,
        orphaned: bool = False,
    ) -> tuple[Results, frozenset[str]]:
        """Shut what stands of stages whose segment says nothing that has a meaning; gives those that are closed now."""
        owned = {t: o.live for t, o in self._owned.of(segment.meta.key).items()}
        # A seal that was lifted meanwhile holds nobody's hands any more.
        ended = {**dict.fromkeys(cut.marked(segment.meta.key, self._surroundings.snapshot), ""), **ended}
        if not ended:
            return Results(), frozenset()
        concerned = cut.concerned(owned, segment.meta.namespace, ended)
        snapshot = self._surroundings.snapshot
        made = network_policies(sealing.alone(segment, snapshot, ended))
        missing = {ObjectID.of(obj): stamped(obj) for obj in made if ObjectID.of(obj) not in concerned}
        if orphaned or _is_going(segment.meta.namespace, snapshot):
            missing = {}
        whole = {t: obj for t, obj in (await self._enforcer.read((*concerned, *missing))).items() if obj is not None}
        live = {t: Live.of(obj, whole=False) for t, obj in whole.items()}
        standing = [obj for t, obj in whole.items() if t in concerned]
        desired = cut.cut(segment.meta.key, segment.meta.uid, standing, ended, orphaned=orphaned)
        desired = replace(desired, objects=(*desired.objects, *missing.values()))
        told = self._audited(segment.meta.key, segment.meta.generation, None)
        kept = tuple(entry for entry in inventory if entry.id in live)
        changes, results, _ = await self._enforcer.enforce(desired, live, kept, Restraint.NONE, told)
        return results, cut.fenced(changes, results.done)

    async def gone(self, key: Key, *, going: bool = False) -> Results:
        """Take away what a segment left behind; much of it goes by its ownerReferences as well.

        Of one that is still `going`, what is in its own namespace stays: it is enforced until the end, and whoever
        deletes with `--cascade=orphan` keeps it.
        """
        left = {t: o.live for t, o in self._owned.of(key).items()}
        if going:
            left = {t: found for t, found in left.items() if found.segment_uid}
        owners = {found.segment_uid or found.owner for found in left.values()}
        results = Results()
        told = self._audited(key, 0, None)
        # Labels are claims: an object that names no owner, or a living one, is not ours to delete.
        for uid in sorted(owners - self._living(key) - {""}) if owners else ():
            _, done, _ = await self._enforcer.enforce(Desired(key, uid, ()), left, (), Restraint.NONE, told)
            results.done |= done.done
            results.failures += done.failures
        return results

    def _living(self, key: Key) -> set[str]:
        """Give the uids of every segment but this one that exists and is not being deleted."""
        segments = (s.meta for by in self._surroundings.snapshot.segments.values() for s in by.values())
        return {m.uid for m in segments if not m.deleting and m.key != key}

    async def isolation(self, found: Class) -> tuple[tuple[Finding, ...], Results]:
        """Bring `pipesegment-default-deny` to every namespace that a class isolates, and take it from those it does not.

        What a class that is gone left behind is for the class that governs there now.
        """
        snapshot = self._surroundings.snapshot
        assert found.spec is not None
        own = Key("", found.meta.name)
        governs, kept = governed(own.name, snapshot), self._kept(own, snapshot)
        namespaces = {n: snapshot.namespaces[n].meta.uid for n in (*governs, *kept)}
        desired = isolation(own.name, found.meta.uid, found.spec, namespaces)
        live = {**self._left_behind(governs, snapshot), **self._enforcer.live(desired)}
        desired, live = _without_changes(kept, desired, live)
        told = self._audited(own, found.meta.generation, None)
        changes, results, _ = await self._enforcer.enforce(desired, live, (), Restraint.NONE, told)
        return (*desired.gaps, *changes.conflicts()), results

    def _kept(self, own: Key, snapshot: Snapshot) -> frozenset[str]:
        """Give the isolated namespaces that stay as they are: nobody can be said to govern them, or they are going."""
        isolated = {target.namespace for target in self._owned.of(made_for(own))} & snapshot.namespaces.keys()
        return frozenset(n for n in isolated if governance.govern(n, snapshot).stalled or _is_going(n, snapshot))

    def _left_behind(self, namespaces: Iterable[str], snapshot: Snapshot) -> dict[ObjectID, Live]:
        """Find the default denies of classes that are gone."""
        living = living_classes(snapshot)
        held = (self._owned.get(default_deny(namespace)) for namespace in namespaces)
        return {o.id: o.live for o in held if o is not None and o.managed and o.owner_uid not in {"", *living}}


def _without_changes(
    namespaces: Container[str], desired: Desired, live: Mapping[ObjectID, Live]
) -> tuple[Desired, dict[ObjectID, Live]]:
    """Leave out of some namespaces what a class would change there; what it made before is repaired all the same."""
    wanted = {ObjectID.of(obj): obj["metadata"]["annotations"][names.HASH_ANNOTATION] for obj in desired.objects}
    changed = {t for t, found in live.items() if t.namespace in namespaces and found.hash != wanted.get(t)}
    objects = tuple(obj for obj in desired.objects if ObjectID.of(obj) not in changed)
    return replace(desired, objects=objects), {t: found for t, found in live.items() if t not in changed}


def governed(name: str, snapshot: Snapshot) -> tuple[str, ...]:
    """Give the namespaces that a class governs, sorted."""
    governing = (n for n, found in snapshot.namespaces.items() if not found.meta.deleting)
    return tuple(sorted(n for n in governing if governance.govern(n, snapshot).name == name))


def _restraint(segment: Segment, reach: Reach, snapshot: Snapshot) -> Restraint:
    governing = reach.governance
    wished = segment.spec is not None and segment.spec.suspend and governing.spec.guardrails.allow_suspend
    if not governing.known:
        return Restraint.HELD
    # The API server makes nothing in a namespace that is going. And while nobody governs, nobody can want anything new.
    if wished or governing.stalled or _is_going(reach.segment.namespace, snapshot):
        return Restraint.SUSPENDED
    if reach.refusals:
        return Restraint.NO_WIDENING
    return Restraint.SUSPENDED if reach.suspended else Restraint.NONE


def _is_going(namespace: str, snapshot: Snapshot) -> bool:
    found = snapshot.namespaces.get(namespace)
    return found is not None and found.meta.deleting
