"""Which class governs a namespace, and what it makes of a segment's wishes.

A tie, a class that cannot be read and a class that is lost govern nobody and stall everybody concerned: nothing is
widened on the strength of an absence (semantics: a class that is lost, changed or ambiguous widens nothing). Of a class
that is refused its selector and priority may be readable still: then it concerns those whom it would have governed.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from pipesegment import names
from pipesegment.facts.selectors import Selector, canonical
from pipesegment.facts.snapshot import Class, NetworkPolicy, Segment, Snapshot
from pipesegment.findings import Finding
from pipesegment.reach.edges import Mode
from pipesegment.reach.graph import Governance
from pipesegment.reach.isolation import isolates
from pipesegment.spec.segment import PipelineSegmentSpec, Stage
from pipesegment.spec.segmentclass import SegmentClassSpec

DEFAULTS: Final = SegmentClassSpec()


def namespace_labels(namespace: str, snapshot: Snapshot) -> Mapping[str, str]:
    """Give a namespace's labels; of one that is not in the facts only its name is known."""
    found = snapshot.namespaces.get(namespace)
    return found.labels if found else {names.NAMESPACE_NAME_LABEL: namespace}


def govern(namespace: str, snapshot: Snapshot) -> Governance:
    """Find the class of the highest priority that selects a namespace; without one the defaults hold.

    A default deny whose class is gone shows that there was one.
    """
    if any(_living(snapshot, claim=False)):
        # Its selector cannot be read, so it may be the one that governs here.
        return Governance("", "", DEFAULTS, stalled="ClassLost")
    selecting = _selecting(namespace, snapshot)
    if not selecting:
        return Governance("", "", DEFAULTS, stalled="ClassLost" if _left_behind(namespace, snapshot) else "")
    if len(selecting) > 1:
        return Governance("", "", DEFAULTS, stalled="AmbiguousClass")
    (top,) = selecting
    if top.spec is None:
        return Governance("", "", DEFAULTS, stalled="ClassLost")
    return Governance(top.meta.name, top.meta.uid, top.spec)


def of_segment(segment: Segment, snapshot: Snapshot, governing: Governance | None = None) -> Governance:
    """Govern a segment: a class that its status recorded and that nothing replaces is lost.

    While nobody governs, the class that did last keeps its word: nothing closes for want of it, and what is revoked does
    (docs/adr/0012). `governing` is what `govern` says of the namespace, where that is known already.
    """
    found = governing or govern(segment.meta.namespace, snapshot)
    if found.name or not (found.stalled or segment.class_uid):
        return found
    stalled, last = found.stalled or "ClassLost", _last(segment, snapshot)
    if last is None or last.spec is None:
        return Governance("", "", DEFAULTS, stalled, known=not segment.class_uid)
    return Governance(last.meta.name, last.meta.uid, last.spec, stalled)


def _last(segment: Segment, snapshot: Snapshot) -> Class | None:
    """Give the class that governed a segment last, as it reads now, or as it was read last."""
    seen = snapshot.governed.get(segment.meta.namespace)
    uid = seen.meta.uid if seen else segment.class_uid
    readable = (c for c in snapshot.classes.values() if c.spec is not None and c.meta.uid)
    return next((c for c in readable if c.meta.uid == uid), seen)


def mode_of(spec: PipelineSegmentSpec, stage: Stage, governance: Governance) -> Mode:
    """Give a stage's mode: its own, else the segment's, else the class's default, capped by the class.

    Suspend keeps what is enforced as it is, less what is revoked: it is no mode of a stage (`is_suspended`).
    """
    wish = stage.mode or (spec.mode if spec.has("mode") else governance.spec.enforcement.default)
    return Mode.OBSERVE if "Observe" in {wish, governance.spec.enforcement.max} else Mode.ENFORCE


