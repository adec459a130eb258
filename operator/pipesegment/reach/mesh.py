"""Which mesh a namespace is in, as far as facts and class tell, and what a sidecar itself must reach."""

from typing import Final

from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import Snapshot
from pipesegment.findings import Finding
from pipesegment.reach.governance import namespace_labels
from pipesegment.reach.graph import Governance, Mesh, PodPeer, PortRange

#: Policies with a selector hold for the whole mesh in its root namespace: nothing is ever written there.
ROOT_NAMESPACE: Final = "istio-system"
#: Where a sidecar gets its configuration and certificates (Istio: `istiod`, port 15012, mutual TLS).
CONTROL_PLANE: Final = PodPeer(ROOT_NAMESPACE, Selector.of({"app": "istiod"}))
CONTROL_PLANE_PORT: Final = PortRange("TCP", 15012)


def provider(namespace: str, governance: Governance, snapshot: Snapshot) -> Mesh:
    """Tell a namespace's mesh: the class's word, else Istio when one of its CRDs or namespace labels is in the facts."""
    return Mesh.NONE if namespace == ROOT_NAMESPACE else _provider(namespace, governance, snapshot)


def _provider(namespace: str, governance: Governance, snapshot: Snapshot) -> Mesh:
    match governance.spec.mesh.provider:
        case "Istio":
            return Mesh.NONE if is_ambient(namespace, governance, snapshot) else Mesh.ISTIO
        case "Auto":
            present = any(crd.endswith(".istio.io") for crd in snapshot.crds)
            if (present or _labelled(namespace, snapshot)) and not is_ambient(namespace, governance, snapshot):
                return Mesh.ISTIO
            return Mesh.NONE
        case _:
            return Mesh.NONE


def unsupported(namespace: str, governance: Governance, snapshot: Snapshot) -> Finding | None:
    """Say when a namespace is in a mesh that is not rendered for yet; nothing is rendered for another in its stead."""
    if governance.spec.mesh.provider == "None":
        return None
    if is_ambient(namespace, governance, snapshot):
        where, fix = (
            "in Istio's ambient data plane, which has no policies here yet",
            "label the namespace istio-injection=enabled for sidecars, or set the class's mesh.provider to None",
        )
    elif namespace == ROOT_NAMESPACE and _provider(namespace, governance, snapshot) is Mesh.ISTIO:
        where, fix = (
            "the mesh's root, whose policies hold in every namespace, so none is written for it",
            "run the pipeline in a namespace of its own",
        )
    elif provider(namespace, governance, snapshot) is Mesh.NONE and any(
        c.endswith(".linkerd.io") for c in snapshot.crds
    ):
        where, fix = (
            "in Linkerd, which has no policies here yet",
            "set the class's mesh.provider to None, so that NetworkPolicy alone enforces",
        )
    else:
        return None
    return Finding(
        "metadata.namespace",
        "NotYetSupported",
        namespace,
        f"namespace {namespace} is {where}",
        fix,
    )


def is_ambient(namespace: str, governance: Governance, snapshot: Snapshot) -> bool:
    """Tell whether the namespace's pods are captured by ztunnel."""
    if governance.spec.mesh.data_plane == "Sidecar":
        return False
    return namespace_labels(namespace, snapshot).get("istio.io/dataplane-mode") == "ambient"


def _labelled(namespace: str, snapshot: Snapshot) -> bool:
    labels = namespace_labels(namespace, snapshot)
    return (
        labels.get("istio-injection") == "enabled"
        or "istio.io/rev" in labels
        or labels.get("istio.io/dataplane-mode") == "ambient"
    )
