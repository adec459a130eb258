"""Which namespaces a class isolates: those that it governs, less those whose pods serve the whole cluster.

A default deny where the cluster's names are resolved would cut off every pod of the cluster, fenced in or not. Such a
namespace is isolated when the class names it, and never because a selector happens to match it (docs/adr/0024). Which ones
these are follows from the class alone: what anybody may create must not decide where isolation ends.
"""

from typing import Final

from pipesegment import names
from pipesegment.facts.selectors import canonical
from pipesegment.spec.segmentclass import SegmentClassSpec

#: Every cluster has it: resolvers, network agents, what else comes with the control plane.
_OWN: Final = frozenset({"kube-system"})
#: Where OpenShift resolves names; a class that says where they are resolved says that it is not there.
_RESOLVERS: Final = "openshift-dns"
#: The meshes' roots: without its control plane no pod of a mesh is made or becomes ready.
_MESH_ROOTS: Final = {"Istio": "istio-system", "Linkerd": "linkerd"}


def isolates(spec: SegmentClassSpec, namespace: str) -> bool:
    """Tell whether a class closes the pods of a namespace that it governs."""
    return spec.network.isolation.mode == "Namespace" and not is_spared(spec, namespace)


def is_spared(spec: SegmentClassSpec, namespace: str) -> bool:
    """Tell whether a namespace is one of the cluster's own that the class does not name."""
    return namespace in _of_the_cluster(spec) and namespace not in _named(spec)


def _of_the_cluster(spec: SegmentClassSpec) -> frozenset[str]:
    dns, mesh = spec.network.dns, spec.mesh.provider
    resolvers = {pods.namespace for pods in dns.pods} if dns.pods or dns.cidrs else {_RESOLVERS}
    return _OWN | resolvers | {root for kind, root in _MESH_ROOTS.items() if mesh in {"Auto", kind}}


def _named(spec: SegmentClassSpec) -> frozenset[str]:
    requirements = canonical(spec.namespace_selector).requirements
    return frozenset(
        value for r in requirements if (r.key, r.operator) == (names.NAMESPACE_NAME_LABEL, "In") for value in r.values
    )
