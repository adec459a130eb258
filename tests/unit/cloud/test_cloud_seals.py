"""A seal takes a stage's rights in AWS and cuts its sessions; lifted, the rights are back and the old sessions are not."""

import pytest

from pipesegment.compile.desired import ObjectID
from pipesegment.errors import Unreachable
from tests.unit.cloud.scenes import aws_class, running, segment, stage
from tests.unit.emergencies import seal


@pytest.mark.parametrize("more", [{}, {"suspend": True}, {"mode": "Observe"}], ids=str)
async def test_a_seal_withdraws_the_rights_and_cuts_the_sessions(more: dict[str, object]) -> None:
    """Suspended and observing, too; of the other stage nothing is touched."""
    shop = segment(stage("a"), stage("b"))
    async with running(aws_class(), shop) as world:
        if more:
            await world.change(shop, segment(stage("a"), stage("b"), **more))
        untouched = dict(world.role("b").inline)
        assert set(world.role().inline) == {"pipesegment"}

        await world.change(None, seal())

        assert set(world.role().inline) == {"pipesegment-revoked"}
        assert world.role("b").inline == untouched

        await world.change(seal(), None)
        if "suspend" not in more:
            assert set(world.role().inline) == {"pipesegment", "pipesegment-revoked"}


async def test_while_aws_does_not_answer_the_network_is_cut_and_the_rights_go_as_soon_as_it_does() -> None:
    async with running(aws_class(), segment(stage("a"))) as world:
        world.aws.fail(Unreachable("no answer"))
        await world.change(None, seal())
        policy = world.cluster.peek(ObjectID("networking.k8s.io/v1", "NetworkPolicy", "ci", "shop-a"))
        assert policy is not None
        assert (policy["spec"]["ingress"], policy["spec"]["egress"]) == ([], [])
        assert set(world.role().inline) == {"pipesegment"}

        world.aws.mend()
        await world.rest(600)
        assert set(world.role().inline) == {"pipesegment-revoked"}
