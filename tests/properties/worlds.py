"""Hypothesis strategies for whole worlds: segments, grants and classes as people write them, and what surrounds them.

Vocabularies are tiny on purpose: stages meet Services, selectors overlap, grants cover. A world is plain documents, so
that it comes in by the same door as a file.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from pipesegment import names
from pipesegment.compile.desired import Desired, Object
from pipesegment.compile.isolation import isolation
from pipesegment.compile.segment import compile_segment
from pipesegment.evaluate.endpoints import AddressEnd, End, Port, live
from pipesegment.evaluate.world import World as Judge
from pipesegment.facts.parse import snapshot
from pipesegment.facts.snapshot import Snapshot
from pipesegment.reach.governance import govern
from pipesegment.reach.graph import Reach
from pipesegment.reach.resolve import resolve

Document = Mapping[str, Any]


def checked(examples: int) -> settings:
    """Give the settings of a property: the same examples in every run, and no clock."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )


NAMESPACES = ("ci", "prod")
SEGMENTS = (("ci", "shop"), ("ci", "pay"), ("prod", "api"))
STAGES = ("build", "test", "serve")
PORTS = (
    {"port": 80},
    {"port": 8080},
    {"port": 8000, "endPort": 8090},
    {"port": "http"},
    {"port": 8080, "protocol": "UDP"},
)
ADDRESSES = ("192.0.2.1", "192.0.2.200", "8.8.8.8", "2001:db8::1", "169.254.169.254", "10.1.2.3", "10.0.0.1")
ASKED = (
    Port("TCP", 80),
    Port("TCP", 8080),
    Port("TCP", 8085),
    Port("TCP", 443),
    Port("TCP", 6443),
    Port("UDP", 53),
    Port("UDP", 8080),
)

_API = names.API_VERSION


@dataclass(frozen=True)
class World:
    """Documents of our kinds and plain facts; `asked` are the segments that are compiled."""

    segments: tuple[Document, ...]
    grants: tuple[Document, ...] = ()
    classes: tuple[Document, ...] = ()
    facts: tuple[Document, ...] = ()

    @property
    def documents(self) -> tuple[Document, ...]:
        """Everything, in one list."""
        return (*self.facts, *self.classes, *self.grants, *self.segments)

    def with_facts(self, facts: Iterable[Document]) -> "World":
        """Give the same declarations in other surroundings."""
        return replace(self, facts=tuple(facts))


