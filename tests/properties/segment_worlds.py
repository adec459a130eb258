"""Hypothesis strategies for whole worlds: segments, grants and a class among Services and pods, as plain objects.

The world is one small town: two segments `shop` and `pay`, whose stages may be in namespaces `ci` and `cd`, an application
in `prod`, an API server, a resolver, and things outside. What people declare about it is drawn.
"""

from typing import Any

from hypothesis import strategies as st

from pipesegment.evaluate.endpoints import Port

API = "pipesegment.dev/v1alpha1"
NAMESPACES = ("ci", "cd", "prod", "kube-system", "default", "istio-system")
STAGES = {"shop": ("build", "test", "deploy"), "pay": ("build", "sign")}
PORTS = (Port("TCP", 80), Port("TCP", 443), Port("TCP", 8080), Port("TCP", 9090), Port("UDP", 53), Port("UDP", 8080))
ADDRESSES = (
    *("1.1.1.1", "2606:4700:4700::1111", "203.0.113.10", "203.0.113.11", "10.9.0.1", "10.9.0.200", "169.254.169.254"),
    *("192.0.2.1", "10.96.0.1", "198.51.100.7", "169.254.20.10"),
)


def pod(namespace: str, name: str, labels: dict[str, str], ip: str, **more: Any) -> dict[str, Any]:
    """Make a running pod that serves HTTP on 8080, metrics by name on 9090, and UDP on 8080."""
    served = [
        {"name": "http", "containerPort": 8080},
        {"name": "metrics", "containerPort": 9090},
        {"name": "flow", "containerPort": 8080, "protocol": "UDP"},
    ]
    containers = [{"name": "main", "ports": served}, *more.pop("sidecars", [])]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {"containers": containers, **more},
        "status": {"phase": "Running", "podIPs": [{"ip": ip}]},
    }


def service(namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Make a Service."""
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": namespace, "name": name}, "spec": spec}


def slices(namespace: str, name: str, address: str, *ports: tuple[str, int]) -> dict[str, Any]:
    """Make the EndpointSlice of a Service."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"namespace": namespace, "name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]}],
        "ports": [{"name": n, "port": p, "protocol": "TCP"} for n, p in ports],
    }


def town() -> list[dict[str, Any]]:
    """Give the town without its stages."""
    return [
        *({"kind": "Namespace", "metadata": {"name": n, "uid": f"uid-{n}"}} for n in NAMESPACES),
        service("default", "kubernetes", {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443}]}),
        slices("default", "kubernetes", "192.0.2.1", ("https", 6443)),
        service(
            "kube-system",
            "kube-dns",
            {"selector": {"k8s-app": "dns"}, "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}]},
        ),
        pod("kube-system", "coredns", {"k8s-app": "dns"}, "10.0.9.1"),
        service(
            "prod",
            "api",
            {
                "selector": {"app": "api"},
                "ports": [
                    {"name": "http", "port": 80, "targetPort": 8080},
                    {"name": "metrics", "port": 9100, "targetPort": "metrics"},
                ],
            },
        ),
        service("prod", "ledger", {"ports": [{"name": "sql", "port": 443}]}),
        slices("prod", "ledger", "198.51.100.7", ("sql", 443)),
        pod("prod", "api", {"app": "api"}, "10.0.1.1"),
        pod("prod", "payments", {"app": "payments"}, "10.0.1.2"),
        pod("ci", "stray", {"app": "stray"}, "10.0.2.9"),
        pod("ci", "agent", {"app": "agent"}, "10.0.2.8"),
    ]


numbers = st.sampled_from(
    (
        {"port": 80},
        {"port": 443},
        {"port": 8080},
        {"port": 8080, "protocol": "UDP"},
        {"port": 8000, "endPort": 9100},
        {"port": 53, "protocol": "UDP"},
    )
)
names = st.sampled_from(({"port": "metrics"}, {"port": "http"}, {"port": "flow", "protocol": "UDP"}))


