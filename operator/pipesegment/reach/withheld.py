"""What a segment may open while its class cannot be known, for whoever makes everything anew: nothing.

The operator leaves what exists as it is, and makes nothing new (`plan.sequence`). Where nothing exists yet there is
nothing to leave: the segment's objects are those of its declaration with every way closed.
"""

from dataclasses import replace

from pipesegment.reach.edges import Edge
from pipesegment.reach.graph import Reach, StageReach


def withheld(reach: Reach) -> Reach:
    """Close everything that a stalled segment declares; any other Reach is given back as it is."""
    if not reach.governance.stalled:
        return reach
    return replace(reach, stages=tuple(map(_closed, reach.stages)), granted=(), calls=())


def _closed(stage: StageReach) -> StageReach:
    runner = stage.runner and replace(stage.runner, egress=_shut(stage.runner.egress))
    return replace(stage, egress=_shut(stage.egress), ingress=_shut(stage.ingress), runner=runner, cloud=None)


def _shut(edges: tuple[Edge, ...]) -> tuple[Edge, ...]:
    return tuple(replace(edge, open=False) for edge in edges)
