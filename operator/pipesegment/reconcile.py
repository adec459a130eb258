"""The corridor: gather → resolve → compile → plan → apply → report, for one segment, one class or one grant.

Every door that it passes decides nothing here: this file is read aloud, the rooms do the work.
"""

import asyncio
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace

from pipesegment import names
from pipesegment.compile.canonical import stamped
from pipesegment.compile.desired import Desired, Object, ObjectID
from pipesegment.compile.isolation import isolation
from pipesegment.compile.networkpolicy import network_policies
from pipesegment.compile.segment import compile_segment
from pipesegment.errors import Refused
from pipesegment.facts.snapshot import Class, Key, Segment, Snapshot
from pipesegment.findings import Finding
from pipesegment.plan import cut, elsewhere
from pipesegment.plan.changes import ChangeSet, plan, unverified
from pipesegment.plan.live import Entry, Live
from pipesegment.plan.order import needs, safe_sequence
from pipesegment.plan.sequence import Restraint
from pipesegment.reach import governance, sealing
from pipesegment.reach.graph import Reach
from pipesegment.reach.isolation import isolates
from pipesegment.reach.resolve import resolve
from pipesegment.report.outcome import Outcome
from pipesegment.world.applying import Applier, OnCall, Results
from pipesegment.world.facts_source import Surroundings
from pipesegment.world.owned import OwnedObjects
from pipesegment.world.port import Cluster

Audited = Callable[[Key, int, Reach | None], OnCall]


