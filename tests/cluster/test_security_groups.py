"""SecurityGroupPolicies on a real API server: made when their kind is there, told when it is not, taken away, kept apart."""

import json

import pytest

from lab import crds
from tests.cluster.operator import condition, segment, segment_class, settled, stage, to_stage

KIND = ("vpcresources.k8s.aws/v1beta1", "SecurityGroupPolicy")
CRD = "securitygrouppolicies.vpcresources.k8s.aws"
GROUP, OTHER = "sg-0123456789abcdef0", "sg-0fedcba9876543210"


@pytest.fixture
def groups_class(installed):
    """A class that lists two groups."""
    made = segment_class(
        "lab-groups", "lab-groups", aws={"allowedSecurityGroupIDs": [GROUP, OTHER]}, mesh={"provider": "None"}
    )
    installed.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(made))
    yield {"lab-groups": "yes"}
    installed.kubectl("delete", "segmentclass", "lab-groups")


@pytest.fixture
def without_the_kind(control_plane):
    """The kind is there no more when the test has ended."""
    yield
    control_plane.kubectl("delete", f"crd/{CRD}", "--ignore-not-found", "--wait")


def grouped(*groups):
    return stage("build", to_stage("test", 8080), **({"aws": {"securityGroupIDs": list(groups)}} if groups else {}))


async def test_the_kind_may_come_late_and_the_network_does_not_wait_for_it(
    operator, groups_class, namespaces, api, without_the_kind
):
    namespace = await namespaces("ci", labels=groups_class)
    await api.apply(segment("shop", namespace, grouped(GROUP), stage("test")))

    told = await settled(api, "shop", namespace, "Gap")
    assert condition(told, "NetworkReady")["status"] == "True"
    assert [gap["reason"] for gap in told["status"]["gaps"]] == ["GroupsUnserved"]

    await api.install_crds([crd for crd in crds.aws() if crd["metadata"]["name"] == CRD])
    made = await api.wait(*KIND, "shop-build", namespace, within=60)
    assert made["spec"] == {
        "serviceAccountSelector": {
            "matchLabels": {
                "app.kubernetes.io/managed-by": "pipesegment",
                "pipesegment.dev/segment": "shop",
                "pipesegment.dev/stage": "build",
            }
        },
        "securityGroups": {"groupIds": [GROUP]},
    }
    account = await api.get("v1", "ServiceAccount", "shop-build", namespace)
    assert made["spec"]["serviceAccountSelector"]["matchLabels"].items() <= account["metadata"]["labels"].items()
    ready = await settled(api, "shop", namespace)
    assert "1 SecurityGroupPolicy as declared; pods get" in condition(ready, "NetworkReady")["message"]

    # What somebody changed is put back, as anything of ours.
    await api.apply(
        {
            **made,
            "metadata": {"name": "shop-build", "namespace": namespace},
            "spec": {"securityGroups": {"groupIds": [OTHER]}},
        },
        manager="somebody",
        force=True,
    )
    await api.wait(*KIND, "shop-build", namespace, until=lambda o: o["spec"]["securityGroups"]["groupIds"] == [GROUP])

    await api.apply(segment("shop", namespace, grouped(), stage("test")))
    await api.wait_gone(*KIND, "shop-build", namespace)


async def test_a_group_that_the_class_does_not_list_is_never_given(
    operator, groups_class, namespaces, api, without_the_kind
):
    await api.install_crds([crd for crd in crds.aws() if crd["metadata"]["name"] == CRD])
    namespace = await namespaces("ci", labels=groups_class)
    await api.apply(segment("shop", namespace, grouped(GROUP), stage("test")))
    await api.wait(*KIND, "shop-build", namespace, within=60)
    await api.apply(segment("shop", namespace, grouped("sg-12345678"), stage("test")))

    told = await settled(api, "shop", namespace, "Invalid")

    assert "is not among the security groups" in condition(told, "CloudReady")["message"]
    # The network is what it was; the groups of before are gone with the right to them.
    await api.wait_gone(*KIND, "shop-build", namespace)
    assert condition(told, "NetworkReady")["status"] == "True"
