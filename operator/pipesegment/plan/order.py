"""The safe order: at no moment is anything open that is open neither before nor after.

The argument. A connection is open when every plane that it passes is open for it: the caller's egress, the callee's
ingress, its mesh policies, its mutual TLS (`fences.py`). Let O be what is open before, N what is open after, pod by pod
and plane by plane. An intermediate state may mix a plane of O with another plane of N, and so open what neither does.
Hence there is a middle M, inside O *and* inside N on every plane of every pod, and two halves of the way:

- from O to M every state lies inside O: fences keep the pods that they isolated, and let through only what O lets
  through for those pods (waves DENY, NARROW);
- from M to N every state lies inside N: every pod that N isolates is isolated already, and fences let through only what
  N lets through for those pods (waves WIDEN, PRUNE…).

M of an object with the same selector: its old rules as far as N provably allows them to its pods, and its new rules as
far as O does. Of a new object the second, of a vanishing one the first. Then most changes need no extra call: what only
narrows *is* at M with its new version, what only widens with its old one. 'Provably allows' looks at all fences that
select at least these pods, and at 'no fence selects any of them', which allows everything.

An object that selects other pods than before cannot hold both selectors at once. It stays on the old pods, and a guard,
a shut fence of a name of its own, isolates the new pods before the object leaves the old ones; the guard goes last. So
two stages may swap their pods in a namespace that nothing else closes. No guard is needed where some fence that stays
(the default deny, the pipeline's closing policy) isolates the new pods anyhow.

What neither narrows nor widens only, goes O → M → N in two calls, save for those that may turn in one call while
everything else stands at M (waves TURN, MOVE, LEAVE: what isolates nobody any more comes behind what takes its place):
any one object; or all objects whose change concerns the same single plane, since a connection passes that plane at one
pod only and is there in O or in N. Hence a fresh segment, a changed stage, a rename cost one call for each object.

What stands in another namespace without its consent goes whatever holds the rest back, and ahead of it (wave RELEASE).
Where something else isolates its pods it only closes, like everything in NARROW. Where it is the first to isolate them, it
turns: all such objects stand on the one plane of the callee's ingress, and everything else stands at M by then, since
nothing turns in a call of its own beside them.

Where Cilium enforces, a stage is closed by its NetworkPolicy and opened by a CiliumNetworkPolicy, on the same two planes:
a fresh shut fence comes in the first wave, and what comes after may count on it.

A DENY in another namespace is no fence: it takes calls of one stage away, and what others allow counts for nothing there.
It comes first and goes last, and what it says never changes under one name. So at every moment those of O or those of N
stand, or both, and what both O and N allow passes both. Where one cannot be written, nothing is widened.

A fence that conflicts with somebody else's object is never written. Then no fence that isolates the same pods goes or
moves away: it is narrowed and kept. So is, while something holds the segment back, what stands of a stage that is gone:
taking it away would open its pods to everybody, and what it let through nobody declares any more. It goes afterwards.
"""

import hashlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Any, Final

from pipesegment import names
from pipesegment.compile.canonical import canonical_bytes
from pipesegment.compile.desired import Object, ObjectID
from pipesegment.plan.changes import Action, Change, ChangeSet, Why
from pipesegment.plan.fences import FENCE_KINDS, Fence, Plane, fence, is_whole, shut, with_rules, within
from pipesegment.plan.live import is_denial, our_references
from pipesegment.plan.middle import Move, Passage, Terrain, Way
from pipesegment.plan.sequence import Restraint, Sequence, Step, Verb, Wave
from pipesegment.plan.terms import Words

#: What says who somebody is, or what somebody is called: it opens nothing by itself, and is there before and after what
#: does. A sidecar that knew nothing but names, and these not yet, would cut off what is open.
_IDENTITY: Final = frozenset({"ServiceAccount", "MeshTLSAuthentication", "NetworkAuthentication", "ServiceEntry"})
#: Kinds that give rights: taken away first, given last. Security groups are rights, too: pods keep those that they were
#: scheduled with, so that no order of ours could make a fence of them (docs/adr/0054).
_RIGHTS: Final = frozenset({"RoleBinding", "ClusterRoleBinding", "SecurityGroupPolicy"})
#: While these hold a segment back, what is taken back closes all the same.
_NARROWING: Final = frozenset({Restraint.NO_WIDENING, Restraint.SUSPENDED})


