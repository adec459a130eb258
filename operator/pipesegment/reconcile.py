"""The corridor: gather → resolve → compile → plan → apply → report, for one segment, one class or one grant.

Every door that it passes decides nothing here: this file is read aloud, the rooms do the work.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from pipesegment import names
from pipesegment.compile.desired import Desired, Object, ObjectID
from pipesegment.compile.isolation import isolation
from pipesegment.compile.segment import compile_segment
from pipesegment.errors import Refused
from pipesegment.facts.snapshot import Class, Key, NetworkPolicy, Segment, ServiceAccount, Snapshot
from pipesegment.plan.changes import ChangeSet, plan, unverified
from pipesegment.plan.live import Entry, Live
from pipesegment.plan.order import needs, safe_sequence
from pipesegment.plan.sequence import Restraint
from pipesegment.reach import governance
from pipesegment.reach.graph import Reach
from pipesegment.reach.resolve import resolve
from pipesegment.report.outcome import Outcome
from pipesegment.world.applying import Applier, OnCall, Results
from pipesegment.world.facts_source import Surroundings
from pipesegment.world.owned import Owned, OwnedObjects
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

    async def segment(self, segment: Segment, inventory: Iterable[Entry]) -> Outcome:
        """Bring one segment's objects to what it declares."""
        snapshot = self._surroundings.snapshot
        generation = segment.meta.generation
        try:
            reach = resolve(segment, snapshot)
            desired = compile_segment(reach)
        except Refused as refused:
            return Outcome(generation, refusals=refused.refusals)
        told = self._audited(segment.meta.key, generation, reach)
        changes, results, withheld = await self._enforce(desired, tuple(inventory), _restraint(reach), told)
        failed = tuple(f.told for f in results.failures)
        return Outcome(generation, reach.refusals, reach, desired, changes, failed, withheld, results.done)

    async def gone(self, key: Key) -> Results:
        """Take away what a segment left behind; its own namespace's objects go by their ownerReferences as well."""
        left = self._owned.of(key)
        owners = {owned.owner_uid for owned in left.values() if owned.segment_uid == ""}
        owners |= {owned.segment_uid for owned in left.values() if owned.segment_uid}
        results = Results()
        told = self._audited(key, 0, None)
        for uid in sorted(owners):
            nothing = Desired(key, uid, ())
            _, done, _ = await self._enforce(nothing, (), Restraint.NONE, told)
            results.done |= done.done
            results.failures += done.failures
        return results

    async def isolation(self, found: Class) -> tuple[Desired, Results]:
        """Bring `pipesegment-default-deny` to every namespace that a class isolates."""
        snapshot = self._surroundings.snapshot
        assert found.spec is not None
        namespaces = {*governed(found.meta.name, snapshot), *self._undecided(found.meta.name, snapshot)}
        desired = isolation(found.meta.name, found.meta.uid, found.spec, namespaces)
        told = self._audited(Key("", found.meta.name), found.meta.generation, None)
        _, results, _ = await self._enforce(desired, (), Restraint.NONE, told)
        return desired, results

    def _undecided(self, name: str, snapshot: Snapshot) -> Iterable[str]:
        """Give the namespaces that this class isolates and that nobody can be said to govern: they stay closed."""
        isolated = {target.namespace for target in self._owned.of(Key("", name))}
        return (n for n in isolated if governance.govern(n, snapshot).stalled)

    async def _enforce(
        self, desired: Desired, inventory: tuple[Entry, ...], restraint: Restraint, told: OnCall
    ) -> tuple[ChangeSet, Results, tuple[ObjectID, ...]]:
        live = self._live(desired)
        for target, obj in (await self._read(unverified(desired, live, self._applier.remembered))).items():
            if obj is None:
                del live[target]
            else:
                live[target] = Live.of(obj)
        changes = plan(desired, live, inventory, self._applier.remembered)
        self._remember_verified(changes)
        if not changes.writes:
            return changes, Results(), ()
        whole = await self._read(needs(changes, restraint))
        sequence = safe_sequence(changes, whole, self._around(changes), restraint)
        return changes, await self._applier.run(sequence, told), sequence.withheld

    def _live(self, desired: Desired) -> dict[ObjectID, Live]:
        """Gather what is labelled for this owner, and whatever holds a name that is needed."""
        found = {target: _live(owned) for target, owned in self._owned.of(desired.segment).items()}
        for obj in desired.objects:
            target = ObjectID.of(obj)
            if target not in found and (other := self._holder(target)) is not None:
                found[target] = other
        return found

    def _holder(self, target: ObjectID) -> Live | None:
        owned = self._owned.get(target)
        if owned is not None:
            return _live(owned)
        snapshot = self._surroundings.snapshot
        held: Mapping[str, Mapping[str, NetworkPolicy | ServiceAccount]] = {}
        if target.kind == "NetworkPolicy":
            held = snapshot.policies
        elif target.kind == "ServiceAccount":
            held = snapshot.accounts
        other = held.get(target.namespace, {}).get(target.name)
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

    def _around(self, changes: ChangeSet) -> list[Object]:
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
            if not policy.meta.deleting
        ]
        return [*foreign, *(deny for namespace in namespaces for deny in self._default_deny(namespace, snapshot))]

    def _default_deny(self, namespace: str, snapshot: Snapshot) -> tuple[Object, ...]:
        """Give the class's isolation of a namespace, where it is in place."""
        target = ObjectID("networking.k8s.io/v1", "NetworkPolicy", namespace, names.DEFAULT_DENY)
        held = self._owned.get(target)
        governing = governance.govern(namespace, snapshot)
        if held is None or held.deleting or held.owner_uid != governing.uid:
            return ()
        return isolation(governing.name, governing.uid, governing.spec, [namespace]).objects


def governed(name: str, snapshot: Snapshot) -> tuple[str, ...]:
    """Give the namespaces that a class governs, sorted."""
    governing = (n for n, found in snapshot.namespaces.items() if not found.meta.deleting)
    return tuple(sorted(n for n in governing if governance.govern(n, snapshot).name == name))


def _restraint(reach: Reach) -> Restraint:
    if reach.refusals or reach.governance.stalled:
        return Restraint.NO_WIDENING
    return Restraint.SUSPENDED if reach.suspended else Restraint.NONE


def _live(owned: Owned) -> Live:
    labels: Mapping[str, str] = {
        names.SEGMENT_LABEL: owned.segment.name,
        **({names.STAGE_LABEL: owned.stage} if owned.stage else {}),
    }
    return Live(
        id=owned.id,
        uid=owned.uid,
        resource_version=owned.resource_version,
        generation=owned.generation,
        hash=owned.hash,
        owner=owned.owner_uid,
        segment_uid=owned.segment_uid,
        managed_by_us=owned.managed,
        deleting=owned.deleting,
        labels=labels,
    )