class Compiled:
    """A world after the whole walk."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.snapshot: Snapshot = snapshot(world.documents)
        keys = [(s["metadata"]["namespace"], s["metadata"]["name"]) for s in world.segments]
        found = [self.snapshot.segment(*key) for key in keys]
        self.reaches: tuple[Reach, ...] = tuple(resolve(s, self.snapshot) for s in found if s is not None)
        self.desired: tuple[Desired, ...] = tuple(map(compile_segment, self.reaches))

    @property
    def refused(self) -> bool:
        """Tell whether the command line would refuse any of the segments."""
        return any(reach.refusals for reach in self.reaches)

    @property
    def findings(self) -> Iterator[str]:
        """Give everything that is told, but for what is only about the surroundings."""
        for reach, desired in zip(self.reaches, self.desired, strict=True):
            yield from (str(f) for f in (*reach.findings, *desired.gaps, *desired.coarse))

    @cached_property
    def objects(self) -> list[Object]:
        """Give the objects of every segment and of every class."""
        found = [obj for each in self.desired for obj in each.objects]
        for name, each in sorted(self.snapshot.classes.items()):
            if each.spec is not None:
                governed = [n for n in NAMESPACES if govern(n, self.snapshot).name == name]
                found += isolation(name, each.meta.uid, each.spec, governed).objects
        return found

    @cached_property
    def ends(self) -> list[End]:
        """Give the pods of the facts and some addresses."""
        return [*live(self.snapshot), *(AddressEnd(a) for a in ADDRESSES)]

    def judge(self, more: Iterable[Object] = ()) -> Judge:
        """Give the judge of what the objects enforce, with further ones beside them."""
        services = [s for by_name in self.snapshot.services.values() for s in by_name.values()]
        return Judge([*self.objects, *more], services)

    def open(self, more: Iterable[Object] = ()) -> set[tuple[str, str, str]]:
        """Give every way that the objects leave open."""
        judge = self.judge(more)
        return {(str(a), str(b), str(port)) for a, b, port in questions(self.ends) if judge.judge(a, b, port).enforced}


def questions(ends: Sequence[End]) -> Iterator[tuple[End, End, Port]]:
    """Give what is worth asking: every pair with a pod in it, at every port."""
    for source in ends:
        for destination in ends:
            if source is not destination and not (
                isinstance(source, AddressEnd) and isinstance(destination, AddressEnd)
            ):
                for port in ASKED:
                    yield source, destination, port


def document(kind: str, name: str, spec: Document, namespace: str = "", **meta: Any) -> dict[str, Any]:
    """Write a document of ours."""
    placed = {"namespace": namespace} if namespace else {}
    return {"apiVersion": _API, "kind": kind, "metadata": {"name": name, **placed, **meta}, "spec": spec}


# --- what people declare


def _ports() -> st.SearchStrategy[list[Document]]:
    return st.lists(st.sampled_from(PORTS), min_size=1, max_size=2, unique_by=str)


def _numbers() -> st.SearchStrategy[list[Document]]:
    numbered = [p for p in PORTS if p["port"] != "http"]
    return st.lists(st.sampled_from(numbered), min_size=1, max_size=2, unique_by=str)


def _labels() -> st.SearchStrategy[dict[str, str]]:
    return st.sampled_from(
        (
            {"app": "web"},
            {"app": "db"},
            {"app": "web", "tier": "x"},
            {"tier": "x"},
            {"app": "shared"},
            {"app": "shop-serve"},
        )
    )


@st.composite
def reaches(draw: st.DrawFn, key: tuple[str, str], own: Sequence[str]) -> dict[str, Any]:
    """Draw one entry of `reaches` of a segment with these stages."""
    kind = draw(
        st.sampled_from(
            (
                "stage",
                "stage",
                "foreign",
                "service",
                "service",
                "pods",
                "cidr",
                "internet",
                "destination",
                "kubernetesAPI",
            )
        )
    )
    match kind:
        case "stage":
            return {"stage": {"name": draw(st.sampled_from(list(own)))}, "ports": draw(_ports())}
        case "foreign":
            namespace, segment = draw(st.sampled_from([other for other in SEGMENTS if other != key]))
            stage = {"name": draw(st.sampled_from(STAGES)), "segment": segment, "namespace": namespace}
            return {"stage": stage, "ports": draw(_ports())}
        case "service":
            place = {"name": draw(st.sampled_from(("web", "db", "serve", "outside", "gone")))}
            target = {**place, "namespace": draw(st.sampled_from(NAMESPACES))}
            ports = draw(st.sampled_from(([], [{"port": 80}], [{"port": "admin"}])))
            return {"service": target, **({"ports": ports} if ports else {})}
        case "pods":
            pods = {"podSelector": {"matchLabels": draw(_labels())}, "namespace": draw(st.sampled_from(NAMESPACES))}
            return {"pods": pods, "ports": draw(_ports())}
        case "cidr":
            block = draw(
                st.sampled_from(({"block": "192.0.2.0/24", "except": ["192.0.2.128/25"]}, {"block": "2001:db8::/32"}))
            )
            return {"cidr": block, "ports": draw(_numbers())}
        case "internet":
            return {"internet": {}, "ports": draw(_numbers())}
        case "destination":
            return {"destination": {"name": draw(st.sampled_from(("forge", "cache", "unknown")))}}
        case _:
            return {"kubernetesAPI": {}}


@st.composite
def accepts(draw: st.DrawFn, key: tuple[str, str], own: Sequence[str]) -> dict[str, Any]:
    """Draw one entry of `accepts` of a segment with these stages."""
    kind = draw(st.sampled_from(("stage", "foreign", "any", "pods", "cidr")))
    match kind:
        case "stage":
            return {"stage": {"name": draw(st.sampled_from(list(own)))}, "ports": draw(_ports())}
        case "foreign":
            namespace, segment = draw(st.sampled_from([other for other in SEGMENTS if other != key]))
            stage = {"name": draw(st.sampled_from(STAGES)), "segment": segment, "namespace": namespace}
            return {"stage": stage, "ports": draw(_ports())}
        case "any":
            source = draw(
                st.sampled_from(({"anyStage": True}, {"anyStage": True, "anySegment": True, "namespace": "ci"}))
            )
            return {"stage": source, "ports": draw(_ports())}
        case "pods":
            pods = {"podSelector": {"matchLabels": draw(_labels())}, "namespace": draw(st.sampled_from(NAMESPACES))}
            return {"pods": pods, "ports": draw(_ports())}
        case _:
            return {"cidr": {"block": "192.0.2.0/24"}, "ports": draw(_numbers())}


@st.composite
def segments(draw: st.DrawFn, namespace: str, name: str, *, engines: bool = True) -> dict[str, Any]:
    """Draw a segment; what it says about itself alone is right."""
    key = (namespace, name)
    own = draw(st.lists(st.sampled_from(STAGES), min_size=2, max_size=3, unique=True))
    stages = []
    for stage in own:
        found: dict[str, Any] = {"name": stage}
        selector = draw(
            st.sampled_from(
                (None, None, {"app": f"{name}-{stage}"}, {"app": f"{name}-{stage}", "tier": "x"}, "In", "shared")
            )
        )
        if selector == "In":
            expression = {"key": "app", "operator": "In", "values": [f"{name}-{stage}", f"{name}-{stage}-2"]}
            found["podSelector"] = {"matchExpressions": [expression]}
        elif selector == "shared":
            found["podSelector"] = {"matchLabels": {"app": "shared", "stage": stage}}
        elif selector is not None:
            found["podSelector"] = {"matchLabels": selector}
        if draw(st.integers(0, 7)) == 0:
            found["mode"] = "Observe"
        if draw(st.integers(0, 3)) == 0:
            found["dns"] = draw(st.sampled_from(("Cluster", "None")))
        declared = draw(st.lists(reaches(key, own), min_size=draw(st.sampled_from((0, 2, 3))), max_size=4))
        admitted = draw(st.lists(accepts(key, own), min_size=draw(st.sampled_from((0, 1, 2))), max_size=3))
        stages.append(found | ({"reaches": declared} if declared else {}) | ({"accepts": admitted} if admitted else {}))
    spec: dict[str, Any] = {"stages": stages}
    if draw(st.integers(0, 4)) == 0:
        spec["common"] = {
            "reaches": draw(st.lists(reaches(key, own), max_size=1)),
            "accepts": draw(st.lists(accepts(key, own), max_size=1)),
        }
    if engines and draw(st.integers(0, 3)) == 0:
        spec["engine"] = draw(
            st.sampled_from(
                ({"type": "Tekton", "tekton": {"pipeline": name}}, {"type": "Woodpecker", "woodpecker": {"repoID": 7}})
            )
        )
    age = draw(st.sampled_from(("2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z", "")))
    meta = {"uid": f"u-{name}", **({"creationTimestamp": age} if age else {})}
    return document(names.SEGMENT, name, spec, namespace, **meta)


@st.composite
def grants(draw: st.DrawFn, number: int) -> dict[str, Any]:
    """Draw a grant; it grants to a namespace, perhaps to one segment or stage of it."""
    namespace = draw(st.sampled_from(NAMESPACES))
    caller, segment = draw(st.sampled_from(SEGMENTS))
    source = {"namespace": caller}
    if draw(st.booleans()):
        source["segment"] = segment
    spec: dict[str, Any] = {"from": [source]}
    if draw(st.booleans()):
        spec["to"] = {"service": {"name": draw(st.sampled_from(("web", "db", "serve", "gone")))}}
        if draw(st.booleans()):
            spec["ports"] = [{"port": 80}]
    else:
        spec["to"] = {"podSelector": {"matchLabels": draw(_labels())}}
        spec["ports"] = draw(_ports())
    if draw(st.booleans()):
        spec["isolate"] = draw(st.sampled_from(("Nobody", "Callers", "Everyone")))
    return document(names.GRANT, f"grant-{number}", spec, namespace, uid=f"u-grant-{number}")


@st.composite
def classes(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the class of both namespaces, or of one."""
    network: dict[str, Any] = {}
    if draw(st.booleans()):
        excepted = [{"matchLabels": {"tier": "x"}}] if draw(st.booleans()) else []
        network["isolation"] = {"mode": "Namespace", "exceptPods": excepted}
    if draw(st.booleans()):
        network["requireGrants"] = True
    spec: dict[str, Any] = {
        "network": network,
        "destinations": [
            {"name": "forge", "cidrs": ["192.0.2.0/26"], "except": ["192.0.2.16/28"], "ports": [{"port": 443}]},
            {"name": "cache", "service": {"name": "serve", "namespace": "ci"}},
        ],
    }
    # A class that isolated kube-system would close the resolvers to everybody.
    governed = draw(st.sampled_from((NAMESPACES, NAMESPACES[:1], NAMESPACES[1:])))
    named = {"key": names.NAMESPACE_NAME_LABEL, "operator": "In", "values": list(governed)}
    spec["namespaceSelector"] = {"matchExpressions": [named]}
    if draw(st.integers(0, 2)) == 0:
        entry = {"cidr": {"block": "192.0.2.0/24"}, "ports": [{"port": 8080}]}
        spec["baseline"] = draw(st.sampled_from(({"reaches": [entry]}, {"accepts": [entry]})))
    return document(names.CLASS, "default", spec, uid="u-class")


