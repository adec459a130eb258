"""Short ways to write a world and to read what became of it."""

from collections.abc import Mapping
from typing import Any

from pipesegment import names
from pipesegment.facts.parse import snapshot
from pipesegment.reach.edges import Edge
from pipesegment.reach.graph import Reach, StageReach
from pipesegment.reach.resolve import resolve

Raw = Mapping[str, Any]


def segment(
    stages: Any, name: str = "shop", namespace: str = "ci", *, created: str = "", **spec: Any
) -> dict[str, Any]:
    """A PipelineSegment; `created` is its age."""
    meta = {
        "name": name,
        "namespace": namespace,
        "uid": f"u-{name}",
        **({"creationTimestamp": created} if created else {}),
    }
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.SEGMENT,
        "metadata": meta,
        "spec": {"stages": stages, **spec},
    }


def grant(namespace: str, name: str = "grant", bound: Raw | None = None, **spec: Any) -> dict[str, Any]:
    """A SegmentGrant; it is from namespace `ci` unless `from_` says otherwise."""
    source = spec.pop("from_", [{"namespace": "ci"}])
    status = {"namespaces": [{"namespace": n, "uid": uid} for n, uid in (bound or {}).items()]}
    meta = {"name": name, "namespace": namespace, "uid": f"u-{name}"}
    body = {"apiVersion": names.API_VERSION, "kind": names.GRANT, "metadata": meta, "spec": {"from": source, **spec}}
    return {**body, "status": status} if bound else body


def segment_class(name: str = "default", **spec: Any) -> dict[str, Any]:
    """A SegmentClass."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.CLASS,
        "metadata": {"name": name, "uid": f"u-{name}"},
        "spec": spec,
    }


def plain(kind: str, namespace: str, name: str, spec: Raw, labels: Raw | None = None, **more: Any) -> dict[str, Any]:
    """A plain object."""
    return {
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name, "labels": labels or {}},
        "spec": spec,
        **more,
    }


def service(namespace: str, name: str, selector: Raw | None = None, ports: Any = None) -> dict[str, Any]:
    """A Service; port 80 leads to 8080 unless `ports` says otherwise."""
    spec = {"ports": ports or [{"port": 80, "targetPort": 8080}]}
    return plain("Service", namespace, name, spec | ({"selector": selector} if selector else {}))


def pod(namespace: str, name: str, labels: Raw, account: str = "default", **spec: Any) -> dict[str, Any]:
    """A running pod."""
    return plain("Pod", namespace, name, {"serviceAccountName": account, **spec}, labels, status={"phase": "Running"})


def policy(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    """A foreign NetworkPolicy."""
    return plain("NetworkPolicy", namespace, name, {"podSelector": {}, **spec})


def namespace(name: str, uid: str = "", **labels: str) -> dict[str, Any]:
    """A Namespace."""
    return {"kind": "Namespace", "metadata": {"name": name, "uid": uid, "labels": labels}}


def reach(*objects: Raw, name: str = "shop", at: str = "ci") -> Reach:
    """Resolve one segment of a world."""
    known = snapshot(objects)
    found = known.segment(at, name)
    assert found is not None
    assert found.spec is not None, found.refusals
    return resolve(found, known)


def stage(found: Reach, name: str) -> StageReach:
    """Find a stage."""
    return next(s for s in found.stages if s.key.stage == name)


def way(found: Reach, name: str, index: int = 0) -> list[Edge]:
    """Give the edges that one entry of a stage's reaches became."""
    own = stage(found, name)
    return [e for e in own.egress if e.because == f"{own.path}.reaches[{index}]"]


def reasons(found: Reach) -> list[tuple[str, str]]:
    """Give what is told, as (path, reason)."""
    return [(f.path, f.reason) for f in found.findings]
