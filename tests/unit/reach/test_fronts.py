"""In the mesh a stage is called at the ports that its Services lead to; the others are parted, on both halves alike."""

import pytest

from pipesegment.reach.edges import PortRange, Target
from tests.unit.reach.reaching import pod, reach, segment, segment_class, service, stage, way

ISTIO = segment_class(mesh={"provider": "Istio"})
APP = {"app": "cache"}
CACHE = {"name": "cache", "podSelector": {"matchLabels": APP}}
HOST = "ci/{0}.ci.svc.cluster.local"


def called(*ports, objects=(), governed=ISTIO, **caller):
    """Resolve a stage that calls `cache`; give what each half became, and they must be the same."""
    entry = {"stage": {"name": "cache"}, "ports": list(ports)}
    found = reach(segment([{"name": "build", "reaches": [entry], **caller}, CACHE]), governed, *objects)
    out = [(e.ports, e.hosts, e.fronts) for e in way(found, "build")]
    into = [(e.ports, e.hosts, e.fronts) for e in stage(found, "cache").ingress]
    assert out == into
    return [(" ".join(_written(p) for p in ports), hosts, fronts) for ports, hosts, fronts in out]


def _written(port):
    return f"{port.port}{f'-{port.end}' if port.end else ''}{'' if port.protocol == 'TCP' else port.protocol}"


def front(name="cache", *ports, selector=APP, **spec):
    made = service("ci", name, selector, [{"name": str(i), **p} for i, p in enumerate(ports)])
    made["spec"] |= spec
    return made


WEB = front("cache", {"port": 80, "targetPort": 8080})
LED, UNLED = (HOST.format("cache"),), ("ci/cache",)


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ({"port": 8080}, [("8080", LED, ())]),
        ({"port": 80}, [("80", (), UNLED)]),
        ({"port": 8080, "protocol": "UDP"}, [("8080UDP", (), ())]),
        ({"port": "http"}, [("http", (), ())]),
        ({"port": 8000, "endPort": 9000}, [("8000-8079 8081-9000", (), UNLED), ("8080", LED, ())]),
        ({"port": 8080, "endPort": 8081}, [("8080", LED, ()), ("8081", (), UNLED)]),
        ({"port": 8079, "endPort": 8080}, [("8079", (), UNLED), ("8080", LED, ())]),
        ({"port": 1, "endPort": 70}, [("1-70", (), UNLED)]),
    ],
)
def test_a_port_is_led_to_by_its_number_at_the_pods(port, expected):
    assert sorted(called(port, objects=[WEB])) == sorted(expected)


def test_what_is_led_to_keeps_company_with_what_no_sidecar_captures():
    ports = [{"port": 8080}, {"port": 9090}, {"port": 5000, "protocol": "UDP"}]
    assert called(*ports, objects=[WEB]) == [("8080 5000UDP", LED, ()), ("9090", (), UNLED)]


def test_a_range_is_whole_when_all_of_it_is_led_to_by_several_services():
    services = [front(n, {"port": 80, "targetPort": t}) for n, t in (("a", 8080), ("b", 8081), ("c", 9))]
    assert called({"port": 8080, "endPort": 8081}, objects=services) == [
        ("8080-8081", (HOST.format("a"), HOST.format("b")), ())
    ]


@pytest.mark.parametrize(
    "other",
    [
        front("cache", {"port": 8080}, selector={"app": "cache", "tier": "x"}),
        front("cache", {"port": 8080}, selector=None),
        front("cache", {"port": 8080}, type="ExternalName", externalName="example.com"),
    ],
    ids=["some of the pods", "no pods", "a name"],
)
def test_a_service_that_does_not_select_the_stage_is_none(other):
    assert called({"port": 8080}, objects=[other]) == [("8080", (), ())]


def test_a_service_leads_over_tcp_by_a_tcp_port():
    assert called({"port": 53}, objects=[front("cache", {"port": 53, "protocol": "UDP"})]) == [("53", (), UNLED)]


@pytest.mark.parametrize(
    ("port", "leads"),
    [
        ({"port": 8080}, True),
        ({"port": 80, "targetPort": 8080}, False),
        ({"port": 8080, "targetPort": "http"}, True),
        ({"port": 80, "targetPort": "http"}, False),
    ],
)
def test_a_headless_service_translates_nothing(port, leads):
    headless = front("cache", port, clusterIP="None")
    assert called({"port": 8080}, objects=[headless]) == [("8080", LED if leads else (), () if leads else UNLED)]


