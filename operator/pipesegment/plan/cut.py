"""Stages that have to be closed though nobody can say what their segment means: what stands is shut as it stands."""

from collections.abc import Container, Iterable, Mapping
from typing import Any, Final

from pipesegment import names
from pipesegment.compile.desired import Desired, Object, ObjectID
from pipesegment.facts.meta import Key
from pipesegment.facts.snapshot import Snapshot
from pipesegment.plan.changes import ChangeSet, Why
from pipesegment.plan.fences import fence, shut
from pipesegment.plan.live import Live
from pipesegment.plan.order import bare
from pipesegment.plan.terms import Words

#: What is shut, and what is taken away: it only opens, or gives rights.
_SHUT: Final = frozenset({"NetworkPolicy", "AuthorizationPolicy"})
_TAKEN: Final = frozenset({"CiliumNetworkPolicy", "RoleBinding"})


def concerned(owned: Mapping[ObjectID, Live], namespace: str, stages: Container[str]) -> dict[ObjectID, Live]:
    """Give the objects of these stages in their own namespace that open something or give rights."""
    return {
        target: live
        for target, live in owned.items()
        if target.namespace == namespace
        and target.kind in _SHUT | _TAKEN
        and live.labels.get(names.STAGE_LABEL) in stages
    }


def marked(segment: Key, snapshot: Snapshot) -> frozenset[str]:
    """Name the stages of which a policy tells admission that they are sealed."""
    ours = (p.meta.labels for p in snapshot.policies.get(segment.namespace, {}).values() if p.owned)
    mine = (labels for labels in ours if labels.get(names.SEGMENT_LABEL) == segment.name)
    return frozenset(labels.get(names.STAGE_LABEL, "") for labels in mine if names.SEALED_LABEL in labels)


def cut(
    segment: Key, uid: str, standing: Iterable[Object], seals: Mapping[str, str], *, orphaned: bool = False
) -> Desired:
    """Give what should stand instead of these objects: the same pods, and nothing is let through.

    Of stages that are sealed (`seals`: by which exception, '' by none) they say so to admission. What is to outlive its segment (`orphaned`) names no owner: the garbage collector takes that off meanwhile, and would
    delete what names it again.
    """
    found = [_told(bare(obj), seals) for obj in standing if obj["kind"] in _SHUT and fence(obj, Words()) is not None]
    closed = [shut(obj, obj["metadata"]["name"]) for obj in found]
    if orphaned:
        for obj in closed:
            obj["metadata"].pop("ownerReferences", None)
    return Desired(segment, uid, tuple(closed))


def _told(obj: dict[str, Any], seals: Mapping[str, str]) -> dict[str, Any]:
    labels = {key: value for key, value in obj["metadata"]["labels"].items() if key != names.SEALED_LABEL}
    if obj["kind"] == "NetworkPolicy" and seals.get(labels[names.STAGE_LABEL]) and names.PART_LABEL not in labels:
        labels |= {names.SEALED_LABEL: "true", names.EXCLUSIVE_LABEL: "true"}
    return {**obj, "metadata": {**obj["metadata"], "labels": labels}}


def fenced(changes: ChangeSet, done: Container[ObjectID]) -> frozenset[str]:
    """Name the stages whose pods are closed now: every policy that was to stand for them does."""
    wanted = [c for c in changes.changes if c.desired is not None and c.id.kind == "NetworkPolicy"]
    lacking = {c.stage for c in wanted if c.id not in done and c.why is not Why.SAME}
    return frozenset({c.stage for c in wanted} - lacking)
