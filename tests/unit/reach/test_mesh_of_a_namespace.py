"""Which mesh a namespace is in: the class's word, else what the facts show, and nothing on the strength of an absence."""

import pytest

from pipesegment.reach.edges import Mesh, Tunnel
from tests.unit.reach.reaching import namespace, reach, reasons, segment, segment_class, stage, way

ISTIO = {"kind": "CustomResourceDefinition", "metadata": {"name": "authorizationpolicies.security.istio.io"}}
LINKERD = {"kind": "CustomResourceDefinition", "metadata": {"name": "servers.policy.linkerd.io"}}
SHOP = segment([{"name": "build"}, {"name": "image", "mesh": "None"}])


def labelled(key, value, **more):
    found = namespace("ci")
    found["metadata"]["labels"] = {key: value, **more}
    return found


def annotated(inject, **more):
    found = namespace("ci")
    found["metadata"]["annotations"] = {"linkerd.io/inject": inject, **more}
    return found


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([], Mesh.NONE),
        ([ISTIO], Mesh.ISTIO),
        ([labelled("istio-injection", "enabled")], Mesh.ISTIO),
        ([labelled("istio.io/rev", "stable")], Mesh.ISTIO),
        ([labelled("istio-injection", "disabled")], Mesh.NONE),
        # A pod that has both is carried by its sidecar.
        ([labelled("istio.io/dataplane-mode", "ambient", **{"istio-injection": "enabled"})], Mesh.ISTIO),
        ([labelled("istio.io/dataplane-mode", "none")], Mesh.NONE),
        ([LINKERD], Mesh.LINKERD),
        ([LINKERD, annotated("disabled")], Mesh.NONE),
        ([LINKERD, segment_class(mesh={"provider": "None"})], Mesh.NONE),
        ([LINKERD, segment_class(mesh={"provider": "Istio"})], Mesh.ISTIO),
        ([segment_class(mesh={"provider": "Linkerd"})], Mesh.LINKERD),
        ([annotated("enabled")], Mesh.LINKERD),
        # Both are installed: the namespace says which it is in.
        ([LINKERD, ISTIO], Mesh.ISTIO),
        ([LINKERD, ISTIO, annotated("ingress")], Mesh.LINKERD),
        ([ISTIO, segment_class(mesh={"provider": "None"})], Mesh.NONE),
        ([segment_class(mesh={"provider": "Istio"})], Mesh.ISTIO),
        ([ISTIO, labelled("istio.io/dataplane-mode", "ambient")], Mesh.AMBIENT),
        ([labelled("istio.io/dataplane-mode", "ambient"), segment_class(mesh={"provider": "Istio"})], Mesh.AMBIENT),
        ([labelled("istio.io/dataplane-mode", "ambient"), segment_class(mesh={"provider": "None"})], Mesh.NONE),
        ([ISTIO, segment_class(mesh={"dataPlane": "Ambient"})], Mesh.AMBIENT),
        ([segment_class(mesh={"dataPlane": "Ambient"})], Mesh.NONE),
        ([labelled("istio.io/dataplane-mode", "ambient"), segment_class(mesh={"dataPlane": "Sidecar"})], Mesh.ISTIO),
    ],
)
def test_the_mesh_of_a_namespace(facts, expected):
    found = reach(SHOP, *facts)
    assert stage(found, "build").mesh is expected
    assert stage(found, "image").mesh is Mesh.NONE


def test_a_sidecar_reaches_its_control_plane_once_its_stage_declares_anything():
    talking = {"name": "talk", "reaches": [{"cidr": {"block": "192.0.2.0/24"}, "ports": [{"port": 443}]}]}
    found = reach(segment([talking, {"name": "silent"}]), ISTIO)
    assert "service istio-system/istiod" in [e.described for e in stage(found, "talk").egress]
    assert stage(found, "silent").egress == ()


