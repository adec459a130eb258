"""Sealed stages: their pods alone, and no way in or out.

Of a segment that says nothing else with a meaning they are all that is known.
"""

from collections.abc import Mapping

from pipesegment.facts.snapshot import Segment, Snapshot
from pipesegment.reach import governance, mesh
from pipesegment.reach.exceptions import Emergency
from pipesegment.reach.graph import Account, Reach, RunnerReach, StageReach
from pipesegment.reach.view import View, views_of


def cut_off(view: View, account: Account) -> StageReach:
    """Cut a sealed stage off: it has no edges, and nobody's edge to it is open."""
    return StageReach(
        key=view.key,
        path=view.path,
        selector=view.selector,
        mode=view.mode,
        mesh=view.mesh,
        account=account,
        closed=True,
        sealed=view.sealed,
        runner=RunnerReach(view.placed.runner, ()) if view.placed.runner is not None else None,
    )


def alone(segment: Segment, snapshot: Snapshot, seals: Mapping[str, str]) -> Reach:
    """Give the stages that are sealed (`seals`: by which exception), as far as it is known which pods they are."""
    governing = governance.of_segment(segment, snapshot)
    provider = mesh.provider(segment.meta.namespace, governing, snapshot)
    emergencies = {stage: Emergency(seal) for stage, seal in seals.items() if seal}
    views = views_of(segment, governing, provider, emergencies) if segment.spec is not None else iter(())
    stages = (cut_off(view, Account(view.account, create=False, automount=False)) for view in views if view.sealed)
    return Reach(segment.meta.key, segment.meta.uid, governing, tuple(stages))
