"""More people have to approve while a segment does not conform: that is found out before anything opens."""

import copy

import pytest

from pipesegment.facts.parse import snapshot
from pipesegment.reach import exceptions, governance
from pipesegment.reach.conformance import UNDOING
from pipesegment.report import findings
from pipesegment.spec.status import Reason
from tests.unit.emergencies import approval, guards, seal
from tests.unit.running.test_running_exceptions import BROKEN, HOTFIX, POLICY, SHOP, leading, opened, status
from tests.unit.running.twin import change, recorded, seeded, segment, segment_class, surroundings

CAUTIOUS = segment_class(breakGlass={"approverGroups": ["sre"], "whenNotConforming": {"approvals": 2}})
#: Any pod of the namespace may be called from anywhere.
WIDE = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "wide", "namespace": "ci", "uid": "u-wide"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]},
}
GOING = {**HOTFIX, "metadata": {**HOTFIX["metadata"], "deletionTimestamp": "2030-01-01T10:30:00Z"}}


def was_open(writes):
    return any("198.51.100.7" in str(w.after) for w in writes if w.target == POLICY)


async def test_a_segment_that_does_not_conform_opens_nothing_for_a_moment():
    cluster = seeded([*surroundings(), CAUTIOUS, SHOP, *guards(), WIDE, HOTFIX, approval(HOTFIX)])
    with recorded(cluster) as writes:
        async with leading(cluster) as twin:
            change(twin, SHOP, None)
            again = copy.deepcopy(SHOP)
            again["metadata"]["uid"] = "u-shop-again"
            change(twin, None, again)
            await twin.quiet()
            assert status(cluster, HOTFIX)["approvalsNeeded"] == 2
    assert not was_open(writes)


async def test_what_undoes_it_and_what_would_open_come_together():
    """The status says that it conforms: it is a look behind."""
    given = approval(HOTFIX)
    isolating = segment_class(breakGlass=CAUTIOUS["spec"]["breakGlass"], network={"isolation": {"mode": "Namespace"}})
    cluster = seeded([*surroundings(), isolating, SHOP, *guards(), HOTFIX])
    with recorded(cluster) as writes:
        async with leading(cluster) as twin:
            assert status(cluster, HOTFIX)["approvalsNeeded"] == 1
            change(twin, None, WIDE)
            change(twin, None, given)
            await twin.quiet()
            assert status(cluster, HOTFIX)["approvalsNeeded"] == 2
    assert not was_open(writes)


async def test_neither_breaking_the_segment_nor_observing_asks_for_fewer_people():
    cluster = seeded([*surroundings(), CAUTIOUS, SHOP, *guards(), WIDE, HOTFIX, approval(HOTFIX)])
    observing = segment(*SHOP["spec"]["stages"], mode="Observe")
    with recorded(cluster) as writes:
        async with leading(cluster) as twin:
            for old, new in ((SHOP, BROKEN), (BROKEN, observing), (observing, SHOP)):
                change(twin, old, new)
                await twin.quiet()
                assert (status(cluster, HOTFIX)["phase"], status(cluster, HOTFIX)["approvalsNeeded"]) == ("Pending", 2)
            change(twin, None, approval(HOTFIX, "linus"))
            await twin.quiet()
            assert "198.51.100.7/32" in opened(cluster)
    assert was_open(writes)


@pytest.mark.parametrize(("asked", "matters"), [(HOTFIX, True), (seal(), False), (GOING, False)])
def test_only_what_may_open_asks_whether_the_segment_conforms(asked, matters):
    """Each of them would have every look at the segment begin with another one."""
    facts = snapshot([*surroundings(), CAUTIOUS, SHOP, *guards(), asked])
    shop = facts.segments["ci"]["shop"]
    assert exceptions.is_asked_for_more(shop, facts, governance.of_segment(shop, facts)) is matters


def test_the_report_says_of_the_same_findings_that_a_segment_does_not_conform():
    told = {reason.value for reason in findings.CONFORMING_FALSE}
    stands_for = {name for name, reason in findings._STANDS_FOR.items() if reason in findings.CONFORMING_FALSE}
    assert told | stands_for == UNDOING
    assert Reason.WIDENED in told
