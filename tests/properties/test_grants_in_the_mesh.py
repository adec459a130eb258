"""A grant holds its callers in Istio's mesh too: of its pods a stage reaches no port and no request that nobody gave it.

Drawn worlds meet such grants too seldom: here everybody reaches the pods of one namespace, and its owners grant in every way.
"""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipesegment.compile.segment import compile_segment
from pipesegment.declared.declaration import Declaration
from pipesegment.evaluate.endpoints import PodEnd, Port, live
from pipesegment.evaluate.world import Http, World
from pipesegment.facts.parse import snapshot
from pipesegment.facts.snapshot import Snapshot
from pipesegment.reach.resolve import resolve
from tests.properties.segment_worlds import pod, service

pytestmark = pytest.mark.thorough
Object = dict[str, Any]

API = "pipesegment.dev/v1alpha1"
PODS = ({"app": "api", "tier": "back"}, {"app": "api"}, {"app": "db", "tier": "back"})
NUMBERS = (80, 8080, 9090)
REQUESTS = (Http("GET", "/v1/a"), Http("POST", "/v1/a"), Http("GET", "/healthz"), Http("DELETE", "/other"))
HTTP = st.lists(
    st.sampled_from(
        (
            {"methods": ["GET"]},
            {"methods": ["GET", "POST"], "paths": ["/v1/*"]},
            {"paths": ["/healthz"]},
            {"methods": ["DELETE"], "paths": ["/other", "/v1/*"]},
        )
    ),
    max_size=2,
)
TARGETS = st.sampled_from(
    (
        {"podSelector": {"matchLabels": {"app": "api"}}},
        {"podSelector": {"matchLabels": {"tier": "back"}}},
        {"podSelector": {"matchLabels": {"app": "api", "tier": "back"}}},
        {"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["api", "db"]}]}},
        {"service": {"name": "api"}},
    )
)
PORTS = st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=2, unique=True)


@st.composite
def _entry(draw: st.DrawFn, *, http: bool) -> Object:
    target = draw(TARGETS)
    numbers = draw(PORTS)
    asked = {"http": rules} if http and (rules := draw(HTTP)) else {}
    if "service" in target:
        return {"service": {"name": "api", "namespace": "prod"}, "ports": [{"port": 80}], **asked}
    return {"pods": {**target, "namespace": "prod"}, "ports": [{"port": n} for n in numbers], **asked}


@st.composite
def _grant(draw: st.DrawFn, number: int, *, http: bool) -> Object:
    target = draw(TARGETS)
    ports = [{"port": 80}] if "service" in target else [{"port": n} for n in draw(PORTS)]
    isolate = draw(st.sampled_from(("Callers", "Callers", "Everyone", "Nobody")))
    rules = draw(HTTP) if http and isolate != "Nobody" else []
    stage = draw(st.sampled_from(({}, {}, {"segment": "shop", "stage": "build"})))
    spec = {"from": [{"namespace": "ci", **stage}], "to": target, "ports": ports, "isolate": isolate}
    meta = {"namespace": "prod", "name": f"grant-{number}", "uid": f"uid-grant-{number}"}
    return {
        "apiVersion": API,
        "kind": "SegmentGrant",
        "metadata": meta,
        "spec": spec | ({"http": rules} if rules else {}),
    }


