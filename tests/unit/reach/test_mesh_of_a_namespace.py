"""Which mesh a namespace is in: the class's word, else what the facts show, and nothing on the strength of an absence."""

import pytest

from pipesegment.reach.graph import Mesh
from tests.unit.reach.reaching import namespace, reach, reasons, segment, segment_class, stage

ISTIO = {"kind": "CustomResourceDefinition", "metadata": {"name": "authorizationpolicies.security.istio.io"}}
LINKERD = {"kind": "CustomResourceDefinition", "metadata": {"name": "servers.policy.linkerd.io"}}
SHOP = segment([{"name": "build"}, {"name": "image", "mesh": "None"}])


def labelled(key, value):
    found = namespace("ci")
    found["metadata"]["labels"] = {key: value}
    return found


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([], Mesh.NONE),
        ([ISTIO], Mesh.ISTIO),
        ([labelled("istio-injection", "enabled")], Mesh.ISTIO),
        ([labelled("istio.io/rev", "stable")], Mesh.ISTIO),
        ([labelled("istio-injection", "disabled")], Mesh.NONE),
        ([labelled("istio.io/dataplane-mode", "none")], Mesh.NONE),
        ([LINKERD], Mesh.NONE),
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


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ([LINKERD], True),
        ([labelled("istio.io/dataplane-mode", "ambient")], False),
        ([LINKERD, segment_class(mesh={"provider": "None"})], False),
        # Both are installed: this namespace has sidecars of Istio's.
        ([LINKERD, ISTIO], False),
        ([ISTIO], False),
    ],
)
def test_a_mesh_that_is_not_rendered_for_is_told(facts, told):
    assert (("metadata.namespace", "NotYetSupported") in reasons(reach(SHOP, *facts))) is told


def test_a_sidecar_reaches_its_control_plane_once_its_stage_declares_anything():
    talking = {"name": "talk", "reaches": [{"cidr": {"block": "192.0.2.0/24"}, "ports": [{"port": 443}]}]}
    found = reach(segment([talking, {"name": "silent"}]), ISTIO)
    assert "service istio-system/istiod" in [e.described for e in stage(found, "talk").egress]
    assert stage(found, "silent").egress == ()


def test_nothing_is_in_the_mesh_in_its_root_namespace():
    there = segment([{"name": "build"}], "shop", "istio-system")
    told = ("metadata.namespace", "NotYetSupported")
    for facts in ([ISTIO], [segment_class(mesh={"provider": "Istio"})]):
        found = reach(there, *facts, at="istio-system")
        assert (stage(found, "build").mesh, told in reasons(found)) == (Mesh.NONE, True)
    plain = reach(there, segment_class(mesh={"provider": "None"}), ISTIO, at="istio-system")
    assert told not in reasons(plain)


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
