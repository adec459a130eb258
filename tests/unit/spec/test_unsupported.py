"""Fields of later versions: told with path and reason, and only when they ask for something."""

import pytest

from pipesegment.errors import Refused
from pipesegment.spec.documents import parse_class, parse_segment

SEGMENT = {
    "apiVersion": "pipesegment.dev/v1alpha1",
    "kind": "PipelineSegment",
    "metadata": {"name": "shop", "namespace": "ci-shop"},
}
CLASS = {"apiVersion": "pipesegment.dev/v1alpha1", "kind": "SegmentClass", "metadata": {"name": "default"}}


@pytest.mark.parametrize(
    ("stage", "line"),
    [
        (
            {"gates": [{"name": "a", "policyReports": {}}]},
            'spec.stages[0].gates: is not supported by this version \'[{"name":"a","policyReports":{}}]\': remove it',
        ),
    ],
)
def test_a_field_of_a_later_version_is_refused(stage, line):
    with pytest.raises(Refused) as refused:
        parse_segment({**SEGMENT, "spec": {"stages": [{"name": "build", **stage}]}})

    assert [(str(r), r.reason, r.object) for r in refused.value.refusals] == [(line, "NotYetSupported", "ci-shop/shop")]


@pytest.mark.parametrize(
    "stage",
    [
        {"aws": {}},
        {"aws": {"identity": "None"}},
        {"aws": {"identity": "IRSA", "permissionSets": ["ECRPush"], "tokenSeconds": 3600}},
        {"gates": []},
        {"serviceAccount": {"roleRefs": [{"kind": "Role", "name": "reader"}]}},
        {"reaches": [{"imds": {}}, {"awsService": {"name": "s3"}}, {"destination": {"name": "forge"}}]},
    ],
)
def test_a_field_of_a_later_version_that_asks_for_nothing_passes(stage):
    meta, spec = parse_segment({**SEGMENT, "spec": {"stages": [{"name": "build", **stage}]}})

    assert (meta.object, spec.stages[0].name) == ("ci-shop/shop", "build")


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"gates": {"ignore": [{"id": "CVE-2030-0001", "reason": "", "expires": "2030-01-31"}]}}, "spec.gates"),
    ],
)
def test_a_class_that_asks_for_a_later_version_is_refused(spec, path):
    with pytest.raises(Refused) as refused:
        parse_class({**CLASS, "spec": spec})

    assert [(r.path, r.reason) for r in refused.value.refusals] == [(path, "NotYetSupported")]


@pytest.mark.parametrize(
    "spec",
    [
        {
            "network": {"provider": "Calico", "inexact": {"http": "Coarse", "fqdn": "Deny"}},
            "mesh": {"provider": "Istio"},
        },
        {"aws": {"region": "eu-west-1", "backend": "Direct", "deletionPolicy": "Delete"}},
        {
            "aws": {},
            "breakGlass": {"approvals": 2, "approverGroups": ["sre"]},
            "gates": {},
            "evidenceKeys": [],
        },
        {"guardrails": {"annotations": ["iam.gke.io/gcp-service-account"], "overlap": "Union"}},
        {"guardrails": {"lockdown": True, "controllers": ["tekton-pipelines/tekton-pipelines-controller"]}},
        {"guardrails": {"exemptions": [{"allow": ["Privileged"], "reason": "builds images"}]}},
    ],
)
def test_a_class_that_this_version_can_follow_passes(spec):
    assert parse_class({**CLASS, "spec": spec})[0].name == "default"


def test_what_is_wrong_is_told_before_what_is_not_supported():
    with pytest.raises(Refused) as refused:
        parse_segment({**SEGMENT, "spec": {"stages": [{"name": "a.b", "gates": [{"name": "a", "policyReports": {}}]}]}})

    assert [(r.path, r.reason) for r in refused.value.refusals] == [("spec.stages[0].name", "Invalid")]
