"""Kubernetes objects, as the API prints them, become facts.

Used by the informers and by the command line alike. A field that the API server would have filled is given its default
here (policyTypes, protocol, targetPort), so that YAML from a file means what it means in a cluster.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from sys import intern
from types import MappingProxyType
from typing import Any, Final, cast

import orjson

from pipesegment import names
from pipesegment.errors import Refused
from pipesegment.facts import guards, hostnames, vpc
from pipesegment.facts.emergency import SegmentApproval, SegmentException
from pipesegment.facts.guards import AdmissionBinding, AdmissionPolicy, Guards
from pipesegment.facts.kinds import FAMILIES, NODE_ADDRESSES
from pipesegment.facts.meta import Meta
from pipesegment.facts.others import daemon_set, others
from pipesegment.facts.owners import is_ours
from pipesegment.facts.seen import SeenAddresses
from pipesegment.facts.selectors import Selector, canonical
from pipesegment.facts.snapshot import (
    Claim,
    Class,
    ContainerPort,
    EndpointSlice,
    Gateway,
    Grant,
    Namespace,
    NetworkPolicy,
    Node,
    Pod,
    Protocol,
    Segment,
    Service,
    ServicePort,
    Snapshot,
)
from pipesegment.findings import Refusal
from pipesegment.spec.documents import (
    parse_approval,
    parse_claim,
    parse_class,
    parse_exception,
    parse_grant,
    parse_segment,
)
from pipesegment.spec.exception import spec_hash

Raw = Mapping[str, Any]
_EMPTY: Final[Mapping[str, str]] = MappingProxyType({})
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_DONE: Final = frozenset({"Succeeded", "Failed"})


def meta(obj: Raw, *, namespaced: bool = True) -> Meta:
    """Read metadata; an object without a namespace is in `default`, as kubectl would have it."""
    raw = obj.get("metadata") or {}
    return Meta(
        namespace=(raw.get("namespace") or "default") if namespaced else "",
        name=raw.get("name", ""),
        uid=raw.get("uid", ""),
        generation=raw.get("generation", 0),
        created=str(raw.get("creationTimestamp") or ""),
        deleting=raw.get("deletionTimestamp") is not None,
        labels=raw.get("labels") or _EMPTY,
        annotations=raw.get("annotations") or _EMPTY,
        finalizers=tuple(raw.get("finalizers") or ()),
    )


def namespace(obj: Raw) -> Namespace:
    """Read a core/v1 Namespace; kubernetes.io/metadata.name is the API server's to set, so it is always there."""
    found = meta(obj, namespaced=False)
    return Namespace(found, {**found.labels, names.NAMESPACE_NAME_LABEL: found.name})


