"""How one policy gets from old to new: the proofs behind `order.py`, which holds the argument.

Everything here is a question about two sets of fences, before and after, and one object.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Final

from pipesegment.compile.desired import Object
from pipesegment.facts.selectors import Selector
from pipesegment.plan.changes import Change
from pipesegment.plan.fences import Fence, Plane, Rule, is_whole, with_rules, within
from pipesegment.plan.terms import Words

#: Planes where 'no fence selects them' can be known: the facts hold every NetworkPolicy, but not every mesh policy, nor
#: every policy of Cilium's.
_KNOWN: Final = frozenset({Plane.EGRESS, Plane.INGRESS})

Limit = Callable[[Selector, Plane, str], tuple[Rule, ...] | None]


class Way(Enum):
    """Where an object stands in the middle."""

    NARROW = "narrow"  # at its new version already
    WIDEN = "widen"  # at its old version still
    MIXED = "mixed"  # at a version of its own


@dataclass(frozen=True, slots=True)
class Move:
    """One policy object on its way. `new_object` is None for a deletion; a fence is None where nothing is isolated."""

    change: Change
    old: Fence | None
    new: Fence | None
    old_object: Object | None
    new_object: Object | None
    held: bool = False

    @property
    def moves(self) -> bool:
        """Tell whether it selects other pods than before."""
        return self.old is not None and self.new is not None and self.old.selector != self.new.selector

    @property
    def leaves(self) -> bool:
        """Tell whether it isolates nobody any more on some plane where it did."""
        return self.old is not None and not self.old.planes <= (self.new.planes if self.new else frozenset())


class Terrain:
    """All fences of the namespaces concerned, before and after."""

    def __init__(
        self,
        standing: Iterable[Fence],
        vanishing: Iterable[Fence],
        moves: Iterable[Move],
        words: Words,
        *,
        closes_first: bool = True,
    ) -> None:
        """Take what neither comes nor goes, what may vanish at any time, and what moves; all read with `words`.

        `closes_first` tells that new fences which let nothing through come before anything else.
        """
        self.words = words
        standing, moves = list(standing), list(moves)
        # What is being deleted isolates its pods for now, and promises nothing.
        doomed = [Fence(f.namespace, f.selector, dict.fromkeys(f.planes, ())) for f in vanishing]
        self._before = [*standing, *doomed, *(m.old for m in moves if m.old)]
        self._after = [*standing, *doomed, *(m.new for m in moves if m.new)]
        self._steady = [*standing, *(_common(m.old, m.new) for m in moves if m.old and m.new and not m.moves)]
        self._steady += [m.new for m in moves if closes_first and m.old is None and m.new is not None and m.new.shut]
        every = [*self._before, *self._after]
        self._known = frozenset() if any(f.among_others for f in every) else _KNOWN

    def before(self, selector: Selector, plane: Plane, namespace: str) -> tuple[Rule, ...] | None:
        """Give what is provably open for all pods of a selector before; None for everything."""
        return self._limit(self._before, selector, plane, namespace)

    def after(self, selector: Selector, plane: Plane, namespace: str) -> tuple[Rule, ...] | None:
        """Give what is provably open for all pods of a selector after; None for everything."""
        return self._limit(self._after, selector, plane, namespace)

    def _limit(
        self, fences: Iterable[Fence], selector: Selector, plane: Plane, namespace: str
    ) -> tuple[Rule, ...] | None:
        here = [f for f in fences if f.namespace == namespace and plane in f.planes]
        if plane in self._known and all(f.selector.disjoint(selector) for f in here):
            return None
        return tuple(rule for f in here if selector.implies(f.selector) for rule in f.allows[plane])

    def isolated(self, selector: Selector, planes: Iterable[Plane], namespace: str) -> bool:
        """Tell whether these pods stay isolated all the way, whatever moves."""
        return all(
            any(f.namespace == namespace and p in f.planes and selector.implies(f.selector) for f in self._steady)
            for p in planes
        )


class Passage:
    """The proofs for one move."""

    def __init__(self, move: Move, terrain: Terrain) -> None:
        self.move = move
        self._terrain = terrain

    @cached_property
    def way(self) -> Way:
        """Tell where the object stands in the middle."""
        old, new = self.move.old, self.move.new
        narrows = self._narrows and (old is None or self._stays_closed(old, new))
        widens = self._widens and (new is None or self._stays_closed(new, old))
        # What goes without taking anything away goes last: after a rename its successor must be there already.
        if widens and (new is None or not narrows):
            return Way.WIDEN
        return Way.NARROW if narrows else Way.MIXED

    @cached_property
    def loose(self) -> frozenset[Plane]:
        """Give the planes on which it neither stands still nor is provably at the middle with both versions."""
        old, new = self.move.old, self.move.new
        planes = (old.planes if old else frozenset()) | (new.planes if new else frozenset())
        if self.move.moves:
            return planes
        return frozenset(p for p in planes if not (self._old_fits(p) and self._new_fits(p) and self._held_shut(p)))

    @cached_property
    def needs_guard(self) -> bool:
        """Tell whether its new pods have to be isolated before it leaves the old ones."""
        new = self.move.new
        return self.move.moves and new is not None and not self._isolated(new, new.planes)

    @property
    def stops(self) -> bool:
        """Tell whether a mixed move needs a version of its own in the middle, or its old one will do."""
        if any(is_whole(obj) for obj in (self.move.old_object, self.move.new_object) if obj):
            return False
        return not self._widens or not (self.move.moves or self.move.new is None)

    def middle(self) -> Object:
        """Render the version at which it stands in the middle."""
        move = self.move
        # Where it moves, the new selector cannot be held beside the old one.
        new = None if move.moves else move.new
        base = move.new_object if new is not None else move.old_object
        assert base is not None
        return with_rules(base, self._allows(move.old, new))

    def _allows(self, old: Fence | None, new: Fence | None) -> Mapping[Plane, list[Rule]]:
        allows: dict[Plane, list[Rule]] = {}
        for fence, kept in ((old, self._kept_of_old), (new, self._kept_of_new)):
            for plane in fence.planes if fence else ():
                had = allows.setdefault(plane, [])
                had += [rule for rule in kept[plane] if rule not in had]
        return allows

    @cached_property
    def _kept_of_old(self) -> Mapping[Plane, tuple[Rule, ...]]:
        """What the old version lets through and will be open after."""
        return self._kept(self.move.old, self._terrain.after)

    @cached_property
    def _kept_of_new(self) -> Mapping[Plane, tuple[Rule, ...]]:
        """What the new version lets through and was open before."""
        return self._kept(self.move.new, self._terrain.before)

    def _kept(self, fence: Fence | None, limit: Limit) -> Mapping[Plane, tuple[Rule, ...]]:
        if fence is None:
            return {}
        words = self._terrain.words
        limits = {plane: limit(fence.selector, plane, fence.namespace) for plane in fence.planes}
        return {plane: within(rules, limits[plane], words) for plane, rules in fence.allows.items()}

    @property
    def _narrows(self) -> bool:
        new = self.move.new
        return new is None or all(self._new_fits(plane) for plane in new.planes)

    @property
    def _widens(self) -> bool:
        old = self.move.old
        return old is None or all(self._old_fits(plane) for plane in old.planes)

    def _old_fits(self, plane: Plane) -> bool:
        old = self.move.old
        return old is None or plane not in old.planes or self._kept_of_old[plane] == old.allows[plane]

    def _new_fits(self, plane: Plane) -> bool:
        new = self.move.new
        return new is None or plane not in new.planes or self._kept_of_new[plane] == new.allows[plane]

    def _stays_closed(self, one: Fence, other: Fence | None) -> bool:
        """Tell whether the pods of `one` stay isolated when `other` takes its place."""
        if other is not None and other.selector == one.selector:
            return self._isolated(one, one.planes - other.planes)
        return self._isolated(one, one.planes)

    def _held_shut(self, plane: Plane) -> bool:
        old, new = self.move.old, self.move.new
        if old and new and plane in old.planes and plane in new.planes:
            return True
        only = old if old and plane in old.planes else new
        assert only is not None
        return self._isolated(only, {plane})

    def _isolated(self, fence: Fence, planes: Iterable[Plane]) -> bool:
        return self._terrain.isolated(fence.selector, planes, fence.namespace)


def _common(old: Fence, new: Fence) -> Fence:
    return Fence(old.namespace, old.selector, dict.fromkeys(old.planes & new.planes, ()))
