"""Sealed stages of a segment that says nothing else with a meaning: their pods alone, and no way in or out."""

from collections.abc import Iterator, Mapping

from pipesegment.facts.snapshot import Segment, Snapshot
from pipesegment.reach import governance, mesh
from pipesegment.reach.exceptions import Emergency
from pipesegment.reach.graph import Account, Reach, RunnerReach, StageReach
from pipesegment.reach.view import View, views_of


def alone(segment: Segment, snapshot: Snapshot, seals: Mapping[str, str]) -> Reach:
    """Give the stages that are sealed (`seals`: by which exception), as far as it is known which pods they are."""
    governing = governance.of_segment(segment, snapshot)
    provider = mesh.provider(segment.meta.namespace, governing, snapshot)
    emergencies = {stage: Emergency(seal) for stage, seal in seals.items() if seal}
    views = views_of(segment, governing, provider, emergencies) if segment.spec is not None else iter(())
    return Reach(segment.meta.key, segment.meta.uid, governing, tuple(_stages(views)))


def _stages(views: Iterator[View]) -> Iterator[StageReach]:
    for view in views:
        if view.sealed:
            yield StageReach(
                key=view.key,
                path=view.path,
                selector=view.selector,
                mode=view.mode,
                mesh=view.mesh,
                account=Account(view.account, create=False, automount=False),
                closed=True,
                sealed=view.sealed,
                runner=RunnerReach(view.placed.runner, ()) if view.placed.runner is not None else None,
            )
