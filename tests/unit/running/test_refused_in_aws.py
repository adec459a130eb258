"""What a class refuses in AWS costs a stage its role; the network goes on, and nobody asks an API server about AWS."""

from pipesegment.compile.desired import ObjectID
from tests.unit.iam.roles import CLASS, READ
from tests.unit.running.twin import (
    change,
    leading,
    recorded,
    seeded,
    segment,
    segment_class,
    stage,
    surroundings,
    target_of,
)

ALLOWING = segment_class(aws=CLASS)
REFUSING = segment_class(aws={**CLASS, "allowedActions": ["ecr:*"]})
IDENTIFIED = stage("a", app="a", aws={"reachServices": "Declared", "permissions": [READ]})
SHOP = segment(IDENTIFIED)
ACCOUNT = ObjectID("v1", "ServiceAccount", "ci", "shop-a")
ROLE = "eks.amazonaws.com/role-arn"


def conditions(cluster):
    found = cluster.peek(target_of(SHOP))["status"]["conditions"]
    return {c["type"]: (c["status"], c["reason"]) for c in found}


def is_annotated(cluster):
    return ROLE in cluster.peek(ACCOUNT)["metadata"]["annotations"]


async def test_while_aws_is_off_its_account_names_the_role_that_is_not_made():
    cluster = seeded([*surroundings(), ALLOWING, SHOP])
    with recorded(cluster) as writes:
        async with leading(cluster):
            assert is_annotated(cluster)
            assert conditions(cluster)["CloudReady"] == ("False", "SwitchedOff")
            assert conditions(cluster)["Ready"] == ("True", "Enforced")
            assert conditions(cluster)["NetworkReady"] == ("True", "Applied")
            assert "Stalled" not in conditions(cluster)
            (shown,) = cluster.peek(target_of(SHOP))["status"]["stages"]
            assert "roleARN" not in shown

    assert not any(write.target.in_cloud for write in writes)
    assert not any("amazonaws" in e["apiVersion"] for e in cluster.peek(target_of(SHOP))["status"]["inventory"])


async def test_a_class_that_narrows_takes_the_role_and_leaves_the_network_alone():
    cluster = seeded([*surroundings(), ALLOWING, SHOP])
    async with leading(cluster) as twin:
        change(twin, ALLOWING, REFUSING)
        await twin.quiet()
        assert not is_annotated(cluster)
        assert conditions(cluster)["CloudReady"] == ("False", "Invalid")

        more = segment(IDENTIFIED, stage("b", {"cidr": {"block": "10.9.0.0/24"}, "ports": [{"port": 443}]}, app="b"))
        change(twin, SHOP, more)
        await twin.quiet()

        policy = cluster.peek(ObjectID("networking.k8s.io/v1", "NetworkPolicy", "ci", "shop-b"))
        assert policy["spec"]["egress"]
        assert conditions(cluster)["NetworkReady"] == ("True", "Applied")
        assert conditions(cluster)["Ready"] == ("False", "Invalid")


async def test_a_role_of_somebody_else_is_shown():
    arn = "arn:aws:iam::111122223333:role/build"
    using = segment(stage("a", app="a", aws={"roleARN": arn, "reachServices": "Declared"}))
    cluster = seeded([*surroundings(), segment_class(aws={**CLASS, "allowedRoleARNs": [arn]}), using])
    async with leading(cluster):
        (shown,) = cluster.peek(target_of(using))["status"]["stages"]
        assert shown["roleARN"] == arn
        assert conditions(cluster)["CloudReady"] == ("True", "NotDeclared")
