"""What undoes a segment: which engine is known by what, and what nobody looked at is not told."""

from dataclasses import replace

import pytest

from pipesegment.facts.others import Others
from pipesegment.facts.parse import snapshot
from pipesegment.facts.snapshot import Snapshot
from pipesegment.reach.resolve import resolve
from tests.unit.reach.reaching import namespace, pod, segment, segment_class

BUILD = segment([{"name": "build", "podSelector": {"matchLabels": {"app": "build"}}}])


def daemon_set(name, *containers, namespace="kube-system"):
    spec = {"template": {"spec": {"containers": list(containers)}}}
    return {"kind": "DaemonSet", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def looked(*objects) -> Snapshot:
    """A world in which somebody looked for DaemonSets."""
    found = snapshot(objects)
    return replace(found, others=replace(found.others, daemon_sets=found.others.daemon_sets or {}))


def reasons(found: Snapshot) -> set[str]:
    shop = found.segment("ci", "shop")
    assert shop is not None
    return {finding.reason for finding in resolve(shop, found).findings}


@pytest.mark.parametrize(
    ("name", "container"),
    [
        ("calico-node", "calico-node"),
        ("canal", "calico-node"),
        ("cilium", "cilium-agent"),
        ("anetd", "cilium-agent"),
        ("antrea-agent", "antrea-agent"),
        ("kube-router", "kube-router"),
        ("ovnkube-node", "ovn-controller"),
        ("kube-ovn-cni", "cni-server"),
        ("weave-net", "weave-npc"),
        ("azure-npm", "azure-npm"),
        ("netpol", "kube-network-policies"),
    ],
)
def test_an_engine_is_known_by_its_agent(name, container):
    assert reasons(looked(BUILD, daemon_set(name, {"name": container}))) == set()


@pytest.mark.parametrize(
    ("why", "containers", "expected"),
    [
        ("flannel has no engine", [{"name": "kube-flannel"}], {"NotEnforced"}),
        ("flannel with one beside it", [{"name": "kube-flannel"}, {"name": "kube-network-policies"}], set()),
        (
            "kube-router without its firewall",
            [{"name": "kube-router", "args": ["--run-firewall=false"]}],
            {"NotEnforced"},
        ),
        ("the VPC CNI of old, without an agent", [{"name": "aws-node"}], {"NotEnforced"}),
        ("nobody's agent", [{"name": "fluent-bit"}], {"EngineUnknown"}),
    ],
)
def test_what_is_seen_not_to_enforce(why, containers, expected):
    assert reasons(looked(BUILD, daemon_set("net", *containers))) == expected, why


def test_where_nobody_looked_nothing_is_told():
    assert reasons(snapshot([BUILD])) == set()
    assert reasons(looked(BUILD)) == {"EngineUnknown"}


def test_a_segment_that_only_observes_needs_no_engine():
    observing = segment(BUILD["spec"]["stages"], mode="Observe")

    assert reasons(looked(observing)) == set()


AUTO_NODE = {"kind": "Node", "metadata": {"name": "n", "labels": {"eks.amazonaws.com/compute-type": "auto"}}}


def auto_mode(value: str):
    return {
        "kind": "ConfigMap",
        "metadata": {"name": "amazon-vpc-cni", "namespace": "kube-system"},
        "data": {"enable-network-policy-controller": value},
    }


def test_eks_auto_mode_is_switched_on_by_a_config_map():
    assert reasons(looked(BUILD, AUTO_NODE)) == {"EngineUnknown"}
    assert reasons(looked(BUILD, AUTO_NODE, auto_mode("false"))) == {"NotEnforced"}
    assert reasons(looked(BUILD, AUTO_NODE, auto_mode("true"))) == {"StartupWindow"}
    # Left over from a time before, on nodes of another kind.
    assert reasons(looked(BUILD, auto_mode("true"))) == {"EngineUnknown"}


def test_the_class_may_say_that_the_vpc_cni_enforces():
    """Where nobody looked at the nodes, and no other engine is seen."""
    bare = pod("ci", "build-1", {"app": "build"}, "shop-build")
    spoken = snapshot([BUILD, bare, segment_class(network={"provider": "AmazonVPC"})])

    assert {"BarePods", "StartupWindow"} <= reasons(spoken)

    calico = looked(daemon_set("calico-node", {"name": "calico-node"})).others.daemon_sets
    assert not {"BarePods", "StartupWindow"} & reasons(replace(spoken, others=Others(daemon_sets=calico)))


def test_a_lax_namespace_matters_to_a_stage_that_has_no_object_of_its_own():
    """A stage that was refused for an older one keeps nothing but an AuthorizationPolicy that admits nobody."""
    lax = {
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": {"name": "default", "namespace": "ci"},
        "spec": {"mtls": {"mode": "PERMISSIVE"}},
    }
    meshed = namespace("ci", **{"istio-injection": "enabled"})
    older = segment(BUILD["spec"]["stages"], name="older", created="2026-01-01T00:00:00Z")
    younger = segment(BUILD["spec"]["stages"], created="2026-01-02T00:00:00Z")

    assert "LaxMutualTLS" not in reasons(snapshot([BUILD, meshed, lax]))
    assert "LaxMutualTLS" in reasons(snapshot([younger, older, meshed, lax]))


def test_a_pods_node_is_no_news():
    """A pod that is placed on its node makes nobody due: it has no address yet."""
    before, after = (pod("ci", "p", {}, **node) for node in ({}, {"nodeName": "n1"}))

    known = [snapshot([found]).pods["ci"]["p"] for found in (before, after)]

    assert known[0] == known[1]
    assert [p.node for p in known] == ["", "n1"]
