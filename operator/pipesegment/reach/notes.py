"""What is told about entries that stay closed: one wording for each reason, whichever side meets it."""

from collections.abc import Sequence
from typing import Final

from pipesegment.facts.meta import Meta
from pipesegment.facts.snapshot import Service
from pipesegment.findings import Refusal
from pipesegment.reach import exceptions, governance
from pipesegment.reach.edges import StageKey
from pipesegment.reach.graph import Governance
from pipesegment.reach.scene import Scene
from pipesegment.reach.stages import placements
from pipesegment.reach.standing import Standing
from pipesegment.reach.view import Declared, View
from pipesegment.spec.entries import StageTarget
from pipesegment.spec.segment import Port, ReachEntry


def refused(
    scene: Scene, view: View, declared: Declared[ReachEntry], described: str, reason: str, who: str = ""
) -> None:
    """Say why a stage's entry opens nothing towards another stage: `HalfOpen`, `NothingInCommon` or `Sealed`.

    `described` is the entry's target, `who` the stage that refuses where the target does not name it.
    """
    who = who or described
    named = declared.entry.stage
    own = scene.segment.meta
    if reason == "HalfOpen" and named is not None and _is_lacking(scene, named, own):
        # Of a declaration this is refused as a whole: an exception alone comes this far.
        scene.note(
            declared.because,
            "Unresolved",
            described,
            f"segment {own.key} has no stage {named.name}",
            f"ask anew for one that it has: {', '.join(sorted(s.key.stage for s in scene.views(scene.segment)))}",
        )
    elif reason == "HalfOpen" and named is not None and _is_mute(scene, view, _meant(named, own)):
        _mute(scene, declared.because, described, _meant(named, own))
    elif reason == "HalfOpen":
        scene.note(
            declared.because,
            reason,
            described,
            f"{who} has no accepts that names {_named(view.key)}, or does not exist yet",
            _declare("accepts", view.key),
        )
    elif reason == "Sealed":
        scene.note(
            declared.because,
            "StageSealed",
            described,
            f"{who} is sealed by a SegmentException, and accepts nothing",
            "have the seal lifted; the edge stays closed until then",
        )
    else:
        nothing_in_common(scene, declared.because, described, f"stage {view.key.stage}", who)


def idle(scene: Scene, judged: Sequence[Standing]) -> None:
    """Say which exceptions open nothing, and why; those in force show in what is open and what is sealed."""
    for standing in judged:
        if not standing.in_force:
            place = exceptions.path(standing.name)
            fix = _remedy(standing, scene.governance)
            scene.note(place, "ExceptionIdle", f"stage {standing.stage}", f"is not in force: {standing.message}", fix)


def _remedy(standing: Standing, governing: Governance) -> str:
    if standing.reason == "NotAllowed" and not governing.spec.break_glass.approver_groups:
        return (
            "have the platform team name approverGroups in the breakGlass of a SegmentClass that governs the namespace"
        )
    return _REMEDIES.get(standing.reason, "delete it, and ask anew if need be")


_REMEDIES: Final = {
    "AwaitingApproval": "have it approved by somebody else than who asked",
    "Unguarded": "have the platform team install the chart of the operator's version with admission.enabled, its policies unchanged",
    "Sealed": "have the seal lifted by those who may, once there is no reason for it any more",
}


def unreached(scene: Scene, view: View, because: str, source: StageKey) -> None:
    """Say that a stage which an `accepts` names does not reach here."""
    described = f"stage {source}"
    if _is_mute(scene, view, source):
        _mute(scene, because, described, source)
        return
    scene.note(
        because,
        "HalfOpen",
        described,
        f"{described} declares no reaches to {_named(view.key)}, or does not exist yet",
        _declare("reaches", view.key),
    )


def nothing_in_common(scene: Scene, because: str, described: str, source: str, target: str) -> None:
    """Say that both sides declare an edge, and mean different things."""
    scene.note(
        because,
        "NothingInCommon",
        described,
        f"what {source} reaches and what {target} accepts have no port and request in common",
        "declare the same ports (both by number or both by name), protocols, methods and paths on both sides",
    )


