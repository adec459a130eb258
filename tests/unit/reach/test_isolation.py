"""Which namespaces a class isolates: what serves the whole cluster only when the class names it."""

import pytest

from pipesegment.reach.isolation import isolates
from pipesegment.spec.segmentclass import SegmentClassSpec


def isolating(selector=None, mesh="Auto", **network):
    spec = {"network": {"isolation": {"mode": "Namespace"}, **network}, "mesh": {"provider": mesh}}
    return SegmentClassSpec.model_validate(spec | ({"namespaceSelector": selector} if selector else {}))


def by_name(*names, operator="In"):
    return {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": operator, "values": list(names)}]}


@pytest.mark.parametrize("namespace", ["kube-system", "istio-system", "openshift-dns"])
def test_a_selector_that_happens_to_match_isolates_nothing_that_serves_the_cluster(namespace):
    assert not isolates(isolating(), namespace)
    assert not isolates(isolating({"matchLabels": {"team": "platform"}}), namespace)
    assert not isolates(isolating(by_name("ci", operator="NotIn")), namespace)
    assert isolates(isolating(by_name("ci", namespace)), namespace)
    assert isolates(isolating({"matchLabels": {"kubernetes.io/metadata.name": namespace}}), namespace)


def test_every_other_namespace_is_isolated_whatever_it_is_called():
    """Anybody may make a namespace of such a name: it must not be a way out."""
    assert all(isolates(isolating(), n) for n in ("ci", "kube-mine", "openshift-mine", "istio", "default"))


def test_where_names_are_resolved_is_what_the_class_says():
    pods = {"pods": [{"namespace": "names", "podSelector": {"matchLabels": {"app": "dns"}}}]}
    spec = isolating(dns=pods)
    assert not isolates(spec, "names")
    assert isolates(spec, "openshift-dns")
    assert isolates(isolating(dns={"cidrs": ["10.0.0.10/32"]}), "openshift-dns")
    assert not isolates(spec, "kube-system")


def test_without_a_mesh_there_is_no_root_of_one():
    assert isolates(isolating(mesh="None"), "istio-system")
    assert not isolates(isolating(mesh="Istio"), "istio-system")


def test_a_class_without_isolation_isolates_nothing():
    assert not isolates(SegmentClassSpec.model_validate({"namespaceSelector": by_name("ci")}), "ci")
