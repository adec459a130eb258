"""Brings what is live to what is desired: find what stands → plan → send it in a safe order.

Whose segment or class it is for, and why, the corridor knows (`reconcile`); here it is known whose objects are whose.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace

from pipesegment import names
from pipesegment.compile.desired import Desired, Object, ObjectID
from pipesegment.compile.isolation import isolation
from pipesegment.facts.meta import Key
from pipesegment.facts.snapshot import Segment, Snapshot
from pipesegment.plan import elsewhere
from pipesegment.plan.changes import Action, ChangeSet, plan, unverified
from pipesegment.plan.live import Entry, Live
from pipesegment.plan.order import needs, safe_sequence
from pipesegment.plan.sequence import Restraint
from pipesegment.reach import governance
from pipesegment.reach.isolation import isolates
from pipesegment.world.applying import Applier, OnCall, Results
from pipesegment.world.facts_source import Surroundings
from pipesegment.world.owned import OwnedObjects
from pipesegment.world.port import Cluster


class Enforcer:
    """Enforces one desired set after another, and remembers what the API server answered."""

    def __init__(self, cluster: Cluster, surroundings: Surroundings, owned: OwnedObjects) -> None:
        self._cluster = cluster
        self._surroundings = surroundings
        self._owned = owned
        self._applier = Applier(cluster, owned)

    async def enforce(
        self,
        desired: Desired,
        live: dict[ObjectID, Live],
        inventory: tuple[Entry, ...],
        restraint: Restraint,
        told: OnCall,
        segment: Segment | None = None,
        sealed: frozenset[str] = frozenset(),
    ) -> tuple[ChangeSet, Results, tuple[ObjectID, ...]]:
        """Bring about what is desired where it is not; gives what was withheld as well."""
        known = self._applier.remembered
        hinted = [e.id for e in inventory if e.id not in live and self._owned.follows(e.id)]
        for target, obj in (await self.read((*unverified(desired, live, known), *hinted))).items():
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
        whole = await self.read(needs(changes, restraint))
        around = await self._around(changes)
        withdrawn = elsewhere.withdrawn(segment, self._surroundings.snapshot, changes, whole)
        removed = _of_removed_stages(segment, changes)
        sequence = safe_sequence(changes, whole, around, restraint, withdrawn, sealed, removed)
        return changes, await self._applier.run(sequence, told), sequence.withheld

    def live(self, desired: Desired) -> dict[ObjectID, Live]:
        """Gather what is labelled for this owner, and whatever holds a name that is needed."""
        wanted = {ObjectID.of(obj) for obj in desired.objects}
        labelled = self._owned.of(made_for(desired.segment)).items()
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
        wanted, living = {ObjectID.of(obj) for obj in desired.objects}, living_classes(self._surroundings.snapshot)
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

    async def read(self, targets: Iterable[ObjectID]) -> dict[ObjectID, Object | None]:
        """Read objects as a whole; None for one that is not there."""
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
        return [*foreign, *[made for name in namespaces if (made := await self._isolation(name)) is not None]]

    async def _isolation(self, namespace: str) -> Object | None:
        """Give the isolation of a namespace, where it is in place."""
        target, snapshot = default_deny(namespace), self._surroundings.snapshot
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


def _of_removed_stages(segment: Segment | None, changes: ChangeSet) -> frozenset[ObjectID]:
    """Name the deletions of what stands of stages that a segment no longer has; one that only observes it still has."""
    stages = {stage.name for stage in segment.spec.stages} if segment and segment.spec else set()
    return frozenset(c.id for c in changes.of(Action.DELETED) if segment and c.stage and c.stage not in stages)


def _stripped(desired: Desired, live: Mapping[ObjectID, Live], inventory: Iterable[Entry]) -> list[ObjectID]:
    """Name the objects that we recorded and that somebody took our ownerReference from: they are repaired."""
    recorded = {entry.id: entry.uid for entry in inventory}
    held = {t: live[t] for t in map(ObjectID.of, desired.objects) if t in live}
    return [t for t, found in held.items() if found.managed_by_us and not found.owner and recorded.get(t) == found.uid]


def living_classes(snapshot: Snapshot) -> frozenset[str]:
    """Give the uids of the classes that can look after what they made."""
    return frozenset(c.meta.uid for c in snapshot.classes.values() if c.spec is not None and not c.meta.deleting)


def made_for(owner: Key) -> Key:
    """Give an owner as the labels of its objects name it."""
    return owner if owner.namespace else Key("", names.label_value(owner.name))


def default_deny(namespace: str) -> ObjectID:
    """Name the default deny of a namespace."""
    return ObjectID("networking.k8s.io/v1", "NetworkPolicy", namespace, names.DEFAULT_DENY)
