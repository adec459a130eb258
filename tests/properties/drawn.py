"""Hypothesis strategies for worlds: segments, grants and classes as people write them.

Vocabularies are tiny on purpose: stages meet Services, selectors overlap, grants cover.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import strategies as st

from pipesegment import names
from tests.properties.surroundings import cluster, pod, services
from tests.properties.worlds import NAMESPACES, Document, World, document

SEGMENTS = (("ci", "shop"), ("ci", "pay"), ("prod", "api"))
STAGES = ("build", "test", "serve")
PORTS = (
    {"port": 80},
    {"port": 8080},
    {"port": 8000, "endPort": 8090},
    {"port": "http"},
    {"port": 8080, "protocol": "UDP"},
)


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
    for number, stage in enumerate(own):
        found: dict[str, Any] = {"name": stage}
        selector = draw(
            st.sampled_from(
                (None, {"app": f"{name}-{stage}"}, {"app": f"{name}-{stage}", "tier": "x"}, "In", "shared", "shared")
            )
        )
        if selector == "In":
            expression = {"key": "app", "operator": "In", "values": [f"{name}-{stage}", f"{name}-{stage}-2"]}
            found["podSelector"] = {"matchExpressions": [expression]}
        elif selector == "shared":
            # Other segments may select the same pods; a stage of this one must not.
            found["podSelector"] = {"matchLabels": {"app": "shared", "place": str(number)}}
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
def grants(draw: st.DrawFn, number: int, wished: Sequence[tuple[str, str, Document]]) -> dict[str, Any]:
    """Draw a grant: an answer to one of the wishes (namespace and segment of a caller, its entry), or one for anybody."""
    spec: dict[str, Any] = {}
    answers = wished and draw(st.integers(0, 3)) > 0
    if answers:
        caller, segment, entry = draw(st.sampled_from(list(wished)))
        target = entry.get("service") or entry["pods"]
        namespace = target["namespace"]
        to, ports = _given(draw, entry)
    else:
        caller, segment = draw(st.sampled_from(SEGMENTS))
        namespace = draw(st.sampled_from(NAMESPACES))
        to, ports = {"podSelector": {"matchLabels": draw(_labels())}}, draw(_ports())
    spec["from"] = [
        draw(
            st.sampled_from(
                (
                    {"namespace": caller},
                    {"namespace": caller, "segment": segment},
                    {"namespace": caller, "stage": "build"},
                )
            )
        )
    ]
    spec |= {"to": to, **({"ports": ports} if ports else {})}
    isolate = draw(st.sampled_from((None, "Nobody", "Callers", "Everyone", "Everyone")))
    return document(
        names.GRANT,
        f"grant-{number}",
        spec | ({"isolate": isolate} if isolate else {}),
        namespace,
        uid=f"u-grant-{number}",
    )


def _given(draw: st.DrawFn, entry: Document) -> tuple[Document, Any]:
    """Give a target and ports that cover an entry: its Service, its pods, or wider."""
    if "service" in entry:
        return {"service": {"name": entry["service"]["name"]}}, draw(st.sampled_from((None, [{"port": 80}])))
    labels = entry["pods"]["podSelector"]["matchLabels"]
    key = draw(st.sampled_from(sorted(labels)))
    selector = draw(st.sampled_from(({"matchLabels": labels}, {"matchLabels": {key: labels[key]}})))
    return {"podSelector": selector}, draw(st.sampled_from((entry["ports"], [{"port": 8080}])))


def _wishes(drawn: Iterable[Document]) -> list[tuple[str, str, Document]]:
    """Give the entries that point into another namespace, with the segments that wrote them."""
    found = []
    for segment in drawn:
        namespace, name = segment["metadata"]["namespace"], segment["metadata"]["name"]
        for stage in segment["spec"]["stages"]:
            for entry in stage.get("reaches", ()):
                target = entry.get("service") or entry.get("pods")
                if target is not None and target["namespace"] != namespace:
                    found.append((namespace, name, entry))
    return found


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
        pod(f"{s['metadata']['name']}-{stage['name']}", s["metadata"]["namespace"], _stage_labels(s, stage), 0)
        for s in drawn
        for stage in s["spec"]["stages"]
    ]
    for namespace in NAMESPACES:
        strays = draw(st.lists(_labels(), min_size=2, max_size=4, unique_by=str))
        pods += [pod("-".join(labels.values()), namespace, labels, 0) for labels in strays]
    if draw(st.integers(0, 3)) == 0:
        pods.append(pod("task", "ci", {"tekton.dev/pipeline": "shop", "tekton.dev/pipelineTask": "stray"}, 0))
    for number, each in enumerate(pods, start=1):
        each["status"]["podIP"] = f"10.244.0.{number}"
    return World(
        segments=tuple(drawn),
        grants=tuple(draw(grants(n, _wishes(drawn))) for n in range(draw(st.sampled_from((0, 2, 4))))),
        classes=(draw(classes()),) if governed and draw(st.booleans()) else (),
        facts=(*cluster(), *(s for n in NAMESPACES for s in services(n)), *pods),
    )
