"""The fold from an outcome to conditions: which reason wins, what it says, and when its time moves."""

from typing import Any

import pytest

from pipesegment.compile.desired import ObjectID
from pipesegment.findings import Refusal
from pipesegment.plan.changes import ChangeSet
from pipesegment.reach.edges import Mode
from pipesegment.reach.graph import Governance
from pipesegment.report.conditions import segment_conditions
from pipesegment.report.findings import CONFORMING_FALSE, READY_FALSE
from pipesegment.report.outcome import Failed, Outcome
from pipesegment.spec.segmentclass import SegmentClassSpec
from pipesegment.spec.status import Condition, ConditionType, Reason
from tests.unit.report.outcomes import (
    LATER,
    NOW,
    condition,
    converged,
    found,
    live,
    obj,
    outcome,
    planned,
    reach,
    stage,
)

INVALID = Refusal("spec.stages[0].name", "is not a DNS label:", "A.b", "use lower case", object="ci/shop")
LATER_FIELD = Refusal("spec.stages[0].gates", "is not supported yet:", "x", "leave it out", reason="NotYetSupported")
TARGET = ObjectID.of(obj())
FAILED = Failed(TARGET, "apply", 500, "etcd is slow")
TAKEN = Failed(TARGET, "create", 409, "exists", conflict=True)
TIED = Governance("", "", SegmentClassSpec(), stalled="AmbiguousClass")
LOST = Governance("", "", SegmentClassSpec(), stalled="ClassLost")
FOREIGN = planned(obj(), existing=(live(obj(owner="somebody")),))
DYING = planned(obj(), existing=(live(obj(), deletionTimestamp=NOW),))


def fold(given: Outcome, *previous: Condition, now: str = NOW) -> dict[str, Condition]:
    return {c.type: c for c in segment_conditions(given, previous, now, (1, 2))}


def with_findings(*reasons: str, **fields: Any) -> Outcome:
    return outcome(reach=reach(findings=tuple(map(found, reasons)), **fields))


READY = [
    ("everything is in place", outcome(), "True", "Enforced"),
    ("the class makes it wider, and lets it be", outcome(coarse=(found("HttpNotEnforced"),)), "True", "Coarse"),
    ("nobody granted the other half", with_findings("Ungranted"), "True", "Ungranted"),
    ("a stage only observes", outcome(reach=reach(stage(mode=Mode.OBSERVE))), "True", "Observing"),
    ("it is suspended", with_findings(suspended=True), "True", "Suspended"),
    ("a target does not exist", with_findings("Unresolved"), "False", "Unresolved"),
    ("only one side declares it", with_findings("HalfOpen"), "False", "HalfOpen"),
    ("an older segment has the pods", with_findings("Overlapping"), "False", "Overlapping"),
    ("two stages share an account", with_findings("Conflict"), "False", "Conflict"),
    ("the mesh is not supported yet", with_findings("NotYetSupported"), "False", "NotYetSupported"),
    ("both sides have nothing in common", with_findings("NothingInCommon"), "False", "Gap"),
    ("an engine cannot say it", outcome(gaps=(found("NoService"),)), "False", "Gap"),
    ("a reason that nobody foresaw is a gap, never silence", with_findings("BrandNew"), "False", "Gap"),
    ("the spec is refused", Outcome(4, refusals=(INVALID,)), "False", "Invalid"),
    ("the spec asks for what comes later", Outcome(4, refusals=(LATER_FIELD,)), "False", "NotYetSupported"),
    ("the class refuses an entry", outcome(refusals=(INVALID,)), "False", "Invalid"),
    ("an object is somebody else's", outcome(changes=FOREIGN), "False", "Conflict"),
    ("somebody took the name meanwhile", outcome(failed=(TAKEN,)), "False", "Conflict"),
    ("the API server refused a write", outcome(failed=(FAILED,)), "False", "ApplyFailed"),
    ("an object is being deleted by somebody", outcome(changes=DYING), "False", "ApplyFailed"),
    ("two classes tie", with_findings("AmbiguousClass", governance=TIED, suspended=True), "False", "Unresolved"),
    ("the class is gone", with_findings("ClassLost", governance=LOST, suspended=True), "False", "Unresolved"),
    ("a sidecar that waits for ever is no gap", with_findings("MeshIdle"), "True", "Enforced"),
    ("what undoes it from outside is Conforming's", with_findings("Widened", "NamespaceOpen"), "True", "Enforced"),
    ("suspended hides no gap", with_findings("Unresolved", suspended=True), "False", "Unresolved"),
    ("suspended comes before observing", outcome(reach=reach(stage(mode=Mode.OBSERVE), suspended=True)), "True", "Suspended"),
    ("observing comes before coarse", outcome(reach=reach(stage(mode=Mode.OBSERVE)), coarse=(found("X"),)), "True", "Observing"),
    ("coarse comes before ungranted", outcome(reach=reach(findings=(found("Ungranted"),)), coarse=(found("X"),)), "True", "Coarse"),
]  # fmt: skip


