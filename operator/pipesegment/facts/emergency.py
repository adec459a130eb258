"""Facts of an emergency: exceptions, approvals, and the admission policies that hold both to their authors."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson

from pipesegment import names
from pipesegment.facts.moments import moment
from pipesegment.facts.selectors import Selector
from pipesegment.findings import Refusal
from pipesegment.spec.exception import SegmentApprovalSpec, SegmentExceptionSpec
from pipesegment.spec.units import seconds

if TYPE_CHECKING:
    from pipesegment.facts.snapshot import Meta

Raw = Mapping[str, Any]

#: The admission policies without which no approval is believed, by whose word each is: who asked, who approved.
_GUARDED: Final = tuple(names.KINDS[kind][0] for kind in (names.EXCEPTION, names.APPROVAL))
#: The API server takes notice of a policy within a second or so.
_NOTICE: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class SegmentException:
    """A SegmentException; `spec` is None when it is refused. `hash` is its spec's, which approvals have to name."""

    meta: "Meta"
    spec: SegmentExceptionSpec | None
    hash: str = ""
    refusals: tuple[Refusal, ...] = ()
    status: bytes = field(default=b"", compare=False, repr=False)

    @property
    def ends(self) -> datetime | None:
        """When it ends by itself; None when it does not, or does not exist yet.

        The time runs from its creation, which nobody can write but the API server (docs/adr/0047).
        """
        begun = moment(self.meta.created)
        if self.spec is None or self.spec.duration is None or begun is None:
            return None
        return begun + timedelta(seconds=seconds(self.spec.duration))

    @property
    def was_in_force(self) -> bool:
        """Whether its status said that it opens or seals something when it was read."""
        phase = orjson.loads(self.status).get("phase") if self.status else ""
        return phase in {"Open", "Sealed"}

    def is_over(self, now: datetime | None) -> bool:
        """Tell whether its time is over; while nobody knows what time it is, nothing is."""
        ends = self.ends
        return ends is not None and now is not None and now >= ends


@dataclass(frozen=True, slots=True)
class SegmentApproval:
    """A SegmentApproval; `spec` is None when it is refused, and it counts for nothing."""

    meta: "Meta"
    spec: SegmentApprovalSpec | None
    refusals: tuple[Refusal, ...] = ()
    status: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class AdmissionPolicy:
    """A ValidatingAdmissionPolicy: which resources it looks at when they are made, in which namespaces, failing closed."""

    meta: "Meta"
    resources: frozenset[str]
    namespaces: Selector
    fails: bool


@dataclass(frozen=True, slots=True)
class AdmissionBinding:
    """A ValidatingAdmissionPolicyBinding: which policy it puts in force, and whether that denies, everywhere."""

    meta: "Meta"
    policy: str
    denies: bool


@dataclass(frozen=True, slots=True)
class Guards:
    """The admission policies of a cluster, and what the names of ours begin with."""

    policies: Mapping[str, AdmissionPolicy] = field(default_factory=dict)
    bindings: Mapping[str, AdmissionBinding] = field(default_factory=dict)
    prefix: str = names.ADMISSION

    def missing(self, namespace: Mapping[str, str]) -> tuple[str, ...]:
        """Name the policies that are not in force for a namespace with these labels."""
        return tuple(name for name in self._names() if not self._is_in_force(name, namespace))

    def came_before(self, created: str) -> bool:
        """Tell whether something was made before the policies looked at it: nothing is known of who made that.

        The chart's bindings are others where they only warn, so that those that deny are as old as their denying.
        """
        made = moment(created)
        since = [begun for name in self._names() if (begun := self._begun(name)) is not None]
        return made is not None and any(made <= begun + _NOTICE for begun in since)

    def _begun(self, name: str) -> datetime | None:
        """Give when a policy and the first of its bindings that deny were there; None where nobody says so."""
        policy = moment(self.policies[name].meta.created) if name in self.policies else None
        bound = [moment(b.meta.created) for b in self.bindings.values() if b.policy == name and b.denies]
        times = [time for time in bound if time is not None]
        return max(policy, min(times)) if policy is not None and times else None

    def _names(self) -> Iterable[str]:
        return (f"{self.prefix}-{plural}" for plural in _GUARDED)

    def _is_in_force(self, name: str, namespace: Mapping[str, str]) -> bool:
        found = self.policies.get(name)
        if found is None or found.meta.deleting or not found.fails or not found.namespaces.matches(namespace):
            return False
        if name.removeprefix(f"{self.prefix}-") not in found.resources:
            return False
        return any(b.policy == name and b.denies and not b.meta.deleting for b in self.bindings.values())


def prefix(policies: Mapping[str, AdmissionPolicy]) -> str:
    """Find out what the chart's policies are called after where nobody says so: by the chart's own label."""
    charts = {"app.kubernetes.io/name": names.ADMISSION}
    for name, found in sorted(policies.items()):
        for plural in _GUARDED:
            if charts.items() <= found.meta.labels.items() and name.endswith(f"-{plural}"):
                return name.removesuffix(f"-{plural}")
    return names.ADMISSION


def policy(obj: Raw, meta: "Meta") -> AdmissionPolicy:
    """Read a ValidatingAdmissionPolicy. One that passes over some objects by their labels looks at nothing for sure."""
    spec = obj.get("spec") or {}
    constraints = spec.get("matchConstraints") or {}
    certain = not _narrows(constraints.get("objectSelector")) and not constraints.get("excludeResourceRules")
    rules = [rule for rule in constraints.get("resourceRules") or () if certain and _is_whole(rule)]
    return AdmissionPolicy(
        meta,
        frozenset(resource for rule in rules for resource in rule.get("resources") or ()),
        Selector.parse(constraints.get("namespaceSelector")),
        (spec.get("failurePolicy") or "Fail") == "Fail",
    )


def binding(obj: Raw, meta: "Meta") -> AdmissionBinding:
    """Read a ValidatingAdmissionPolicyBinding; one that holds for some objects alone denies nothing for sure."""
    spec = obj.get("spec") or {}
    match = spec.get("matchResources") or {}
    selective = any(_narrows(match.get(key)) for key in ("namespaceSelector", "objectSelector"))
    narrow = selective or bool(match.get("resourceRules") or match.get("excludeResourceRules"))
    denies = "Deny" in (spec.get("validationActions") or ()) and not narrow
    return AdmissionBinding(meta, str(spec.get("policyName", "")), denies)


def _is_whole(rule: Raw) -> bool:
    """Tell whether a rule looks at every object of its resources that is made."""
    groups, made = rule.get("apiGroups") or (), rule.get("operations") or ()
    return bool({names.GROUP, "*"} & set(groups) and {"CREATE", "*"} & set(made)) and not rule.get("resourceNames")


def _narrows(selector: Raw | None) -> bool:
    return not Selector.parse(selector).is_empty
