"""What around a segment undoes it, as far as the facts show: one question a file.

Facts that nobody looked for give no finding here; whoever needs an answer tells what was not looked for.
"""

from collections.abc import Collection, Iterator
from typing import Final

from pipesegment.facts.selectors import Selector
from pipesegment.findings import Finding
from pipesegment.reach.conformance import (
    amazon,
    bypassed,
    deadend,
    doubled,
    engine,
    escaped,
    exempt,
    groups,
    mesh,
    unselected,
    unwired,
    widened,
)
from pipesegment.reach.edges import Mode
from pipesegment.reach.graph import GrantedIngress, StageReach
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View

#: Findings that say that a segment does not conform; the report's table says so, too.
UNDOING: Final = frozenset(
    {
        *("NotEnforced", "Widened", "HostNetwork", "Unwired", "NamespaceOpen"),
        *(
            "OverlapUnion",
            "PipelineUnclosed",
            "BarePods",
            "StartupWindow",
            "SharedName",
            "SecondFamily",
            "UnfencedNode",
        ),
        *("ExceptUnreliable", "PortsMerged", "GroupsStrict", "GroupsPending", "LaxMutualTLS", "Bypassed", "NoSidecar"),
        *("NotCaptured", "Captured"),
    }
)


def findings(
    scene: Scene,
    views: tuple[View, ...],
    stages: tuple[StageReach, ...],
    closing: tuple[Selector, ...],
    granted: Collection[GrantedIngress],
) -> Iterator[Finding]:
    """Give every finding about what is around a segment that facts alone can show.

    `closing` are the pods that the pipeline's own policies close, `granted` what is ours in other namespaces.
    """
    agents = engine.agents(scene)
    enforced = tuple(view for view in views if view.mode is Mode.ENFORCE)
    if enforced:
        yield from engine.check(scene, agents)
        yield from amazon.check(scene, agents, enforced)
    for view, stage in zip(views, stages, strict=True):
        pods = tuple(scene.snapshot.pods_of(view.key.namespace, view.selector))
        if view.mode is Mode.ENFORCE:
            yield from widened.check(scene, view, pods)
            yield from escaped.check(scene, view, pods)
            yield from mesh.check(scene, view, stage, pods)
            yield from bypassed.check(scene, view, stage, pods)
            yield from amazon.check_stage(scene, agents, view, stage, pods)
            yield from groups.check(scene, agents, view, stage, pods)
            yield from deadend.check(scene, view, stage, granted)
            yield from exempt.check(scene, view)
        else:
            yield from deadend.check_observing(scene, view)
        yield from unwired.check(scene, view, pods)
    yield from doubled.check(scene, views)
    yield from unselected.check(scene, closing)