class Corridor:
    """Walks one key from its facts to what enforces it."""

    def __init__(self, cluster: Cluster, surroundings: Surroundings, owned: OwnedObjects, audited: Audited) -> None:
        self._cluster = cluster
        self._surroundings = surroundings
        self._owned = owned
        self._audited = audited
        self._applier = Applier(cluster, owned)

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
        what should stand instead.
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
        told = self._audited(segment.meta.key, generation, reach)
        restraint = _restraint(segment, reach, snapshot)
        ours = desired.in_cluster
        live = self._live(ours)
        sealed = frozenset(stage.key.stage for stage in reach.stages if stage.sealed)
        changes, results, withheld = await self._enforce(ours, live, tuple(inventory), restraint, told, segment, sealed)
        if restraint is Restraint.HELD:
            # What should stand instead nobody knows, only that this must not.
            results.failures += (await self._cut(segment, ended()))[0].failures
        failed = tuple(f.told for f in results.failures)
        return Outcome(
            generation, reach.every_refusal, reach, desired, changes, failed, withheld, results.done, restraint
        )

    async def _withdraw(self, segment: Segment, abroad: Mapping[ObjectID, Live]) -> Results:
        """Take away what a segment whose words have no meaning has in other namespaces without their consent."""
        whole = await self._read(abroad)
        snapshot = self._surroundings.snapshot
        left = {t: live for t, live in abroad.items() if elsewhere.is_withdrawn(segment, snapshot, live, whole[t])}
        told = self._audited(segment.meta.key, segment.meta.generation, None)
        nothing = Desired(segment.meta.key, segment.meta.uid, ())
        _, results, _ = await self._enforce(nothing, left, (), Restraint.NONE, told)
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
        whole = {t: obj for t, obj in (await self._read((*concerned, *missing))).items() if obj is not None}
        live = {t: Live.of(obj, whole=False) for t, obj in whole.items()}
        standing = [obj for t, obj in whole.items() if t in concerned]
        desired = cut.cut(segment.meta.key, segment.meta.uid, standing, ended, orphaned=orphaned)
        desired = replace(desired, objects=(*desired.objects, *missing.values()))
        told = self._audited(segment.meta.key, segment.meta.generation, None)
        kept = tuple(entry for entry in inventory if entry.id in live)
        changes, results, _ = await self._enforce(desired, live, kept, Restraint.NONE, told)
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
            _, done, _ = await self._enforce(Desired(key, uid, ()), left, (), Restraint.NONE, told)
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
        live = {**self._left_behind(governs, snapshot), **self._live(desired)}
        desired, live = _without_changes(kept, desired, live)
        told = self._audited(own, found.meta.generation, None)
        changes, results, _ = await self._enforce(desired, live, (), Restraint.NONE, told)
        return (*desired.gaps, *changes.conflicts()), results

    def _kept(self, own: Key, snapshot: Snapshot) -> frozenset[str]:
        """Give the isolated namespaces that stay as they are: nobody can be said to govern them, or they are going."""
        isolated = {target.namespace for target in self._owned.of(_made_for(own))} & snapshot.namespaces.keys()
        return frozenset(n for n in isolated if governance.govern(n, snapshot).stalled or _is_going(n, snapshot))

    def _left_behind(self, namespaces: Iterable[str], snapshot: Snapshot) -> dict[ObjectID, Live]:
        """Find the default denies of classes that are gone."""
        living = _classes(snapshot)
        held = (self._owned.get(_deny(namespace)) for namespace in namespaces)
        return {o.id: o.live for o in held if o is not None and o.managed and o.owner_uid not in {"", *living}}

    async def _enforce(
        self,
        desired: Desired,
        live: dict[ObjectID, Live],
        inventory: tuple[Entry, ...],
        restraint: Restraint,
        told: OnCall,
        segment: Segment | None = None,
        sealed: frozenset[str] = frozenset(),
    ) -> tuple[ChangeSet, Results, tuple[ObjectID, ...]]:
        known = self._applier.remembered
        hinted = [e.id for e in inventory if e.id not in live and self._owned.follows(e.id)]
        for target, obj in (await self._read((*unverified(desired, live, known), *hinted))).items():
            if obj is not None:
                live[target] = Live.of(obj)
            else:
                live.pop(target, None)
        for target in (*self._inherited(desired, live), *_stripped(desired, live, inventory)):
            live[target] = replace(live[target], owner=desired.uid)
        changes = plan(desired, live, inventory, known)
        self._remember_verified(changes)
        if not changes.writes:
            return changes, Results(), ()
        whole = await self._read(needs(changes, restraint))
        around = await self._around(changes)
        withdrawn = elsewhere.withdrawn(segment, self._surroundings.snapshot, changes, whole)
        sequence = safe_sequence(changes, whole, around, restraint, withdrawn, sealed)
        return changes, await self._applier.run(sequence, told), sequence.withheld

    def _live(self, desired: Desired) -> dict[ObjectID, Live]:
        """Gather what is labelled for this owner, and whatever holds a name that is needed."""
        wanted = {ObjectID.of(obj) for obj in desired.objects}
        labelled = self._owned.of(_made_for(desired.segment)).items()
        found = {t: owned.live for t, owned in labelled if t in wanted or not self._has_heir(desired.segment, t)}
        for target in wanted - found.keys():
            other = self._holder(target)
            if other is not None:
                found[target] = other
        return found

    def is_free(self, target: ObjectID) -> bool:
        """Tell whether nobody holds a name, as far as is known."""
        return self._holder(target) is None

    def _has_heir(self, owner: Key, target: ObjectID) -> bool:
        """Tell whether a class's isolation goes on under another class: then that one takes it over as it stands."""
        if owner.namespace:
            return False
        governing = governance.govern(target.namespace, self._surroundings.snapshot)
        return governing.name != owner.name and isolates(governing.spec, target.namespace)

    def _inherited(self, desired: Desired, live: Mapping[ObjectID, Live]) -> list[ObjectID]:
        """Name the default denies of other classes that this one decides about: where it isolates, and what is left behind."""
        if desired.segment.namespace:
            return []
        wanted, living = {ObjectID.of(obj) for obj in desired.objects}, _classes(self._surroundings.snapshot)
        made = [t for t, found in live.items() if t.name == names.DEFAULT_DENY and names.CLASS_LABEL in found.labels]
        return [t for t in made if live[t].managed_by_us and (t in wanted or live[t].owner not in {"", *living})]

    def _holder(self, target: ObjectID) -> Live | None:
        owned = self._owned.get(target)
        if owned is not None:
            return owned.live
        if target.kind != "NetworkPolicy":
            return None
        other = self._surroundings.snapshot.policies.get(target.namespace, {}).get(target.name)
        if other is None or other.meta.labels.get(names.MANAGED_BY_LABEL) == names.MANAGED_BY:
            # Ours by its label, but not in our own store: it was deleted a moment ago.
            return None
        return Live(target, other.meta.uid, deleting=other.meta.deleting, labels=other.meta.labels)

    async def _read(self, targets: Iterable[ObjectID]) -> dict[ObjectID, Object | None]:
        asked = tuple(targets)
        found = await asyncio.gather(*(self._cluster.get(target) for target in asked))
        return dict(zip(asked, found, strict=True))

    def forget(self, target: ObjectID) -> None:
        """Forget an object that somebody deleted."""
        self._applier.forget(target)

    def _remember_verified(self, changes: ChangeSet) -> None:
        for change in changes.changes:
            if not change.writes and change.live is not None and change.live.object is not None:
                self._applier.verified(change.live)

    async def _around(self, changes: ChangeSet) -> list[Object]:
        """Give the policies of others in the namespaces concerned: they keep isolated what ours leave."""
        namespaces = sorted({change.id.namespace for change in changes.writes})
        snapshot = self._surroundings.snapshot
        foreign = [
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"namespace": namespace, "name": name},
                "spec": policy.spec,
            }
            for namespace in namespaces
            for name, policy in snapshot.policies.get(namespace, {}).items()
            if not policy.owned
        ]
        return [*foreign, *[deny for name in namespaces if (deny := await self._default_deny(name)) is not None]]

    async def _default_deny(self, namespace: str) -> Object | None:
        """Give the isolation of a namespace, where it is in place."""
        target, snapshot = _deny(namespace), self._surroundings.snapshot
        held = self._owned.get(target)
        if held is None or held.deleting:
            return None
        governing = governance.govern(namespace, snapshot)
        spaces = {namespace: snapshot.namespaces[namespace].meta.uid} if namespace in snapshot.namespaces else {}
        made = isolation(governing.name, governing.uid, governing.spec, spaces).objects if governing.uid else ()
        if made and made[0]["metadata"]["annotations"][names.HASH_ANNOTATION] == held.hash:
            return made[0]
        # Of a class that governs no more, or not yet: it closes all the same.
        return await self._cluster.get(target)