def running(**ports):
    listed = [{"name": name, "containerPort": number} for name, number in ports.items()]
    return pod("ci", f"pod-{'-'.join(ports)}", APP, containers=[{"name": "main", "ports": listed}])


@pytest.mark.parametrize(
    ("pods", "led"),
    [
        ([], ["8080 9090"]),
        ([running(http=8080)], ["8080"]),
        ([running(http=8080), running(http=9090, more=1)], ["8080 9090"]),
        ([running(web=8080)], []),
    ],
    ids=["no pod tells", "one tells", "pods differ", "no pod has it"],
)
def test_a_named_target_is_what_the_pods_say_and_trusted_where_there_are_none(pods, led):
    named = front("cache", {"port": 80, "targetPort": "http"})
    found = called({"port": 8080}, {"port": 9090}, objects=[named, *pods])
    assert [ports for ports, hosts, _ in found if hosts] == led


def test_outside_the_mesh_nothing_is_parted():
    none = segment_class(mesh={"provider": "None"})
    assert called({"port": 8080}, {"port": 9090}, objects=[WEB], governed=none) == [("8080 9090", (), ())]


@pytest.mark.parametrize(
    "entry", [{"service": {"name": "narrow"}}, {"destination": {"name": "narrow"}}], ids=["service", "destination"]
)
def test_a_service_that_is_named_leads_to_its_pods_though_it_is_no_front_of_the_stage(entry):
    named = segment_class(
        mesh={"provider": "Istio"}, destinations=[{"name": "narrow", "service": {"name": "narrow", "namespace": "ci"}}]
    )
    narrow = front("narrow", {"port": 80, "targetPort": 8080}, selector={"app": "cache", "track": "stable"})
    found = reach(segment([{"name": "build", "reaches": [entry]}, CACHE]), named, narrow)
    halves = [*way(found, "build"), *stage(found, "cache").ingress]
    assert [(e.ports, e.hosts) for e in halves] == [((PortRange("TCP", 8080),), (HOST.format("narrow"),))] * 2


def test_between_segments_both_sides_part_alike():
    caller = segment(
        [{"name": "a", "reaches": [{"stage": {"name": "cache", "segment": "pay"}, "ports": [{"port": 1}]}]}]
    )
    accept = {"stage": {"name": "a", "segment": "shop"}, "ports": [{"port": 1}]}
    objects = caller, segment([{**CACHE, "accepts": [accept]}], "pay"), ISTIO, WEB
    (out,) = way(reach(*objects), "a")
    (into,) = (e for e in stage(reach(*objects, name="pay"), "cache").ingress if e.target is Target.STAGE)
    assert (out.hosts, out.fronts) == (into.hosts, into.fronts) == ((), UNLED)


def test_pods_that_a_stage_accepts_are_parted_too():
    accept = {"pods": {"podSelector": {"matchLabels": {"app": "x"}}}, "ports": [{"port": 8080}, {"port": 1}]}
    found = reach(segment([{**CACHE, "accepts": [accept]}]), ISTIO, WEB)
    parted = [([p.port for p in e.ports], e.hosts, e.fronts) for e in stage(found, "cache").ingress]
    assert sorted(parted) == [([1], (), UNLED), ([8080], LED, ())]


def test_siblings_need_some_service_whatever_its_ports():
    engine = {"type": "Woodpecker", "woodpecker": {"repoID": 7}}
    steps = front("steps", {"port": 80}, selector={"woodpecker-ci.org/repo-id": "7"})
    (edge,) = (e for e in stage(reach(segment([{"name": "a"}], engine=engine), ISTIO, steps), "a").ingress)
    assert (edge.ports, edge.hosts) == ((), (HOST.format("steps"),))


def test_a_stage_whose_ports_depend_on_its_pods_is_looked_at_when_these_change():
    named = front("cache", {"port": 80, "targetPort": "http"})
    entry = {"stage": {"name": "cache"}, "ports": [{"port": 8080}]}
    found = reach(segment([{"name": "build", "reaches": [entry]}, CACHE]), ISTIO, named)
    assert ("ci", stage(found, "cache").selector) in found.watches
    assert ("Service", "ci", "*") in found.reads
