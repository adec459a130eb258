"""What we own in the cluster: metadata alone, found by label, by segment or by class."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from sys import intern
from typing import Final

from pipesegment import names
from pipesegment.compile.desired import ObjectID
from pipesegment.facts.meta import Key
from pipesegment.plan.live import Live, owner_of
from pipesegment.world import kinds
from pipesegment.world.clock import Clock
from pipesegment.world.fleet import Fleet
from pipesegment.world.informer import Informer
from pipesegment.world.kinds import Kind
from pipesegment.world.port import Cluster, Json, Selection

#: Kinds of which the facts hold every object: here ours are followed. Of the others everybody's are, by their metadata, so
#: that a name that somebody else holds is known before anything is written (docs/adr/0005); what policies of others say
#: is followed beside, among the facts (docs/adr/0052).
_FACTS: Final = frozenset({kinds.NETWORK_POLICY})
#: Kinds of which others have any number, whose names hold a digest: a name that somebody holds is found by asking for it.
_OTHERS: Final = frozenset(kind for found in kinds.CONTROLLED.values() for kind in found)
_EVERY: Final = Selection(metadata_only=True)
_LABEL: Final = f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY}"


@dataclass(frozen=True, slots=True)
class Owned:
    """What is kept of one object that carries our label. Labels are only claims: `owner_uid` is what deletion trusts.

    `segment` is who it was made for (a SegmentClass has an empty namespace), `owner_uid` the uid of the owner of our kinds,
    `segment_uid` the segment's uid where the owner is somebody else, `hash` what was applied last. `managed` is False
    for somebody else's object of a kind that is followed as a whole.
    """

    id: ObjectID
    uid: str
    resource_version: str
    generation: int
    hash: str
    owner_uid: str
    segment_uid: str
    segment: Key
    stage: str
    part: str
    deleting: bool
    managed: bool

    @property
    def live(self) -> Live:
        """Give it as a plan sees it."""
        made_for = names.SEGMENT_LABEL if self.segment.namespace else names.CLASS_LABEL
        stage = {names.STAGE_LABEL: self.stage} if self.stage else {}
        part = {names.PART_LABEL: self.part} if self.part else {}
        return Live(
            id=self.id,
            uid=self.uid,
            resource_version=self.resource_version,
            generation=self.generation,
            hash=self.hash,
            owner=self.owner_uid,
            segment_uid=self.segment_uid,
            managed_by_us=self.managed,
            deleting=self.deleting,
            labels={made_for: self.segment.name, **stage, **part},
        )


#: (who the object was made for, which object)
OnOwned = Callable[[Key, ObjectID], None]


class OwnedObjects(Fleet):
    """Every object of the owned kinds with our label, by segment; of kinds that are no facts, everybody's objects.

    `on_change` is told of every change that was not announced by `wrote` or `deleted` while `writing`: drift.
    """

    def __init__(
        self,
        cluster: Cluster,
        on_change: OnOwned,
        *,
        owned_kinds: Sequence[Kind] = kinds.OWNED,
        clock: Clock | None = None,
    ) -> None:
        self._tell = on_change
        self._announced = False
        self._writing: dict[ObjectID, set[Key]] = {}
        self._by_segment: dict[Key, dict[ObjectID, Owned]] = {}
        ours = Selection(labels=_LABEL, metadata_only=True)
        self._by_kind = {
            (kind.group, kind.kind): Informer(
                cluster,
                kind,
                project,
                self._changed,
                selection=ours if kind in _FACTS | _OTHERS else _EVERY,
                clock=clock,
            )
            for kind in owned_kinds
        }
        super().__init__(tuple(self._by_kind.values()))

    def of(self, segment: Key) -> Mapping[ObjectID, Owned]:
        """Give what was made for a segment, or (empty namespace) for a class; a view."""
        return self._by_segment.get(segment, {})

    def get(self, target: ObjectID) -> Owned | None:
        """Find one object."""
        return self._informer(target).store.get(target.namespace, {}).get(target.name)

    def follows(self, target: ObjectID) -> bool:
        """Tell whether an object is of a kind that is ever owned."""
        return (target.api_version.rpartition("/")[0], target.kind) in self._by_kind

    @property
    def segments(self) -> frozenset[Key]:
        """Everybody who has objects, whether they still exist or not."""
        return frozenset(self._by_segment)

    @contextmanager
    def writing(self, target: ObjectID) -> Iterator[None]:
        """Hold back what the watch says of an object during a call of ours: it may be that very call.

        When the answer is not the newest that is known in the end, somebody else was there too, and it is told.
        """
        self._writing[target] = set()
        try:
            yield
        finally:
            # Two classes may be at one object, the one on what it saw a moment ago.
            for segment in self._writing.pop(target, ()):
                self._tell(segment, target)

    def wrote(self, obj: Json) -> None:
        """Take in the answer of a write of ours, so that its watch event is no news."""
        target = ObjectID.of(obj)
        self._announce(lambda: self._informer(target).put(obj))
        held = self.get(target)
        if held is not None and held.resource_version == obj["metadata"]["resourceVersion"]:
            self._writing.get(target, set()).clear()

    def deleted(self, target: ObjectID) -> None:
        """Take in that we deleted an object, so that its watch event is no news."""
        self._announce(lambda: self._informer(target).remove(target.namespace, target.name))
        if self.get(target) is None:
            self._writing.get(target, set()).clear()

    def _informer(self, target: ObjectID) -> Informer[Owned]:
        return self._by_kind[target.api_version.rpartition("/")[0], target.kind]

    def _announce(self, change: Callable[[], None]) -> None:
        self._announced = True
        try:
            change()
        finally:
            self._announced = False

    def _changed(self, _kind: str, old: Owned | None, new: Owned | None) -> None:
        if old is not None and (new is None or new.segment != old.segment):
            held = self._by_segment[old.segment]
            del held[old.id]
            if not held:
                del self._by_segment[old.segment]
        if new is not None:
            self._by_segment.setdefault(new.segment, {})[new.id] = new
        if self._announced:
            return
        for segment, target in {(owned.segment, owned.id) for owned in (old, new) if owned is not None}:
            if target in self._writing:
                self._writing[target].add(segment)
            else:
                self._tell(segment, target)


def project(obj: Json) -> Owned:
    """Keep what matters of an object's metadata; what many objects share is kept once."""
    meta = obj["metadata"]
    labels, annotations = meta.get("labels") or {}, meta.get("annotations") or {}
    namespace = intern(meta.get("namespace", ""))
    return Owned(
        id=ObjectID(intern(obj["apiVersion"]), intern(obj["kind"]), namespace, meta["name"]),
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        generation=meta.get("generation", 0),
        hash=annotations.get(names.HASH_ANNOTATION, ""),
        owner_uid=intern(owner_of(meta)),
        segment_uid=intern(annotations.get(names.SEGMENT_UID_ANNOTATION, "")),
        segment=_made_for(labels, namespace),
        stage=intern(labels.get(names.STAGE_LABEL, "")),
        part=intern(labels.get(names.PART_LABEL, "")),
        deleting="deletionTimestamp" in meta,
        managed=labels.get(names.MANAGED_BY_LABEL) == names.MANAGED_BY,
    )


def _made_for(labels: Mapping[str, str], namespace: str) -> Key:
    if labels.get(names.MANAGED_BY_LABEL) != names.MANAGED_BY:
        return Key(namespace, "")
    if names.CLASS_LABEL in labels:
        return Key("", intern(labels[names.CLASS_LABEL]))
    return Key(intern(labels.get(names.ORIGIN_LABEL, namespace)), intern(labels.get(names.SEGMENT_LABEL, "")))