@pytest.mark.parametrize(("why", "given", "status", "reason"), READY, ids=[case[0] for case in READY])
def test_ready(why: str, given: Outcome, status: str, reason: str) -> None:
    ready = fold(given)["Ready"]
    assert (ready.status, ready.reason) == (status, reason), why


@pytest.mark.parametrize("worse", range(len(READY_FALSE) - 1))
def test_of_several_reasons_the_worst_is_told(worse: int) -> None:
    makes: dict[Reason, dict[str, Any]] = {
        Reason.INVALID: {"refusals": (INVALID,)},
        Reason.NOT_YET_SUPPORTED: {"refusals": (LATER_FIELD,)},
        Reason.CONFLICT: {"changes": FOREIGN},
        Reason.APPLY_FAILED: {"failed": (FAILED,)},
    }
    first, second = READY_FALSE[worse], READY_FALSE[worse + 1]
    fields: dict[str, Any] = {}
    for reason in (second, first):
        fields |= makes.get(reason, {})
    told = [found(r.value) for r in (second, first) if r not in makes]
    assert fold(outcome(reach=reach(findings=tuple(told)), **fields))["Ready"].reason == (
        first if first not in makes or second not in makes or "refusals" not in makes[second] else Reason.INVALID
    )


def test_the_order_of_reasons_is_a_decision() -> None:
    worst_first = "Invalid NotYetSupported Conflict ApplyFailed Overlapping Unresolved HalfOpen Gap"
    assert [reason.value for reason in READY_FALSE] == worst_first.split()
    assert [r.value for r in CONFORMING_FALSE] == ["NotEnforced", "Widened", "HostNetwork", "Unwired", "NamespaceOpen"]


CONFORMING = [
    ("a foreign policy widens a stage", ("Widened",), "Widened"),
    ("the class restored the union of two stages", ("OverlapUnion",), "Widened"),
    ("pods are on the host's network", ("HostNetwork",), "HostNetwork"),
    ("pods run as another account", ("Unwired",), "Unwired"),
    ("pods are without any policy", ("NamespaceOpen",), "NamespaceOpen"),
    ("the pipeline cannot be closed", ("PipelineUnclosed",), "NamespaceOpen"),
    ("nothing enforces policies", ("NotEnforced",), "NotEnforced"),
    ("the worst of all is told", tuple(r.value for r in reversed(CONFORMING_FALSE)), "NotEnforced"),
]


@pytest.mark.parametrize(("why", "reasons", "expected"), CONFORMING, ids=[case[0] for case in CONFORMING])
def test_conforming(why: str, reasons: tuple[str, ...], expected: str) -> None:
    conforming = fold(with_findings(*reasons))["Conforming"]
    assert (conforming.status, conforming.reason) == ("False", expected), why
    assert conforming.observed_generation == 3


def test_a_conforming_exact_segment() -> None:
    conditions = fold(outcome())
    assert (conditions["Conforming"].status, conditions["Conforming"].reason) == ("True", "Conforms")
    assert (conditions["Exact"].status, conditions["Exact"].reason) == ("True", "AsDeclared")


def test_coarse_is_not_exact() -> None:
    exact = fold(outcome(coarse=(found("HttpNotEnforced"),)))["Exact"]
    assert (exact.status, exact.reason) == ("False", "Coarse")
    assert exact.message == "spec.stages[0].reaches[0]: HttpNotEnforced it is: mend it"


