"""Pods that segments have closed: what a grant opens beside them must leave them as they are.

A grant is the word of a namespace's owner about pods of no pipeline; what a stage accepts is for its segment to say.
"""

from collections.abc import Iterator
from typing import Final

from pipesegment.facts.selectors import Selector
from pipesegment.reach.edges import Mode
from pipesegment.reach.scene import Scene

#: The most selectors that one becomes; more mean that it was never about pods of no pipeline.
_MAX_PARTS: Final = 16


def outside(scene: Scene, namespace: str, selector: Selector) -> tuple[Selector, ...]:
    """Give disjoint selectors for the pods of a selector that no segment there closes; none where nothing is left."""
    parts = [selector]
    for fence in sorted(_fences(scene, namespace, selector)):
        parts = [rest for part in parts for rest in less(part, fence)]
        if len(parts) > _MAX_PARTS:
            return ()
    return tuple(parts)


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


def _fences(scene: Scene, namespace: str, selector: Selector) -> Iterator[Selector]:
    """Give the selectors of segments that meet this one: their pipelines', and their stages' that are enforced."""
    meeting = scene.meeting(namespace, selector)
    stages = scene.viewed(namespace, [p._replace(kind="stage") for p in meeting if p.kind != "closing"])
    enforced = {(v.key.segment, v.index) for v in stages if v.mode is Mode.ENFORCE}
    for part in meeting:
        if part.kind == "closing" or (part.segment, part.stage) in enforced:
            yield scene.selector_of(namespace, part)
