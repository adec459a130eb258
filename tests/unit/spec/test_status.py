"""Status: the words of conditions, and that a whole status fits its model."""

from pipesegment.spec.status import ConditionType, PipelineSegmentStatus, Reason


def test_the_conditions_are_those_of_the_api():
    assert {str(kind) for kind in ConditionType} == {
        *("Ready", "Exact", "Conforming", "NetworkReady", "IdentityReady", "CloudReady", "MeshReady", "GatesOpen"),
        *("Reconciling", "Stalled"),
    }


def test_every_reason_of_the_api_is_known():
    assert {str(reason) for reason in Reason} >= {
        *("Enforced", "Coarse", "Sealed", "Observing", "Suspended", "Ungranted"),
        *("Gap", "Unresolved", "HalfOpen", "Overlapping", "Conflict", "Invalid", "NotYetSupported", "ApplyFailed"),
        *("Widened", "NotEnforced", "NamespaceOpen", "Unwired", "HostNetwork"),
        *("AmbiguousClass", "ClassLost"),
    }


def test_a_status_as_the_api_shows_it_is_read_and_given_back():
    given = {
        "observedGeneration": 3,
        "class": {"name": "default", "uid": "u-1"},
        "summary": {"stages": 1, "edges": 14, "open": "12/14", "gaps": 1, "sealed": 0},
        "stages": [
            {
                "name": "build",
                "serviceAccount": "shop-build",
                "roleARN": "arn:aws:iam::111122223333:role/x",
                "sealed": False,
                "edges": 14,
                "gaps": 1,
                "pods": 2,
                "wrongAccount": 1,
            }
        ],
        "gaps": [{"path": "spec.stages[0].reaches[0]", "target": "x", "reason": "Gap", "message": "m", "fix": "f"}],
        "inventory": [
            {"apiVersion": "v1", "kind": "ServiceAccount", "namespace": "ci", "name": "shop-build", "uid": "u-2"}
        ],
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "observedGeneration": 3,
                "lastTransitionTime": "2030-01-31T12:00:00Z",
                "reason": "Gap",
                "message": "m",
            }
        ],
    }

    assert PipelineSegmentStatus.model_validate(given, by_name=False, by_alias=True).wire() == given
