"""The pipeline as a whole: its pods that no stage names are closed by policies of their own."""

from pipesegment import names
from pipesegment.facts.selectors import Selector
from pipesegment.reach import engines
from pipesegment.reach.edges import Mode
from pipesegment.reach.governance import is_declared
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import View
from pipesegment.spec.segment import PipelineSegmentSpec


def closing(scene: Scene, spec: PipelineSegmentSpec) -> tuple[Selector, ...]:
    """Close the pipeline's pods that no stage names, unless that would block a stage that only observes.

    Only the segment's own stages have a say: another segment that merely observes must not open anything here. What the
    class isolates anyway is not open, so there is nothing to tell.
    """
    if spec.engine is None:
        return ()
    selectors = engines.closing(spec)
    scene.watches.update((scene.namespace, selector) for selector in selectors)
    observing = [v for v in scene.views(scene.segment) if v.mode is Mode.OBSERVE]
    blocked = {s: v for v in observing for s in selectors if not s.disjoint(v.selector)}
    left = _unclosed(spec, selectors, next(iter(blocked.values()), None))
    if left and not is_declared(scene.governance, scene.namespace, scene.snapshot):
        why, fix = left
        message = f"pods of the pipeline that no stage names stay open, because {why}"
        scene.note("spec.engine", "PipelineUnclosed", names.SEGMENT, message, fix)
    return tuple(s for s in selectors if s not in blocked)


def _unclosed(
    spec: PipelineSegmentSpec, selectors: tuple[Selector, ...], observing: View | None
) -> tuple[str, str] | None:
    """Say why pods of the pipeline stay open, and what helps; None when all of them are closed."""
    if observing is not None:
        return f"stage {observing.key} only observes", "let every stage enforce"
    if not selectors:
        return "its stages have no label in common", "give every stage's podSelector one common label"
    if engines.is_told_by_stages(spec) and len(spec.stages) == 1:
        fix = "declare the workflow's other templates as stages that share a label, or have the class isolate the namespace"
        return "the labels of its only stage tell nothing of the other pods", fix
    return None
