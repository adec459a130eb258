"""What the models fill in is what the API's page prints."""

from pipesegment.spec.documents import validate
from pipesegment.spec.grant import SegmentGrantSpec
from pipesegment.spec.segment import PipelineSegmentSpec
from pipesegment.spec.segmentclass import SegmentClassSpec


def everything(spec):
    return spec.model_dump(mode="json", by_alias=True)


def test_a_stage_that_says_nothing_reaches_nothing_and_is_enforced():
    spec = validate({"stages": [{"name": "build"}]}, PipelineSegmentSpec)
    (stage,) = spec.stages

    assert (spec.mode, spec.suspend, spec.engine, spec.common.reaches, spec.common.accepts) == (
        "Enforce",
        False,
        None,
        (),
        (),
    )
    assert (stage.pod_selector, stage.mode, stage.mesh, stage.dns) == (None, None, "Auto", "Auto")
    assert (stage.reaches, stage.accepts, stage.gates, stage.aws.wire()) == ((), (), (), {})
    assert everything(stage.service_account) == {
        "name": None,
        "create": True,
        "automountToken": None,
        "imagePullSecrets": [],
        "annotations": {},
        "roleRefs": [],
    }


def test_a_port_is_tcp():
    entry = {"cidr": {"block": "10.0.0.0/8"}, "ports": [{"port": 443}]}
    spec = validate({"stages": [{"name": "build", "reaches": [entry]}]}, PipelineSegmentSpec)

    assert everything(spec.stages[0].reaches[0].ports[0]) == {"port": 443, "endPort": None, "protocol": "TCP"}


def test_a_grant_isolates_callers():
    spec = validate({"from": [{"namespace": "ci"}], "to": {"service": {"name": "web"}}}, SegmentGrantSpec)

    assert (spec.isolate, spec.ports, spec.http) == ("Callers", (), ())


def test_the_default_class_is_the_one_that_the_page_prints():
    assert everything(SegmentClassSpec()) == {
        "namespaceSelector": {"matchLabels": {}, "matchExpressions": []},
        "priority": 0,
        "enforcement": {"default": "Enforce", "max": "Enforce"},
        "network": {
            "provider": "Auto",
            "isolation": {"mode": "None", "exceptPods": []},
            "allowInternet": True,
            "allowIMDS": False,
            "requireGrants": False,
            "clusterCIDRs": [],
            "exceptStyle": "Auto",
            "dns": {"pods": [], "cidrs": [], "ports": []},
            "inexact": {"fqdn": "Deny", "http": "Deny", "awsService": "Deny"},
        },
        "mesh": {"provider": "Auto", "dataPlane": "Auto", "trustDomain": "cluster.local"},
        "aws": {
            "accountID": None,
            "region": None,
            "partition": "aws",
            "clusterName": None,
            "oidcIssuer": None,
            "permissionsBoundaryARN": None,
            "rolePath": "/pipesegment/",
            "backend": "Direct",
            "callsPerSecond": 5,
            "allowedActions": [],
            "deniedActions": [],
            "allowedAccounts": [],
            "allowedManagedPolicyARNs": [],
            "allowedRoleARNs": [],
            "allowedSecurityGroupIDs": [],
            "permissionSets": [],
            "forgeIssuers": [],
            "vpcID": None,
            "ensureEndpoints": False,
            "deletionPolicy": "Retain",
        },
        "destinations": [],
        "baseline": {"reaches": [], "accepts": []},
        "guardrails": {
            "modes": [],
            "allowSuspend": True,
            "engines": [],
            "targets": [],
            "cidrs": [],
            "annotations": [],
            "roleRefs": [],
            "controllers": [],
            "overlap": "Refuse",
            "exclusive": False,
            "lockdown": False,
            "exemptions": [],
        },
        "breakGlass": {
            "approverGroups": [],
            "sealerGroups": [],
            "approvals": 1,
            "maxDuration": "4h",
            "mfa": None,
            "whenNotConforming": {"approvals": None, "maxDuration": None},
        },
        "gates": {"ignore": []},
        "evidenceKeys": [],
    }


def test_models_can_be_written_in_either_spelling_by_us_and_only_in_the_apis_by_users():
    ours = PipelineSegmentSpec.model_validate(
        {"stages": [{"name": "build", "pod_selector": {"match_labels": {"a": "b"}}}]}
    )

    assert ours.wire() == {"stages": [{"name": "build", "podSelector": {"matchLabels": {"a": "b"}}}]}