def is_suspended(spec: PipelineSegmentSpec, governance: Governance) -> bool:
    """Tell whether nothing may be widened, created or repaired."""
    enforcement = governance.spec.enforcement
    capped = enforcement.max == "Suspend" or (not spec.has("mode") and enforcement.default == "Suspend")
    return spec.suspend or capped or bool(governance.stalled)


def stalled_finding(governance: Governance, namespace: str, snapshot: Snapshot) -> Finding | None:
    """Say why the class stalls a segment."""
    if governance.stalled == "AmbiguousClass":
        return tie(namespace, rivals(namespace, snapshot))
    if governance.stalled == "ClassLost":
        what, fix = _lost(namespace, snapshot)
        return Finding("metadata.namespace", "ClassLost", namespace, f"{what}; nothing is widened", fix)
    return None


def _lost(namespace: str, snapshot: Snapshot) -> tuple[str, str]:
    unread = sorted(c.meta.name for c in _living(snapshot, claim=False))
    if unread:
        said = f"SegmentClass {', '.join(unread)} is refused, and may be the one that governs namespace {namespace}"
        return said, "correct it, or delete it"
    refused = [c.meta.name for c in _selecting(namespace, snapshot) if c.spec is None]
    if refused:
        said = f"SegmentClass {', '.join(refused)}, which would govern namespace {namespace}, is refused"
        return said, "correct it, delete it, or create one of a higher priority"
    left = standing(namespace, snapshot)
    refused = [c.meta.name for c in _living(snapshot, claim=True) if left is not None and _made(left, c)]
    if refused:
        said = f"SegmentClass {', '.join(refused)}, whose isolation closes namespace {namespace}, is refused"
        return said, "correct it, or create one whose namespaceSelector selects this namespace"
    said = f"the SegmentClass that governed namespace {namespace} is gone"
    return said, "restore the class, or create one whose namespaceSelector selects this namespace"


def rivals(namespace: str, snapshot: Snapshot) -> tuple[str, ...]:
    """Give the classes that tie for a namespace, sorted; empty when one governs or none does."""
    selecting = _selecting(namespace, snapshot)
    return tuple(c.meta.name for c in selecting) if len(selecting) > 1 else ()


def tie(namespace: str, rivals: tuple[str, ...]) -> Finding:
    """Say that classes tie."""
    return Finding(
        "metadata.namespace",
        "AmbiguousClass",
        namespace,
        f"SegmentClasses {', '.join(rivals)} select namespace {namespace} with the same priority, so none governs",
        "give one of them a higher spec.priority or a narrower spec.namespaceSelector",
    )


def unknown_finding(governance: Governance, namespace: str, snapshot: Snapshot) -> Finding | None:
    """Say that it is not known whether classes govern a namespace, which is not among the facts: its labels decide."""
    asking = () if governance.stalled else _asking(namespace, snapshot)
    if not asking:
        return None
    who = f"SegmentClass {asking[0]} governs" if len(asking) == 1 else f"SegmentClasses {', '.join(asking)} govern"
    said = f"namespace {namespace} is not among the facts, so whether {who} it is not known"
    fix = "give the Namespace with its labels with --facts or --cluster"
    return Finding("metadata.namespace", "NamespaceUnknown", namespace, said, fix)


def ungoverned(governance: Governance, namespace: str, snapshot: Snapshot, field: str) -> tuple[str, str]:
    """Say that no class governs a namespace, or that it is not known, and how to come to one with a field."""
    unknown = unknown_finding(governance, namespace, snapshot)
    if unknown is not None:
        return "it is not known which SegmentClass governs the namespace", unknown.fix
    return "no SegmentClass governs the namespace", f"have the platform team create a SegmentClass with {field}"


