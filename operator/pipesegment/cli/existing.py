"""What exists in a cluster or a file, ready to be compared with what should."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from pipesegment import names
from pipesegment.cli.inputs import Object
from pipesegment.cli.walk import Surroundings
from pipesegment.compile.desired import Desired, ObjectID
from pipesegment.facts.meta import Key
from pipesegment.plan.aws.controllers import arrange, companions
from pipesegment.plan.aws.steps import Moment
from pipesegment.plan.changes import Action, Change, Why, plan
from pipesegment.plan.live import Entry, Live
from pipesegment.world import kinds

_VERSIONS: Final = {
    **{(kind.group, kind.kind): kind.api_version for kind in kinds.OWNED},
    **{(kind.group, kind.kind): kind.api_version for found in kinds.CONTROLLED.values() for kind in found},
    # As `compile --aws` prints them; a cluster knows nothing of them.
    ("iam.amazonaws.com", names.IAM_ROLE): names.IAM_API_VERSION,
    ("eks.amazonaws.com", names.POD_IDENTITY_ASSOCIATION): names.EKS_API_VERSION,
}


class Existing:
    """What exists and may be ours, under the API versions that we write, whatever version it was printed in."""

    def __init__(self, objects: Iterable[Object]) -> None:
        self._all: dict[ObjectID, Live] = {}
        for obj in objects:
            version = _VERSIONS.get((str(obj.get("apiVersion", "")).rpartition("/")[0], str(obj["kind"])))
            if version is not None:
                live = Live.of({**obj, "apiVersion": version})
                self._all[live.id] = live
        # `plan` looks at all that it is given: a thousand segments must not each look at every other's objects.
        self._claimed: dict[str | Key, list[Live]] = {}
        for live in self._all.values():
            for owner in _claims(live):
                self._claimed.setdefault(owner, []).append(live)

    def around(self, desired: Desired) -> dict[ObjectID, Live]:
        """Give what has the name of a desired object, and what may have been made for the same segment or class."""
        named = (ObjectID.of(obj) for obj in desired.objects)
        found = {target: self._all[target] for target in named if target in self._all}
        namespace, name = desired.segment
        for owner in (desired.uid, Key(namespace, name if namespace else names.label_value(name))):
            found |= {live.id: live for live in self._claimed.get(owner, ())}
        return found

    def changes(
        self,
        desired: Desired,
        recorded: Iterable[Entry] = (),
        *,
        stalled: bool = False,
        moment: Moment | None = None,
        deletes: bool = True,
    ) -> tuple[Change, ...]:
        """Compare with what should exist; `recorded` is the inventory. While `stalled` what exists stays as it is.

        What another controller is told by is compared as the operator does it at a `moment`: roles that are not deleted
        (`deletes`) stay without rights, and rights that are lost cut sessions.
        """
        known = tuple(recorded)
        if moment is None:
            found = plan(desired, self.around(desired), known).changes
            return tuple(map(_kept, found)) if stalled else found
        theirs = replace(desired, objects=tuple(o for o in desired.objects if ObjectID.of(o).by_controller))
        rest = replace(desired, objects=tuple(o for o in desired.objects if not ObjectID.of(o).by_controller))
        there = self.around(replace(desired, objects=(*desired.objects, *companions(theirs))))
        whole = {t: live.object for t, live in there.items() if t.by_controller and live.object is not None}
        arranged = arrange(theirs, whole, moment, deletes=deletes, inventory=known).changes.changes
        live = {t: each for t, each in there.items() if not t.by_controller}
        found = tuple(sorted((*plan(rest, live, known).changes, *arranged), key=lambda change: change.id))
        return tuple(map(_kept, found)) if stalled else found


def _kept(change: Change) -> Change:
    """Leave what exists as it is: while the class is not known, nobody knows what it should be."""
    if change.live is None or not change.writes:
        return change
    return replace(change, action=Action.UNCHANGED, why=Why.SAME, differences=())


def _claims(live: Live) -> set[str | Key]:
    """Name whom an object says that it was made for: by uid, and by the names in its labels."""
    labels = live.labels
    origin = labels.get(names.ORIGIN_LABEL, live.id.namespace)
    said = (Key(origin, labels.get(names.SEGMENT_LABEL, "")), Key("", labels.get(names.CLASS_LABEL, "")))
    return {*(uid for uid in (live.owner, live.segment_uid) if uid), *(key for key in said if key.name)}


def inventories(found: Surroundings) -> dict[Key, tuple[Entry, ...]]:
    """Read the inventories that the segments' statuses recorded."""
    found_there: dict[Key, tuple[Entry, ...]] = {}
    for obj in found.facts:
        meta, status = obj.get("metadata") or {}, obj.get("status") or {}
        if obj.get("kind") == kinds.SEGMENT.kind:
            recorded = tuple(
                Entry(ObjectID(i["apiVersion"], i["kind"], i.get("namespace", ""), i["name"]), i.get("uid", ""))
                for i in status.get("inventory") or ()
            )
            found_there.setdefault(Key(meta.get("namespace", ""), meta.get("name", "")), recorded)
    return found_there
