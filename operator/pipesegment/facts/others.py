"""What others run and write that may undo a segment: network engines' DaemonSets, policies of meshes and of Cilium.

What nobody looked at is None where that matters, which is something else than empty.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pipesegment.facts.owners import is_ours
from pipesegment.facts.rights import Rights, rights
from pipesegment.facts.selectors import Requirement, Selector

Raw = Mapping[str, Any]

_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_DRY_RUN: Final = "istio.io/dry-run"
#: On a pod that Istio's ambient mesh has captured: Istio's own agent writes it.
_CAPTURED: Final = ("ambient.istio.io/redirection", "enabled")
#: The sidecar's container, by whose presence a pod is known to be in Istio's mesh.
PROXY: Final = "istio-proxy"
#: Linkerd's.
LINKERD_PROXY: Final = "linkerd-proxy"
#: The ConfigMap in kube-system that switches NetworkPolicies on where EKS runs the engine inside the nodes.
AUTO_MODE: Final = "amazon-vpc-cni"
_AUTO_MODE_KEY: Final = "enable-network-policy-controller"


def is_captured(annotations: Mapping[str, str]) -> bool:
    """Tell whether ztunnel stands in front of a pod."""
    key, value = _CAPTURED
    return annotations.get(key) == value


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a DaemonSet: `words` are its command and arguments, `env` its variables with plain values."""

    name: str
    words: tuple[str, ...]
    env: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class DaemonSet:
    """apps/v1 DaemonSet, as far as it tells which network engine runs, and how."""

    namespace: str
    name: str
    containers: tuple[Container, ...]

    def __str__(self) -> str:
        """Render as `namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Foreign:
    """An object of a mesh or of Cilium that is not ours, and the pods that it is about.

    `namespace` is '' for cluster-scoped kinds. `opens`: it may let through what nothing else does. `modes` are a
    PeerAuthentication's, by what they hold for: `mtls` or `portLevelMtls[8080]`. `targets` are what an AuthorizationPolicy
    hangs on instead of selecting pods, as (kind, name): Services and Gateways of its own namespace, or Linkerd's Servers
    and routes; of a route, its parents.
    """

    kind: str
    namespace: str
    name: str
    selectors: tuple[Selector, ...]
    opens: bool
    modes: tuple[tuple[str, str], ...] = ()
    targets: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """Render as `Kind namespace/name`."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Others:
    """What is known of others. `daemon_sets` is None where nobody looked.

    `foreign` holds policies by kind with its group (`cilium.io/CiliumNetworkPolicy`), namespace ('' without one) and name; `auto_mode` is what EKS Auto Mode is told about NetworkPolicies, None where nobody looked. `rights` are by foreign bindings.
    """

    daemon_sets: Mapping[str, Mapping[str, DaemonSet]] | None = None
    foreign: Mapping[str, Mapping[str, Mapping[str, Foreign]]] = field(default_factory=dict)
    auto_mode: bool | None = None
    rights: Rights = field(default_factory=Rights)

    def at(self, kind: str, namespace: str) -> Iterable[Foreign]:
        """Give the foreign objects of a kind in a namespace."""
        return self.foreign.get(kind, {}).get(namespace, {}).values()


def daemon_set(obj: Raw) -> DaemonSet:
    """Read an apps/v1 DaemonSet."""
    meta = obj.get("metadata") or {}
    spec = ((obj.get("spec") or {}).get("template") or {}).get("spec") or {}
    return DaemonSet(
        meta.get("namespace") or "default",
        meta.get("name", ""),
        tuple(_container(c) for c in spec.get("containers") or ()),
    )


def others(objects: Sequence[Raw]) -> Others:
    """Collect from plain objects; what is ours, and every other kind, is passed over."""
    sets: dict[str, dict[str, DaemonSet]] = {}
    foreign: dict[str, dict[str, dict[str, Foreign]]] = {}
    auto_mode = None
    for obj in objects:
        meta = obj.get("metadata") or {}
        match obj.get("kind"):
            case "DaemonSet":
                found = daemon_set(obj)
                sets.setdefault(found.namespace, {})[found.name] = found
            case "ConfigMap" if (meta.get("namespace"), meta.get("name")) == ("kube-system", AUTO_MODE):
                auto_mode = (obj.get("data") or {}).get(_AUTO_MODE_KEY) == "true"
            case _:
                kind = f"{str(obj.get('apiVersion', '')).partition('/')[0]}/{obj.get('kind')}"
                if kind in FOREIGN and not is_ours(obj):
                    policy = FOREIGN[kind](obj)
                    foreign.setdefault(kind, {}).setdefault(policy.namespace, {})[policy.name] = policy
    return Others(sets or None, foreign, auto_mode, rights(objects))


def _container(raw: Raw) -> Container:
    env = tuple((str(e.get("name")), str(e["value"])) for e in raw.get("env") or () if e.get("value") is not None)
    words = tuple(str(w) for w in (*(raw.get("command") or ()), *(raw.get("args") or ())))
    return Container(str(raw.get("name", "")), words, env)


def _authorization(obj: Raw) -> Foreign:
    """Read an AuthorizationPolicy: ALLOWs add up; one without rules, a dry run, or another action opens nothing."""
    spec = obj.get("spec") or {}
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    opens = (spec.get("action") or "ALLOW") == "ALLOW" and bool(spec.get("rules"))
    acts = annotations.get(_DRY_RUN) not in _TRUE
    refs = (*([spec["targetRef"]] if spec.get("targetRef") else ()), *(spec.get("targetRefs") or ()))
    targets = tuple(sorted((str(ref.get("kind", "")), str(ref.get("name", ""))) for ref in refs))
    # With targetRefs it belongs to a waypoint or a gateway, and selects no workload.
    selectors = () if targets else (_match_labels(spec.get("selector")),)
    return replace(_foreign(obj, selectors, opens=opens and acts), targets=targets)