def missing_ports(scene: Scene, declared: Declared[ReachEntry], found: Service, missing: Sequence[Port]) -> None:
    """Say which ports a Service does not have."""
    known = ", ".join(f"{p.port}/{p.protocol}" + (f" ({p.name})" if p.name else "") for p in found.ports) or "none"
    for port in missing:
        scene.note(
            declared.because,
            "Unresolved",
            f"service {found.meta.key}",
            f"Service {found.meta.key} has no port {port.port}/{port.protocol}; its own ports are {known}",
            "name one of the Service's own ports (not the pods'), or leave ports out for all of them",
        )


def no_destination(scene: Scene, view: View, declared: Declared[ReachEntry], described: str, name: str) -> None:
    """Say that the class has no such destination; where labels that are not known decide on the class, that comes first."""
    governing, namespace = view.governing, view.key.namespace
    unknown = governance.unknown_finding(governing, namespace, scene.snapshot)
    if unknown is not None:
        message, fix = f"{unknown.message}, nor whether there is a destination {name}", unknown.fix
    elif governing.name:
        message = f"SegmentClass {governing.name} has no destination {name}"
        fix = "have the platform team add it to spec.destinations, or correct the name"
    else:
        message = f"no SegmentClass governs namespace {namespace}, so there is no destination {name}"
        fix = "have the platform team create a SegmentClass with it (offline: give it with --facts)"
    scene.note(declared.because, "Unresolved", described, message, fix)


def nothing_left(scene: Scene, because: str, described: str) -> None:
    """Say that a block's exceptions leave no address of it."""
    scene.note(
        because,
        "Unresolved",
        described,
        f"the exceptions leave no address of {described}, so nothing is open",
        "take one of them away, or the whole entry",
    )


def _is_lacking(scene: Scene, named: StageTarget, own: Meta) -> bool:
    """Tell whether an entry names a stage that its own segment does not have."""
    meant = _meant(named, own)
    return (meant.namespace, meant.segment) == own.key and scene.view(*meant) is None


def _meant(named: StageTarget, own: Meta) -> StageKey:
    return StageKey(named.namespace or own.namespace, named.segment or own.name, named.name)


def _is_mute(scene: Scene, view: View, other: StageKey) -> bool:
    """Tell whether a stage is missing because its segment is refused as a whole.

    Where grants are required, nobody hears what exists in other namespaces.
    """
    hidden = other.namespace != scene.namespace and view.governing.spec.network.require_grants
    return not hidden and bool(_refusals(scene, other)) and scene.view(*other) is None


def _mute(scene: Scene, because: str, described: str, other: StageKey) -> None:
    """Say that a stage's half is missing because nothing counts that its segment says."""
    shown = other.segment if other.namespace == scene.namespace else f"{other.namespace}/{other.segment}"
    reasons = ", ".join(sorted({refusal.reason for refusal in _refusals(scene, other)}))
    scene.note(
        because,
        "HalfOpen",
        described,
        f"segment {shown} is refused ({reasons}), so its words count for nothing",
        "have it corrected as its own status says; the edge stays closed until then",
    )


def _refusals(scene: Scene, stage: StageKey) -> Sequence[Refusal]:
    """Give why a stage's segment is refused as a whole."""
    found = scene.snapshot.segment(stage.namespace, stage.segment)
    if found is None or found.meta.deleting:
        return ()
    return found.refusals if found.spec is None else [p for p in placements(found) if isinstance(p, Refusal)]


def _named(key: StageKey) -> str:
    return f"stage {key.stage} of segment {key.namespace}/{key.segment}"


def _declare(field: str, key: StageKey) -> str:
    named = f"{{name: {key.stage}, segment: {key.segment}, namespace: {key.namespace}}}"
    return f"declare {field}: [{{stage: {named}, ports: […]}}] there"


def closed_by_class(scene: Scene, because: str, described: str, namespace: str, fix: str) -> None:
    """Say that pods of the own namespace, which are no stage, are closed by the class; '' for the usual fix."""
    scene.note(
        because,
        "HalfOpen",
        described,
        f"the SegmentClass closes every pod of namespace {namespace}, and nothing opens {described}",
        fix or "declare them as a stage that accepts this one, or create a SegmentGrant for them in this namespace",
    )