def needs(changes: ChangeSet, restraint: Restraint = Restraint.NONE) -> tuple[ObjectID, ...]:
    """Name the live policies that `safe_sequence` has to know as a whole; none for fresh objects and a single write."""
    moving, restraint = _policies(changes), _restrained(changes, restraint)
    if len(changes.writes) == 1 and restraint is Restraint.NONE and not _blocked(changes):
        return ()
    return tuple(c.id for c in moving if c.live is not None and c.live.object is None)


def safe_sequence(
    changes: ChangeSet,
    live_objects: Mapping[ObjectID, Object | None],
    surroundings: Iterable[Object] = (),
    restraint: Restraint = Restraint.NONE,
    withdrawn: Container[ObjectID] = frozenset(),
    sealed: Container[str] = frozenset(),
    removed: Container[ObjectID] = frozenset(),
) -> Sequence:
    """Order the writes of a ChangeSet, with the steps between that safety needs.

    `live_objects` holds what `needs` names, None for an object that has gone meanwhile; raises KeyError for one that is
    missing. `surroundings` are the policies of the namespaces concerned that are not of this ChangeSet: every
    NetworkPolicy unless it provably selects none of these pods, and as many AuthorizationPolicies as are known.
    `withdrawn` are deletions in other namespaces that nothing may hold back, `sealed` stages whose closing nothing may,
    `removed` deletions of what stands of stages that are gone.
    """
    restraint = _restrained(changes, restraint)
    passages = _passages(changes, live_objects, list(surroundings), restraint, withdrawn, removed)
    released = [p for p in passages if p.move.change.id in withdrawn and p.way is not Way.NARROW]
    turning = _turning(passages) if restraint is Restraint.NONE and not released else []
    taken = {change.id for change in changes.changes}
    steps = [*_plain_steps(changes)]
    for passage in passages:
        if passage in released:
            steps.append(replace(_end(passage.move), wave=Wave.RELEASE))
        else:
            steps += _steps(passage, passage in turning)
    steps += _guards(passages, turning, taken)
    allowed = [step for step in steps if _allowed(step, restraint, withdrawn) or _seals(step, sealed)]
    ends = {step.change.id for step in allowed if step.final}
    held = {p.move.change.id for p in passages if p.move.held}
    withheld = {change.id for change in changes.writes if change.id not in ends} | held
    ordered = sorted(allowed, key=lambda step: (step.wave, step.id))
    return Sequence(tuple(_preconditions(ordered)), tuple(sorted(withheld)))


def _restrained(changes: ChangeSet, restraint: Restraint) -> Restraint:
    unwritten = any(map(_is_denial, changes.of(Action.CONFLICT)))
    return Restraint.NO_WIDENING if restraint is Restraint.NONE and unwritten else restraint


def _passages(
    changes: ChangeSet,
    live_objects: Mapping[ObjectID, Object | None],
    surroundings: list[Object],
    restraint: Restraint,
    withdrawn: Container[ObjectID],
    removed: Container[ObjectID],
) -> list[Passage]:
    words = Words()

    def read(obj: Object | None) -> Fence | None:
        return fence(obj, words)

    single = not needs(changes, restraint)
    moves = [_move(change, live_objects, read, may_lack=single) for change in _policies(changes)]
    same = [c for c in changes.of(Action.UNCHANGED) if c.id.kind in FENCE_KINDS]
    standing = [*map(read, surroundings), *(read(c.desired) for c in same if c.why is not Why.TERMINATING)]
    vanishing = [read(c.desired or (c.live.object if c.live else None)) for c in same if c.why is Why.TERMINATING]
    blocked = [found for change in _blocked(changes) if (found := read(change.desired))]
    kept, doomed = [f for f in standing if f], [f for f in vanishing if f]
    closes_first = restraint not in {Restraint.SUSPENDED, Restraint.HELD}
    if blocked or restraint in _NARROWING:
        intended = Terrain([*kept, *blocked], doomed, moves, words)
        anyhow = Terrain(kept, doomed, (), words)

        def held(move: Move) -> Move:
            if move.change.id in withdrawn:
                return move
            if restraint in _NARROWING and move.change.id in removed:
                return _held(move, intended, anyhow, read, shut=True)
            return _held(move, intended, anyhow, read) if _gives_up(move, blocked) else move

        moves = [held(move) for move in moves]
    terrain = Terrain(kept, doomed, moves, words, closes_first=closes_first)
    return [Passage(move, terrain) for move in moves]


def _policies(changes: ChangeSet) -> list[Change]:
    return [change for change in changes.writes if _is_fence(change)]


