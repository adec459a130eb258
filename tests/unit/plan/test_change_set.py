"""Desired and live objects → what happens to each: created, configured, unchanged, deleted, or not ours to touch."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pipesegment import names
from pipesegment.compile.desired import Desired, ObjectID
from pipesegment.facts.meta import Key
from pipesegment.plan.changes import Action, ChangeSet, Why, plan, unverified
from pipesegment.plan.live import Applied, Entry, Live
from tests.unit.plan.scenes import SEGMENT, UID, policy, stored, to

WANTED = policy("shop-a", {"app": "a"}, [to({"app": "b"}, 80)])
TARGET = ObjectID.of(WANTED)
WHOLE = Live.of(stored(WANTED, 7))
META = Live.of(stored(WANTED, 7), whole=False)
GRANTED = policy("granted", {"app": "a"}, None, namespace="other")


def planned(live: Live | None, inventory: tuple[Entry, ...] = (), known: Applied | None = None) -> ChangeSet:
    found = {live.id: live} if live else {}
    return plan(Desired(SEGMENT, UID, (WANTED,)), found, inventory, {TARGET: known} if known else None)


def edited(**metadata: Any) -> Live:
    obj = stored(WANTED, 7)
    return Live.of({**obj, "metadata": {**obj["metadata"], **metadata}})


ENTRY = Entry(TARGET, META.uid)
CASES = [
    ("nothing of that name exists", None, (), None, Action.CREATED, Why.NEW),
    ("we remember it, so somebody deleted it", None, (), META.applied, Action.CREATED, Why.DRIFT),
    ("the inventory knows it, so somebody deleted it", None, (ENTRY,), None, Action.CREATED, Why.DRIFT),
    ("it is what our last write answered", META, (), META.applied, Action.UNCHANGED, Why.SAME),
    ("somebody touched it since: another resourceVersion", META, (), META.applied._replace(resource_version="6"), Action.CONFIGURED, Why.DRIFT),
    ("somebody edited it since: another generation", META, (), META.applied._replace(generation=6), Action.CONFIGURED, Why.DRIFT),
    ("somebody made it anew: another uid", META, (), META.applied._replace(uid="old"), Action.CONFIGURED, Why.DRIFT),
    ("nothing is remembered and metadata cannot say what is in it", META, (), None, Action.CONFIGURED, Why.DRIFT),
    ("the declaration changed", replace(META, hash="old"), (), replace(META, hash="old").applied, Action.CONFIGURED, Why.CHANGED),
    ("it was compared as a whole and is as wanted", WHOLE, (), None, Action.UNCHANGED, Why.SAME),
    ("as a whole it differs although our mark is on it", Live.of({**stored(WANTED), "spec": {**WANTED["spec"], "egress": [{}]}}), (), None, Action.CONFIGURED, Why.DRIFT),
    ("as a whole it differs and was made for an older declaration", Live.of(stored(policy("shop-a", {"app": "a"}))), (), None, Action.CONFIGURED, Why.CHANGED),
    ("it is being deleted: what replaces it comes when it is gone", replace(META, deleting=True), (), None, Action.UNCHANGED, Why.TERMINATING),
    ("nobody of ours made it", edited(labels={}, ownerReferences=[], annotations={}), (), None, Action.CONFLICT, Why.FOREIGN),
    ("it carries our label but another segment's uid", replace(META, owner="other-uid"), (), None, Action.CONFLICT, Why.OTHER_OWNER),
    ("it carries our label and no owner at all", replace(META, owner=""), (), None, Action.CONFLICT, Why.OTHER_OWNER),
    ("it names us as owner, but the label is not there and we never recorded it", replace(META, managed_by_us=False), (), None, Action.CONFLICT, Why.OTHER_OWNER),
    ("somebody took our label away from what we recorded", replace(META, managed_by_us=False), (ENTRY,), None, Action.CONFIGURED, Why.DRIFT),
    ("an inventory cannot make somebody else's object ours", replace(META, owner="", managed_by_us=False), (ENTRY,), None, Action.CONFLICT, Why.FOREIGN),
    ("an annotation without an owner cannot make it ours", replace(META, owner="", segment_uid=UID), (), None, Action.CONFLICT, Why.OTHER_OWNER),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "live", "inventory", "known", "action", "why"), CASES, ids=[c[0] for c in CASES])
def test_a_wanted_object(
    reason: str, live: Live | None, inventory: tuple[Entry, ...], known: Applied | None, action: Action, why: Why
) -> None:
    (change,) = planned(live, inventory, known).changes
    assert (change.action, change.why) == (action, why), reason
    if action is not Action.CREATED:
        assert (change.uid, change.resource_version) == (META.uid, live.resource_version if live else "")


def gone(live: Live, inventory: tuple[Entry, ...] = ()) -> list[tuple[Action, Why]]:
    return [(c.action, c.why) for c in plan(Desired(SEGMENT, UID, ()), {live.id: live}, inventory).changes]


UNWANTED = [
    ("it is ours and nothing declares it any more", META, (), [(Action.DELETED, Why.REMOVED)]),
    ("found by label though the inventory lacks it", META, (), [(Action.DELETED, Why.REMOVED)]),
    ("it is another segment's", replace(META, owner="other-uid"), (ENTRY,), []),
    ("it is nobody's of ours, whatever the inventory says", replace(META, owner="", managed_by_us=False), (ENTRY,), []),
    ("the label is gone, but it is the very object that we recorded", replace(META, managed_by_us=False), (ENTRY,), [(Action.DELETED, Why.REMOVED)]),
    ("the label is gone, and the recorded object was another one", replace(META, managed_by_us=False), (Entry(TARGET, "old"),), []),
    ("a grant owns it and it was made for us", Live.of(stored(GRANTED), whole=False), (), [(Action.DELETED, Why.REMOVED)]),
    ("a grant owns it and it was made for another segment", replace(Live.of(stored(GRANTED)), segment_uid="other"), (), []),
    ("it is being deleted already, and stays recorded until it is gone", replace(META, deleting=True), (), [(Action.UNCHANGED, Why.TERMINATING)]),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "live", "inventory", "expected"), UNWANTED, ids=[c[0] for c in UNWANTED])
def test_an_object_that_nothing_declares(
    reason: str, live: Live, inventory: tuple[Entry, ...], expected: list[tuple[Action, Why]]
) -> None:
    assert gone(live, inventory) == expected, reason


class TestOffline:
    """Without a cluster nothing has a uid, nothing is written, and labels tell whose an object is."""

    def offline(self, labels: Mapping[str, str], key: Key = SEGMENT, namespace: str = "ci") -> list[Action]:
        obj = policy("left", namespace=namespace, owned=False)
        obj["metadata"]["labels"] = {names.MANAGED_BY_LABEL: names.MANAGED_BY, **labels}
        live = Live.of(obj)
        return [c.action for c in plan(Desired(key, "", ()), {live.id: live}).changes]

    def test_the_segments_own(self) -> None:
        assert self.offline({names.SEGMENT_LABEL: "shop"}) == [Action.DELETED]

    def test_another_segments(self) -> None:
        assert self.offline({names.SEGMENT_LABEL: "pay"}) == []

    def test_a_namesake_in_another_namespace(self) -> None:
        assert self.offline({names.SEGMENT_LABEL: "shop"}, namespace="other") == []

    def test_made_for_it_in_another_namespace(self) -> None:
        labels = {names.SEGMENT_LABEL: "shop", names.ORIGIN_LABEL: "ci"}
        assert self.offline(labels, namespace="other") == [Action.DELETED]

    def test_a_class(self) -> None:
        assert self.offline({names.CLASS_LABEL: "default"}, Key("", "default")) == [Action.DELETED]


def test_only_what_is_neither_remembered_nor_whole_has_to_be_read() -> None:
    desired = Desired(SEGMENT, UID, (WANTED,))
    assert unverified(desired, {TARGET: META}, {}) == (TARGET,)
    assert unverified(desired, {TARGET: META}, {TARGET: META.applied}) == ()
    assert unverified(desired, {TARGET: WHOLE}, {}) == ()
    assert unverified(desired, {}, {}) == ()


class TestInventory:
    other = stored(policy("shop-z", {"app": "z"}))
    fresh = policy("shop-n", {"app": "n"})

    def changes(self) -> ChangeSet:
        live = Live.of(self.other, whole=False)
        return plan(
            Desired(SEGMENT, UID, (WANTED, self.fresh)), {TARGET: META, live.id: live}, (), {TARGET: META.applied}
        )

    def names(self, done: Mapping[ObjectID, str]) -> dict[str, str]:
        return {entry.id.name: entry.uid for entry in self.changes().inventory(done)}

    def test_what_was_written_and_what_stays_is_recorded_and_what_was_deleted_is_not(self) -> None:
        done = {ObjectID.of(self.fresh): "uid-new", ObjectID.of(self.other): ""}
        assert self.names(done) == {"shop-a": META.uid, "shop-n": "uid-new"}

    def test_a_delete_that_was_refused_stays_recorded(self) -> None:
        assert self.names({})["shop-z"] == self.other["metadata"]["uid"]

    def test_a_create_that_failed_is_not_recorded(self) -> None:
        assert "shop-n" not in self.names({})

    def test_somebody_elses_object_is_never_recorded(self) -> None:
        assert planned(replace(META, owner="x")).inventory({}) == ()


class TestConflicts:
    def test_the_finding_names_the_object_where_it_is_declared_and_the_way_out(self) -> None:
        stage = policy("shop-a", {"app": "a"})
        stage["metadata"]["labels"][names.STAGE_LABEL] = "a"
        foreign = Live.of(stored(policy("shop-a", {"x": "y"}, owned=False)))
        changes = plan(Desired(SEGMENT, UID, (stage,)), {foreign.id: foreign})
        (finding,) = changes.conflicts({"a": "spec.stages[3]"})
        assert (finding.path, finding.reason) == ("spec.stages[3]", "Conflict")
        assert "NetworkPolicy ci/shop-a exists and is not managed by pipesegment" in finding.message
        assert finding.fix.startswith("rename the stage")

    def test_another_owners_object_is_told_apart(self) -> None:
        (finding,) = planned(replace(META, owner="x")).conflicts()
        assert "another owner" in finding.message

    def test_nothing_is_written(self) -> None:
        assert planned(replace(META, owner="x")).writes == ()


def test_changes_are_sorted_whatever_the_order_of_input() -> None:
    objects = [policy(f"shop-{n}", {"app": n}) for n in "cab"]
    forward = plan(Desired(SEGMENT, UID, tuple(objects)), {})
    backward = plan(Desired(SEGMENT, UID, tuple(reversed(objects))), {})
    assert forward == backward
    assert [c.id.name for c in forward.changes] == ["shop-a", "shop-b", "shop-c"]


def test_the_owner_is_read_from_our_own_kinds_only() -> None:
    obj = stored(WANTED)
    alien = {"apiVersion": "example.com/v1", "kind": names.SEGMENT, "uid": "alien", "name": "x"}
    ours = obj["metadata"]["ownerReferences"][0]
    live = Live.of({**obj, "metadata": {**obj["metadata"], "ownerReferences": [alien, ours]}})
    assert live.owner == UID
    assert Live.of({**obj, "metadata": {**obj["metadata"], "ownerReferences": [alien]}}).owner == ""
