"""Which class governs a namespace, and what it makes of modes and suspension."""

import pytest

from pipesegment.facts.parse import snapshot
from pipesegment.reach.governance import govern, isolation_exceptions
from pipesegment.reach.graph import Mode
from tests.unit.reach.reaching import namespace, reach, reasons, segment, segment_class, stage

SHOP = segment([{"name": "build"}])
TEAM = {"namespaceSelector": {"matchLabels": {"team": "shop"}}}


def test_without_a_class_the_defaults_hold():
    found = reach(SHOP).governance
    assert (found.name, found.uid, found.stalled, found.spec.network.allow_internet) == ("", "", "", True)


def test_the_highest_priority_that_selects_the_namespace_governs():
    known = snapshot(
        [
            namespace("ci", team="shop"),
            segment_class("low", priority=-1),
            segment_class("mine", priority=1, **TEAM),
            segment_class("other", priority=2, namespaceSelector={"matchLabels": {"team": "pay"}}),
        ]
    )
    assert govern("ci", known).name == "mine"
    assert govern("elsewhere", known).name == "low"


def test_a_namespace_that_is_not_in_the_facts_is_known_by_its_name_alone():
    by_name = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ci"}}}
    assert govern("ci", snapshot([segment_class("named", **by_name)])).name == "named"
    assert govern("ci", snapshot([segment_class("mine", **TEAM)])).name == ""


def test_a_tie_governs_nobody_even_above_a_lower_class():
    found = reach(SHOP, segment_class("a", priority=1), segment_class("b", priority=1), segment_class("c"))
    assert (found.governance.name, found.governance.stalled, found.suspended) == ("", "AmbiguousClass", True)
    assert ("metadata.namespace", "AmbiguousClass") in reasons(found)


def test_a_class_that_is_being_deleted_does_not_govern():
    leaving = segment_class("leaving", priority=9)
    leaving["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    assert govern("ci", snapshot([leaving, segment_class("staying")])).name == "staying"


def test_a_class_that_cannot_be_read_may_be_the_one_that_governs():
    found = reach(SHOP, segment_class("broken", nonsense=1), segment_class("good"))
    assert found.governance.stalled == "ClassLost"
    assert "SegmentClass broken" in str(found.findings[0])


BROKEN = {"network": {"clusterCIDRs": ["10.0.0.1/8"]}}


@pytest.mark.parametrize(
    ("why", "broken", "others", "stalled"),
    [
        ("it selects the namespace", {**TEAM}, [], "ClassLost"),
        ("it selects every namespace", {}, [], "ClassLost"),
        ("it selects other namespaces", {"namespaceSelector": {"matchLabels": {"team": "pay"}}}, [], ""),
        ("a class of a higher priority governs", {"priority": 1}, [segment_class("high", priority=2)], ""),
        ("it is above the one that could govern", {"priority": 3}, [segment_class("low", priority=2)], "ClassLost"),
        ("it ties with one that can be read", {}, [segment_class("equal")], "AmbiguousClass"),
        ("a field that nobody knows may be its selector", {**TEAM, "nameSpaceSelector": {}}, [], "ClassLost"),
        ("its selector is refused", {"namespaceSelector": {"matchLabels": {"team": 1}}}, [], "ClassLost"),
        ("its priority is refused", {"priority": "high"}, [segment_class("high", priority=2)], "ClassLost"),
    ],
)
def test_a_class_that_is_refused_concerns_whom_it_would_have_governed(why, broken, others, stalled):
    known = snapshot([namespace("ci", team="shop"), segment_class("broken", **BROKEN, **broken), *others])
    assert govern("ci", known).stalled == stalled, why


def test_a_class_that_is_refused_and_going_concerns_nobody():
    leaving = segment_class("leaving", nonsense=1)
    leaving["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    assert govern("ci", snapshot([leaving, segment_class("staying")])).name == "staying"


def test_a_class_that_was_recorded_and_is_gone_is_lost():
    remembered = {**SHOP, "status": {"class": {"name": "default", "uid": "u-default"}}}
    assert reach(remembered).governance.stalled == "ClassLost"
    assert reach(remembered, segment_class()).governance.stalled == ""


def test_a_class_without_a_uid_governs_a_segment_that_remembers_one():
    """From files classes have no uid."""
    remembered = {**SHOP, "status": {"class": {"name": "default", "uid": "u-default"}}}
    offline = segment_class()
    del offline["metadata"]["uid"]
    assert reach(remembered, offline).governance.stalled == ""


@pytest.mark.parametrize(
    ("own", "stages", "default", "highest", "expected"),
    [
        (None, None, "Enforce", "Enforce", Mode.ENFORCE),
        (None, None, "Observe", "Enforce", Mode.OBSERVE),
        ("Enforce", None, "Observe", "Enforce", Mode.ENFORCE),
        ("Enforce", "Observe", "Enforce", "Enforce", Mode.OBSERVE),
        ("Observe", "Enforce", "Enforce", "Enforce", Mode.ENFORCE),
        ("Enforce", "Enforce", "Enforce", "Observe", Mode.OBSERVE),
        # Suspending keeps what is enforced: to observe would take the fence down.
        (None, None, "Suspend", "Enforce", Mode.ENFORCE),
        ("Enforce", None, "Enforce", "Suspend", Mode.ENFORCE),
        ("Observe", None, "Enforce", "Suspend", Mode.OBSERVE),
    ],
)
def test_the_class_caps_what_stage_segment_and_default_wish(own, stages, default, highest, expected):
    mine = segment([{"name": "build", **({"mode": stages} if stages else {})}], **({"mode": own} if own else {}))
    found = reach(mine, segment_class(enforcement={"default": default, "max": highest}))
    assert stage(found, "build").mode is expected
    assert found.suspended == ("Suspend" in {highest, default if own is None else ""})


def test_what_no_pod_selector_can_leave_out_is_not_left_out():
    excepted = [
        {"matchLabels": {"a": "1"}},
        {"matchLabels": {"a": "1", "b": "2"}},
        {"matchExpressions": [{"key": "c", "operator": "Exists"}]},
    ]
    known = snapshot([segment_class(network={"isolation": {"mode": "Namespace", "exceptPods": excepted}})])
    assert [str(s) for s in isolation_exceptions(govern("ci", known))] == ["a=1", "c"]
