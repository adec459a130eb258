"""Facts of what holds exceptions and approvals to their authors: two admission policies, as the chart of this version has them.

What they say is compared with what the operator was built with (`shipped.json`, made by charts/render.py): a name or a label
proves nothing, and a policy whose expressions were changed holds nobody to anything (docs/adr/0071).
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import resources
from typing import Any, Final

from pipesegment import names
from pipesegment.facts.meta import Meta
from pipesegment.facts.moments import after, moment
from pipesegment.facts.selectors import Selector

Raw = Mapping[str, Any]

#: The admission policies without which no approval is believed, by whose word each is: who asked, who approved.
GUARDED: Final = tuple(names.KINDS[kind][0] for kind in (names.EXCEPTION, names.APPROVAL))
#: What each of them says: the spec, without what the API server would fill in. The operator's account, which is each
#: release's own, is in it as OPERATOR.
SHIPPED: Final[Mapping[str, Raw]] = json.loads(resources.files(__package__).joinpath("shipped.json").read_bytes())
OPERATOR: Final = "system:serviceaccount:<namespace>:<name>"
_ACCOUNT: Final = r"system:serviceaccount:[a-z0-9-]+:[a-z0-9.-]+"
#: What the API server fills in; all else that it fills in is empty.
_DEFAULTS: Final = {"failurePolicy": "Fail", "matchPolicy": "Equivalent", "scope": "*"}
#: The API server takes notice of a policy within a second or so.
_NOTICE: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class AdmissionPolicy:
    """A ValidatingAdmissionPolicy; `flaw` says in what it is another than the chart's of the same name."""

    meta: Meta
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class AdmissionBinding:
    """A ValidatingAdmissionPolicyBinding: which policy it puts in force; its `flaw` says why that does not deny, everywhere."""

    meta: Meta
    policy: str
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class Guards:
    """The admission policies of a cluster, and what the names of ours begin with."""

    policies: Mapping[str, AdmissionPolicy] = field(default_factory=dict)
    bindings: Mapping[str, AdmissionBinding] = field(default_factory=dict)
    prefix: str = names.ADMISSION

    @property
    def missing(self) -> tuple[str, ...]:
        """Name the policies that are not in force, and say why of those that are there."""
        whys = ((name, self._lack(name)) for name in self._names())
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
        return made is not None and any(made <= after(begun, _NOTICE) for begun in since)

    def _begun(self, name: str) -> datetime | None:
        """Give when a policy and the first of its bindings that deny were there; None where nobody says so."""
        policy = moment(self.policies[name].meta.created) if name in self.policies else None
        bound = [moment(b.meta.created) for b in self.bindings.values() if b.policy == name and not b.flaw]
        times = [time for time in bound if time is not None]
        return max(policy, min(times)) if policy is not None and times else None

    def _names(self) -> Iterable[str]:
        return (f"{self.prefix}-{plural}" for plural in GUARDED)

    def _lack(self, name: str) -> str | None:
        """Say why a policy is not in force; '' when it is not there, None when it is in force."""
        found = self.policies.get(name)
        if found is None or found.meta.deleting:
            return ""
        if found.flaw:
            return found.flaw
        bound = [b for _, b in sorted(self.bindings.items()) if b.policy == name and not b.meta.deleting]
        if any(not b.flaw for b in bound):
            return None
        return next((f"the {b.flaw}" for b in bound), "no binding of it denies")


def prefix(policies: Mapping[str, AdmissionPolicy]) -> str:
    """Find out what the chart's policies are called after where nobody says so: by the chart's own label."""
    charts = {"app.kubernetes.io/name": names.ADMISSION}
    for name, found in sorted(policies.items()):
        for plural in GUARDED:
            if charts.items() <= found.meta.labels.items() and name.endswith(f"-{plural}"):
                return name.removesuffix(f"-{plural}")
    return names.ADMISSION


def policy(obj: Raw, meta: Meta) -> AdmissionPolicy:
    """Read a ValidatingAdmissionPolicy; one of another name than ours is nothing to us."""
    wanted = SHIPPED.get(meta.name.rpartition("-")[2])
    flaw = _difference(wanted, plain(obj.get("spec") or {}), "spec") if wanted is not None else ""
    return AdmissionPolicy(meta, flaw)


def binding(obj: Raw, meta: Meta) -> AdmissionBinding:
    """Read a ValidatingAdmissionPolicyBinding; one that holds for some objects alone denies nothing for sure."""
    spec = obj.get("spec") or {}
    name = str(spec.get("policyName", ""))
    flaw = "matchResources of its binding leave objects out" if plain(spec.get("matchResources") or {}) else ""
    if not _has_its_parameters(name, spec.get("paramRef")):
        flaw = "paramRef of its binding does not name every SegmentClass, or lets through what finds none"
    if "Deny" not in (spec.get("validationActions") or ()):
        flaw = "validationActions of its binding do not deny"
    return AdmissionBinding(meta, name, flaw)


def plain(value: Any) -> Any:
    """Leave out of a policy's spec what the API server fills in, so that what was read back is what was applied."""
    if isinstance(value, Mapping):
        kept = {key: plain(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, {}, [], _DEFAULTS.get(key))}
    return [plain(item) for item in value] if isinstance(value, list) else value


def _difference(wanted: Any, found: Any, path: str) -> str:
    """Say where a policy is another than the chart's first; '' when it is nowhere."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for key in sorted({*wanted, *found}, key=str):
            where = f"{path}.{key}"
            if key not in found:
                return f"it lacks the {where} that the chart of this version has"
            if key not in wanted and key not in _DEFAULTS:
                return f"the chart of this version has no {where}"
            if told := _difference(wanted.get(key), found[key], where):
                return told
        return ""
    if isinstance(wanted, list) and isinstance(found, list):
        every = (_difference(*both, f"{path}[{n}]") for n, both in enumerate(zip(wanted, found, strict=False)))
        more = f"its {path} are {len(found)}, and {len(wanted)} in the chart of this version"
        return next(filter(None, every), "" if len(wanted) == len(found) else more)
    return "" if _says(wanted, found) else f"its {path} is not that of the chart of this version"


def _says(wanted: Any, found: Any) -> bool:
    """Tell whether something is the same but for whose account the operator's is: exactly one, whoever that is."""
    if not (isinstance(wanted, str) and isinstance(found, str) and OPERATOR in wanted):
        return bool(wanted == found)
    return re.fullmatch(_ACCOUNT.join(map(re.escape, wanted.split(OPERATOR))), found) is not None


def _has_its_parameters(policy: str, given: Raw | None) -> bool:
    """Tell whether approvals are held to every class, and by none nobody may approve; nothing else has a parameter."""
    if not policy.endswith(f"-{names.KINDS[names.APPROVAL][0]}"):
        return not given
    ref = given or {}
    every = (
        "selector" in ref and Selector.parse(ref["selector"]).is_empty and not (ref.get("name") or ref.get("namespace"))
    )
    return every and ref.get("parameterNotFoundAction") == "Deny"
