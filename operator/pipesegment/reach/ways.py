"""The ways from one stage to another: who declares what, and what both sides admit.

Within one segment the `reaches` alone opens; a stage's own `accepts` that names the source narrows it. Between segments
both must declare, in whatever words: a stage may be named, or its pods may. Both halves of an edge come from this one
function, so they cannot disagree.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pipesegment import names
from pipesegment.facts.selectors import Selector, canonical
from pipesegment.reach import services
from pipesegment.reach.edges import HttpRule, PortRange, StageKey
from pipesegment.reach.ports import http_rules, intersect_http, intersect_ports, ranges
from pipesegment.reach.scene import Scene
from pipesegment.reach.view import Declared, View
from pipesegment.spec.destination import DestinationService
from pipesegment.spec.entries import ServiceTarget
from pipesegment.spec.segment import AcceptEntry, ReachEntry

#: What one question costs, in the steps of a Scene.
_STEPS: Final = 60


@dataclass(frozen=True, slots=True)
class Way:
    """One combination of ports and http that both sides admit.

    `because` is the source's entry, `admitted` the target's ('' where the source's word is enough).
    """

    because: str
    ports: tuple[PortRange, ...]
    http: tuple[HttpRule, ...]
    admitted: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why an entry that points at a stage opens nothing: `HalfOpen`, `NothingInCommon` or `Sealed`."""

    reason: str


def ways(scene: Scene, source: View, declared: Declared[ReachEntry], target: View) -> tuple[Way, ...] | Refused | None:
    """Give the ways that one entry of `source` opens to `target`; None when it does not point there."""
    scene.spend(_STEPS)
    wanted = _wanted(scene, source, declared.entry, target)
    if wanted is None:
        return None
    if target.sealed:
        return Refused("Sealed")
    http = http_rules(declared.entry.http)
    narrowed, admitting = scene.once(("admitting", target.key, source.key), lambda: _admitting(scene, target, source))
    own = (source.key.namespace, source.key.segment) == (target.key.namespace, target.key.segment)
    # What is added to every stage (`common`, the class's baseline) lets in, and takes nothing away (docs/adr/0025).
    if own and not narrowed:
        return (Way(declared.because, wanted, http),)
    if not own and not admitting:
        return Refused("HalfOpen")
    found = scene.once(
        ("admitted", target.key, admitting, wanted, http), lambda: _admitted(target, admitting, wanted, http)
    )
    return tuple(Way(declared.because, *admitted) for admitted in found) or Refused("NothingInCommon")


def _admitting(scene: Scene, target: View, source: View) -> tuple[bool, tuple[int, ...]]:
    """Tell whether a stage's own `accepts` name a source, and give the positions of all that let it in."""
    named, pods = scene.once(("named", target.key), lambda: _named_by(target))
    key = source.key
    naming = [
        at
        for segment in (key.segment, None)
        for stage in (key.stage, None)
        for at in named.get((key.namespace, segment, stage), ())
    ]
    naming += [
        at for at, namespace, selector in pods if namespace == key.namespace and source.selector.implies(selector)
    ]
    # An entry that means these pods under another account speaks of them all the same: it narrows, and lets none in.
    admitting = sorted(at for at in naming if _takes_account(target.accepts[at].entry, source))
    return any(target.accepts[at].because.startswith(f"{target.path}.") for at in naming), tuple(admitting)


def _named_by(
    target: View,
) -> tuple[dict[tuple[str, str | None, str | None], list[int]], list[tuple[int, str, Selector]]]:
    """Give the entries of `accepts` by whom they name, None for anybody; and those that name pods."""
    named: defaultdict[tuple[str, str | None, str | None], list[int]] = defaultdict(list)
    pods = []
    for at, declared in enumerate(target.accepts):
        stage, selected = declared.entry.stage, declared.entry.pods
        if stage is not None:
            segment = None if stage.any_segment else stage.segment or target.key.segment
            named[stage.namespace or target.key.namespace, segment, None if stage.any_stage else stage.name].append(at)
        elif selected is not None:
            pods.append((at, selected.namespace or target.key.namespace, canonical(selected.pod_selector)))
    return dict(named), pods


def _admitted(
    target: View, admitting: tuple[int, ...], wanted: tuple[PortRange, ...], http: tuple[HttpRule, ...]
) -> tuple[tuple[tuple[PortRange, ...], tuple[HttpRule, ...], str], ...]:
    found = []
    for accept in (target.accepts[at] for at in admitting):
        ports = intersect_ports(wanted, ranges(accept.entry.ports))
        rules = intersect_http(http, http_rules(accept.entry.http))
        if ports and rules is not None:
            found.append((ports, rules, accept.because))
    return tuple(dict.fromkeys(found))


def _takes_account(accept: AcceptEntry, source: View) -> bool:
    accounts = accept.pods.service_accounts if accept.pods is not None else ()
    return not accounts or source.account in accounts


def leading(
    scene: Scene, source: View, target: View
) -> Iterator[tuple[Declared[ReachEntry], tuple[Way, ...] | Refused]]:
    """Give the entries of `source` that point at `target`, and what each opens."""
    for declared in (*source.naming.get(target.key, ()), *_vaguely(scene, source, target)):
        found = ways(scene, source, declared, target)
        if found is not None:
            yield declared, found


def _vaguely(scene: Scene, source: View, target: View) -> Iterable[Declared[ReachEntry]]:
    """Give the entries that mean pods of a stage without naming it."""
    if not source.pointing:
        return ()

    namespace = target.key.namespace

    def find() -> Mapping[StageKey, list[Declared[ReachEntry]]]:
        found: defaultdict[StageKey, list[Declared[ReachEntry]]] = defaultdict(list)
        for declared in source.pointing:
            meant = _meant(scene, source, declared.entry, namespace)
            for key in scene.met(namespace, meant[0]) if meant is not None else ():
                found[key].append(declared)
        return found

    return scene.once(("vaguely", source.key, namespace), find).get(target.key, ())


def sources(scene: Scene, target: View) -> Iterator[View]:
    """Give the stages that could have a way to `target`: its own segment's, and those that its `accepts` let in."""
    seen = set()
    for view in scene.views(scene.segment):
        seen.add(view.key)
        yield view
    for declared in target.accepts:
        for view in _named(scene, declared.entry, target):
            if view.key not in seen:
                seen.add(view.key)
                yield view


def meet(scene: Scene, namespace: str, a: Selector, b: Selector) -> bool:
    """Tell whether two selectors provably select one pod, or a pod is in both."""
    if a.implies(b) or b.implies(a):
        return True
    return not a.disjoint(b) and any(True for _ in scene.snapshot.pods_of(namespace, a & b))


def _named(scene: Scene, accept: AcceptEntry, target: View) -> Iterator[View]:
    if accept.stage is not None:
        named = accept.stage
        namespace = named.namespace or target.key.namespace
        if named.any_segment or named.any_stage:
            scene.reads.add((names.SEGMENT, namespace, "*"))
        if named.any_segment:
            yield from (v for v in scene.views_in(namespace) if named.any_stage or v.key.stage == named.name)
        elif named.any_stage:
            yield from scene.views_of(namespace, named.segment or target.key.segment)
        elif named.name is not None:
            view = scene.view(namespace, named.segment or target.key.segment, named.name)
            if view is not None:
                yield view
    elif accept.pods is not None:
        selector = canonical(accept.pods.pod_selector)
        namespace = accept.pods.namespace or target.key.namespace
        scene.watches.add((namespace, selector))
        inside = (p for own, p in scene.related(namespace, selector) if own.implies(selector))
        yield from scene.viewed(namespace, tuple(inside))


def _wanted(scene: Scene, source: View, entry: ReachEntry, target: View) -> tuple[PortRange, ...] | None:
    if entry.stage is not None:
        named = entry.stage
        there = StageKey(named.namespace or source.key.namespace, named.segment or source.key.segment, named.name)
        return ranges(entry.ports) if there == target.key else None
    namespace = target.key.namespace
    meant = _meant(scene, source, entry, namespace)
    if meant is None or target.key not in scene.met(namespace, meant[0]):
        return None
    return meant[1]()


def _meant(
    scene: Scene, source: View, entry: ReachEntry, namespace: str
) -> tuple[Selector, Callable[[], tuple[PortRange, ...] | None]] | None:
    """Give the pods of a namespace that an entry means without naming a stage, and at which of their ports."""
    if entry.pods is not None:
        there = (entry.pods.namespace or source.key.namespace) == namespace
        return (canonical(entry.pods.pod_selector), lambda: ranges(entry.ports)) if there else None
    named: ServiceTarget | DestinationService | None = entry.service
    wanted = entry.ports
    if entry.destination is not None:
        place = services.destination(source.governing, entry.destination.name)
        named, wanted = (place.service, entry.ports or place.ports) if place is not None else (None, ())
    if named is None or named.name is None or (named.namespace or source.key.namespace) != namespace:
        return None
    found = scene.service(namespace, named.name)
    if found is None or found.selector is None:
        return None
    return found.selector, lambda: services.pod_ports(found, wanted)[0] or None