def _blocked(changes: ChangeSet) -> list[Change]:
    return [change for change in changes.of(Action.CONFLICT) if _is_fence(change)]


def _is_fence(change: Change) -> bool:
    return change.id.kind in FENCE_KINDS and not _is_denial(change)


def _is_denial(change: Change) -> bool:
    labels = change.desired["metadata"]["labels"] if change.desired else change.live.labels if change.live else {}
    return change.id.kind == "AuthorizationPolicy" and is_denial(labels)


_Reader = Callable[[Object | None], Fence | None]


def _move(change: Change, live_objects: Mapping[ObjectID, Object | None], read: _Reader, *, may_lack: bool) -> Move:
    before: Object | None = None
    if change.live is not None:
        before = change.live.object
        if before is None:
            before = live_objects.get(change.id) if may_lack else live_objects[change.id]
    return Move(change, read(before), read(change.desired), before, change.desired)


def _gives_up(move: Move, blocked: list[Fence]) -> bool:
    """Tell whether it would leave pods to an object that cannot be written."""
    old = move.old
    if old is None or (move.new is not None and not (move.moves or move.leaves)):
        return False
    left = [b for b in blocked if b.namespace == old.namespace and b.planes & old.planes]
    return not all(b.selector.disjoint(old.selector) for b in left)


def _held(move: Move, intended: Terrain, anyhow: Terrain, read: _Reader, *, shut: bool = False) -> Move:
    """Keep, narrowed, what nothing else would keep closed; `shut`: also where nobody is to isolate its pods any more."""
    old = move.old
    # What is there or not cannot be narrowed. It goes: what it opens something else keeps shut.
    if old is None or move.old_object is None or (shut and is_whole(move.old_object)):
        return move
    if anyhow.isolated(old.selector, old.planes, old.namespace):
        return move
    limits = {plane: intended.after(old.selector, plane, old.namespace) for plane in old.planes}
    limits = {plane: () if shut and limit is None else limit for plane, limit in limits.items()}
    allows = {plane: within(rules, limits[plane], intended.words) for plane, rules in old.allows.items()}
    kept = with_rules(bare(move.old_object), allows)
    return replace(move, new=read(kept), new_object=kept, held=True)


def _turning(passages: list[Passage]) -> list[Passage]:
    """Choose what turns in one call: one object, or all that concern one plane; whatever saves the most calls."""
    mixed = [p for p in passages if p.way is Way.MIXED]
    groups = [[p for p in mixed if p.loose <= {plane}] for plane in Plane] + [[p] for p in mixed]
    return max(groups, key=_saved, default=[])


def _saved(group: list[Passage]) -> int:
    alone = sum(p.move.moves for p in group) == 1
    return sum(p.stops + 2 * (p.needs_guard and alone) for p in group)


def _steps(passage: Passage, turns: bool) -> Iterator[Step]:
    change, move = passage.move.change, passage.move
    end = _end(move)
    if move.held and _same(move.new_object, move.old_object):
        return
    if turns:
        yield replace(end, wave=Wave.MOVE if move.moves else Wave.LEAVE if move.leaves else Wave.TURN)
        return
    if passage.way is Way.NARROW:
        fresh = move.old is None and move.new is not None and move.new.shut
        yield replace(end, wave=Wave.DENY if fresh else Wave.NARROW)
        return
    if passage.way is Way.MIXED and passage.stops:
        verb: Verb = "create" if change.live is None else "apply"
        yield Step(Wave.NARROW, verb, change.id, change, bare(passage.middle()), final=False)
        end = replace(end, verb="apply" if end.verb == "create" else end.verb)
    yield end


def _end(move: Move) -> Step:
    change = move.change
    if move.new_object is None:
        last = Wave.PRUNE_DENY if change.id.name == names.DEFAULT_DENY else Wave.PRUNE_FENCES
        return Step(last, "delete", change.id, change)
    # An object that stays and isolates nobody any more, such as a policy in dry-run, goes with the fences.
    wave = Wave.WIDEN if move.new is not None else Wave.PRUNE_FENCES
    verb: Verb = "create" if change.live is None else "apply"
    return Step(wave, verb, change.id, change, move.new_object, final=not move.held)


