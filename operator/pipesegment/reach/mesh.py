"""Which mesh a namespace is in, as far as facts and class tell, and what a sidecar itself must reach."""

from typing import Final

from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import Snapshot
from pipesegment.findings import Finding
from pipesegment.reach.governance import namespace_labels
from pipesegment.reach.graph import Governance, Mesh, PodPeer, PortRange
from pipesegment.spec.segment import Stage

#: Policies with a selector hold for the whole mesh in its root namespace: nothing is ever written there.
ROOT_NAMESPACE: Final = "istio-system"
#: Where a sidecar gets its configuration and certificates (Istio: `istiod`, port 15012, mutual TLS).
CONTROL_PLANE: Final = PodPeer(ROOT_NAMESPACE, Selector.of({"app": "istiod"}))
CONTROL_PLANE_PORT: Final = PortRange("TCP", 15012)
#: On a namespace or a pod: whether Istio's ambient mesh captures it (`ambient`, `none`).
DATA_PLANE: Final = "istio.io/dataplane-mode"


def provider(namespace: str, governance: Governance, snapshot: Snapshot) -> Mesh:
    """Tell a namespace's mesh: the class's word, else Istio when one of its CRDs or namespace labels is in the facts."""
    return Mesh.NONE if namespace == ROOT_NAMESPACE else _provider(namespace, governance, snapshot)


def _provider(namespace: str, governance: Governance, snapshot: Snapshot) -> Mesh:
    match governance.spec.mesh.provider:
        case "Istio":
            return _data_plane(namespace, governance, snapshot)
        case "Auto":
            present = any(crd.endswith(".istio.io") for crd in snapshot.crds)
            if present or _labelled(namespace, snapshot):
                return _data_plane(namespace, governance, snapshot)
            return Mesh.NONE
        case _:
            return Mesh.NONE


def _data_plane(namespace: str, governance: Governance, snapshot: Snapshot) -> Mesh:
    """Tell which of Istio's data planes: the class's word, else what the namespace's label says."""
    match governance.spec.mesh.data_plane:
        case "Ambient":
            return Mesh.AMBIENT
        case "Sidecar":
            return Mesh.ISTIO
        case _:
            return Mesh.AMBIENT if is_captured(namespace, snapshot) else Mesh.ISTIO


def of_stage(stage: Stage, selector: Selector, governance: Governance, found: Mesh) -> Mesh:
    """Tell a stage's mesh from its namespace's: its own word, and a label that all of its pods carry.

    Istio takes a pod's label before its namespace's. `found` is the namespace's mesh.
    """
    if stage.mesh == "None" or found is Mesh.NONE or governance.spec.mesh.data_plane != "Auto":
        return Mesh.NONE if stage.mesh == "None" else found
    label = dict(selector.labels).get(DATA_PLANE)
    if label == "ambient":
        return Mesh.AMBIENT
    return Mesh.NONE if label == "none" and found is Mesh.AMBIENT else found


def unsupported(namespace: str, governance: Governance, snapshot: Snapshot) -> Finding | None:
    """Say when a namespace is in a mesh that is not rendered for yet; nothing is rendered for another in its stead."""
    if governance.spec.mesh.provider == "None":
        return None
    if namespace == ROOT_NAMESPACE and _provider(namespace, governance, snapshot) is not Mesh.NONE:
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


def is_captured(namespace: str, snapshot: Snapshot) -> bool:
    """Tell whether ztunnel captures a namespace's pods, unless a label of theirs says otherwise."""
    return namespace_labels(namespace, snapshot).get(DATA_PLANE) == "ambient"


def _labelled(namespace: str, snapshot: Snapshot) -> bool:
    labels = namespace_labels(namespace, snapshot)
    return labels.get("istio-injection") == "enabled" or "istio.io/rev" in labels or is_captured(namespace, snapshot)
