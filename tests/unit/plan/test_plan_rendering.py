"""A plan as people and machines read it."""

from pipesegment.compile.desired import Desired
from pipesegment.plan.changes import Change, plan
from pipesegment.plan.live import Live
from pipesegment.plan.render import as_json, spans, summary
from tests.unit.plan.scenes import SEGMENT, UID, policy, stored, to


def changes(*, whole: bool = True) -> tuple[Change, ...]:
    old = [
        policy("shop-a", {"app": "a"}, [to({"app": "b"}, 80)]),
        policy("shop-gone", {"app": "g"}),
        policy("shop-same", {"app": "s"}),
    ]
    foreign = policy("shop-taken", {"x": "y"}, owned=False)
    new = [
        policy("shop-a", {"app": "a"}, [to({"app": "b"}, 81)]),
        policy("shop-new", {"app": "n"}),
        old[2],
        policy("shop-taken", {"app": "t"}),
    ]
    live = [Live.of(stored(o), whole=whole) for o in [*old, foreign]]
    known = {found.id: found.applied for found in live}
    return plan(Desired(SEGMENT, UID, tuple(new)), {found.id: found for found in live}, (), known).changes


def test_headings_say_what_happens_to_each_object() -> None:
    headings = [(s.style, s.text) for s in spans(changes()) if not s.text.startswith(" ")]
    assert headings == [
        ("configured", "~ NetworkPolicy ci/shop-a: configured"),
        ("deleted", "- NetworkPolicy ci/shop-gone: deleted (nothing declares it any more)"),
        ("created", "+ NetworkPolicy ci/shop-new: created"),
        (
            "conflict",
            "! NetworkPolicy ci/shop-taken: conflict (it exists and is not managed by pipesegment: rename the stage, or delete it)",
        ),
    ]


def test_a_change_is_a_unified_diff_of_our_fields_without_our_mark() -> None:
    lines = [(s.style, s.text.strip()) for s in spans(changes())]
    start = lines.index(("configured", "~ NetworkPolicy ci/shop-a: configured")) + 1
    body = lines[start : start + 6]
    assert [style for style, _ in body] == ["place", "context", "context", "removed", "added", "context"]
    assert [line for style, line in body if style in {"removed", "added"}] == ["-    - port: 80", "+    - port: 81"]
    assert not any("pipesegment.dev/hash" in line or "resourceVersion" in line for _, line in lines)


def test_what_is_created_is_shown_as_a_whole_and_what_is_deleted_too() -> None:
    styles = [s.style for s in spans(changes())]
    assert styles.count("added") > 10
    assert styles.count("removed") > 10


def test_what_is_unchanged_is_only_counted() -> None:
    assert not any("shop-same" in s.text for s in spans(changes()))
    assert as_json(changes())["counts"]["unchanged"] == 1


def test_the_summary_counts_what_there_is() -> None:
    assert summary(changes()) == "1 to create, 1 to change, 1 to delete, 1 in conflict, 1 unchanged"
    assert summary([]) == "nothing to do"


def test_metadata_alone_gives_headings_without_a_diff() -> None:
    assert [s.text for s in spans(changes(whole=False)) if "shop-a" in s.text] == [
        "~ NetworkPolicy ci/shop-a: configured"
    ]


def test_json() -> None:
    found = as_json(changes())
    assert found["counts"] == {"created": 1, "configured": 1, "unchanged": 1, "deleted": 1, "conflict": 1}
    assert found["changes"][0] == {
        "action": "configured",
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "namespace": "ci",
        "name": "shop-a",
        "stage": "",
        "why": "changed",
        "differences": [{"path": "spec.egress[0].ports[0].port", "old": 80, "new": 81}],
    }
