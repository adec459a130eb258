"""When a stage's pods are known to run as its account, and what its class lets them do beside."""

from typing import Any

import pytest

from pipesegment import names
from tests.unit.reach.reaching import namespace, pod, reach, segment, segment_class, stage

BUILD = segment([{"name": "build", "podSelector": {"matchLabels": {"app": "build"}}}])
RIGHT = pod("ci", "right", {"app": "build"}, "shop-build")
WRONG = pod("ci", "wrong", {"app": "build"}, "default")


def policy(wired: str = "true", *, manager: str = "pipesegment", owner: str = "u") -> dict[str, Any]:
    """The stage's policy as the operator left it."""
    labels = {names.MANAGED_BY_LABEL: manager, names.SEGMENT_LABEL: "shop", names.WIRED_LABEL: wired}
    meta: dict[str, Any] = {"namespace": "ci", "name": "shop-build", "labels": labels}
    meta["ownerReferences"] = [
        {"apiVersion": names.API_VERSION, "kind": names.SEGMENT, "name": "shop", "uid": owner, "controller": True}
    ]
    spec = {"podSelector": {"matchLabels": {"app": "build"}}, "policyTypes": ["Egress"]}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": spec}


@pytest.mark.parametrize(
    ("why", "around", "wired"),
    [
        ("nothing was ever seen", [], False),
        ("a pod runs as the stage", [RIGHT], True),
        ("one runs as somebody else", [WRONG], False),
        ("one of two", [RIGHT, WRONG], False),
        ("the pods that were seen are gone", [policy()], True),
        ("…and one came that is somebody else", [policy(), WRONG], False),
        ("the policy says otherwise", [policy("no")], False),
        ("the policy is not ours", [policy(manager="somebody")], False),
    ],
)
def test_wired(why, around, wired):
    assert stage(reach(BUILD, namespace("ci"), *around), "build").wired is wired, why


def test_an_exemption_is_told_of_the_stages_that_it_names():
    exempting = segment_class(
        guardrails={"exemptions": [{"allow": ["Privileged", "HostPath"], "stages": ["build"], "reason": "images"}]}
    )
    two = segment([{"name": "build"}, {"name": "test"}])

    told = [f for f in reach(two, exempting, namespace("ci")).findings if f.reason == "Exempt"]

    assert [(f.path, f.target) for f in told] == [("spec.stages[0]", "Privileged, HostPath")]
    assert "(images)" in told[0].message