@pytest.mark.parametrize(
    ("own", "crd", "provider"), [("istio-system", ISTIO, "Istio"), ("linkerd", LINKERD, "Linkerd")]
)
def test_nothing_is_in_the_mesh_in_its_own_namespace(own, crd, provider):
    there = segment([{"name": "build"}], "shop", own)
    told = ("metadata.namespace", "NotYetSupported")
    for facts in ([crd], [segment_class(mesh={"provider": provider})]):
        found = reach(there, *facts, at=own)
        assert (stage(found, "build").mesh, told in reasons(found)) == (Mesh.NONE, True)
    plain = reach(there, segment_class(mesh={"provider": "None"}), crd, at=own)
    assert told not in reasons(plain)


def test_a_sidecar_of_linkerds_reaches_identity_destination_and_policy():
    found = reach(segment([{"name": "build", "reaches": [OUT]}]), LINKERD)
    own = [edge for edge in stage(found, "build").egress if edge.because == "mesh"]
    assert [(e.described, sorted(p.port for p in e.ports)) for e in own] == [
        ("service linkerd/linkerd-dst-headless", [8086, 8090]),
        ("service linkerd/linkerd-identity-headless", [8080]),
    ]


@pytest.mark.parametrize(
    ("policy", "mode", "guarded"), [("deny", "Enforce", True), ("deny", "Observe", False), ("audit", "Enforce", False)]
)
def test_a_stage_in_linkerd_is_guarded_where_its_namespace_denies_by_default(policy, mode, guarded):
    stages = [
        {"name": "build", "reaches": [{"stage": {"name": "test"}, "ports": [{"port": 80}]}]},
        {"name": "test", "mode": mode},
    ]
    around = annotated("enabled", **{"config.linkerd.io/default-inbound-policy": policy})
    (edge,) = way(reach(segment(stages), around), "build")
    assert edge.tunnel == Tunnel(guarded=guarded)


def control_plane(edges):
    return [e.described for e in edges if e.because == "mesh"]


@pytest.mark.parametrize(("mesh", "expected"), [("Auto", ["service istio-system/istiod"]), ("None", [])])
def test_runner_pods_of_a_stage_in_the_mesh_find_its_control_plane(mesh, expected):
    own = {"scaleSets": ["linux"], "jobPods": {"matchLabels": {"job": "build"}}}
    kubernetes = {"type": "ActionsRunnerController", "actionsRunnerController": {"containerMode": "Kubernetes"}}
    mine = segment([{"name": "build", "mesh": mesh, "engine": own}], engine=kubernetes)
    build = stage(reach(mine, segment_class(mesh={"provider": "Istio"})), "build")
    assert control_plane(build.runner.egress) == expected
    assert control_plane(build.egress) == []


IDLE = ("spec.stages[0].mesh", "MeshIdle")
OUT = {"cidr": {"block": "192.0.2.0/24"}, "ports": [{"port": 443}]}


@pytest.mark.parametrize(
    ("build", "told"),
    [
        ({}, True),
        ({"reaches": [{"service": {"name": "gone"}}], "dns": "None"}, True),
        ({"reaches": [OUT]}, False),
        ({"accepts": [{"pods": {"podSelector": {"matchLabels": {"app": "x"}}}, "ports": [{"port": 80}]}]}, False),
        ({"mesh": "None"}, False),
        ({"mode": "Observe"}, False),
    ],
)
def test_a_stage_with_nothing_open_is_told_that_its_sidecar_waits_for_ever(build, told):
    found = reach(segment([{"name": "build", **build}]), segment_class(mesh={"provider": "Istio"}))
    assert (IDLE in reasons(found)) is told
    assert bool(control_plane(stage(found, "build").egress)) is (
        not told and "mesh" not in build and "mode" not in build
    )


def test_without_a_sidecar_nothing_waits():
    for facts in ([], [labelled("istio.io/dataplane-mode", "ambient")]):
        found = reach(segment([{"name": "build", "reaches": [OUT]}, {"name": "idle"}]), *facts)
        assert IDLE not in reasons(found)
        assert control_plane(stage(found, "build").egress) == []
