"""Linkerd's policies come, go and change: after every write, what is open was open before or is open after."""

from typing import Any

import pytest

from pipesegment.compile.canonical import stamped
from pipesegment.compile.desired import ObjectID
from pipesegment.compile.segment import compile_segment
from pipesegment.evaluate.ambient import Http
from pipesegment.evaluate.endpoints import PodEnd, Port
from pipesegment.evaluate.world import World
from pipesegment.plan.sequence import Restraint, Wave
from pipesegment.reach.edges import HttpRule, Mesh, Mode, PodPeer, PortRange, Principal, Tunnel
from tests.unit.compile import building
from tests.unit.plan.scenes import SEGMENT, UID, Scene

CALLERS = ("build", "test")
NAMESPACE = SEGMENT.namespace
PORTS = (Port("TCP", 8080), Port("TCP", 9090))


def end(name: str) -> PodEnd:
    labels = dict(building.selector_of(name).labels)
    return PodEnd(NAMESPACE, name, labels, ips=("10.0.0.1",), service_account=name, linkerd="deny")


ENDS = {name: end(name) for name in (*CALLERS, "cache")}


def made(*ways: tuple[Any, ...], mode: Mode = Mode.ENFORCE) -> list[dict[str, Any]]:
    """Compile a stage that callers reach at ports; its objects are those of the scene's segment."""
    edges = tuple(
        building.ingress(
            PodPeer(NAMESPACE, building.selector_of(caller)),
            ports=(PortRange("TCP", port),),
            principals=(Principal(NAMESPACE, caller),),
            tunnel=Tunnel(guarded=True),
            because=f"{caller}-{port}-{paths}",
            http=(HttpRule((), tuple(paths)),) if paths else (),
        )
        for caller, port, *paths in ways
    )
    stage = building.stage("cache", mesh=Mesh.LINKERD, ingress=edges, mode=mode)
    desired = compile_segment(building.reach(stage, segment=SEGMENT, uid=UID))
    return [stamped(dict(o)) for o in desired.objects]


def flows(objects: Any) -> frozenset[tuple[str, str]]:
    world = World(objects)
    return frozenset(
        (caller, str(port))
        for caller in CALLERS
        for port in PORTS
        if world.judge(ENDS[caller], ENDS["cache"], port).enforced
    )


ONE, OTHER, BOTH, MORE = (
    [("build", 8080)],
    [("test", 8080)],
    [("build", 8080), ("test", 8080)],
    [("build", 8080), ("test", 9090)],
)


@pytest.mark.parametrize("old", [[], ONE, OTHER, BOTH, MORE])
@pytest.mark.parametrize("new", [[], ONE, OTHER, BOTH, MORE])
def test_nothing_opens_on_the_way_that_is_open_neither_before_nor_after(old, new):
    scene = Scene(made(*old), made(*new))
    before, after = flows(scene.old), flows(scene.new)
    states = [flows(state) for state in scene.states(scene.sequence().steps)]
    assert [state - (before | after) for state in states] == [frozenset()] * len(states)
    assert [(before & after) - state for state in states] == [frozenset()] * len(states)
    assert states[-1] == after


REQUESTS = tuple(Http("GET", path) for path in ("/", "/v1/", "/v1/a", "/v1/b", "/v2"))


def asked(objects: Any) -> frozenset[tuple[str, str]]:
    world = World(objects)
    return frozenset(
        (caller, request.path)
        for caller in CALLERS
        for request in REQUESTS
        if world.judge(ENDS[caller], ENDS["cache"], PORTS[0], request).enforced
    )


SOME, PARTED, OTHERS = (
    [("build", 8080, "/v1/*")],
    [("build", 8080, "/v1/*"), ("test", 8080, "/v1/a")],
    [("build", 8080, "/v2"), ("test", 8080, "/v1/*", "/")],
)


@pytest.mark.parametrize("old", [[], ONE, BOTH, SOME, PARTED, OTHERS])
@pytest.mark.parametrize("new", [[], ONE, BOTH, SOME, PARTED, OTHERS])
def test_no_request_passes_on_the_way_that_passes_neither_before_nor_after(old, new):
    scene = Scene(made(*old), made(*new))
    before, after = asked(scene.old), asked(scene.new)
    states = [asked(state) for state in scene.states(scene.sequence().steps)]
    assert [state - (before | after) for state in states] == [frozenset()] * len(states)
    assert not states or states[-1] == after


def test_what_hangs_on_a_route_is_inside_its_servers_fence():
    """So it goes before anything is widened and comes when everything is narrowed, and needs no write between."""
    scene = Scene(made(*SOME), made(("build", 8080, "/v2")))
    waves = {
        (s.id.kind, s.verb, s.wave) for s in scene.sequence().steps if s.id.kind in {"AuthorizationPolicy", "HTTPRoute"}
    }
    assert waves == {
        ("AuthorizationPolicy", "delete", Wave.NARROW),
        ("AuthorizationPolicy", "create", Wave.WIDEN),
        ("HTTPRoute", "create", Wave.WIDEN),
        ("HTTPRoute", "delete", Wave.PRUNE),
    }


def test_a_route_that_goes_opens_nothing_whichever_write_is_the_last():
    without = [o for o in made(*PARTED) if o["kind"] != "HTTPRoute"]
    assert asked(without) == frozenset()


def test_a_stage_that_is_promoted_denies_before_anything_opens():
    scene = Scene(made(*ONE, mode=Mode.OBSERVE), made(*MORE))
    states = [flows(state) for state in scene.states(scene.sequence().steps)]
    assert states[-1] == flows(scene.new)


def test_who_somebody_is_comes_before_and_goes_after_what_it_opens():
    scene = Scene(made(*ONE), made(*OTHER))
    for state in scene.states(scene.sequence().steps):
        known = {o["metadata"]["name"] for o in state if o["kind"] == "MeshTLSAuthentication"}
        policies = [o for o in state if o["kind"] == "AuthorizationPolicy"]
        assert all(ref["name"] in known for p in policies for ref in p["spec"]["requiredAuthenticationRefs"])


def test_a_policy_is_written_once_or_not_at_all():
    scene = Scene(made(*ONE), made(*BOTH))
    steps = [step for step in scene.sequence().steps if step.id.kind == "AuthorizationPolicy"]
    assert [(step.verb, step.final) for step in steps] == [("create", True)]
    assert ObjectID.of(steps[0].object).api_version == "policy.linkerd.io/v1alpha1"


def test_of_a_removed_stage_whose_segment_is_suspended_the_server_stays_and_lets_nobody_in():
    scene = Scene(made(*BOTH, ("build", 9090)))
    assert flows(scene.old)
    gone = [ObjectID.of(o) for o in scene.old]
    *_, last = scene.states(scene.sequence(Restraint.SUSPENDED, removed=gone).steps)
    assert flows(last) == frozenset()
    assert {o["kind"] for o in last} >= {"Server", "NetworkPolicy"}
    assert not [o for o in last if o["kind"] == "AuthorizationPolicy"]