# --- what surrounds them


def _plain(kind: str, name: str, namespace: str, spec: Document, *, labels: Document | None = None) -> dict[str, Any]:
    meta = {
        "name": name,
        "namespace": namespace,
        "uid": f"u-{namespace}-{name}",
        **({"labels": labels} if labels else {}),
    }
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, "spec": spec}


def _services(namespace: str) -> list[dict[str, Any]]:
    http, admin = (
        {"name": "http", "port": 80, "targetPort": "http"},
        {"name": "admin", "port": 8081, "targetPort": 8080},
    )
    return [
        _plain(
            "Service", "web", namespace, {"selector": {"app": "web"}, "ports": [{**http, "targetPort": 8080}, admin]}
        ),
        _plain("Service", "db", namespace, {"selector": {"app": "db"}, "ports": [http]}),
        _plain("Service", "serve", namespace, {"selector": {"app": "shop-serve"}, "ports": [http]}),
        _plain("Service", "outside", namespace, {"ports": [{"name": "http", "port": 80}]}),
        {
            **_plain("EndpointSlice", "outside-1", namespace, {}, labels={"kubernetes.io/service-name": "outside"}),
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": ["10.1.2.3"]}],
        },
    ]


def _cluster() -> list[dict[str, Any]]:
    dns = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53}]
    return [
        *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n, "uid": f"u-{n}"}} for n in NAMESPACES),
        _plain("Service", "kube-dns", "kube-system", {"selector": {"k8s-app": "kube-dns"}, "ports": dns}),
        _pod("resolver", "kube-system", {"k8s-app": "kube-dns"}, 250),
        {
            **_plain("EndpointSlice", "kubernetes", "default", {}, labels={"kubernetes.io/service-name": "kubernetes"}),
            "addressType": "IPv4",
            "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
            "endpoints": [{"addresses": ["10.0.0.1"]}],
        },
    ]