MESH = ObjectID.of(obj("AuthorizationPolicy"))
PARTS = [
    ("policies are in place", outcome(), "NetworkReady", "True", "Applied"),
    ("accounts are in place", outcome(), "IdentityReady", "True", "Applied"),
    ("no stage is in a mesh", outcome(), "MeshReady", "True", "NotDeclared"),
    ("nothing in a cloud is declared", outcome(), "CloudReady", "True", "NotDeclared"),
    ("no gate is declared", outcome(), "GatesOpen", "True", "NotDeclared"),
    ("a policy could not be written", outcome(failed=(FAILED,)), "NetworkReady", "False", "ApplyFailed"),
    ("a policy's failure says nothing of accounts", outcome(failed=(FAILED,)), "IdentityReady", "True", "Applied"),
    ("a policy's name is taken", outcome(changes=FOREIGN), "NetworkReady", "False", "Conflict"),
    ("a policy's name was taken meanwhile", outcome(failed=(TAKEN,)), "NetworkReady", "False", "Conflict"),
    ("the mesh lacks a Service", outcome(gaps=(found("PortRange"), found("NoService"))), "MeshReady", "False", "NoService"),
    ("the mesh cannot say a port", outcome(gaps=(found("NamedPort"),)), "MeshReady", "False", "Gap"),
    ("a mesh gap says nothing of the network", outcome(gaps=(found("NoService"),)), "NetworkReady", "True", "Applied"),
    ("a write never had its turn", outcome(changes=planned(obj())), "NetworkReady", "False", "Progressing"),
    ("a suspended segment leaves it", outcome(reach=reach(suspended=True), changes=planned(obj()), withheld=(TARGET,)), "NetworkReady", "False", "Suspended"),
    ("a refused entry holds it back", outcome(refusals=(INVALID,), changes=planned(obj()), withheld=(TARGET,)), "NetworkReady", "False", "Progressing"),
    ("it is being deleted", outcome(changes=DYING), "NetworkReady", "False", "Progressing"),
]  # fmt: skip


@pytest.mark.parametrize(("why", "given", "part", "status", "reason"), PARTS, ids=[case[0] for case in PARTS])
def test_parts(why: str, given: Outcome, part: str, status: str, reason: str) -> None:
    condition_ = fold(given)[part]
    assert (condition_.status, condition_.reason) == (status, reason), why


def test_a_sidecar_that_waits_for_ever_is_told_by_the_mesh() -> None:
    made = converged(obj(), obj("Sidecar"))
    mesh = fold(outcome(reach=reach(findings=(found("MeshIdle"),)), changes=made))["MeshReady"]
    assert (mesh.status, mesh.reason) == ("True", "Applied")
    assert mesh.message == "1 mesh object as declared; but spec.stages[0].reaches[0]: MeshIdle it is: mend it"


STALLED = [
    ("a refusal waits for its author", Outcome(4, refusals=(INVALID,)), "Invalid"),
    ("so does a field that comes later", Outcome(4, refusals=(LATER_FIELD,)), "Invalid"),
    ("so does what the class refuses", outcome(refusals=(INVALID,)), "Invalid"),
    ("a taken name waits for its owner", outcome(changes=FOREIGN), "Conflict"),
    ("a tie waits for the platform team", with_findings("AmbiguousClass", governance=TIED), "AmbiguousClass"),
    ("a lost class too", with_findings("ClassLost", governance=LOST), "ClassLost"),
]


@pytest.mark.parametrize(("why", "given", "reason"), STALLED, ids=[case[0] for case in STALLED])
def test_stalled_waits_for_a_person(why: str, given: Outcome, reason: str) -> None:
    conditions = fold(given)
    assert (conditions["Stalled"].status, conditions["Stalled"].reason) == ("True", reason), why
    assert conditions["Stalled"].message.startswith("waits for a person: spec.")
    assert "Reconciling" not in conditions


@pytest.mark.parametrize("given", [outcome(failed=(FAILED,)), outcome(changes=DYING)], ids=["failed", "terminating"])
def test_what_is_tried_again_is_reconciling(given: Outcome) -> None:
    conditions = fold(given)
    assert (conditions["Reconciling"].status, conditions["Reconciling"].reason) == ("True", "Progressing")
    assert "Stalled" not in conditions


