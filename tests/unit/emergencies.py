"""Short ways to write exceptions, approvals, and the admission policies that hold both to their authors."""

import json
from typing import Any

from pipesegment import names
from pipesegment.facts.guards import GUARDED, OPERATOR, SHIPPED
from pipesegment.spec.exception import spec_hash

#: When everything here begins.
BEGIN = "2030-01-01T10:00:00Z"


def guards(
    prefix: str = names.ADMISSION,
    created: str = "2029-01-01T00:00:00Z",
    account: str = "system:serviceaccount:pipesegment-system:pipesegment",
) -> list[dict[str, Any]]:
    """The two admission policies and their bindings, as the chart has them."""
    found = []
    shipped = json.loads(json.dumps(SHIPPED).replace(OPERATOR, account))
    for plural in GUARDED:
        found.append(_admission("ValidatingAdmissionPolicy", f"{prefix}-{plural}", shipped[plural]))
        binding: dict[str, Any] = {"policyName": f"{prefix}-{plural}", "validationActions": ["Deny", "Audit"]}
        if plural == "segmentapprovals":
            binding["paramRef"] = {"parameterNotFoundAction": "Deny", "selector": {}}
        found.append(_admission("ValidatingAdmissionPolicyBinding", f"{prefix}-{plural}", binding))
    for obj in found:
        obj["metadata"]["creationTimestamp"] = created
    return found


def _admission(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    meta = {"name": name, "uid": f"u-{kind}-{name}"}
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": meta, "spec": spec}


def exception(
    *reaches: Any,
    name: str = "hotfix",
    segment: str = "shop",
    stage: str = "a",
    namespace: str = "ci",
    duration: str = "1h",
    created: str = BEGIN,
    by: str = "ada",
    **more: Any,
) -> dict[str, Any]:
    """A SegmentException that opens something."""
    spec = {
        "segment": segment,
        "stage": stage,
        "effect": "Open",
        "reaches": list(reaches),
        "reason": "the mirror is down",
        "ticket": "INC-1",
        "duration": duration,
        "requestedBy": {"username": by},
        **more,
    }
    return _ours(names.EXCEPTION, name, namespace, created, spec)


def seal(
    name: str = "incident", segment: str = "shop", stage: str = "a", created: str = BEGIN, **more: Any
) -> dict[str, Any]:
    """A SegmentException that seals a stage."""
    spec = {"segment": segment, "stage": stage, "effect": "Seal", "reason": "it is compromised", **more}
    return _ours(names.EXCEPTION, name, "ci", created, {**spec, "requestedBy": {"username": "grace"}})


def approval(
    of: dict[str, Any],
    by: str = "grace",
    created: str = BEGIN,
    name: str = "",
    cls: tuple[str, str] = ("default", "u-default"),
    **over: Any,
) -> dict[str, Any]:
    """A SegmentApproval of an exception by the word of a class (name, uid); `over` replaces what it names."""
    meta = of["metadata"]
    named = {"name": meta["name"], "uid": meta["uid"], "specHash": spec_hash(of["spec"])}
    named |= {"requestedBy": of["spec"]["requestedBy"], **over}
    spec = {"exception": named, "class": {"name": cls[0], "uid": cls[1]}, "approvedBy": {"username": by}}
    return _ours(names.APPROVAL, name or f"{meta['name']}-{by}", meta["namespace"], created, spec)


def _ours(kind: str, name: str, namespace: str, created: str, spec: dict[str, Any]) -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace, "uid": f"u-{name}", "creationTimestamp": created, "generation": 1}
    return {"apiVersion": names.API_VERSION, "kind": kind, "metadata": meta, "spec": spec}
