"""Kinds and where the API server keeps them."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from pipesegment import names
from pipesegment.errors import Rejected


@dataclass(frozen=True, slots=True, order=True)
class Kind:
    """A kind at one API version, and its place in the API server's paths."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group; empty for core."""
        return self.api_version.rpartition("/")[0]

    @property
    def crd(self) -> str:
        """The name that its CustomResourceDefinition has, if it has one."""
        return f"{self.plural}.{self.group}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Give the path of an object, or (no name) of the collection; of every namespace when none is given.

        Raises Rejected 400 for a name that would lead to another path.
        """
        parts = ["/apis" if self.group else "/api", self.api_version]
        if self.namespaced and namespace:
            parts += ["namespaces", _segment(namespace)]
        parts.append(self.plural)
        if name:
            parts.append(_segment(name))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


def _segment(text: str) -> str:
    # Names come from users; dots and slashes would be resolved by proxies on the way.
    if text in {".", ".."} or "/" in text or "%" in text:
        raise Rejected(400, "BadRequest", f"no object can be called {text!r}")
    return quote(text, safe="")


NAMESPACE: Final = Kind("v1", "Namespace", "namespaces", namespaced=False)
NODE: Final = Kind("v1", "Node", "nodes", namespaced=False)
POD: Final = Kind("v1", "Pod", "pods")
SERVICE: Final = Kind("v1", "Service", "services")
SERVICE_ACCOUNT: Final = Kind("v1", "ServiceAccount", "serviceaccounts")
ENDPOINT_SLICE: Final = Kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
DAEMON_SET: Final = Kind("apps/v1", "DaemonSet", "daemonsets")
NETWORK_POLICY: Final = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
EVENT: Final = Kind("events.k8s.io/v1", "Event", "events")
LEASE: Final = Kind("coordination.k8s.io/v1", "Lease", "leases")
ACCESS_REVIEW: Final = Kind(
    "authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False
)
SELF_REVIEW: Final = Kind("authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews", namespaced=False)
CRD: Final = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False)
GATEWAY: Final = Kind("gateway.networking.k8s.io/v1", "Gateway", "gateways")
ROLE: Final = Kind("rbac.authorization.k8s.io/v1", "Role", "roles")
CLUSTER_ROLE: Final = Kind("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDING: Final = Kind(
    "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False
)
ROLE_BINDING: Final = Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
AUTHORIZATION_POLICY: Final = Kind("security.istio.io/v1", "AuthorizationPolicy", "authorizationpolicies")
PEER_AUTHENTICATION: Final = Kind("security.istio.io/v1", "PeerAuthentication", "peerauthentications")
SIDECAR: Final = Kind("networking.istio.io/v1", "Sidecar", "sidecars")
SERVICE_ENTRY: Final = Kind("networking.istio.io/v1", "ServiceEntry", "serviceentries")

ADMISSION_POLICY: Final = Kind(
    "admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies", namespaced=False
)
ADMISSION_BINDING: Final = Kind(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
    namespaced=False,
)

SERVER: Final = Kind("policy.linkerd.io/v1beta3", "Server", "servers")
LINKERD_POLICY: Final = Kind("policy.linkerd.io/v1alpha1", "AuthorizationPolicy", "authorizationpolicies")
MESH_TLS_AUTHENTICATION: Final = Kind("policy.linkerd.io/v1alpha1", "MeshTLSAuthentication", "meshtlsauthentications")
HTTP_ROUTE: Final = Kind("policy.linkerd.io/v1beta3", "HTTPRoute", "httproutes")
NETWORK_AUTHENTICATION: Final = Kind("policy.linkerd.io/v1alpha1", "NetworkAuthentication", "networkauthentications")
SERVER_AUTHORIZATION: Final = Kind("policy.linkerd.io/v1beta1", "ServerAuthorization", "serverauthorizations")
CILIUM_NETWORK_POLICY: Final = Kind("cilium.io/v2", "CiliumNetworkPolicy", "ciliumnetworkpolicies")
SECURITY_GROUP_POLICY: Final = Kind("vpcresources.k8s.aws/v1beta1", "SecurityGroupPolicy", "securitygrouppolicies")


#: By which other controllers make things in AWS, by what a class calls the controller.
CONTROLLED: Final = {
    "ACK": (
        Kind(names.ACK_IAM, names.CONTROLLED_ROLE, "roles"),
        Kind(names.ACK_EKS, names.POD_IDENTITY_ASSOCIATION, "podidentityassociations"),
    ),
    "Crossplane": (
        Kind(names.CROSSPLANE_IAM, names.CONTROLLED_ROLE, "roles", namespaced=False),
        Kind(names.CROSSPLANE_IAM, "RolePolicy", "rolepolicies", namespaced=False),
        Kind(names.CROSSPLANE_IAM, "RolePolicyAttachment", "rolepolicyattachments", namespaced=False),
        Kind(names.CROSSPLANE_EKS, names.POD_IDENTITY_ASSOCIATION, "podidentityassociations", namespaced=False),
    ),
}
CILIUM_CLUSTERWIDE: Final = Kind(
    "cilium.io/v2", "CiliumClusterwideNetworkPolicy", "ciliumclusterwidenetworkpolicies", namespaced=False
)


def _ours(kind: str) -> Kind:
    plural, _, namespaced = names.KINDS[kind]
    return Kind(names.API_VERSION, kind, plural, namespaced)


SEGMENT: Final = _ours(names.SEGMENT)
GRANT: Final = _ours(names.GRANT)
CLASS: Final = _ours(names.CLASS)
EXCEPTION: Final = _ours(names.EXCEPTION)
APPROVAL: Final = _ours(names.APPROVAL)

#: What a segment's objects in the cluster are. Kinds that were ever owned stay here, so that upgrades can prune them.
OWNED: Final = (
    *(NETWORK_POLICY, SERVICE_ACCOUNT, ROLE_BINDING, AUTHORIZATION_POLICY, PEER_AUTHENTICATION, SIDECAR),
    *(SERVICE_ENTRY, CILIUM_NETWORK_POLICY, SECURITY_GROUP_POLICY),
    *(SERVER, HTTP_ROUTE, LINKERD_POLICY, MESH_TLS_AUTHENTICATION, NETWORK_AUTHENTICATION),
)

#: Policies of others that may widen a stage, beside NetworkPolicies.
FOREIGN: Final = (
    *(AUTHORIZATION_POLICY, PEER_AUTHENTICATION, SIDECAR),
    *(SERVER, HTTP_ROUTE, LINKERD_POLICY, SERVER_AUTHORIZATION),
    *(CILIUM_NETWORK_POLICY, CILIUM_CLUSTERWIDE),
)

KNOWN: Final = {
    (kind.api_version, kind.kind): kind
    for kind in (
        *(
            NAMESPACE,
            NODE,
            POD,
            SERVICE,
            ENDPOINT_SLICE,
            DAEMON_SET,
            GATEWAY,
            EVENT,
            LEASE,
            ACCESS_REVIEW,
            SELF_REVIEW,
            CRD,
        ),
        *OWNED,
        *(kind for found in CONTROLLED.values() for kind in found),
        *(SEGMENT, GRANT, CLASS),
        *FOREIGN,
        *(SEGMENT, GRANT, CLASS, EXCEPTION, APPROVAL),
        *(ADMISSION_POLICY, ADMISSION_BINDING),
    )
}
