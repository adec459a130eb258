"""The ways from one stage to another: who declares what, and what both sides admit.

Within one segment the `reaches` alone opens; a stage's own `accepts` that names the source narrows it. Between segments both must
declare, in whatever words: a stage may be named, or its pods may. Both halves of an edge come from this one function,
so they cannot disagree.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipesegment import names
from pipesegment.facts.selectors import Selector, canonical
from pipesegment.reach import services
from pipesegment.reach.graph import HttpRule, PortRange, StageKey
from pipesegment.reach.ports import http_rules, intersect_http, intersect_ports, ranges
from pipesegment.reach.scene import Declared, Scene, View
from pipesegment.spec.segment import AcceptEntry, Port, ReachEntry


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
    """Why an entry that points at a stage opens nothing: `HalfOpen` or `NothingInCommon`."""

    reason: str


def ways(scene: Scene, source: View, declared: Declared[ReachEntry], target: View) -> tuple[Way, ...] | Refused | None:
    """Give the ways that one entry of `source` opens to `target`; None when it does not point there."""
    wanted = _wanted(scene, source, declared.entry, target)
    if wanted is None:
        return None
    http = http_rules(declared.entry.http)
    naming = [d for d in target.accepts if _names(d.entry, target, source)]
    # An entry that means these pods under another account speaks of them all the same: it narrows, and lets none in.
    admitting = [d for d in naming if _takes_account(d.entry, source)]
    own = (source.key.namespace, source.key.segment) == (target.key.namespace, target.key.segment)
    # What is added to every stage (`common`, the class's baseline) lets in, and takes nothing away (docs/adr/0025).
    if own and not any(d.because.startswith(f"{target.path}.") for d in naming):
        return (Way(declared.because, wanted, http),)
    if not own and not admitting:
        return Refused("HalfOpen")
    found = []
    for accept in admitting:
        ports = intersect_ports(wanted, ranges(accept.entry.ports))
        rules = intersect_http(http, http_rules(accept.entry.http))
        if ports and rules is not None:
            found.append(Way(declared.because, ports, rules, accept.because))
    return tuple(dict.fromkeys(found)) or Refused("NothingInCommon")


def _names(accept: AcceptEntry, target: View, source: View) -> bool:
    """Tell whether an entry of `target.accepts` names `source`, as a stage or by its pods."""
    if accept.stage is not None:
        named = accept.stage
        return (
            (named.namespace or target.key.namespace) == source.key.namespace
            and (named.any_segment or (named.segment or target.key.segment) == source.key.segment)
            and (named.any_stage or named.name == source.key.stage)
        )
    if accept.pods is not None:
        there = (accept.pods.namespace or target.key.namespace) == source.key.namespace
        return there and source.selector.implies(canonical(accept.pods.pod_selector))
    return False


def _takes_account(accept: AcceptEntry, source: View) -> bool:
    accounts = accept.pods.service_accounts if accept.pods is not None else ()
    return not accounts or source.account in accounts


def points_at(entry: ReachEntry, source: StageKey, target: StageKey) -> bool:
    """Tell whether a `stage` target names this stage."""
    named = entry.stage
    return named is not None and target == StageKey(
        named.namespace or source.namespace, named.segment or source.segment, named.name
    )


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


def touches(scene: Scene, namespace: str, selector: Selector, view: View) -> bool:
    """Tell whether a peer's pods and a stage's meet."""
    return view.key.namespace == namespace and meet(scene, namespace, selector, view.selector)


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
            segment = named.segment or target.key.segment
            yield from (v for v in scene.views_in(namespace) if v.key.segment == segment)
        elif named.name is not None:
            view = scene.view(namespace, named.segment or target.key.segment, named.name)
            if view is not None:
                yield view
    elif accept.pods is not None:
        selector = canonical(accept.pods.pod_selector)
        namespace = accept.pods.namespace or target.key.namespace
        scene.watches.add((namespace, selector))
        yield from (v for v in scene.views_in(namespace) if v.selector.implies(selector))


def _wanted(scene: Scene, source: View, entry: ReachEntry, target: View) -> tuple[PortRange, ...] | None:
    if entry.stage is not None:
        return ranges(entry.ports) if points_at(entry, source.key, target.key) else None
    if entry.pods is not None:
        namespace = entry.pods.namespace or source.key.namespace
        found = touches(scene, namespace, canonical(entry.pods.pod_selector), target)
        return ranges(entry.ports) if found else None
    if entry.service is not None:
        return _behind(scene, entry.service.namespace or source.key.namespace, entry.service.name, entry.ports, target)
    if entry.destination is not None:
        place = services.destination(source.governing, entry.destination.name)
        if place is not None and place.service is not None and place.service.name is not None:
            namespace = place.service.namespace or source.key.namespace
            return _behind(scene, namespace, place.service.name, entry.ports or place.ports, target)
    return None


def _behind(
    scene: Scene, namespace: str, name: str, wanted: Sequence[Port], target: View
) -> tuple[PortRange, ...] | None:
    """Give the ports at which a Service leads to a stage's pods; None when it does not."""
    if namespace != target.key.namespace:
        return None
    service = scene.service(namespace, name)
    if service is None or service.selector is None or not touches(scene, namespace, service.selector, target):
        return None
    return services.pod_ports(service, wanted)[0] or None
