"""Which class governs a namespace, and what it makes of modes and suspension."""

from dataclasses import replace

import pytest

from pipesegment.facts.parse import snapshot
from pipesegment.names import DEFAULT_DENY
from pipesegment.reach.edges import Mode
from pipesegment.reach.governance import DEFAULTS, govern, isolation_exceptions, isolation_of, of_segment
from pipesegment.reach.graph import Governance
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


FORGE = {"destinations": [{"name": "forge", "cidrs": ["203.0.113.10/32"]}]}


def remembering(uid="u-default"):
    return {**SHOP, "status": {"class": {"name": "default", "uid": uid}}}


@pytest.mark.parametrize(
    ("why", "classes", "stalled"),
    [
        ("another one ties with it", [segment_class(**FORGE), segment_class("rival")], "AmbiguousClass"),
        ("it selects the namespace no more", [segment_class(namespaceSelector={"matchLabels": {"a": "b"}}, **FORGE)], "ClassLost"),
        ("others tie above it", [segment_class(**FORGE), *(segment_class(n, priority=1) for n in "ab")], "AmbiguousClass"),
        ("another one is refused", [segment_class(**FORGE), segment_class("broken", priority=1, **BROKEN)], "ClassLost"),
    ],
)  # fmt: skip
def test_while_nobody_governs_the_class_that_did_keeps_its_word(why, classes, stalled):
    found = reach(remembering(), *classes)
    governing = found.governance
    assert (governing.stalled, governing.name, governing.known, found.suspended) == (stalled, "default", True, True), (
        why
    )
    assert [d.name for d in governing.spec.destinations] == ["forge"]


def test_a_class_that_cannot_be_read_any_more_keeps_the_word_that_was_read_last():
    """By those who have followed it; from the status alone nobody can tell what it said."""
    known = snapshot([remembering(), segment_class(**BROKEN)])
    before = snapshot([segment_class(**FORGE)]).classes["default"]
    own = known.segments["ci"]["shop"]
    assert of_segment(own, known) == Governance("", "", DEFAULTS, stalled="ClassLost", known=False)
    assert of_segment(own, replace(known, governed={"ci": before})).spec is before.spec
    assert of_segment(own, replace(known, classes={}, governed={"ci": before})).stalled == "ClassLost"


def test_what_was_changed_since_counts_as_long_as_it_can_be_read():
    before = snapshot([segment_class()]).classes["default"]
    known = snapshot([remembering(), segment_class(**FORGE), segment_class("rival")])
    found = of_segment(known.segments["ci"]["shop"], replace(known, governed={"ci": before}))
    assert [d.name for d in found.spec.destinations] == ["forge"]


def test_a_tie_in_a_namespace_that_no_class_governed_leaves_the_defaults():
    found = reach(SHOP, segment_class("a"), segment_class("b")).governance
    assert (found.stalled, found.known, found.spec) == ("AmbiguousClass", True, DEFAULTS)


def default_deny(*excepted, label="default", owner=True, **meta):
    owners = [{"apiVersion": "v1", "kind": "Namespace", "name": "ci", "uid": "n"}] if owner else []
    labels = {"app.kubernetes.io/managed-by": "pipesegment", "pipesegment.dev/class": label}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": DEFAULT_DENY, "namespace": "ci", "labels": labels, "ownerReferences": owners, **meta},
        "spec": {"podSelector": {"matchExpressions": list(excepted)}, "policyTypes": ["Ingress", "Egress"]},
    }


ISOLATING = {"network": {"isolation": {"mode": "Namespace"}}}
NOT_METRICS = {"key": "app", "operator": "NotIn", "values": ["metrics"]}


@pytest.mark.parametrize(
    ("why", "facts", "expected"),
    [
        ("nobody says so", [], None),
        ("a class says so", [segment_class(**ISOLATING)], []),
        ("a class says so, in place or not", [segment_class(**ISOLATING), default_deny(NOT_METRICS)], []),
        ("a class says otherwise", [segment_class(), default_deny(label="gone")], None),
        ("its class is gone", [default_deny()], []),
        ("its class is gone, which left pods out", [default_deny(NOT_METRICS)], ["app=metrics"]),
        ("classes tie", [segment_class(**ISOLATING), segment_class("b"), default_deny(NOT_METRICS)], ["app=metrics"]),
        ("classes tie and nothing stands", [segment_class(**ISOLATING), segment_class("b")], None),
        ("it is being deleted", [default_deny(deletionTimestamp="2030-01-01T00:00:00Z")], None),
        ("it is somebody else's", [default_deny(owner=False)], None),
        ("its class looks after it, and not here", [segment_class(namespaceSelector={"matchLabels": {"a": "b"}}), default_deny()], None),
    ],
)  # fmt: skip
def test_what_isolates_a_namespace_is_said_by_a_class_or_stands_there(why, facts, expected):
    found = isolation_of("ci", snapshot([namespace("ci"), *facts]))
    shown = None if found is None else [str(s).replace(" in (metrics)", "=metrics") for s in found]
    assert shown == expected, why


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