def test_abnormal_conditions_are_absent_when_all_is_well_and_go_when_it_is_over() -> None:
    before = (condition("Stalled", "True", "Invalid"), condition("Reconciling", "True", "Progressing"))
    assert not {"Stalled", "Reconciling"} & set(fold(outcome(), *before))


def test_both_at_once_never_stand_there() -> None:
    assert set(fold(outcome(failed=(FAILED, TAKEN)))) & {"Stalled", "Reconciling"} == {"Stalled"}


class TestTime:
    def test_it_stays_while_the_status_does_whatever_reason_message_and_generation_do(self) -> None:
        ready = fold(outcome(), condition("Ready", "True", "Coarse"), now=LATER)["Ready"]
        assert (ready.last_transition_time, ready.reason, ready.observed_generation) == (NOW, "Enforced", 3)

    def test_it_moves_with_the_status(self) -> None:
        ready = fold(outcome(), condition("Ready", "False", "Gap"), now=LATER)["Ready"]
        assert ready.last_transition_time == LATER

    def test_a_second_fold_of_the_same_outcome_changes_nothing(self) -> None:
        first = segment_conditions(outcome(), (), NOW, (1, 2))
        assert segment_conditions(outcome(), first, LATER, (1, 2)) == first


class TestRefusedSpec:
    before = (condition("NetworkReady", "True", "Applied"), condition("Reconciling", "True", "Progressing"))

    def test_what_stands_keeps_what_was_said_of_it(self) -> None:
        conditions = fold(Outcome(4, refusals=(INVALID,)), *self.before, now=LATER)
        assert conditions["NetworkReady"] == self.before[0]
        assert set(conditions) == {"Ready", "Stalled", "NetworkReady"}

    def test_nothing_is_claimed_of_a_segment_that_was_never_accepted(self) -> None:
        assert set(fold(Outcome(1, refusals=(INVALID,)))) == {"Ready", "Stalled"}


class TestMessages:
    def test_a_refusal_says_where_what_and_how(self) -> None:
        message = fold(Outcome(4, refusals=(INVALID,)))["Ready"].message
        assert message == "spec.stages[0].name: is not a DNS label: 'A.b': use lower case"

    def test_many_are_cut_and_counted(self) -> None:
        many = tuple(found("Unresolved", f"spec.stages[0].reaches[{n}]") for n in range(9))
        message = fold(outcome(reach=reach(findings=many)))["Ready"].message
        assert message.endswith("; and 6 more")
        assert message.count("Unresolved it is") == 3

    def test_however_long_it_gets_it_stays_bounded_and_on_one_line(self) -> None:
        nasty = found("Unresolved", message="\n\x1b[31mforged\u202e" * 500)
        for each in fold(outcome(reach=reach(findings=(nasty,) * 5))).values():
            assert len(each.message) <= 1024
            assert each.message.isprintable()

    def test_edges_are_counted(self) -> None:
        assert fold(outcome())["Ready"].message == "1 of 2 edges open, everything else closed"

    def test_observe_says_what_it_would_do(self) -> None:
        message = fold(outcome(reach=reach(stage(mode=Mode.OBSERVE))))["Ready"].message
        assert message == "would open 1 of 2 edges and close everything else; nothing blocks yet in stages build"

    def test_suspended_counts_what_waits(self) -> None:
        given = outcome(reach=reach(suspended=True), withheld=(TARGET,))
        assert fold(given)["Ready"].message.endswith("; 1 object would change")

    def test_a_failure_says_what_the_api_server_said(self) -> None:
        message = fold(outcome(failed=(FAILED,)))["Ready"].message
        assert message == "apply of NetworkPolicy ci/shop-build failed: 500 etcd is slow"

    def test_a_taken_name_is_told_where_the_stage_is_declared(self) -> None:
        message = fold(outcome(changes=FOREIGN))["Ready"].message
        assert message.startswith("spec.stages[0]: NetworkPolicy ci/shop-build exists and belongs to another owner")


def test_conditions_stand_in_the_order_of_the_contract() -> None:
    types = [c.type for c in segment_conditions(outcome(), (), NOW, (1, 1))]
    assert types == [t.value for t in ConditionType if t not in {ConditionType.STALLED, ConditionType.RECONCILING}]


def test_an_empty_change_set_of_a_refused_segment_is_no_claim() -> None:
    assert Outcome(1).changes == ChangeSet(())
