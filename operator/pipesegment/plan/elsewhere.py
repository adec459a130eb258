"""Objects in other namespaces, read back: whether what they stand on is still there."""

from collections.abc import Mapping

from pipesegment import names
from pipesegment.compile.desired import Object, ObjectID
from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import Segment, Snapshot
from pipesegment.plan.changes import Action, ChangeSet
from pipesegment.plan.live import Live
from pipesegment.reach import withdrawn as consent
from pipesegment.reach.graph import PortRange, StageKey
from pipesegment.reach.ports import sort_key


def withdrawn(
    segment: Segment | None, snapshot: Snapshot, changes: ChangeSet, whole: Mapping[ObjectID, Object | None]
) -> frozenset[ObjectID]:
    """Name the deletions of a segment's objects in other namespaces that nothing may hold back.

    `whole` are objects that were read; without a segment nothing holds anything back.
    """
    deleted = [change.live for change in changes.of(Action.DELETED) if change.live is not None]
    objects = {live.id: live.object or whole.get(live.id) for live in deleted}
    return frozenset(live.id for live in deleted if segment and is_withdrawn(segment, snapshot, live, objects[live.id]))


def is_withdrawn(segment: Segment, snapshot: Snapshot, live: Live, obj: Object | None) -> bool:
    """Tell whether an object of a segment stands in another namespace without its consent; None: it has gone."""
    if obj is None or not live.segment_uid:
        return False
    rules = obj["spec"].get("ingress") or ()
    raw = [port for rule in rules for port in rule.get("ports") or ()]
    ports = {PortRange(p.get("protocol", "TCP"), p.get("port", ""), p.get("endPort")) for p in raw}
    half = consent.Half(
        stage=StageKey(*segment.meta.key, live.labels.get(names.STAGE_LABEL, "")),
        namespace=live.id.namespace,
        grant_uid=live.owner,
        selector=Selector.parse(obj["spec"].get("podSelector")),
        ports=tuple(sorted(ports, key=sort_key)),
    )
    return consent.is_withdrawn(segment, snapshot, half)
