"""Attempts: what somebody asks of the API server, without effect where that can be said, and what came of it."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from lab.access import Access

Object = dict[str, Any]

_MERGE = "application/merge-patch+json"
#: How policies refuse: as they say themselves, or as what is wrong with them or their parameters.
_DENIED = frozenset({403, 422})
#: What the API server says when it is not about admission policies.
_REFUSED = frozenset({401, 403, 404, 405, 409, 422})


@dataclass(frozen=True)
class Request:
    """One attempt: what is sent."""

    method: str
    path: str
    body: Any = None
    content_type: str = "application/json"


@dataclass(frozen=True)
class Answer:
    """What came of it: the policies that refused, those that warned, and the API server's own words."""

    status: int
    message: str
    warnings: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """`Deny <policy>`, `Warn <policy>`, `Allow`; anything else the API server refused for reasons of its own."""
        if self.status in _DENIED and "ValidatingAdmissionPolicy '" in self.message:
            return f"Deny {_policy(self.message)}"
        warned = [w for w in self.warnings if "ValidatingAdmissionPolicy '" in w]
        if self.status in _REFUSED:
            return f"{self.status}: {self.message}"
        return f"Warn {_policy(warned[0])}" if warned else "Allow"


def _policy(text: str) -> str:
    return text.split("ValidatingAdmissionPolicy '")[1].split("'", maxsplit=1)[0].removeprefix("pipesegment-")


class Person:
    """Somebody who asks the API server for something, without effect where that can be said (dryRun)."""

    def __init__(self, access: Access) -> None:
        self._url = urlsplit(access.server)
        self._headers = access.headers
        self._context = access.ssl_context()

    def tries(self, request: Request, *, dry: bool = True) -> Answer:
        """Send one request and tell what came of it."""
        assert self._url.hostname is not None
        connection = http.client.HTTPSConnection(self._url.hostname, self._url.port, timeout=60, context=self._context)
        path = request.path
        if dry and request.method != "GET":
            path += f"{'&' if '?' in path else '?'}dryRun=All"
        try:
            body = None if request.body is None else json.dumps(request.body)
            connection.request(request.method, path, body, self._headers | {"Content-Type": request.content_type})
            reply = connection.getresponse()
            said = reply.read().decode(errors="replace")
        finally:
            connection.close()
        warnings = tuple(value for key, value in reply.getheaders() if key.lower() == "warning")
        try:
            message = str(json.loads(said).get("message", ""))
        except ValueError:
            message = said
        return Answer(reply.status, message, warnings)

    def does(self, request: Request) -> None:
        """Send one request that has to succeed."""
        answer = self.tries(request, dry=False)
        assert answer.status < 400, answer


_PATHS = {
    "Pod": ("/api/v1", "pods"),
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
    "Namespace": ("/api/v1", "namespaces"),
    "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies"),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    "PipelineSegment": ("/apis/pipesegment.dev/v1alpha1", "pipelinesegments"),
    "SegmentException": ("/apis/pipesegment.dev/v1alpha1", "segmentexceptions"),
    "SegmentApproval": ("/apis/pipesegment.dev/v1alpha1", "segmentapprovals"),
    "SegmentClass": ("/apis/pipesegment.dev/v1alpha1", "segmentclasses"),
    "AuthorizationPolicy": ("/apis/security.istio.io/v1", "authorizationpolicies"),
    "PeerAuthentication": ("/apis/security.istio.io/v1", "peerauthentications"),
    "Sidecar": ("/apis/networking.istio.io/v1", "sidecars"),
    "CiliumNetworkPolicy": ("/apis/cilium.io/v2", "ciliumnetworkpolicies"),
    "Server": ("/apis/policy.linkerd.io/v1beta3", "servers"),
    "HTTPRoute": ("/apis/policy.linkerd.io/v1beta3", "httproutes"),
    "ServerAuthorization": ("/apis/policy.linkerd.io/v1beta1", "serverauthorizations"),
    "policy.linkerd.io/AuthorizationPolicy": ("/apis/policy.linkerd.io/v1alpha1", "authorizationpolicies"),
    "SecurityGroupPolicy": ("/apis/vpcresources.k8s.aws/v1beta1", "securitygrouppolicies"),
    "iam.services.k8s.aws/Role": ("/apis/iam.services.k8s.aws/v1alpha1", "roles"),
    "eks.services.k8s.aws/PodIdentityAssociation": ("/apis/eks.services.k8s.aws/v1alpha1", "podidentityassociations"),
    "iam.aws.upbound.io/Role": ("/apis/iam.aws.upbound.io/v1beta1", "roles"),
    "iam.aws.upbound.io/RolePolicy": ("/apis/iam.aws.upbound.io/v1beta1", "rolepolicies"),
    "iam.aws.upbound.io/RolePolicyAttachment": ("/apis/iam.aws.upbound.io/v1beta1", "rolepolicyattachments"),
    "eks.aws.upbound.io/PodIdentityAssociation": ("/apis/eks.aws.upbound.io/v1beta1", "podidentityassociations"),
    "ValidatingAdmissionPolicyBinding": (
        "/apis/admissionregistration.k8s.io/v1",
        "validatingadmissionpolicybindings",
    ),
    "ValidatingAdmissionPolicy": ("/apis/admissionregistration.k8s.io/v1", "validatingadmissionpolicies"),
}


