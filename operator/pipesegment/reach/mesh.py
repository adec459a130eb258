"""Which mesh a namespace is in, as far as facts and class tell, and what a sidecar itself must reach."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from pipesegment.facts.selectors import Selector
from pipesegment.facts.snapshot import Snapshot
from pipesegment.findings import Finding
from pipesegment.reach.edges import Mesh, PodPeer, PortRange
from pipesegment.reach.governance import namespace_labels
from pipesegment.reach.graph import Governance
from pipesegment.spec.segment import Stage

#: Policies with a selector hold for the whole mesh in its root namespace: nothing is ever written there.
ROOT_NAMESPACE: Final = "istio-system"
#: Linkerd's own namespace: its sidecars' policies are its own too.
LINKERD_NAMESPACE: Final = "linkerd"


class ControlPlane(NamedTuple):
    """A part of a control plane: the Service that sidecars know it by (`namespace/name`), its pods and their ports."""

    service: str
    pods: PodPeer
    ports: tuple[PortRange, ...]

    @property
    def hosts(self) -> tuple[str, ...]:
        """What Istio's Sidecars call it."""
        namespace, _, name = self.service.partition("/")
        return (f"{namespace}/{name}.{namespace}.svc.cluster.local",)


def _of_linkerd(component: str, service: str, *ports: int) -> ControlPlane:
    pods = PodPeer(LINKERD_NAMESPACE, Selector.of({"linkerd.io/control-plane-component": component}))
    return ControlPlane(f"{LINKERD_NAMESPACE}/{service}", pods, tuple(PortRange("TCP", port) for port in ports))


#: Where sidecars get their configuration and certificates. Istio: `istiod`, mutual TLS. Linkerd: identity, destination and
#: policy, whose proxies take calls of other proxies' at their own ports. What ztunnel captures needs none.
CONTROL_PLANES: Final[Mapping[Mesh, tuple[ControlPlane, ...]]] = {
    Mesh.ISTIO: (
        ControlPlane(
            f"{ROOT_NAMESPACE}/istiod",
            PodPeer(ROOT_NAMESPACE, Selector.of({"app": "istiod"})),
            (PortRange("TCP", 15012),),
        ),
    ),
    Mesh.LINKERD: (
        _of_linkerd("identity", "linkerd-identity-headless", 8080),
        _of_linkerd("destination", "linkerd-dst-headless", 8086, 8090),
    ),
}
_ROOTS: Final = frozenset({ROOT_NAMESPACE, LINKERD_NAMESPACE})
#: On a namespace: whether Linkerd gives its pods sidecars, and what these let in at a port that no Server names.
INJECT: Final = "linkerd.io/inject"
DEFAULT_POLICY: Final = "config.linkerd.io/default-inbound-policy"
INJECTED: Final = frozenset({"enabled", "ingress"})
#: On a namespace: whether Istio gives its pods sidecars (`enabled`).
_INJECTION: Final = "istio-injection"
#: On a namespace or a pod: whether Istio's ambient mesh captures it (`ambient`, `none`).
DATA_PLANE: Final = "istio.io/dataplane-mode"


def provider(namespace: str, governance: Governance, snapshot: Snapshot) -> Mesh:
    """Tell a namespace's mesh: the class's word, else Istio or Linkerd when one of its CRDs or marks is in the facts.

    Where both are installed, Linkerd is it for namespaces that say so by its annotation.
    """
    return Mesh.NONE if namespace in _ROOTS else _provider(namespace, governance, snapshot)


def _provider(namespace: str, governance: Governance, snapshot: Snapshot) -> Mesh:
    match governance.spec.mesh.provider:
        case "Istio":
            return _data_plane(namespace, governance, snapshot)
        case "Auto":
            inject = annotation(INJECT, namespace, snapshot)
            if is_labelled(namespace, snapshot):
                return _data_plane(namespace, governance, snapshot)
            if inject in INJECTED:
                return Mesh.LINKERD
            if any(crd.endswith(".istio.io") for crd in snapshot.crds):
                return _data_plane(namespace, governance, snapshot)
            linkerd = any(crd.endswith(".linkerd.io") for crd in snapshot.crds)
            return Mesh.LINKERD if linkerd and inject != "disabled" else Mesh.NONE
        case "Linkerd":
            return Mesh.LINKERD
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
    if stage.mesh == "None" or found in {Mesh.NONE, Mesh.LINKERD} or governance.spec.mesh.data_plane != "Auto":
        return Mesh.NONE if stage.mesh == "None" else found
    label = dict(selector.labels).get(DATA_PLANE)
    if label == "ambient":
        return Mesh.AMBIENT
    return Mesh.NONE if label == "none" and found is Mesh.AMBIENT else found


def unsupported(namespace: str, governance: Governance, snapshot: Snapshot) -> Finding | None:
    """Say when a namespace is a mesh's own: nothing of the mesh is rendered there."""
    if namespace not in _ROOTS or _provider(namespace, governance, snapshot) is Mesh.NONE:
        return None
    return Finding(
        "metadata.namespace",
        "NotYetSupported",
        namespace,
        f"namespace {namespace} is the mesh's root, whose policies hold in every namespace, so none is written for it"
        if namespace == ROOT_NAMESPACE
        else f"namespace {namespace} is the mesh's own, so nothing of the mesh is written for it",
        "run the pipeline in a namespace of its own",
    )


def annotation(key: str, namespace: str, snapshot: Snapshot) -> str:
    """Give a namespace's annotation; '' where it has none or is not known."""
    found = snapshot.namespaces.get(namespace)
    return found.meta.annotations.get(key, "") if found else ""


def is_captured(namespace: str, snapshot: Snapshot) -> bool:
    """Tell whether ztunnel captures a namespace's pods, unless a label of theirs says otherwise.

    Of two that would carry a pod's calls the sidecar does (Istio, 'Enable ambient mode').
    """
    labels = namespace_labels(namespace, snapshot)
    return labels.get(DATA_PLANE) == "ambient" and labels.get(_INJECTION) != "enabled"


def captures(selector: Selector, namespace: str, snapshot: Snapshot) -> bool:
    """Tell whether ztunnel captures pods: by a label that all of them carry, else by their namespace's."""
    label = dict(selector.labels).get(DATA_PLANE)
    return label == "ambient" if label is not None else is_captured(namespace, snapshot)


def is_labelled(namespace: str, snapshot: Snapshot) -> bool:
    """Tell whether a namespace's labels put its pods into Istio's mesh."""
    labels = namespace_labels(namespace, snapshot)
    return labels.get(_INJECTION) == "enabled" or "istio.io/rev" in labels or is_captured(namespace, snapshot)
