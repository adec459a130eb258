"""What a class does not allow is refused when it is written, whether the operator runs or not (none does here)."""

from typing import Any

import pytest

from tests.cluster.admission import Scene
from tests.cluster.attempts import create
from tests.cluster.operator import segment, stage, to_cidr

INSIDE, OUTSIDE = "203.0.113.0/28", "198.51.100.0/24"
SSO = {"service": {"name": "sso", "namespace": "auth"}}

#: What is asked for -> what is said of it; None: nothing.
ASKED: dict[str, tuple[dict[str, Any], str | None]] = {
    "what is allowed": (segment("asks", "ci-rails", stage("build", to_cidr(INSIDE, 443), SSO, mode="Enforce")), None),
    "nothing at all": (segment("asks", "ci-rails", stage("build")), None),
    "a mode": (segment("asks", "ci-rails", stage("build"), mode="Observe"), "does not allow the mode"),
    "a stage's mode": (segment("asks", "ci-rails", stage("build", mode="Observe")), "does not allow the mode"),
    "to be suspended": (segment("asks", "ci-rails", stage("build"), suspend=True), "does not allow suspending"),
    "an engine": (
        segment(
            "asks",
            "ci-rails",
            stage("build", podSelector={"matchLabels": {"app": "a"}}),
            engine={"type": "ArgoWorkflows", "argoWorkflows": {}},
        ),
        "does not allow the engine",
    ),
    "the internet": (
        segment("asks", "ci-rails", stage("build", {"internet": {}, "ports": [{"port": 443}]})),
        "does not allow the target internet",
    ),
    "the metadata service": (
        segment("asks", "ci-rails", stage("build", {"imds": {}})),
        "does not allow the target imds",
    ),
    "the API server": (
        segment("asks", "ci-rails", stage("build", {"kubernetesAPI": {}})),
        "does not allow the target kubernetesAPI",
    ),
    "host names for every stage": (
        segment("asks", "ci-rails", stage("build"), common={"reaches": [{"fqdn": {"names": ["a.example.com"]}}]}),
        "does not allow the target fqdn",
    ),
    "addresses": (
        segment("asks", "ci-rails", stage("build", to_cidr(OUTSIDE, 443))),
        "a cidr lies inside 203.0.113.0/24",
    ),
    "addresses in part": (
        segment("asks", "ci-rails", stage("build", to_cidr("203.0.112.0/23", 443))),
        "a cidr lies inside 203.0.113.0/24",
    ),
    "the same where another class governs": (segment("asks", "quiet", stage("build", {"imds": {}})), None),
}


@pytest.mark.parametrize("asked", ASKED)
def test_what_the_class_does_not_allow_is_refused(guarded: Scene, asked: str):
    document, said = ASKED[asked]
    answer = guarded.tries("alice", create(document))
    if said is None:
        assert answer.status == 201, answer
    else:
        assert (answer.verdict, said in answer.message, "SegmentClass rails" in answer.message) == (
            "Deny guardrails",
            True,
            True,
        ), answer