def path(kind: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """Where something is."""
    base, plural = _PATHS[kind]
    parts = [base, f"namespaces/{namespace}" if namespace else "", plural, name, subresource]
    return "/".join(part for part in parts if part)


def create(obj: Object) -> Request:
    """Make an object."""
    kind = f"{obj['apiVersion'].partition('/')[0]}/{obj['kind']}"
    return Request("POST", path(kind if kind in _PATHS else obj["kind"], obj["metadata"].get("namespace", "")), obj)


def change(kind: str, namespace: str, name: str, patch: Mapping[str, Any], subresource: str = "") -> Request:
    """Change an object by a merge patch."""
    return Request("PATCH", path(kind, namespace, name, subresource), patch, _MERGE)


def marked(kind: str, namespace: str, name: str, annotations: Mapping[str, str]) -> Request:
    """Put annotations on an object."""
    return change(kind, namespace, name, {"metadata": {"annotations": dict(annotations)}})


def delete(kind: str, namespace: str, name: str) -> Request:
    """Delete an object."""
    return Request("DELETE", path(kind, namespace, name))


def connect(namespace: str, name: str, subresource: str) -> Request:
    """Exec, attach and the like: what comes after admission fails, for nothing runs."""
    query = "?command=id&stdout=true" if subresource == "exec" else ""
    return Request("GET", path("Pod", namespace, name, subresource) + query)


def token(namespace: str, account: str) -> Request:
    """Ask for a token of an account."""
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": ["sts.example.com"]},
    }
    return Request("POST", path("ServiceAccount", namespace, account, "token"), body)


def labels(segment_name: str, stage_name: str, **more: str) -> dict[str, str]:
    """The canonical labels of a stage's pods."""
    return {"pipesegment.dev/segment": segment_name, "pipesegment.dev/stage": stage_name, **more}


def pod(
    namespace: str,
    account: str = "",
    marks: dict[str, str] | None = None,
    *,
    name: str = "attempt",
    annotations: dict[str, str] | None = None,
    container: Object | None = None,
    more: list[Object] | None = None,
    **spec: Any,
) -> Object:
    """A pod; `container` is added to its own one, `more` are further ones."""
    own = {"name": "work", "image": "registry.example.com/work", **(container or {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": marks or {}, "annotations": annotations or {}},
        "spec": {
            **({"serviceAccountName": account} if account else {}),
            "containers": [own, *(more or [])],
            **spec,
        },
    }


def debug(namespace: str, name: str) -> Request:
    """Put a container into a running pod."""
    added = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "registry.example.com/debug"}]}}
    return Request(
        "PATCH", path("Pod", namespace, name, "ephemeralcontainers"), added, "application/strategic-merge-patch+json"
    )


def opening(namespace: str, marks: dict[str, str] | None = None, *, name: str = "attempt", **spec: Any) -> Object:
    """A NetworkPolicy that opens everything to the pods with some labels; `spec` wins."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"podSelector": {"matchLabels": marks or {}}, "policyTypes": ["Egress"], "egress": [{}], **spec},
    }
