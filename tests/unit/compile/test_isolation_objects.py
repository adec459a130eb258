"""The class's default deny: whom it closes, whom it leaves out, and what it says when it cannot."""

import pytest

from pipesegment import names
from pipesegment.compile.isolation import isolation
from pipesegment.facts.selectors import Selector
from pipesegment.spec.segmentclass import SegmentClassSpec


def isolating(*excepted):
    return SegmentClassSpec.model_validate(
        {"network": {"isolation": {"mode": "Namespace", "exceptPods": list(excepted)}}}
    )


def test_every_namespace_gets_one_policy_that_closes_every_pod():
    desired = isolation("default", "u1", isolating(), {"b": "", "a": ""})
    assert [o["metadata"]["namespace"] for o in desired.objects] == ["a", "b"]
    for obj in desired.objects:
        assert obj["metadata"]["name"] == "pipesegment-default-deny"
        assert obj["spec"] == {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [],
        }
    assert desired.gaps == ()
    assert (str(desired.segment), desired.uid) == ("default", "u1")


def test_class_without_isolation_owns_nothing():
    assert isolation("default", "u1", SegmentClassSpec(), {"a": ""}).objects == ()


def test_policy_belongs_to_the_class():
    (obj,) = isolation("default", "u1", isolating(), {"a": ""}).objects
    assert obj["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "pipesegment",
        "pipesegment.dev/class": "default",
    }
    assert obj["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "pipesegment.dev/v1alpha1",
            "kind": "SegmentClass",
            "name": "default",
            "uid": "u1",
            "controller": True,
            "blockOwnerDeletion": False,
        }
    ]
    assert names.HASH_ANNOTATION in obj["metadata"]["annotations"]


def test_the_namespace_keeps_the_policy_when_its_class_is_gone():
    (obj,) = isolation("default", "u1", isolating(), {"a": "u-a"}).objects
    owners = {(r["apiVersion"], r["kind"]): r for r in obj["metadata"]["ownerReferences"]}
    assert owners["v1", "Namespace"] == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "name": "a",
        "uid": "u-a",
        "controller": False,
        "blockOwnerDeletion": False,
    }
    assert [r["uid"] for r in owners.values() if r["controller"]] == ["u1"]


def test_offline_nobody_owns_it():
    for class_uid, namespace_uid in (("", ""), ("", "u-a")):
        (obj,) = isolation("default", class_uid, isolating(), {"a": namespace_uid}).objects
        assert "ownerReferences" not in obj["metadata"]


@pytest.mark.parametrize("name", ["c" * 253, "c" * 63, f"{'c' * 60}.example.com"])
def test_label_holds_a_class_name_of_any_length(name):
    (obj,) = isolation(name, "u1", isolating(), {"a": ""}).objects
    label = obj["metadata"]["labels"][names.CLASS_LABEL]
    assert len(label) <= 63
    assert (label == name) is (len(name) <= 63)


@pytest.mark.parametrize(
    ("excepted", "selector"),
    [
        ([{"matchLabels": {"app": "metrics"}}], [("app", "NotIn", ["metrics"])]),
        (
            [{"matchLabels": {"app": "metrics"}}, {"matchLabels": {"app": "dns"}}],
            [("app", "NotIn", ["dns"]), ("app", "NotIn", ["metrics"])],
        ),
        ([{"matchExpressions": [{"key": "open", "operator": "Exists"}]}], [("open", "DoesNotExist", None)]),
        ([{"matchExpressions": [{"key": "ci", "operator": "DoesNotExist"}]}], [("ci", "Exists", None)]),
        ([{"matchExpressions": [{"key": "t", "operator": "NotIn", "values": ["x"]}]}], [("t", "In", ["x"])]),
    ],
)
def test_excepted_pods_are_left_out_exactly(excepted, selector):
    desired = isolation("default", "u1", isolating(*excepted), {"a": ""})
    (obj,) = desired.objects
    expected = [
        {"key": key, "operator": operator, **({"values": values} if values else {})}
        for key, operator, values in selector
    ]
    assert obj["spec"]["podSelector"] == {"matchExpressions": expected}
    assert desired.gaps == ()


def test_pods_that_cannot_be_left_out_stay_closed_and_it_is_said():
    both = {"matchLabels": {"app": "metrics", "part": "server"}}
    desired = isolation("default", "u1", isolating({"matchLabels": {"app": "dns"}}, both), {"a": ""})
    selector = Selector.parse(desired.objects[0]["spec"]["podSelector"])
    assert selector.matches(both["matchLabels"])
    assert not selector.matches({"app": "dns"})
    (gap,) = desired.gaps
    assert (gap.path, gap.reason, gap.target, gap.object) == (
        "spec.network.isolation.exceptPods[1]",
        "InexactSelector",
        "app=metrics,part=server",
        "default",
    )


def test_namespaces_of_the_clusters_own_stay_open_and_are_told_once():
    desired = isolation("default", "u1", isolating(), {"ci": "", "kube-system": "", "istio-system": ""})
    assert [o["metadata"]["namespace"] for o in desired.objects] == ["ci"]
    (told,) = desired.notes
    assert (told.reason, told.target, told.object) == ("ClusterNamespace", "istio-system, kube-system", "default")
    assert desired.gaps == ()