@st.composite
def worlds(draw: st.DrawFn, *, ambient: bool) -> list[Object]:
    """Draw two stages, what they reach in the other namespace, and what is granted there."""
    labels = {"istio.io/dataplane-mode": "ambient"} if ambient else {"istio-injection": "enabled"}
    spaces = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n, "uid": f"uid-{n}", "labels": labels}}
        for n in ("ci", "prod")
    ]
    stages = [
        {"name": name, "reaches": draw(st.lists(_entry(http=not ambient), min_size=1, max_size=3))}
        for name in ("build", "test")
    ]
    segment = {
        "apiVersion": API,
        "kind": "PipelineSegment",
        "metadata": {"namespace": "ci", "name": "shop"},
        "spec": {"stages": stages},
    }
    pods = [
        pod("ci", name, {"pipesegment.dev/segment": "shop", "pipesegment.dev/stage": name}, f"10.0.3.{n}")
        for n, name in enumerate(("build", "test"))
    ]
    for made in pods:
        made["spec"]["serviceAccountName"] = f"shop-{made['metadata']['name']}"
    pods += [pod("prod", f"pod-{n}", dict(found), f"10.0.4.{n}") for n, found in enumerate(PODS)]
    for made in pods:
        if ambient:
            made["metadata"]["annotations"] = {"ambient.istio.io/redirection": "enabled"}
        else:
            made["spec"]["containers"].append({"name": "istio-proxy"})
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    api = service("prod", "api", {"selector": {"app": "api"}, "clusterIP": "10.96.0.9", "ports": ports})
    grants = [draw(_grant(n, http=not ambient)) for n in range(draw(st.integers(1, 3)))]
    governing = {
        "apiVersion": API,
        "kind": "SegmentClass",
        "metadata": {"name": "default"},
        "spec": {"network": {"requireGrants": draw(st.booleans())}},
    }
    return [*spaces, *pods, api, segment, *grants, governing]


#: So that nobody calls in plaintext: whom a DENY means is known then.
STRICT = {
    "apiVersion": "security.istio.io/v1",
    "kind": "PeerAuthentication",
    "metadata": {"name": "default", "namespace": "prod"},
    "spec": {"mtls": {"mode": "STRICT"}},
}


def held(snap: Snapshot, source: PodEnd, destination: PodEnd) -> bool:
    """Tell whether some grant that holds its callers gives a stage anything of a pod, or grants are required."""
    if next(iter(snap.classes.values())).spec.network.require_grants:
        return True
    for grant in snap.grants["prod"].values():
        spec = grant.spec
        assert spec is not None
        chosen = spec.to.pod_selector
        labels = {"app": "api"} if chosen is None else dict(chosen.match_labels)
        picked = all(destination.labels.get(k) == v for k, v in labels.items())
        if chosen is not None and chosen.match_expressions:
            picked = destination.labels["app"] in {"api", "db"}
        named = any(s.stage in (None, source.labels["pipesegment.dev/stage"]) for s in spec.from_)
        if spec.isolate != "Nobody" and picked and named:
            return True
    return False


def look(raw: list[Object], met: Counter[str], requests: tuple[Http | None, ...]) -> None:
    """Ask about every stage, pod, port and request; only what is wider than declared counts where a grant holds."""
    snap = snapshot(raw)
    (segment,) = snap.segments["ci"].values()
    objects = compile_segment(resolve(segment, snap)).objects
    services = list(snap.services["prod"].values())
    world, declaration = World([*objects, STRICT], services, []), Declaration(snap)
    met["denials"] += any(o["kind"] == "AuthorizationPolicy" and o["spec"]["action"] == "DENY" for o in objects)
    ends = list(live(snap))
    for source in (e for e in ends if e.namespace == "ci"):
        for destination in (e for e in ends if e.namespace == "prod"):
            if not held(snap, source, destination):
                continue
            for number in NUMBERS:
                for request in requests:
                    asked = (source, destination, Port("TCP", number), request)
                    declared, enforced = declaration.judge(*asked), world.judge(*asked)
                    met["open"] += enforced.enforced
                    met["closed"] += not enforced.enforced
                    assert declared.allowed or not enforced.enforced, (
                        f"{source} → {destination} {number} {request}: {declared}"
                    )


MANY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@pytest.mark.parametrize(
    ("ambient", "requests"), [(True, (None,)), (False, (None, *REQUESTS))], ids=["ambient", "sidecars"]
)
def test_a_stage_reaches_no_more_of_granted_pods_than_it_was_given(
    ambient: bool, requests: tuple[Http | None, ...]
) -> None:
    met: Counter[str] = Counter()

    @MANY
    @given(raw=worlds(ambient=ambient))
    def agree(raw: list[Object]) -> None:
        look(raw, met, requests)

    agree()
    assert met["denials"] > 3
    assert min(met["open"], met["closed"]) > 10