def node(obj: Raw) -> Node:
    """Read a core/v1 Node."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    addresses = tuple(a["address"] for a in status.get("addresses") or () if a.get("type") in NODE_ADDRESSES)
    ranges = tuple(spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else ()))
    return Node(meta(obj, namespaced=False), addresses, ranges)


def pod(obj: Raw) -> Pod:
    """Read a core/v1 Pod. A pod that has ended holds no address any more."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    found = meta(obj)
    ips = tuple(i["ip"] for i in status.get("podIPs") or ()) or ((status["podIP"],) if status.get("podIP") else ())
    containers = spec.get("containers") or ()
    # Native sidecars (init containers that restart) serve like containers do.
    serving = [*containers, *(c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always")]
    ports = tuple(
        ContainerPort(p.get("name", ""), p["containerPort"], _protocol(p))
        for c in serving
        for p in c.get("ports") or ()
    )
    return Pod(
        meta=found,
        labels=found.labels,
        service_account=spec.get("serviceAccountName") or "default",
        host_network=bool(spec.get("hostNetwork")),
        ips=ips,
        ports=ports,
        live=status.get("phase") not in _DONE,
        has_owner=bool((obj.get("metadata") or {}).get("ownerReferences")),
        containers=tuple(c.get("name", "") for c in serving),
        probes=tuple(sorted({found for c in serving for found in _probes(c)})),
        node=intern(spec.get("nodeName") or ""),
    )


def _probes(container: Raw) -> Iterator[tuple[int, str]]:
    """Give what kubelet asks a container in plain HTTP; what names a port that the container has not fails anyhow."""
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        found = (container.get(kind) or {}).get("httpGet")
        if not found or found.get("scheme") == "HTTPS":
            continue
        numbers = {p.get("name"): p["containerPort"] for p in container.get("ports") or ()}
        port = numbers.get(found.get("port"), found.get("port"))
        if isinstance(port, int):
            yield port, "/" + str(found.get("path") or "").partition("?")[0].removeprefix("/")


def service(obj: Raw) -> Service:
    """Read a core/v1 Service; a port without targetPort targets its own number."""
    spec = obj.get("spec") or {}
    selector = spec.get("selector")
    ips = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    ports = tuple(
        ServicePort(p.get("name", ""), p["port"], _target(p), _protocol(p), p.get("appProtocol") or "")
        for p in spec.get("ports") or ()
    )
    return Service(
        meta=meta(obj),
        type=spec.get("type") or "ClusterIP",
        selector=Selector.of(selector) if selector else None,
        ports=ports,
        cluster_ips=tuple(ip for ip in ips if ip and ip != "None"),
        external_name=(spec.get("externalName") or "").rstrip(".").lower(),
        headless="None" in ips,
    )


def endpoint_slice(obj: Raw) -> EndpointSlice:
    """Read a discovery.k8s.io/v1 EndpointSlice. FQDN slices hold names, not addresses: they give none."""
    found = meta(obj)
    endpoints = obj.get("endpoints") or () if obj.get("addressType") in FAMILIES else ()
    addresses = sorted({a for e in endpoints for a in e.get("addresses") or ()})
    ports = tuple(
        (p.get("name") or "", p["port"], _protocol(p)) for p in obj.get("ports") or () if p.get("port") is not None
    )
    return EndpointSlice(found, found.labels.get("kubernetes.io/service-name", ""), tuple(addresses), ports)


def gateway(obj: Raw) -> Gateway:
    """Read a gateway.networking.k8s.io/v1 Gateway; a listener that does not say whom it serves serves its own namespace.

    Istio calls a waypoint's account like the waypoint unless an annotation says otherwise.
    """
    found, spec = meta(obj), obj.get("spec") or {}
    served = ((each.get("allowedRoutes") or {}).get("namespaces") or {} for each in spec.get("listeners") or ())
    return Gateway(
        meta=found,
        class_name=spec.get("gatewayClassName") or "",
        account=found.annotations.get("gateway.istio.io/service-account")
        or found.annotations.get("gateway.istio.io/name-override")
        or found.name,
        handles=found.labels.get("istio.io/waypoint-for", ""),
        shared=any((each.get("from") or "Same") != "Same" for each in served),
    )


def network_policy(obj: Raw) -> NetworkPolicy:
    """Read a networking.k8s.io/v1 NetworkPolicy; absent policyTypes mean Ingress, and Egress if it has egress rules."""
    found = meta(obj)
    spec = obj.get("spec") or {}
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    owned = is_ours(obj)
    selector = Selector.parse(spec.get("podSelector"))
    # What our own policies say is known from the segments; thousands of copies would only cost memory.
    return NetworkPolicy(found, selector, frozenset(types), _NOTHING if owned else spec, owned)


def segment(obj: Raw) -> Segment:
    """Read a PipelineSegment; a refused one is kept without a spec and counts for nothing."""
    class_uid, unfit = recorded(obj.get("status") or {})
    spec, refusals = _spec(parse_segment, obj)
    return Segment(meta(obj), spec, class_uid, refusals, unfit, _status(obj))


def recorded(status: Raw) -> tuple[str, bool | None]:
    """Read off a segment's status the uid of its class, '' without one, and whether it does not conform, None when it does not say."""
    class_uid = str((status.get("class") or {}).get("uid", ""))
    # Nobody holds the conditions of a file to their shape: nothing else is read of them.
    conditions = (c for c in status.get("conditions") or () if isinstance(c, Mapping))
    told = [c.get("status") for c in conditions if c.get("type") == "Conforming"]
    return class_uid, "True" not in told if told else None


def grant(obj: Raw) -> Grant:
    """Read a SegmentGrant; a refused one grants nothing."""
    bound = {b["namespace"]: b["uid"] for b in (obj.get("status") or {}).get("namespaces") or ()}
    spec, refusals = _spec(parse_grant, obj)
    return Grant(meta(obj), spec, bound, refusals, _status(obj))


def segment_class(obj: Raw) -> Class:
    """Read a SegmentClass; a refused one is kept without a spec, so that nobody takes its absence for freedom."""
    spec, refusals = _spec(parse_class, obj)
    claimed = spec or parse_claim(obj)
    claim = Claim(canonical(claimed.namespace_selector), claimed.priority) if claimed else None
    return Class(meta(obj, namespaced=False), spec, refusals, _status(obj), claim)


def segment_exception(obj: Raw) -> SegmentException:
    """Read a SegmentException; a refused one opens nothing."""
    spec, refusals = _spec(parse_exception, obj)
    return SegmentException(meta(obj), spec, spec_hash(obj.get("spec") or {}), refusals, _status(obj))


def segment_approval(obj: Raw) -> SegmentApproval:
    """Read a SegmentApproval; a refused one approves nothing."""
    spec, refusals = _spec(parse_approval, obj)
    return SegmentApproval(meta(obj), spec, refusals, _status(obj))


def admission_policy(obj: Raw) -> AdmissionPolicy:
    """Read a ValidatingAdmissionPolicy."""
    return guards.policy(obj, meta(obj, namespaced=False))


def admission_binding(obj: Raw) -> AdmissionBinding:
    """Read a ValidatingAdmissionPolicyBinding."""
    return guards.binding(obj, meta(obj, namespaced=False))


def _spec(parse: Callable[[Raw], tuple[Any, Any]], obj: Raw) -> tuple[Any, tuple[Refusal, ...]]:
    try:
        return parse(obj)[1], ()
    except Refused as refused:
        return None, refused.refusals
    except Exception as error:  # noqa: BLE001 - a declaration that we fail to read is there: taken for absent, it would open
        return None, (Refusal("spec", "cannot be read:", f"{type(error).__name__}: {error}", "report it as a fault"),)


def _status(obj: Raw) -> bytes:
    return orjson.dumps(obj["status"], option=orjson.OPT_SORT_KEYS) if obj.get("status") else b""


PARSERS: Final[Mapping[str, Callable[[Raw], Any]]] = {
    "Namespace": namespace,
    "Node": node,
    "Pod": pod,
    "Service": service,
    "EndpointSlice": endpoint_slice,
    "NetworkPolicy": network_policy,
    "Gateway": gateway,
    "DaemonSet": daemon_set,
    names.SEGMENT: segment,
    names.GRANT: grant,
    names.CLASS: segment_class,
    names.EXCEPTION: segment_exception,
    names.APPROVAL: segment_approval,
    "ValidatingAdmissionPolicy": admission_policy,
    "ValidatingAdmissionPolicyBinding": admission_binding,
}

_FIELDS: Final = {
    "Pod": "pods",
    "Service": "services",
    "EndpointSlice": "slices",
    "NetworkPolicy": "policies",
    "Gateway": "gateways",
    names.SEGMENT: "segments",
    names.GRANT: "grants",
    names.EXCEPTION: "exceptions",
    names.APPROVAL: "approvals",
}
_CLUSTER_FIELDS: Final = {"Namespace": "namespaces", "Node": "nodes", names.CLASS: "classes"}
_GUARDS: Final = {"ValidatingAdmissionPolicy": "policies", "ValidatingAdmissionPolicyBinding": "bindings"}


def snapshot(objects: Iterable[Raw]) -> Snapshot:
    """Build a Snapshot from plain objects; kinds that are no facts of ours are passed over.

    Of two objects of one name the later counts, as with `kubectl apply`.
    """
    flat: dict[str, Any] = {name: {} for name in _CLUSTER_FIELDS.values()}
    nested: dict[str, Any] = {name: {} for name in _FIELDS.values()}
    held: dict[str, Any] = {name: {} for name in _GUARDS.values()}
    crds: set[str] = set()
    answers: list[Raw] = []
    every = tuple(_flatten(objects))
    for obj in every:
        kind = obj.get("kind", "")
        if kind == "CustomResourceDefinition":
            crds.add(meta(obj, namespaced=False).name)
        elif kind == vpc.KIND and obj.get("apiVersion") == vpc.API_VERSION:
            answers.append(obj["spec"])
        elif kind in _CLUSTER_FIELDS:
            value = PARSERS[kind](obj)
            flat[_CLUSTER_FIELDS[kind]][value.meta.name] = value
        elif kind in _GUARDS:
            value = PARSERS[kind](obj)
            held[_GUARDS[kind]][value.meta.name] = value
        elif kind in _FIELDS:
            value = PARSERS[kind](obj)
            nested[_FIELDS[kind]].setdefault(value.meta.namespace, {})[value.meta.name] = value
    pods = (pod for by in nested["pods"].values() for pod in by.values())
    services = (service for by in nested["services"].values() for service in by.values())
    seen = SeenAddresses(ip for found in (*pods, *services) for ip in addresses(found))
    return Snapshot(
        **flat,
        **nested,
        guards=Guards(**held, prefix=guards.prefix(held["policies"])),
        seen=seen,
        crds=frozenset(crds),
        others=others(every),
        vpc_endpoints=vpc.endpoints(answers),
        host_names=hostnames.recorded(obj for obj in every if obj.get("kind") == names.SEGMENT),
    )


def addresses(found: Pod | Service) -> tuple[str, ...]:
    """Give the addresses that a pod or a Service has."""
    return found.ips if isinstance(found, Pod) else found.cluster_ips


def _flatten(objects: Iterable[Raw]) -> Iterable[Raw]:
    for obj in objects:
        if str(obj.get("kind", "")).endswith("List") and isinstance(obj.get("items"), list):
            yield from _flatten(obj["items"])
        else:
            yield obj


def _protocol(port: Raw) -> Protocol:
    return cast("Protocol", port.get("protocol") or "TCP")


def _target(port: Raw) -> int | str:
    target = port.get("targetPort")
    return port["port"] if target in (None, "", 0) else cast("int | str", target)
