"""Only the fields that are ours count, and of these every one does."""

from typing import Any

import pytest

from pipesegment.plan.diff import differences, project
from tests.unit.plan.scenes import account, of, policy, stored, to

WANTED = policy("shop-a", {"app": "a"}, [to({"app": "b"}, 80)], [])
ACCOUNT = {**account("shop-a"), "imagePullSecrets": [{"name": "pull"}]}


def live(**changes: Any) -> dict[str, Any]:
    return {**stored(WANTED), "status": {"x": 1}, **changes}


def spec(**changes: Any) -> dict[str, Any]:
    return live(spec={k: v for k, v in {**WANTED["spec"], **changes}.items() if v is not ...})


def metadata(**changes: Any) -> dict[str, Any]:
    obj = stored(WANTED)
    return live(metadata={**obj["metadata"], **changes})


SAME = [
    ("the server adds uid, resourceVersion and status", WANTED, live()),
    ("the server leaves an empty list out", WANTED, spec(ingress=...)),
    (
        "the server fills in the protocol",
        policy("shop-a", {"app": "a"}, [{"to": [{"podSelector": {}}], "ports": [{"port": 80}]}]),
        {
            **stored(policy("shop-a", {"app": "a"}, [{"to": [{"podSelector": {}}], "ports": [{"port": 80}]}])),
            "spec": {
                "podSelector": {"matchLabels": {"app": "a"}},
                "policyTypes": ["Ingress", "Egress"],
                "egress": [{"to": [{"podSelector": {}}], "ports": [{"port": 80, "protocol": "TCP"}]}],
            },
        },
    ),
    (
        "others label and annotate",
        WANTED,
        metadata(
            labels={**WANTED["metadata"]["labels"], "their": "label"},
            annotations={**WANTED["metadata"]["annotations"], "their": "note"},
        ),
    ),
    (
        "others add owners and pull secrets to a shared account",
        ACCOUNT,
        {
            **stored(ACCOUNT),
            "imagePullSecrets": [{"name": "registry"}, {"name": "pull"}],
            "secrets": [{"name": "token"}],
        },
    ),
]


@pytest.mark.parametrize(("reason", "desired", "found"), SAME, ids=[case[0] for case in SAME])
def test_what_is_no_difference(reason: str, desired: dict[str, Any], found: dict[str, Any]) -> None:
    # The hash differs in hand-made copies; it is compared like every other annotation.
    found["metadata"]["annotations"] = {**found["metadata"]["annotations"], **desired["metadata"]["annotations"]}
    assert differences(desired, found) == (), reason


OTHER = [
    ("a rule was added to a direction that we keep empty", WANTED, spec(ingress=[{}]), [("spec.ingress", [{}], None)]),
    ("a rule was taken away", WANTED, spec(egress=...), [("spec.egress", None, WANTED["spec"]["egress"])]),
    (
        "a port was changed",
        WANTED,
        spec(egress=[to({"app": "b"}, 81)]),
        [("spec.egress[0].ports[0].port", 81, 80)],
    ),
    (
        "a selector was emptied, which means everybody",
        WANTED,
        spec(podSelector={}),
        [("spec.podSelector.matchLabels", None, {"app": "a"})],
    ),
    (
        "a namespaceSelector was added, which means every namespace",
        policy("shop-a", {"app": "a"}, (), [of({"app": "b"}, 80)]),
        {
            **stored(WANTED),
            "spec": policy("shop-a", {"app": "a"}, (), [of({"app": "b"}, 80)])["spec"]
            | {
                "ingress": [
                    {"from": [{"podSelector": {"matchLabels": {"app": "b"}}, "namespaceSelector": {}}],
                     "ports": [{"port": 80, "protocol": "TCP"}]}
                ]
            },
        },
        [("spec.ingress[0].from[0].namespaceSelector", {}, None)],
    ),
    (
        "a field that we never wrote was added to the spec",
        WANTED,
        spec(policyTypes=["Ingress", "Egress"], extra={"a": 1}),
        [("spec.extra", {"a": 1}, None)],
    ),
    (
        "our label was changed",
        WANTED,
        metadata(labels={**WANTED["metadata"]["labels"], "pipesegment.dev/segment": "pay"}),
        [("metadata.labels[pipesegment.dev/segment]", "pay", "shop")],
    ),
    (
        "the token of an account was turned on",
        ACCOUNT,
        {**stored(ACCOUNT), "automountServiceAccountToken": True},
        [("automountServiceAccountToken", True, False)],
    ),
    (
        "a pull secret of ours was taken from an account",
        ACCOUNT,
        {**stored(ACCOUNT), "imagePullSecrets": [{"name": "registry"}]},
        [("imagePullSecrets[name=pull]", None, {"name": "pull"})],
    ),
    (
        "a number is not the text of it",
        WANTED,
        spec(egress=[{**to({"app": "b"}), "ports": [{"port": "80", "protocol": "TCP"}]}]),
        [("spec.egress[0].ports[0].port", "80", 80)],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "desired", "found", "expected"), OTHER, ids=[case[0] for case in OTHER])
def test_what_is_a_difference(
    reason: str, desired: dict[str, Any], found: dict[str, Any], expected: list[tuple[str, Any, Any]]
) -> None:
    found["metadata"]["annotations"] = desired["metadata"]["annotations"]
    assert [tuple(d) for d in differences(desired, found)] == expected, reason


def test_a_label_that_is_no_longer_declared_shows_by_our_mark() -> None:
    """Metadata is shared, so a key that we gave up is not ours to compare; the hash tells that something changed."""
    older = {**WANTED, "metadata": {**WANTED["metadata"], "labels": {**WANTED["metadata"]["labels"], "x": "y"}}}
    older["metadata"]["annotations"] = {"pipesegment.dev/hash": "other"}
    assert [d.path for d in differences(WANTED, stored(older))] == ["metadata.annotations[pipesegment.dev/hash]"]


def test_a_projection_shows_what_is_compared_and_nothing_else() -> None:
    shown = project(spec(ingress=[{}]), WANTED)
    assert set(shown) == {"apiVersion", "kind", "metadata", "spec"}
    assert set(shown["metadata"]) == {"name", "namespace", "labels", "annotations", "ownerReferences"}
    assert shown["spec"]["ingress"] == [{}]