def ports(*, named: bool) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Draw ports of pods or, without names, of addresses."""
    one = st.one_of(numbers, numbers, names) if named else numbers
    return st.lists(one, min_size=1, max_size=3, unique_by=str)


pod_selectors = st.sampled_from(
    (
        {"matchLabels": {"app": "api"}},
        {"matchExpressions": [{"key": "app", "operator": "In", "values": ["api", "stray"]}]},
        {"matchExpressions": [{"key": "pipesegment.dev/stage", "operator": "Exists"}]},
        {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["payments", "agent"]}]},
        {"matchLabels": {"app": "agent"}},
    )
)
places = st.sampled_from((None, "ci", "cd", "prod"))


def _some(**fields: Any) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


@st.composite
def stage_targets(draw: st.DrawFn, segment: str) -> dict[str, Any]:
    """Draw a stage of the own segment or of the other one."""
    other = draw(st.sampled_from(tuple(STAGES)))
    if other == segment:
        return {"name": draw(st.sampled_from(STAGES[segment]))}
    return _some(
        name=draw(st.sampled_from(STAGES[other])), segment=other, namespace=draw(st.sampled_from((None, "ci", "cd")))
    )


blocks = st.sampled_from(
    (
        {"block": "10.9.0.0/24"},
        {"block": "10.9.0.0/24", "except": ["10.9.0.128/25"]},
        {"block": "203.0.113.0/24"},
        {"block": "1.0.0.0/8", "except": ["1.1.1.0/24"]},
        {"block": "2606:4700::/32"},
    )
)


@st.composite
def reaches(draw: st.DrawFn, segment: str) -> dict[str, Any]:
    """Draw an entry of `reaches`."""
    kind = draw(
        st.sampled_from(("stage", "stage", "service", "pods", "cidr", "internet", "destination", "kubernetesAPI"))
    )
    if kind == "stage":
        return {"stage": draw(stage_targets(segment)), "ports": draw(ports(named=True))}
    if kind == "service":
        found = {
            "service": {
                "name": draw(st.sampled_from(("api", "ledger", "absent", "own"))),
                "namespace": draw(st.sampled_from(("prod", "ci"))),
            }
        }
        wanted = draw(st.sampled_from((None, [{"port": 80}], [{"port": "metrics"}], [{"port": 9000, "endPort": 9200}])))
        return found | _some(ports=wanted)
    if kind == "pods":
        return {
            "pods": _some(podSelector=draw(pod_selectors), namespace=draw(places)),
            "ports": draw(ports(named=True)),
        }
    if kind == "cidr":
        return {"cidr": draw(blocks), "ports": draw(ports(named=False))}
    if kind == "internet":
        return {"internet": {}, "ports": draw(ports(named=False))}
    if kind == "destination":
        return {"destination": {"name": "registry"}} | _some(ports=draw(st.sampled_from((None, [{"port": 8080}]))))
    return {"kubernetesAPI": {}}


@st.composite
def accepts(draw: st.DrawFn, segment: str) -> dict[str, Any]:
    """Draw an entry of `accepts`."""
    found: dict[str, Any] = {"ports": draw(ports(named=True))}
    kind = draw(st.sampled_from(("stage", "stage", "pods", "cidr")))
    if kind == "cidr":
        return found | {"cidr": draw(blocks)}
    if kind == "pods":
        return found | {"pods": _some(podSelector=draw(pod_selectors), namespace=draw(places))}
    source = draw(stage_targets(segment))
    if draw(st.booleans()):
        source.pop("name")
        source["anyStage"] = True
    if "segment" in source and draw(st.booleans()):
        source.pop("segment")
        source["anySegment"] = True
    return found | {"stage": source}


@st.composite
def stages(draw: st.DrawFn, segment: str, name: str) -> dict[str, Any]:
    """Draw a stage; now and then its pods are also another stage's."""
    found: dict[str, Any] = {
        "name": name,
        "reaches": draw(st.lists(reaches(segment), max_size=3)),
        "accepts": draw(st.lists(accepts(segment), max_size=2)),
    }
    if draw(st.integers(0, 7)) == 0:
        found["mode"] = "Observe"
    if draw(st.integers(0, 5)) == 0:
        found["dns"] = draw(st.sampled_from(("Cluster", "None")))
    if draw(st.integers(0, 9)) == 0:
        found["podSelector"] = {"matchLabels": {"app": "stray" if name == "build" else f"own-{name}"}}
    return found