def _asking(namespace: str, snapshot: Snapshot) -> tuple[str, ...]:
    """Name the classes for which the labels of a namespace that is not among the facts would decide, sorted.

    It is taken to have no label but its name.
    """
    if namespace in snapshot.namespaces:
        return ()
    found = _selecting(namespace, snapshot)
    least = found[0].claim.priority if found and found[0].claim else None
    labels = namespace_labels(namespace, snapshot)
    asking = []
    for each in _living(snapshot, claim=True):
        assert each.claim is not None
        on_name = [r for r in each.claim.selector.requirements if r.key == names.NAMESPACE_NAME_LABEL]
        asks = len(on_name) < len(each.claim.selector.requirements)
        if asks and all(r.matches(labels) for r in on_name) and (least is None or each.claim.priority >= least):
            asking.append(each.meta.name)
    return tuple(sorted(asking))


def isolation_of(namespace: str, snapshot: Snapshot) -> tuple[Selector, ...] | None:
    """Give the pods that the isolation of a namespace leaves out; None where no class isolates it.

    What a class declares counts before it is in place, but not where somebody else's policy has the name: then it never
    will be. Where nobody can be said to govern, what stands counts.
    """
    governing = govern(namespace, snapshot)
    if governing.stalled:
        found = standing(namespace, snapshot)
        # `exceptPods` is written as its opposites, one requirement each (`compile.isolation`).
        return None if found is None else tuple(Selector.of({}, r.opposite) for r in found.selector.requirements)
    return isolation_exceptions(governing) if is_declared(governing, namespace, snapshot) else None


def standing(namespace: str, snapshot: Snapshot) -> NetworkPolicy | None:
    """Give the default deny that a class made in a namespace, whether that class still is there or not."""
    found = snapshot.policies.get(namespace, {}).get(names.DEFAULT_DENY)
    ours = found is not None and found.owned and not found.meta.deleting and names.CLASS_LABEL in found.meta.labels
    return found if ours else None


def is_isolated(governance: Governance, namespace: str, snapshot: Snapshot) -> bool:
    """Tell whether the class that governs a segment closes the other pods of its namespace, as `isolation_of` counts."""
    if governance.stalled:
        return standing(namespace, snapshot) is not None
    return is_declared(governance, namespace, snapshot)


def is_declared(governance: Governance, namespace: str, snapshot: Snapshot) -> bool:
    """Tell whether a class says that it closes a namespace, and nobody else's policy has the name that it needs there."""
    held = snapshot.policies.get(namespace, {}).get(names.DEFAULT_DENY)
    return isolates(governance.spec, namespace) and (held is None or held.owned)


def isolation_exceptions(governance: Governance) -> tuple[Selector, ...]:
    """Give the pods that the class's isolation leaves out.

    A selector with several requirements leaves out nobody: no podSelector says its opposite (`compile.isolation`).
    """
    declared = (canonical(selector) for selector in governance.spec.network.isolation.except_pods)
    return tuple(selector for selector in declared if len(selector.requirements) == 1)


def _left_behind(namespace: str, snapshot: Snapshot) -> bool:
    """Tell whether a default deny stands in a namespace whose class is gone, or refused: it stays until a class decides."""
    found = standing(namespace, snapshot)
    return found is not None and not any(_made(found, c) for c in _living(snapshot, claim=True) if c.spec is not None)


def _made(policy: NetworkPolicy, found: Class) -> bool:
    return policy.meta.labels[names.CLASS_LABEL] == names.label_value(found.meta.name)


def _living(snapshot: Snapshot, *, claim: bool) -> Iterable[Class]:
    """Give the classes that are not being deleted and whose claim can be read, or those whose claim cannot."""
    return (c for c in snapshot.classes.values() if not c.meta.deleting and (c.claim is not None) is claim)


def _selecting(namespace: str, snapshot: Snapshot) -> list[Class]:
    """Give the classes that claim a namespace with the highest priority, sorted by name: one governs, several tie."""
    labels = namespace_labels(namespace, snapshot)
    found: dict[int, list[Class]] = {}
    for each in _living(snapshot, claim=True):
        if each.claim is not None and each.claim.selector.matches(labels):
            found.setdefault(each.claim.priority, []).append(each)
    return sorted(found[max(found)], key=lambda c: c.meta.name) if found else []
