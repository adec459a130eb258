"""Pod Identity by botocore's own Stubber: moto knows nothing of it, and botocore knows every parameter and answer."""

from typing import Any

import pytest
from botocore.stub import Stubber

from pipesegment import names
from pipesegment.compile.desired import Desired
from pipesegment.compile.iam.values import Association
from pipesegment.errors import Rejected
from pipesegment.facts.meta import Key
from pipesegment.plan.aws.look import Terms, look
from pipesegment.plan.aws.ownership import Owner
from pipesegment.plan.aws.steps import Moment
from pipesegment.report.outcome import Failed
from pipesegment.world.aws.applying import send
from pipesegment.world.aws.client import Aws
from pipesegment.world.aws.port import Place
from pipesegment.world.aws.reading import Reader
from pipesegment.world.aws.sight import Sights
from tests.unit.cloud.moto import session
from tests.unit.cloud.scenes import ACCOUNT, CLUSTER, NOW

PLACE = Place("default", ACCOUNT, "aws", "eu-west-1", 1000)
OWNER = Owner(CLUSTER, Key("ci", "shop"), "u-ci", "u-shop")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/pipesegment/r"
WANTED = Association(CLUSTER, "ci", "shop-a", ROLE, OWNER.tags("a"))
ID = {"clusterName": "prod", "associationId": "a-1"}


def answered(**more: Any) -> dict[str, Any]:
    """Write an association as EKS answers it."""
    known = {**ID, "namespace": "ci", "serviceAccount": "shop-a", "roleArn": ROLE, "tags": OWNER.tags("a")}
    return {
        "association": {
            **known,
            "associationArn": f"arn:aws:eks:eu-west-1:{ACCOUNT}:podidentityassociation/prod/a-1",
            **more,
        }
    }


async def brought(aws: Aws, *wanted: Association, known: tuple[Any, ...] = ()) -> list[Failed]:
    desired = Desired(OWNER.segment, OWNER.uid, tuple(each.object() for each in wanted))
    sights = Sights(aws)
    sights._listed[PLACE, "/"] = (float("inf"), frozenset())
    sight = await sights.of(desired, OWNER, PLACE, "/", known, frozenset(), everything=False)
    planned = look(desired, sight, OWNER, Terms(), Moment(NOW))
    failed: list[Failed] = []
    await send(aws, PLACE, OWNER, planned.chains, lambda _, found: failed.append(found) if found else None)
    return failed


async def test_an_association_is_made_with_its_tags() -> None:
    aws = Aws(session=session())
    with Stubber(aws.client("eks", PLACE)) as eks:
        asked = {"clusterName": "prod", "namespace": "ci", "serviceAccount": "shop-a"}
        eks.add_response("list_pod_identity_associations", {"associations": []}, asked)
        made = {**asked, "roleArn": ROLE, "tags": OWNER.tags("a")}
        eks.add_response("create_pod_identity_association", answered(), made)
        assert await brought(aws, WANTED) == []
        eks.assert_no_pending_responses()
    aws.close()


async def test_another_role_is_put_right_and_the_tags_are_read_before() -> None:
    aws = Aws(session=session())
    with Stubber(aws.client("eks", PLACE)) as eks:
        listed = {"associations": [{"associationId": "a-1", "clusterName": "prod"}]}
        other = answered(roleArn=f"{ROLE}x")
        eks.add_response("list_pod_identity_associations", listed)
        eks.add_response("describe_pod_identity_association", other, ID)
        eks.add_response("describe_pod_identity_association", other, ID)
        eks.add_response("update_pod_identity_association", answered(), {**ID, "roleArn": ROLE})
        assert await brought(aws, WANTED) == []
        eks.assert_no_pending_responses()
    aws.close()


async def test_one_of_somebody_else_is_read_and_nothing_more() -> None:
    aws = Aws(session=session())
    with Stubber(aws.client("eks", PLACE)) as eks:
        eks.add_response("list_pod_identity_associations", {"associations": [{"associationId": "a-1"}]})
        eks.add_response("describe_pod_identity_association", answered(tags={names.MANAGED_BY_LABEL: "eksctl"}))
        assert await brought(aws, WANTED) == []
        eks.assert_no_pending_responses()
    aws.close()


async def test_one_that_was_made_meanwhile_is_a_failure_and_not_overwritten() -> None:
    aws = Aws(session=session())
    with Stubber(aws.client("eks", PLACE)) as eks:
        eks.add_response("list_pod_identity_associations", {"associations": []})
        eks.add_client_error("create_pod_identity_association", "ResourceInUseException", "exists", 409)
        (failed,) = await brought(aws, WANTED)
        assert (failed.status, failed.verb) == (409, "CreatePodIdentityAssociation")
    aws.close()


async def test_one_that_is_gone_is_none() -> None:
    aws = Aws(session=session())
    with Stubber(aws.client("eks", PLACE)) as eks:
        eks.add_client_error("describe_pod_identity_association", "ResourceNotFoundException", "no", 404)
        assert await Reader(aws, PLACE).association(CLUSTER, "a-1") is None
        eks.add_client_error("describe_pod_identity_association", "ThrottlingException", "slow", 429)
        with pytest.raises(Rejected) as caught:
            await Reader(aws, PLACE).association(CLUSTER, "a-1")
        assert caught.value.status == 429
    aws.close()