def _stripped(desired: Desired, live: Mapping[ObjectID, Live], inventory: Iterable[Entry]) -> list[ObjectID]:
    """Name the objects that we recorded and that somebody took our ownerReference from: they are repaired."""
    recorded = {entry.id: entry.uid for entry in inventory}
    held = {t: live[t] for t in map(ObjectID.of, desired.objects) if t in live}
    return [t for t, found in held.items() if found.managed_by_us and not found.owner and recorded.get(t) == found.uid]


def _without_changes(
    namespaces: Container[str], desired: Desired, live: Mapping[ObjectID, Live]
) -> tuple[Desired, dict[ObjectID, Live]]:
    """Leave out of some namespaces what a class would change there; what it made before is repaired all the same."""
    wanted = {ObjectID.of(obj): obj["metadata"]["annotations"][names.HASH_ANNOTATION] for obj in desired.objects}
    changed = {t for t, found in live.items() if t.namespace in namespaces and found.hash != wanted.get(t)}
    objects = tuple(obj for obj in desired.objects if ObjectID.of(obj) not in changed)
    return replace(desired, objects=objects), {t: found for t, found in live.items() if t not in changed}


def _classes(snapshot: Snapshot) -> frozenset[str]:
    """Give the uids of the classes that can look after what they made."""
    return frozenset(c.meta.uid for c in snapshot.classes.values() if c.spec is not None and not c.meta.deleting)


def _made_for(owner: Key) -> Key:
    """Give an owner as the labels of its objects name it."""
    return owner if owner.namespace else Key("", names.label_value(owner.name))


def _deny(namespace: str) -> ObjectID:
    return ObjectID("networking.k8s.io/v1", "NetworkPolicy", namespace, names.DEFAULT_DENY)


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
