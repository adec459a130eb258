"""Facts of an emergency: exceptions, approvals, and the admission policies that hold both to their authors."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from pipesegment import names
from pipesegment.facts.meta import Meta
from pipesegment.facts.moments import moment
from pipesegment.facts.selectors import Selector
from pipesegment.findings import Refusal
from pipesegment.spec.exception import SegmentApprovalSpec, SegmentExceptionSpec
from pipesegment.spec.status import IN_FORCE
from pipesegment.spec.units import seconds

Raw = Mapping[str, Any]

#: The admission policies without which no approval is believed, by whose word each is: who asked, who approved.
_GUARDED: Final = tuple(names.KINDS[kind][0] for kind in (names.EXCEPTION, names.APPROVAL))
#: The API server takes notice of a policy within a second or so.
_NOTICE: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class SegmentException:
    """A SegmentException; `spec` is None when it is refused. `hash` is its spec's, which approvals have to name."""

    meta: Meta
    spec: SegmentExceptionSpec | None
    hash: str = ""
    refusals: tuple[Refusal, ...] = ()
    status: bytes = field(default=b"", compare=False, repr=False)
    #: It is asked what it would open: nobody has approved it, and it does not exist.
    supposed: bool = False

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
        return phase in IN_FORCE

    @property
    def meant(self) -> tuple[str, str]:
        """The uid of the segment and the pods of the stage when it was looked at first, '' where its status does not say."""
        told = orjson.loads(self.status).get("meant") if self.status else None
        return (told.get("uid") or "", told.get("pods") or "") if isinstance(told, dict) else ("", "")

    @property
    def is_replaced(self) -> bool:
        """Whether its status said that what it was for is another one: that is for good."""
        return bool(self.status) and orjson.loads(self.status).get("reason") == "Replaced"

    def is_over(self, now: datetime | None) -> bool:
        """Tell whether its time is over; while nobody knows what time it is, nothing is."""
        ends = self.ends
        return ends is not None and now is not None and now >= ends


@dataclass(frozen=True, slots=True)
class SegmentApproval:
    """A SegmentApproval; `spec` is None when it is refused, and it counts for nothing."""

    meta: Meta
    spec: SegmentApprovalSpec | None
    refusals: tuple[Refusal, ...] = ()
    status: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class AdmissionPolicy:
    """A ValidatingAdmissionPolicy: which resources it looks at when they are made, in which namespaces, failing closed.

    `flaw` says why it looks at fewer requests than these.
    """

    meta: Meta
    resources: frozenset[str]
    namespaces: Selector
    fails: bool
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class AdmissionBinding:
    """A ValidatingAdmissionPolicyBinding: which policy it puts in force, and whether that denies, everywhere; why not is its `flaw`."""

    meta: Meta
    policy: str
    denies: bool
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class Guards:
    """The admission policies of a cluster, and what the names of ours begin with."""

    policies: Mapping[str, AdmissionPolicy] = field(default_factory=dict)
    bindings: Mapping[str, AdmissionBinding] = field(default_factory=dict)
    prefix: str = names.ADMISSION

    def missing(self, namespace: Mapping[str, str]) -> tuple[str, ...]:
        """Name the policies that are not in force for a namespace with these labels, and say why of those that are there."""
        whys = ((name, self._lack(name, namespace)) for name in self._names())
        return tuple(f"{name} ({why})" if why else name for name, why in whys if why is not None)

    def concerns(self, found: AdmissionPolicy | AdmissionBinding) -> bool:
        """Tell whether a policy, or what binds one, is among those by which somebody's word is believed."""
        return (found.policy if isinstance(found, AdmissionBinding) else found.meta.name) in self._names()

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

    def _lack(self, name: str, namespace: Mapping[str, str]) -> str | None:
        """Say why a policy is not in force; '' when it is not there, None when it is in force."""
        found = self.policies.get(name)
        if found is None or found.meta.deleting:
            return ""
        if found.flaw:
            return found.flaw
        if not found.fails:
            return "its failurePolicy is not Fail"
        if not found.namespaces.matches(namespace):
            return "its namespaceSelector passes over this namespace"
        if name.removeprefix(f"{self.prefix}-") not in found.resources:
            return "it does not look at everything that is made, of every version"
        bound = [b for _, b in sorted(self.bindings.items()) if b.policy == name and not b.meta.deleting]
        if any(b.denies for b in bound):
            return None
        return next((f"the {b.flaw}" for b in bound if b.flaw), "no binding of it denies")