def _pod(name: str, namespace: str, labels: Document, number: int, account: str = "default") -> dict[str, Any]:
    ports = [{"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 80}]
    spec = {"serviceAccountName": account, "containers": [{"name": "main", "ports": ports}]}
    return {
        **_plain("Pod", name, namespace, spec, labels=labels),
        "status": {"podIP": f"10.244.0.{number}", "phase": "Running"},
    }


def _stage_labels(segment: Document, stage: Document) -> dict[str, str]:
    """Give labels that make a pod the stage's."""
    name = segment["metadata"]["name"]
    selector = stage.get("podSelector")
    if selector is None:
        match (segment["spec"].get("engine") or {}).get("type"):
            case "Tekton":
                return {"tekton.dev/pipeline": name, "tekton.dev/pipelineTask": stage["name"]}
            case "Woodpecker":
                return {"woodpecker-ci.org/repo-id": "7", "woodpecker-ci.org/step": stage["name"]}
        return {names.SEGMENT_LABEL: name, names.STAGE_LABEL: stage["name"]}
    return {
        **selector.get("matchLabels", {}),
        **{e["key"]: e["values"][0] for e in selector.get("matchExpressions", ())},
    }


@st.composite
def worlds(draw: st.DrawFn, *, governed: bool = True, engines: bool = True) -> World:
    """Draw a world; every stage has a pod, and there are pods that are nobody's."""
    keys = draw(st.lists(st.sampled_from(SEGMENTS), min_size=2, max_size=3, unique=True))
    drawn = [draw(segments(*key, engines=engines)) for key in keys]
    pods = [
        _pod(f"{s['metadata']['name']}-{stage['name']}", s["metadata"]["namespace"], _stage_labels(s, stage), 0)
        for s in drawn
        for stage in s["spec"]["stages"]
    ]
    for namespace in NAMESPACES:
        strays = draw(st.lists(_labels(), min_size=2, max_size=4, unique_by=str))
        pods += [_pod("-".join(labels.values()), namespace, labels, 0) for labels in strays]
    if draw(st.integers(0, 3)) == 0:
        pods.append(_pod("task", "ci", {"tekton.dev/pipeline": "shop", "tekton.dev/pipelineTask": "stray"}, 0))
    for number, pod in enumerate(pods, start=1):
        pod["status"]["podIP"] = f"10.244.0.{number}"
    services = [s for n in NAMESPACES for s in _services(n)]
    return World(
        segments=tuple(drawn),
        grants=tuple(draw(grants(n)) for n in range(draw(st.sampled_from((0, 2, 4))))),
        classes=(draw(classes()),) if governed and draw(st.booleans()) else (),
        facts=(*_cluster(), *services, *pods),
    )
