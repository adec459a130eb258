"""Objects in other namespaces, read back: whether what they stand on is still there."""

from collections.abc import Mapping

from pipesegment import names
from pipesegment.compile.desired import Object, ObjectID
from pipesegment.compile.wire import TUNNELS
from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import Segment, Snapshot
from pipesegment.plan.changes import Action, ChangeSet
from pipesegment.plan.live import Live, is_denial
from pipesegment.reach import withdrawn as consent
from pipesegment.reach.edges import PortRange, StageKey
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
    if obj is None or not live.segment_uid or is_denial(live.labels):
        # A DENY takes nobody in, and what is left of it alone holds none but our own stage.
        return False
    selector, ports = _let_in(obj)
    half = consent.Half(
        stage=StageKey(*segment.meta.key, live.labels.get(names.STAGE_LABEL, "")),
        namespace=live.id.namespace,
        grant_uid=live.owner,
        selector=selector,
        ports=tuple(sorted(ports, key=sort_key)),
        isolates=live.id.kind == "AuthorizationPolicy",
    )
    return consent.is_withdrawn(segment, snapshot, half)


def _let_in(obj: Object) -> tuple[Selector, set[PortRange]]:
    """Read which pods an object of ours lets callers in to, and at which ports."""
    spec = obj["spec"]
    if obj["kind"] == "AuthorizationPolicy":
        operations = [to["operation"] for rule in spec.get("rules") or () for to in rule.get("to") or ()]
        numbers = (int(port) for operation in operations for port in operation.get("ports") or ())
        return Selector.of((spec.get("selector") or {}).get("matchLabels")), {PortRange("TCP", n) for n in numbers}
    raw = [port for rule in spec.get("ingress") or () for port in rule.get("ports") or ()]
    ports = {PortRange(p.get("protocol", "TCP"), p.get("port", ""), p.get("endPort")) for p in raw}
    # The port by which a mesh carries all others is never a grant's own word.
    carried = ports - set(TUNNELS.values())
    return Selector.parse(spec.get("podSelector")), carried or ports