def prefix(policies: Mapping[str, AdmissionPolicy]) -> str:
    """Find out what the chart's policies are called after where nobody says so: by the chart's own label."""
    charts = {"app.kubernetes.io/name": names.ADMISSION}
    for name, found in sorted(policies.items()):
        for plural in _GUARDED:
            if charts.items() <= found.meta.labels.items() and name.endswith(f"-{plural}"):
                return name.removesuffix(f"-{plural}")
    return names.ADMISSION


def policy(obj: Raw, meta: Meta) -> AdmissionPolicy:
    """Read a ValidatingAdmissionPolicy. One that passes over some objects by their labels looks at nothing for sure."""
    spec = obj.get("spec") or {}
    constraints = spec.get("matchConstraints") or {}
    flaws = {
        "its matchConditions leave requests out": spec.get("matchConditions"),
        "its objectSelector leaves objects out": _narrows(constraints.get("objectSelector")),
        "its excludeResourceRules leave objects out": constraints.get("excludeResourceRules"),
        "it has no validations": not spec.get("validations"),
        "its paramKind is not SegmentClass": _is_of_approvals(meta.name) and not _is_class(spec.get("paramKind") or {}),
    }
    rules = [rule for rule in constraints.get("resourceRules") or () if _is_whole(rule)]
    return AdmissionPolicy(
        meta,
        frozenset(resource for rule in rules for resource in rule.get("resources") or ()),
        Selector.parse(constraints.get("namespaceSelector")),
        (spec.get("failurePolicy") or "Fail") == "Fail",
        next((flaw for flaw, holds in flaws.items() if holds), ""),
    )


def binding(obj: Raw, meta: Meta) -> AdmissionBinding:
    """Read a ValidatingAdmissionPolicyBinding; one that holds for some objects alone denies nothing for sure."""
    spec = obj.get("spec") or {}
    match, name = spec.get("matchResources") or {}, str(spec.get("policyName", ""))
    selective = any(_narrows(match.get(key)) for key in ("namespaceSelector", "objectSelector"))
    narrow = selective or bool(match.get("resourceRules") or match.get("excludeResourceRules"))
    flaw = "matchResources of its binding leave objects out" if narrow else ""
    if not _has_its_parameters(name, spec.get("paramRef")):
        flaw = "paramRef of its binding does not name every SegmentClass, or lets through what finds none"
    if "Deny" not in (spec.get("validationActions") or ()):
        flaw = "validationActions of its binding do not deny"
    return AdmissionBinding(meta, name, not flaw, flaw)


def _has_its_parameters(policy: str, given: Raw | None) -> bool:
    """Tell whether approvals are held to every class, and by none nobody may approve; nothing else has a parameter."""
    if not _is_of_approvals(policy):
        return not given
    ref = given or {}
    every = "selector" in ref and not _narrows(ref["selector"]) and not (ref.get("name") or ref.get("namespace"))
    return every and ref.get("parameterNotFoundAction") == "Deny"


def _is_of_approvals(policy: str) -> bool:
    return policy.endswith(f"-{names.KINDS[names.APPROVAL][0]}")


def _is_class(kind: Raw) -> bool:
    return kind.get("kind") == names.CLASS and str(kind.get("apiVersion", "")).startswith(f"{names.GROUP}/")


def _is_whole(rule: Raw) -> bool:
    """Tell whether a rule looks at every object of its resources that is made, of whatever version."""
    groups, made = rule.get("apiGroups") or (), rule.get("operations") or ()
    if "*" not in (rule.get("apiVersions") or ()) or (rule.get("scope") or "*") != "*" or rule.get("resourceNames"):
        return False
    return bool({names.GROUP, "*"} & set(groups) and {"CREATE", "*"} & set(made))


def _narrows(selector: Raw | None) -> bool:
    return not Selector.parse(selector).is_empty
