"""Pods that segments have closed: what a grant opens beside them must leave them as they are.

A grant is the word of a namespace's owner about pods of no pipeline; what a stage accepts is for its segment to say.
"""

from collections.abc import Iterator
from typing import Final

from pipesegment.facts.selectors import Selector
from pipesegment.reach import engines
from pipesegment.reach.graph import Mode
from pipesegment.reach.scene import Scene
from pipesegment.reach.ways import meet

#: The most selectors that one becomes; more mean that it was never about pods of no pipeline.
_MAX_PARTS: Final = 16


def outside(scene: Scene, namespace: str, selector: Selector) -> tuple[Selector, ...]:
    """Give disjoint selectors for the pods of a selector that no segment there closes; none where nothing is left."""
    parts = [selector]
    for fence in sorted(_fences(scene, namespace)):
        if meet(scene, namespace, selector, fence):
            parts = [rest for part in parts for rest in less(part, fence)]
    return tuple(parts) if len(parts) <= _MAX_PARTS else ()


def less(selector: Selector, other: Selector) -> Iterator[Selector]:
    """Give disjoint selectors for the pods that one selects and another does not.

    A LabelSelector is a conjunction: its opposite is 'not the first', 'the first but not the second', and so on.
    """
    if selector.disjoint(other):
        yield selector
        return
    base = selector
    for requirement in other.requirements:
        if not selector.implies(Selector(expressions=(requirement,))):
            rest = base & Selector.of({}, requirement.opposite)
            if not rest.disjoint(rest):
                yield rest
            base &= Selector.of({}, requirement)


def _fences(scene: Scene, namespace: str) -> Iterator[Selector]:
    for view in scene.views_in(namespace):
        if view.mode is Mode.ENFORCE:
            yield from (s for s in (view.selector, view.placed.runner) if s is not None)
    for segment in scene.snapshot.segments.get(namespace, {}).values():
        if segment.spec is not None and not segment.meta.deleting:
            yield from engines.closing(segment.spec)
