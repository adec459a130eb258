"""Two stages that select one pod: whoever is younger is refused, or anybody could widen the deploy stage.

Provably: their selectors overlap (`Selector.overlaps`). Or seen: a live pod is in both.
Stages of one segment that provably overlap are wrong input; stages of two segments are judged by age (creationTimestamp,
then uid; what does not exist yet is the younger, and of two such both are refused).
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import NetworkPolicy, Segment
from pipesegment.findings import Finding, Refusal
from pipesegment.reach.scene import Scene
from pipesegment.reach.stages import ACCOUNT, Part, accounts, placements, standing
from pipesegment.reach.view import View

#: The most stages that are named to one that overlaps with them.
_MOST_TOLD: Final = 16


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
    sharing = _sharing_accounts(scene, views)
    closed = set() if union else _beneath(scene, views)
    for view in views:
        overlapping = _overlapping_with(scene, view)
        told: list[Finding] = []
        for other in scene.viewed(scene.namespace, overlapping | sharing.get(view.account, frozenset())):
            owner = scene.snapshot.segment(other.key.namespace, other.key.segment)
            assert owner is not None
            gives_way = _gives_way(scene.segment, owner)
            # No class lets two stages be one identity.
            conflict = gives_way and other.account == view.account
            united = union and not conflict and _is_of(other, overlapping)
            if gives_way and not united:
                closed.add(view.key.stage)
            if len(told) < _MOST_TOLD and (conflict or united or gives_way):
                say = _shared_account if conflict else _united if united else _overlapping
                told.append(say(scene, view, other))
        for finding in told:
            scene.tell(finding)
    return frozenset(closed)


def _beneath(scene: Scene, views: tuple[View, ...]) -> set[str]:
    """Give the stages whose pods an older segment's policy selects, though its segment is refused, or goes away.

    What it opened stays open until then, and this stage's reach would come on top of it.
    """
    closed = set()
    for owner, policy in standing(scene.snapshot, scene.namespace):
        if owner.meta.name == scene.segment.meta.name or not _gives_way(scene.segment, owner):
            continue
        scene.reads.add(("NetworkPolicy", scene.namespace, policy.meta.name))
        for view in views:
            if any(_meet(scene, mine, policy.selector) for mine in _pods(view)):
                closed.add(view.key.stage)
                scene.tell(_overlapping_policy(scene, view, owner, policy))
    return closed


def _meet(scene: Scene, mine: Selector, other: Selector) -> bool:
    if mine.overlaps(other):
        return True
    pods = scene.snapshot.among(scene.namespace, mine)
    scene.spend(len(pods))
    return any(pod.live and mine.matches(pod.labels) and other.matches(pod.labels) for pod in pods)


def _overlapping_with(scene: Scene, view: View) -> frozenset[Part]:
    """Give the stages of other segments that provably have pods of this one, or are seen to have."""
    found: set[Part] = set()
    for mine in _pods(view):
        found.update(scene.seen_in(scene.namespace, mine))
        found.update(p for theirs, p in scene.related(scene.namespace, mine) if mine.overlaps(theirs))
    return frozenset(p._replace(kind="stage") for p in found if p.segment != view.key.segment and p.kind != "closing")


def _sharing_accounts(scene: Scene, views: tuple[View, ...]) -> dict[str, frozenset[Part]]:
    """Give the stages of other segments that have an account of ours, by that account."""
    mine = {view.account for view in views}
    scene.reads.update((ACCOUNT, scene.namespace, account) for account in mine)
    found: defaultdict[str, set[Part]] = defaultdict(set)
    for name, segment in scene.snapshot.segments.get(scene.namespace, {}).items():
        if name != scene.segment.meta.name:
            for account in mine & accounts(segment).keys():
                found[account].update(Part(name, index, "stage") for index in accounts(segment)[account])
    return {account: frozenset(parts) for account, parts in found.items()}


def _is_of(view: View, parts: frozenset[Part]) -> bool:
    return Part(view.key.segment, view.index, "stage") in parts


def selectors(segment: Segment) -> tuple[Selector, ...]:
    """Give the pods of a segment's stages, for those who want to know whom its change concerns."""
    placed = placements(segment)
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


def _overlapping_policy(scene: Scene, view: View, owner: Segment, policy: NetworkPolicy) -> Finding:
    standing_there = f"NetworkPolicy {policy.meta.key} of segment {owner.meta.key}"
    return Finding(
        f"{view.path}.podSelector",
        "Overlapping",
        standing_there,
        f"its pods are selected by {standing_there} too, so nothing that it declares is opened",
        "correct or remove that segment, or give this stage labels of its own",
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
