"""Two stages that select one pod: whoever is younger is refused, or anybody could widen the deploy stage.

Provably: their selectors overlap (`Selector.overlaps`). Or seen: a live pod is in both.
Stages of one segment that provably overlap are wrong input; stages of two segments are judged by age (creationTimestamp,
then uid; what does not exist yet is the younger, and of two such both are refused).
"""

from collections.abc import Iterator
from itertools import product

from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import Segment
from pipesegment.findings import Finding, Refusal
from pipesegment.reach import engines
from pipesegment.reach.scene import Scene, View


def within(scene: Scene, views: tuple[View, ...]) -> None:
    """Refuse stages of this segment that select each other's pods, and job pods that are the stage's own runners."""
    for at, view in enumerate(views):
        if view.placed.runner is not None and view.selector.overlaps(view.placed.runner):
            scene.refuse(
                f"{view.path}.{'podSelector' if view.stage.pod_selector else 'engine.jobPods'}",
                "selects the stage's own runner pods too, which have other needs, by",
                str(view.selector),
                "give the job pods a label of their own in the hook's template",
            )
        for earlier in views[:at]:
            meeting = next((mine for mine, theirs in _apart(view, earlier) if mine.overlaps(theirs)), None)
            if meeting is not None:
                scene.refuse(
                    f"{view.path}.{'podSelector' if view.stage.pod_selector else 'engine'}",
                    f"selects pods of stage {earlier.key.stage} too, by",
                    str(meeting),
                    "give each stage a label of its own",
                )


def between(scene: Scene, views: tuple[View, ...]) -> frozenset[str]:
    """Find the stages that give way to another segment's; with `guardrails.overlap: Union` they are only reported."""
    union = scene.governance.spec.guardrails.overlap == "Union"
    scene.watches.update((scene.namespace, selector) for view in views for selector in _pods(view))
    closed = set()
    for other in scene.views_in(scene.namespace):
        if other.key.segment == scene.segment.meta.name:
            continue
        owner = scene.snapshot.segment(other.key.namespace, other.key.segment)
        assert owner is not None
        for view in views:
            shares_account, overlaps = view.account == other.account, _overlaps(scene, view, other)
            if not (shares_account or overlaps):
                continue
            gives_way = _gives_way(scene.segment, owner)
            if shares_account and gives_way:
                # No class lets two stages be one identity.
                scene.findings.append(_shared_account(scene, view, other))
            elif overlaps and union:
                scene.findings.append(_united(scene, view, other))
                continue
            elif overlaps and gives_way:
                scene.findings.append(_overlapping(scene, view, other))
            if gives_way:
                closed.add(view.key.stage)
    return frozenset(closed)


def selectors(segment: Segment) -> tuple[Selector, ...]:
    """Give the pods of a segment's stages, for those who want to know whom its change concerns."""
    if segment.spec is None:
        return ()
    placed = (engines.place(segment.meta.name, index, segment.spec) for index in range(len(segment.spec.stages)))
    return tuple(s for p in placed if not isinstance(p, Refusal) for s in (p.selector, p.runner) if s is not None)


def _pods(view: View) -> tuple[Selector, ...]:
    """Give whom a stage's policies select: its pods, and in ARC's Kubernetes mode the runner pods beside them."""
    runner = view.placed.runner
    return (view.selector,) if runner is None else (view.selector, runner)


def _apart(view: View, other: View) -> Iterator[tuple[Selector, Selector]]:
    """Give the pods of two stages of one segment that must not meet; runners may serve both, with the same needs."""
    yield from ((view.selector, theirs) for theirs in _pods(other))
    if view.placed.runner is not None:
        yield view.placed.runner, other.selector


def _overlaps(scene: Scene, view: View, other: View) -> bool:
    return any(_meet(scene, view.key.namespace, a, b) for a, b in product(_pods(view), _pods(other)))


def _meet(scene: Scene, namespace: str, mine: Selector, theirs: Selector) -> bool:
    if mine.disjoint(theirs):
        return False
    return mine.overlaps(theirs) or any(theirs.matches(p.labels) for p in scene.snapshot.pods_of(namespace, mine))


def _gives_way(mine: Segment, other: Segment) -> bool:
    """Tell whether a segment is not provably the older one."""
    one, two = ((not s.meta.created, s.meta.created, s.meta.uid) for s in (mine, other))
    neither_exists = one[0] and two[0]
    return neither_exists or one >= two


def _owner(other: View) -> str:
    return f"stage {other.key.stage} of segment {other.key.namespace}/{other.key.segment}"


def _shared_account(scene: Scene, view: View, other: View) -> Finding:
    return Finding(
        f"{view.path}.serviceAccount.name",
        "Conflict",
        _owner(other),
        f"service account {view.account} is the account of {_owner(other)} too",
        "give the stage an account of its own",
        scene.object,
    )


def _united(scene: Scene, view: View, other: View) -> Finding:
    return Finding(
        f"{view.path}.podSelector",
        "OverlapUnion",
        _owner(other),
        f"its pods are selected by {_owner(other)} too; the SegmentClass restores the union of both",
        "give each stage labels of its own",
        scene.object,
    )


def _overlapping(scene: Scene, view: View, other: View) -> Finding:
    return Finding(
        f"{view.path}.podSelector",
        "Overlapping",
        _owner(other),
        f"its pods are selected by {_owner(other)} too, so nothing that it declares is opened",
        "give this stage labels of its own, or remove the other",
        scene.object,
    )