@st.composite
def segments(draw: st.DrawFn, segment: str, *, engines: bool = True) -> list[dict[str, Any]]:
    """Draw a segment and the pods of its stages."""
    namespace = draw(st.sampled_from(("ci", "cd")))
    spec: dict[str, Any] = {"stages": [draw(stages(segment, name)) for name in STAGES[segment]]}
    tekton = engines and draw(st.booleans())
    if tekton:
        spec["engine"] = {"type": "Tekton", "tekton": {"pipeline": segment}}
    if draw(st.integers(0, 3)) == 0:
        spec["common"] = {
            "reaches": draw(st.lists(reaches(segment), max_size=1)),
            "accepts": draw(st.lists(accepts(segment), max_size=1)),
        }
    meta: dict[str, Any] = {"namespace": namespace, "name": segment}
    if draw(st.booleans()):
        meta |= {
            "uid": f"uid-{segment}",
            "creationTimestamp": draw(st.sampled_from(("2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z"))),
        }
    objects = [{"apiVersion": API, "kind": "PipelineSegment", "metadata": meta, "spec": spec}]
    for index, stage in enumerate((*STAGES[segment], *(("undeclared",) if tekton else ()))):
        labels = {"pipesegment.dev/segment": segment, "pipesegment.dev/stage": stage, "app": f"own-{stage}"}
        if tekton:
            labels = {"tekton.dev/pipeline": segment, "tekton.dev/pipelineTask": stage, "app": f"own-{stage}"}
        objects.append(
            pod(
                namespace,
                f"{segment}-{stage}",
                labels,
                f"10.0.{3 if segment == 'shop' else 4}.{index + 1}",
                serviceAccountName=f"{segment}-{stage}",
            )
        )
    if draw(st.booleans()):
        spec_ = {"selector": {"app": "own-test"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}
        objects.append(service(namespace, "own", spec_))
    return objects


@st.composite
def grants(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """Draw a grant, in the application's namespace or in a pipeline's own."""
    to = draw(
        st.sampled_from(
            (
                {"service": {"name": "api"}},
                {"podSelector": {"matchLabels": {"app": "api"}}},
                {"podSelector": {"matchLabels": {"app": "stray"}}},
            )
        )
    )
    spec = {
        "from": [
            _some(
                namespace=draw(st.sampled_from(("ci", "cd"))),
                segment=draw(st.sampled_from((None, "shop"))),
                stage=draw(st.sampled_from((None, "build"))),
            )
        ],
        "to": to,
        "isolate": draw(st.sampled_from(("Nobody", "Callers", "Everyone"))),
    }
    if "podSelector" in to:
        spec["ports"] = draw(ports(named=True))
    elif draw(st.booleans()):
        spec["ports"] = [{"port": 80}]
    meta = {
        "namespace": draw(st.sampled_from(("prod", "prod", "ci"))),
        "name": f"grant-{number}",
        "uid": f"uid-grant-{number}",
    }
    return {"apiVersion": API, "kind": "SegmentGrant", "metadata": meta, "spec": spec}


@st.composite
def classes(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the class of all namespaces."""
    network: dict[str, Any] = {"requireGrants": draw(st.booleans())}
    if draw(st.booleans()):
        network["isolation"] = {
            "mode": "Namespace",
            "exceptPods": draw(st.sampled_from(([], [{"matchLabels": {"app": "agent"}}]))),
        }
    spec = {
        "network": network,
        "destinations": [
            {"name": "registry", "cidrs": ["203.0.113.0/24"], "except": ["203.0.113.11/32"], "ports": [{"port": 443}]}
        ],
        "guardrails": {"overlap": draw(st.sampled_from(("Refuse", "Union")))},
    }
    if draw(st.integers(0, 3)) == 0:
        spec["baseline"] = {
            "accepts": [
                {
                    "pods": {"podSelector": {"matchLabels": {"app": "api"}}, "namespace": "prod"},
                    "ports": [{"port": "metrics"}],
                }
            ]
        }
    selector = draw(
        st.sampled_from(
            (
                {},
                {
                    "matchExpressions": [
                        {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["ci", "prod"]}
                    ]
                },
            )
        )
    )
    return {
        "apiVersion": API,
        "kind": "SegmentClass",
        "metadata": {"name": "default", "uid": "uid-class"},
        "spec": {"namespaceSelector": selector, **spec},
    }


@st.composite
def worlds(draw: st.DrawFn, *, engines: bool = True) -> list[dict[str, Any]]:
    """Draw a world: the town, one segment or two, grants, and a class or none."""
    objects = [*town(), *draw(segments("shop", engines=engines))]
    if draw(st.booleans()):
        objects += draw(segments("pay", engines=engines))
    objects += [draw(grants(number)) for number in range(draw(st.integers(0, 2)))]
    if draw(st.booleans()):
        objects.append(draw(classes()))
    return objects


NAMES = ("git.example.com", "a.cdn.example.com")


@st.composite
def cilium_worlds(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw a world where Cilium enforces, and where stages reach hosts by their names."""
    mirror = {"type": "ExternalName", "externalName": NAMES[0]} | draw(
        st.sampled_from(({}, {"ports": [{"name": "https", "port": 443}, {"name": "more", "port": 8080}]}))
    )
    objects = [*draw(worlds()), service("prod", "mirror", mirror)]
    for obj in objects:
        if obj["kind"] == "SegmentGrant" and draw(st.integers(0, 2)) == 0:
            obj["spec"]["to"] = {"service": {"name": "mirror"}}
            obj["spec"]["ports"] = draw(st.sampled_from(([{"port": 443}], [{"port": 8080}])))
            obj["metadata"]["namespace"] = "prod"
        for stage in obj["spec"]["stages"] if obj["kind"] == "PipelineSegment" else ():
            if draw(st.integers(0, 2)) == 0:
                wanted = draw(st.sampled_from(({}, {"ports": [{"port": 443}]}, {"ports": [{"port": 8080}]})))
                stage["reaches"].append({"service": {"name": "mirror", "namespace": "prod"}} | wanted)
            if draw(st.booleans()):
                wanted = draw(st.lists(st.sampled_from((*NAMES, "*.example.com")), min_size=1, unique=True))
                entry: dict[str, Any] = {"fqdn": {"names": wanted}}
                stage["reaches"].append(entry | ({"ports": [{"port": 8080}]} if draw(st.booleans()) else {}))
    crd = {"kind": "CustomResourceDefinition", "metadata": {"name": "ciliumnetworkpolicies.cilium.io"}}
    return [*objects, {"apiVersion": "apiextensions.k8s.io/v1", **crd}]


@st.composite
def meshed_worlds(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw a world in Istio's mesh: every pod of a pipeline has a sidecar, most stages a Service in front of them."""
    objects = draw(worlds())
    for obj in list(objects):
        if obj["kind"] == "Namespace" and obj["metadata"]["name"] in {"ci", "cd"}:
            obj["metadata"]["labels"] = {"istio-injection": "enabled"}
        if obj["kind"] == "Pod" and obj["metadata"]["namespace"] in {"ci", "cd"}:
            obj["spec"]["containers"].append({"name": "istio-proxy"})
            if draw(st.integers(0, 3)):
                objects.append(front(obj))
    objects.append(pod("istio-system", "istiod", {"app": "istiod"}, "10.0.8.1"))
    return objects


@st.composite
def ambient_worlds(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw a world in Istio's ambient mesh: ztunnel captures the pipelines' pods, now and then the application's too.

    Some stages have a Service behind a waypoint; some waypoints serve pods, or pods of others.
    """
    objects = draw(worlds())
    ambient = {"ci", "cd"} | draw(st.sampled_from((set(), {"prod"})))
    everywhere = draw(st.sampled_from((set(), {"ci"}, {"cd", "prod"})))
    for obj in list(objects):
        meta = obj["metadata"]
        if obj["kind"] == "Namespace" and meta["name"] in ambient:
            meta["labels"] = {"istio.io/dataplane-mode": "ambient"}
            if meta["name"] in everywhere:
                meta["labels"]["istio.io/use-waypoint"] = "gate"
        if obj["kind"] == "Pod" and meta["namespace"] in ambient:
            meta["annotations"] = {"ambient.istio.io/redirection": "enabled"}
            if draw(st.integers(0, 2)) == 0:
                before = front(obj)
                before["metadata"]["labels"] = {
                    "istio.io/use-waypoint": draw(st.sampled_from(("gate", "gate", "pods", "none")))
                }
                before["spec"]["clusterIP"] = "10.96.1.1"
                objects.append(before)
        for stage in obj["spec"]["stages"] if obj["kind"] == "PipelineSegment" else ():
            if draw(st.integers(0, 7)) == 0:
                stage["mesh"] = "None"
    for namespace in sorted(ambient):
        objects += [gate(namespace, "gate", "service"), gate(namespace, "pods", "all")]
    return objects


https = st.lists(
    st.sampled_from(
        ({"methods": ["GET"]}, {"paths": ["/v1/*", "/"]}, {"methods": ["GET", "PUT"], "paths": ["/v1/a*"]})
    ),
    min_size=1,
    max_size=2,
    unique_by=str,
)


@st.composite
def linkerd_worlds(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw a world in Linkerd: the pipelines' pods have its sidecar, now and then the application's too.

    Some namespaces deny what no Server names.
    """
    objects = draw(worlds())
    inside = {"ci", "cd"} | draw(st.sampled_from((set(), {"prod"})))
    denying = draw(st.sampled_from(({"ci", "cd"}, {"ci", "cd"}, {"ci"}, set())))
    for obj in objects:
        meta = obj["metadata"]
        if obj["kind"] == "Namespace" and meta["name"] in inside:
            meta["annotations"] = {"linkerd.io/inject": "enabled"}
            if meta["name"] in denying:
                meta["annotations"]["config.linkerd.io/default-inbound-policy"] = "deny"
        if obj["kind"] == "Pod" and meta["namespace"] in inside:
            obj["spec"]["containers"].append({"name": "linkerd-proxy"})
            if draw(st.booleans()):
                obj["spec"]["containers"][0]["readinessProbe"] = {"httpGet": {"path": "/ready", "port": 8080}}
        for stage in obj["spec"]["stages"] if obj["kind"] == "PipelineSegment" else ():
            if draw(st.integers(0, 7)) == 0:
                stage["mesh"] = "None"
            for entry in (*stage["reaches"], *stage["accepts"]):
                if "stage" in entry and draw(st.integers(0, 2)) == 0:
                    entry["http"] = draw(https)
    labels = {"linkerd.io/control-plane-component": "destination"}
    objects.append(pod("linkerd", "linkerd-destination", labels, "10.0.8.2"))
    crd = {"kind": "CustomResourceDefinition", "metadata": {"name": "servers.policy.linkerd.io"}}
    return [*objects, {"apiVersion": "apiextensions.k8s.io/v1", **crd}]


def gate(namespace: str, name: str, handles: str) -> dict[str, Any]:
    """Make a waypoint, which runs where nothing closes it."""
    meta = {"namespace": namespace, "name": name, "labels": {"istio.io/waypoint-for": handles}}
    api = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway"}
    return api | {"metadata": meta, "spec": {"gatewayClassName": "istio-waypoint", "listeners": [{"name": "mesh"}]}}


def front(behind: dict[str, Any]) -> dict[str, Any]:
    """Put a Service with every port in front of a pod's like."""
    served = behind["spec"]["containers"][0]["ports"]
    listed = [
        {"name": p["name"], "port": 1000 + i, "targetPort": p["name"], "protocol": p.get("protocol", "TCP")}
        for i, p in enumerate(served)
    ]
    listed += [{"name": f"tcp-{n}", "port": n, "targetPort": n} for n in (80, 443)]
    meta = behind["metadata"]
    return service(meta["namespace"], f"front-{meta['name']}", {"selector": dict(meta["labels"]), "ports": listed})
