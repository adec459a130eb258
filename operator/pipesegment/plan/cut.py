"""Stages that have to be closed though nobody can say what their segment means: what stands is shut as it stands."""

from collections.abc import Container, Iterable, Mapping
from typing import Final

from pipesegment import names
from pipesegment.compile.desired import Desired, Object, ObjectID
from pipesegment.facts.snapshot import Key
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


def cut(segment: Key, uid: str, standing: Iterable[Object | None], *, orphaned: bool = False) -> Desired:
    """Give what should stand instead of these objects: the same pods, and nothing is let through.

    What is to outlive its segment (`orphaned`) names no owner: the garbage collector takes that off meanwhile, and would
    delete what names it again.
    """
    found = [obj for obj in standing if obj is not None and obj["kind"] in _SHUT and fence(obj, Words()) is not None]
    closed = [shut(bare(obj), obj["metadata"]["name"]) for obj in found]
    if orphaned:
        for obj in closed:
            obj["metadata"].pop("ownerReferences", None)
    return Desired(segment, uid, tuple(closed))


def fenced(changes: ChangeSet, done: Container[ObjectID]) -> frozenset[str]:
    """Name the stages whose pods are closed now: every policy that was to stand for them does."""
    wanted = [c for c in changes.changes if c.desired is not None and c.id.kind == "NetworkPolicy"]
    lacking = {c.stage for c in wanted if c.id not in done and c.why is not Why.SAME}
    return frozenset({c.stage for c in wanted} - lacking)
