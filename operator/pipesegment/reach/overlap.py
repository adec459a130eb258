"""Two stages that select one pod: whoever is younger is refused, or anybody could widen the deploy stage.

Provably: one selector implies the other. Or seen: a live pod is in both. Stages of one segment that provably overlap
are wrong input; stages of two segments are judged by age (creationTimestamp, then uid; offline both are refused).
"""

from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import Segment
from pipesegment.findings import Finding, Refusal
from pipesegment.reach import engines
from pipesegment.reach.scene import Scene, View


def within(scene: Scene, views: tuple[View, ...]) -> None:
    """Refuse stages of this segment that select each other's pods."""
    for at, view in enumerate(views):
        for earlier in views[:at]:
            if _provably(view.selector, earlier.selector):
                scene.refuse(
                    f"{view.path}.podSelector",
                    f"selects pods of stage {earlier.key.stage} too, by",
                    str(view.selector),
                    "give each stage a label of its own",
                )


def between(scene: Scene, views: tuple[View, ...]) -> frozenset[str]:
    """Find the stages that give way to another segment's; with `guardrails.overlap: Union` they are only reported."""
    union = scene.governance.spec.guardrails.overlap == "Union"
    scene.watches.update((scene.namespace, view.selector) for view in views)
    closed = set()
    for other in scene.views_in(scene.namespace):
        if other.key.segment == scene.segment.meta.name:
            continue
        owner = scene.snapshot.segment(other.key.namespace, other.key.segment)
        assert owner is not None
        for view in views:
            shared_account = view.account == other.account
            if not (shared_account or _overlaps(scene, view, other)):
                continue
            if not union and not _gives_way(scene.segment, owner):
                continue
            scene.findings.append(_finding(scene, view, other, union=union, account=shared_account))
            if not union or shared_account:
                closed.add(view.key.stage)
    return frozenset(closed)


def _overlaps(scene: Scene, view: View, other: View) -> bool:
    mine, theirs = view.selector, other.selector
    if mine.disjoint(theirs):
        return False
    return _provably(mine, theirs) or any(
        theirs.matches(p.labels) for p in scene.snapshot.pods_of(view.key.namespace, mine)
    )


def _provably(a: Selector, b: Selector) -> bool:
    return a.implies(b) or b.implies(a)


def _gives_way(mine: Segment, other: Segment) -> bool:
    age = (mine.meta.created, mine.meta.uid)
    others = (other.meta.created, other.meta.uid)
    # Without both ages (files, not yet created) nobody can tell who was first: neither may widen the other.
    if not all(age) or not all(others):
        return True
    return others < age


def _finding(scene: Scene, view: View, other: View, *, union: bool, account: bool) -> Finding:
    owner = f"stage {other.key.stage} of segment {other.key.namespace}/{other.key.segment}"
    if account:
        what = f"service account {view.account} is the account of {owner} too"
        return Finding(
            f"{view.path}.serviceAccount.name",
            "Conflict",
            owner,
            what,
            "give the stage an account of its own",
            scene.object,
        )
    if union:
        what = f"its pods are selected by {owner} too; the SegmentClass restores the union of both"
        return Finding(
            f"{view.path}.podSelector", "OverlapUnion", owner, what, "give each stage labels of its own", scene.object
        )
    what = f"its pods are selected by {owner} too, so nothing that it declares is opened"
    return Finding(
        f"{view.path}.podSelector",
        "Overlapping",
        owner,
        what,
        "give this stage labels of its own, or remove the other",
        scene.object,
    )


def selectors(segment: Segment) -> tuple[Selector, ...]:
    """Give the pods of a segment's stages, for those who want to know whom its change concerns."""
    if segment.spec is None:
        return ()
    placed = (engines.place(segment.meta.name, index, segment.spec) for index in range(len(segment.spec.stages)))
    return tuple(p.selector for p in placed if not isinstance(p, Refusal))