def _guards(passages: list[Passage], turning: list[Passage], taken: set[ObjectID]) -> Iterator[Step]:
    alone = sum(p.move.moves for p in turning) == 1
    moves = {passage.move.change.id: passage.move for passage in passages}
    for passage in passages:
        if passage.way is not Way.MIXED or not passage.needs_guard or (alone and passage in turning):
            continue
        change, obj = passage.move.change, passage.move.new_object
        assert obj is not None
        for number in count():
            guard = shut(bare(obj), _guard_name(obj, number))
            target = ObjectID.of(guard)
            if target not in taken:
                taken.add(target)
                yield Step(Wave.NARROW, "create", target, change, guard, final=False)
                yield Step(Wave.PRUNE_FENCES, "delete", target, change, final=False)
                break
            if target in moves and _is_left_behind(moves[target], guard):
                break


def _is_left_behind(move: Move, guard: Object) -> bool:
    """Tell a guard that a crash left, whose deletion comes last anyhow, from an object that was named like one."""
    old, made = move.old, fence(guard, Words())
    if move.new_object is not None or old is None or made is None:
        return False
    return old.shut and (old.selector, old.planes) == (made.selector, made.planes)


def _guard_name(obj: Object, number: int) -> str:
    """Name a guard; whoever names stages may have taken the first names on purpose."""
    meta = obj["metadata"]
    fields = ("podSelector", "endpointSelector", "selector", "targetRefs")
    selector: object = next((found for field in fields if (found := obj["spec"].get(field))), {})
    digest = hashlib.sha256(canonical_bytes(selector)).hexdigest()[:8]
    suffix = f"guard-{digest}-{number}" if number else f"guard-{digest}"
    return names.suffixed_name(meta["labels"].get(names.SEGMENT_LABEL, ""), meta["name"], suffix)


def _plain_steps(changes: ChangeSet) -> Iterator[Step]:
    for change in changes.writes:
        kind = change.id.kind
        if _is_fence(change):
            continue
        if _is_denial(change):
            yield _denial(change)
        elif change.desired is not None:
            verb: Verb = "create" if change.live is None else "apply"
            yield Step(Wave.IDENTITY if kind in _IDENTITY else Wave.WIDEN, verb, change.id, change, change.desired)
        else:
            last = Wave.NARROW if kind in _RIGHTS else Wave.PRUNE_IDENTITY if kind in _IDENTITY else Wave.PRUNE
            yield Step(last, "delete", change.id, change)


def _denial(change: Change) -> Step:
    if change.desired is None:
        return Step(Wave.PRUNE_DENY, "delete", change.id, change)
    if change.live is None:
        return Step(Wave.DENY, "create", change.id, change, change.desired)
    return Step(Wave.TURN, "apply", change.id, change, change.desired)


def _allowed(step: Step, restraint: Restraint, withdrawn: Container[ObjectID]) -> bool:
    narrows = step.wave is Wave.NARROW and step.verb != "create" and step.change.why is not Why.DRIFT
    match restraint:
        case Restraint.NONE:
            return True
        case Restraint.NO_WIDENING:
            return step.wave <= Wave.IDENTITY
        case Restraint.SUSPENDED:
            return narrows or step.wave is Wave.RELEASE
        case Restraint.HELD:
            live = step.change.live
            elsewhere = live is not None and bool(live.segment_uid) and step.change.desired is not None
            return step.wave is Wave.RELEASE or (narrows and (elsewhere or step.id in withdrawn))


def _seals(step: Step, sealed: Container[str]) -> bool:
    """Tell whether a step closes a sealed stage: it is made, and repaired, where nothing else would be."""
    return step.change.stage in sealed and step.wave <= Wave.NARROW


def _preconditions(steps: Iterable[Step]) -> Iterator[Step]:
    """Say what each call may assume of its object; a guard is not the object of its change."""
    seen: set[ObjectID] = set()
    for step in steps:
        if step.id == step.change.id:
            version = "" if step.id in seen else step.change.resource_version
            yield replace(step, uid=step.change.uid, resource_version=version)
        else:
            yield step
        seen.add(step.id)


def bare(obj: Object) -> dict[str, Any]:
    """Leave of an object what we may write: a live one carries the server's fields and perhaps other people's."""
    meta = obj["metadata"]
    ours = {key: meta[key] for key in ("name", "namespace") if key in meta}
    for key in ("labels", "annotations"):
        if found := {k: v for k, v in (meta.get(key) or {}).items() if _is_ours(k)}:
            ours[key] = found
    ours["ownerReferences"] = our_references(meta)
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": ours, "spec": obj.get("spec") or {}}


def _is_ours(key: str) -> bool:
    return key == names.MANAGED_BY_LABEL or key.startswith(f"{names.GROUP}/")


def _same(new: Object | None, old: Object | None) -> bool:
    return new is not None and old is not None and new["spec"] == old["spec"]
