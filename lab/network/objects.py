"""The few Kubernetes objects that the lab writes itself."""

from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]

POLICY = ("networking.k8s.io/v1", "NetworkPolicy")


def namespace(name: str, labels: Mapping[str, str] | None = None) -> Object:
    """Give a Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels or {})}}


def account(space: str, name: str) -> Object:
    """Give a ServiceAccount."""
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": space}}


def pod(space: str, name: str, labels: Mapping[str, str] | None = None, **spec: Any) -> Object:
    """Give a Pod; one container that nobody runs, unless `spec` says otherwise."""
    containers = [{"name": "main", "image": "registry.example.com/main"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": space, "labels": dict(labels or {})},
        "spec": {"containers": containers, **spec},
    }


def running(ips: tuple[str, ...]) -> Object:
    """Give the status of a pod that runs and has these addresses."""
    conditions = [{"type": kind, "status": "True"} for kind in ("Initialized", "ContainersReady", "Ready")]
    return {"phase": "Running", "podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips], "conditions": conditions}


def policy(space: str, name: str, labels: Mapping[str, str] | None = None, **spec: Any) -> Object:
    """Give a NetworkPolicy for the pods with these labels."""
    selector = {"matchLabels": dict(labels)} if labels else {}
    return {
        "apiVersion": POLICY[0],
        "kind": POLICY[1],
        "metadata": {"name": name, "namespace": space},
        "spec": {"podSelector": selector, **spec},
    }