def _authentication(obj: Raw) -> Foreign:
    """Read a PeerAuthentication; only a selector of its own makes it weigh as much as a stage's."""
    spec = obj.get("spec") or {}
    modes = [("mtls", str((spec.get("mtls") or {}).get("mode") or "UNSET"))]
    modes += [
        (f"portLevelMtls[{port}]", str((tls or {}).get("mode") or "UNSET"))
        for port, tls in sorted((spec.get("portLevelMtls") or {}).items())
    ]
    lax = tuple((place, mode) for place, mode in modes if mode in {"PERMISSIVE", "DISABLE"})
    return _foreign(obj, (_match_labels(spec.get("selector")),), opens=bool(lax), modes=lax)


def _sidecar(obj: Raw) -> Foreign:
    """Read a Sidecar; one without a workloadSelector gives way to a stage's own."""
    labels = ((obj.get("spec") or {}).get("workloadSelector") or {}).get("labels") or {}
    return _foreign(obj, (Selector.of(labels),), opens=bool(labels))


def _linkerd_policy(obj: Raw) -> Foreign:
    """Read one of Linkerd's AuthorizationPolicies: what it hangs on is a Server, a route of one, or its own namespace."""
    target = (obj.get("spec") or {}).get("targetRef") or {}
    found = _foreign(obj, (), opens=True)
    return replace(found, targets=((str(target.get("kind", "")), str(target.get("name", ""))),))


def _route(obj: Raw) -> Foreign:
    """Read an HTTPRoute: at a Server, its requests are for those whom somebody authorizes at it."""
    parents = (obj.get("spec") or {}).get("parentRefs") or ()
    targets = tuple((str(p.get("kind", "")), str(p.get("name", ""))) for p in parents)
    return replace(_foreign(obj, (), opens=True), targets=targets)


def _server_authorization(obj: Raw) -> Foreign:
    """Read a ServerAuthorization; one that selects Servers by labels may mean any."""
    server = (obj.get("spec") or {}).get("server") or {}
    target = ("Server", str(server["name"])) if server.get("name") else ("Namespace", "")
    return replace(_foreign(obj, (), opens=True), targets=(target,))


def _server(obj: Raw) -> Foreign:
    """Read a Server: it opens its port if it lets in whom nothing authorizes."""
    spec = obj.get("spec") or {}
    return _foreign(obj, (Selector.parse(spec.get("podSelector")),), opens=spec.get("accessPolicy", "deny") != "deny")


def _cilium(obj: Raw) -> Foreign:
    """Read a Cilium policy: its rules add up with NetworkPolicies; those that deny, or are about nodes, open nothing."""
    specs = [*([obj["spec"]] if obj.get("spec") else []), *(obj.get("specs") or ())]
    opening = [s for s in specs if s.get("endpointSelector") is not None and (s.get("ingress") or s.get("egress"))]
    selectors = tuple(_cilium_selector(s["endpointSelector"]) for s in opening)
    return _foreign(obj, selectors, opens=bool(selectors))


def _cilium_selector(raw: Raw) -> Selector:
    """Read an endpointSelector: labels of pods carry the prefix `k8s:`, or `any:`, or none."""
    labels = {_plain(key): str(value) for key, value in (raw.get("matchLabels") or {}).items()}
    expressions = (
        Requirement(_plain(e["key"]), e["operator"], tuple(sorted(set(e.get("values") or ()))))
        for e in raw.get("matchExpressions") or ()
    )
    return Selector.of(labels, *expressions)


def _plain(key: str) -> str:
    return key.removeprefix("k8s:").removeprefix("any:")


def _foreign(
    obj: Raw, selectors: tuple[Selector, ...], *, opens: bool, modes: tuple[tuple[str, str], ...] = ()
) -> Foreign:
    meta = obj.get("metadata") or {}
    kind = str(obj["kind"])
    namespace = "" if kind == "CiliumClusterwideNetworkPolicy" else meta.get("namespace") or "default"
    return Foreign(kind, namespace, meta.get("name", ""), selectors, opens, modes)


def _match_labels(selector: Raw | None) -> Selector:
    return Selector.of((selector or {}).get("matchLabels"))


ISTIO_AUTHORIZATION: Final = "security.istio.io/AuthorizationPolicy"
ISTIO_AUTHENTICATION: Final = "security.istio.io/PeerAuthentication"
ISTIO_SIDECAR: Final = "networking.istio.io/Sidecar"
LINKERD_AUTHORIZATION: Final = "policy.linkerd.io/AuthorizationPolicy"
LINKERD_SERVER_AUTHORIZATION: Final = "policy.linkerd.io/ServerAuthorization"
LINKERD_SERVER: Final = "policy.linkerd.io/Server"
LINKERD_ROUTE: Final = "policy.linkerd.io/HTTPRoute"
CILIUM_POLICY: Final = "cilium.io/CiliumNetworkPolicy"
CILIUM_CLUSTERWIDE: Final = "cilium.io/CiliumClusterwideNetworkPolicy"
#: Who reads the policies of each kind.
FOREIGN: Final[Mapping[str, Callable[[Raw], Foreign]]] = {
    ISTIO_AUTHORIZATION: _authorization,
    ISTIO_AUTHENTICATION: _authentication,
    ISTIO_SIDECAR: _sidecar,
    LINKERD_AUTHORIZATION: _linkerd_policy,
    LINKERD_SERVER_AUTHORIZATION: _server_authorization,
    LINKERD_SERVER: _server,
    LINKERD_ROUTE: _route,
    CILIUM_POLICY: _cilium,
    CILIUM_CLUSTERWIDE: _cilium,
}
