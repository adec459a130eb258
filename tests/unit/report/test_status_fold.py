"""The whole status of a segment, a grant and a class."""

from typing import Any

import pytest

from pipesegment.compile.desired import ObjectID
from pipesegment.findings import Refusal
from pipesegment.plan.live import Entry
from pipesegment.reach.edges import StageKey
from pipesegment.reach.graph import Governance, Reach
from pipesegment.report.outcome import Failed, Outcome
from pipesegment.report.owners import Covered, class_status, grant_status
from pipesegment.report.status import inventory, segment_status
from pipesegment.spec.segmentclass import SegmentClassSpec
from pipesegment.spec.status import ClassRef, PipelineSegmentStatus, SegmentClassStatus, SegmentGrantStatus
from tests.unit.report.outcomes import LATER, NOW, converged, done, edge, found, obj, outcome, planned, reach, stage

EMPTY = PipelineSegmentStatus()
REFUSAL = Refusal("spec.stages[0].name", "is not a DNS label:", "A.b", "use lower case")


def status(**fields: Any) -> PipelineSegmentStatus:
    return segment_status(outcome(**fields), EMPTY, NOW)


class TestSummary:
    def edges(self, given: Reach, **fields: Any) -> str:
        summary = status(reach=given, **fields).summary
        assert summary is not None
        assert summary.edges == int(summary.open.partition("/")[2])
        return summary.open

    def test_every_declared_entry_is_an_edge(self) -> None:
        entries = (edge("spec.stages[0].reaches[0]"), edge("spec.stages[0].reaches[1]", opened=False))
        assert self.edges(reach(stage(egress=entries))) == "1/2"

    def test_an_entry_that_becomes_several_edges_is_open_when_all_are(self) -> None:
        because = "spec.stages[0].reaches[0]"
        assert self.edges(reach(stage(egress=(edge(because), edge(because, opened=False))))) == "0/1"

    def test_an_edge_between_two_stages_is_the_one_of_the_stage_that_declares_it(self) -> None:
        because = "spec.stages[0].reaches[0]"
        there = stage("test", 1, egress=(), ingress=(edge(because, direction="ingress"),))
        assert self.edges(reach(stage(egress=(edge(because),)), there)) == "1/1"

    def test_a_common_entry_is_an_edge_of_every_stage(self) -> None:
        common = (edge("spec.common.reaches[0]"),)
        assert self.edges(reach(stage(egress=common), stage("test", 1, egress=common))) == "2/2"

    def test_what_accepts_counts_too(self) -> None:
        accepts = (edge("spec.stages[0].accepts[0]", direction="ingress"),)
        assert self.edges(reach(stage(egress=(), ingress=accepts))) == "1/1"

    def test_what_engine_mesh_and_dns_add_was_declared_by_nobody(self) -> None:
        added = tuple(map(edge, ("engine", "mesh", "spec.stages[0].dns")))
        assert self.edges(reach(stage(egress=added))) == "0/0"

    def test_the_classs_baseline_counts(self) -> None:
        assert self.edges(reach(stage(egress=(edge("SegmentClass/default spec.baseline.reaches[0]"),)))) == "1/1"

    def test_an_edge_with_a_gap_is_closed(self) -> None:
        assert self.edges(reach(), gaps=(found("NoService", "spec.stages[0].reaches[0]"),)) == "0/1"

    def test_a_refused_stage_has_no_open_edge(self) -> None:
        assert self.edges(reach(stage(closed=True))) == "0/1"


def test_stages_are_told_one_by_one() -> None:
    gap = found("Unresolved", "spec.stages[1].reaches[0].service")
    far = found("Unresolved", "spec.stages[10].reaches[0]")
    stages = (stage(pods=3, wrong_account=1), stage("test", 1), *(stage(f"s{n}", n, egress=()) for n in range(2, 11)))
    shown = status(reach=reach(*stages, findings=(gap, far))).stages
    assert [(s.name, s.service_account, s.edges, s.gaps, s.pods, s.wrong_account) for s in shown[:2]] == [
        ("build", "shop-build", 1, 0, 3, 1),
        ("test", "shop-test", 1, 1, 0, 0),
    ]
    assert shown[10].gaps == 1


class TestGaps:
    def test_they_hold_what_keeps_ready_false_the_worst_first(self) -> None:
        findings = (found("HalfOpen"), found("Unresolved"), found("Widened"), found("Ungranted"))
        shown = status(reach=reach(findings=findings), gaps=(found("NoService"),))
        assert [gap.reason for gap in shown.gaps] == ["Unresolved", "HalfOpen", "NoService"]
        assert shown.summary is not None
        assert shown.summary.gaps == 3

    def test_they_are_bounded_and_the_summary_counts_all(self) -> None:
        many = tuple(found("Unresolved", f"spec.stages[0].reaches[{n}]") for n in range(300))
        shown = status(reach=reach(findings=many))
        assert len(shown.gaps) == 256
        assert shown.summary is not None
        assert shown.summary.gaps == 300

    def test_their_text_is_cut_and_escaped(self) -> None:
        (gap,) = status(reach=reach(findings=(found("Unresolved", target="x\n" * 2000),))).gaps
        assert len(gap.target) == 1024
        assert gap.target.startswith("x\\nx\\n")


class TestClass:
    before = PipelineSegmentStatus(class_=ClassRef(name="default", uid="class-uid"))

    def shown(self, governance: Governance) -> ClassRef | None:
        return segment_status(outcome(reach=reach(governance=governance)), self.before, NOW).class_

    def test_the_one_that_governs_is_recorded(self) -> None:
        assert self.shown(Governance("gold", "uid-2", SegmentClassSpec())) == ClassRef(name="gold", uid="uid-2")

    def test_without_one_there_is_none(self) -> None:
        assert self.shown(Governance("", "", SegmentClassSpec())) is None

    @pytest.mark.parametrize("stalled", ["ClassLost", "AmbiguousClass"])
    def test_a_lost_one_stays_recorded_or_its_loss_would_be_forgotten_at_the_second_look(self, stalled: str) -> None:
        assert self.shown(Governance("", "", SegmentClassSpec(), stalled=stalled)) == self.before.class_


class TestInventory:
    def test_it_holds_what_exists_after_the_run(self) -> None:
        changes = planned(obj(), obj("ServiceAccount"))
        shown = segment_status(outcome(changes=changes, done=done(changes)), EMPTY, NOW).inventory
        assert [(e.api_version, e.kind, e.namespace, e.name, e.uid) for e in shown] == [
            ("networking.k8s.io/v1", "NetworkPolicy", "ci", "shop-build", "uid-NetworkPolicy-shop-build"),
            ("v1", "ServiceAccount", "ci", "shop-build", "uid-ServiceAccount-shop-build"),
        ]

    def test_it_is_bounded(self) -> None:
        entries = [Entry(ObjectID("v1", "ServiceAccount", "ci", f"a{n}"), "uid") for n in range(9000)]
        assert len(inventory(entries)) == 8192


class TestRefusedSpec:
    def test_everything_but_conditions_and_gaps_stays_as_it_was(self) -> None:
        before = segment_status(outcome(), EMPTY, NOW)
        after = segment_status(Outcome(4, refusals=(REFUSAL,)), before, LATER)
        assert after.observed_generation == 4
        assert (after.summary, after.stages, after.inventory, after.class_) == (
            before.summary,
            before.stages,
            before.inventory,
            before.class_,
        )
        assert [(gap.path, gap.reason, gap.target, gap.fix) for gap in after.gaps] == [
            ("spec.stages[0].name", "Invalid", "A.b", "use lower case")
        ]


def test_the_same_outcome_gives_an_equal_status_at_any_time() -> None:
    first = segment_status(outcome(), EMPTY, NOW)
    assert segment_status(outcome(), first, LATER) == first


def test_it_is_written_in_the_words_of_the_contract() -> None:
    wire = status().wire()
    assert set(wire) == {
        *("observedGeneration", "class", "summary", "stages", "gaps", "hostNames", "inventory", "conditions")
    }
    assert wire["summary"] == {"stages": 1, "edges": 1, "open": "1/1", "gaps": 0, "sealed": 0}
    assert {"type", "status", "observedGeneration", "lastTransitionTime", "reason", "message"} == set(
        wire["conditions"][0]
    )


class TestGrant:
    edge = Covered(StageKey("ci", "shop", "build"), "spec.stages[0].reaches[0]")

    def status(self, *covered: Covered, named: dict[str, str] | None = None, **before: Any) -> SegmentGrantStatus:
        previous = before.get("previous", SegmentGrantStatus())
        return grant_status(2, before.get("refusals", ()), covered, named or {"ci": "uid-1"}, previous, NOW)

    def ready(self, given: SegmentGrantStatus) -> tuple[str, str]:
        ready = next(c for c in given.conditions if c.type == "Ready")
        return ready.status, ready.reason

    def test_covered_edges_are_listed_once(self) -> None:
        given = self.status(self.edge, self.edge)
        assert [e.wire() for e in given.edges] == [
            {"namespace": "ci", "segment": "shop", "stage": "build", "path": "spec.stages[0].reaches[0]"}
        ]
        assert given.covered == 1
        assert self.ready(given) == ("True", "Bound")

    def test_a_grant_that_nobody_uses_is_no_fault(self) -> None:
        assert self.ready(self.status()) == ("True", "Unused")

    def test_a_namespace_is_bound_to_the_uid_that_was_seen_first(self) -> None:
        first = self.status(self.edge)
        second = self.status(self.edge, named={"ci": "uid-2"}, previous=first)
        assert [(b.namespace, b.uid) for b in second.namespaces] == [("ci", "uid-1")]
        assert self.ready(second) == ("False", "NamespaceChanged")

    def test_a_namespace_that_does_not_exist_yet_is_not_bound(self) -> None:
        assert self.status(named={"ci": ""}).namespaces == ()

    def test_a_namespace_that_is_gone_stays_bound(self) -> None:
        second = self.status(named={"ci": ""}, previous=self.status(self.edge))
        assert [(b.namespace, b.uid) for b in second.namespaces] == [("ci", "uid-1")]
        assert self.ready(second) == ("True", "Unused")

    def test_a_namespace_that_the_grant_no_longer_names_is_forgotten(self) -> None:
        second = self.status(named={"other": "uid-3"}, previous=self.status(self.edge))
        assert [b.namespace for b in second.namespaces] == ["other"]

    def test_a_refused_one_is_stalled(self) -> None:
        given = self.status(refusals=(REFUSAL,))
        assert self.ready(given) == ("False", "Invalid")
        assert given.conditions[-1].type == "Stalled"

    def test_many_edges_are_cut_and_counted(self) -> None:
        many = [Covered(StageKey("ci", "shop", "build"), f"spec.stages[0].reaches[{n}]") for n in range(2000)]
        given = self.status(*many)
        assert (len(given.edges), given.covered) == (1024, 2000)


class TestSegmentClass:
    def ready(self, *findings: Any, governed: tuple[int, int] = (2, 5), **fields: Any) -> tuple[str, str, str]:
        names = [f"ci-{number}" for number in range(governed[0])]
        failed = fields.get("failed", ())
        given = class_status(
            2, fields.get("refusals", ()), findings, names, governed[1], failed, SegmentClassStatus(), NOW
        )
        assert (given.namespaces, given.segments, given.observed_generation) == (*governed, 2)
        ready = given.conditions[0]
        return ready.status, ready.reason, ready.message

    def test_it_counts_what_it_governs(self) -> None:
        assert self.ready() == ("True", "Governing", "governs 2 namespaces and 5 segments")

    def test_it_names_its_namespaces_as_far_as_admission_looks(self) -> None:
        many = [f"ci-{number:04}" for number in reversed(range(2000))]
        given = class_status(2, (), (), many, 0, (), SegmentClassStatus(), NOW)
        assert (given.namespaces, len(given.governs), given.governs[0]) == (2000, 1024, "ci-0000")

    def test_namespaces_that_its_isolation_spares_are_named(self) -> None:
        given = class_status(
            2, (), (), ["a", "b", "c"], 5, (), SegmentClassStatus(), NOW, ["kube-system", "istio-system"]
        )
        assert "; leaves istio-system, kube-system open" in given.conditions[0].message

    def test_one_that_governs_nothing_is_no_fault(self) -> None:
        assert self.ready(governed=(0, 0))[:2] == ("True", "Unused")

    def test_a_tie_is_told(self) -> None:
        assert self.ready(found("AmbiguousClass"))[:2] == ("False", "AmbiguousClass")

    def test_an_isolation_that_cannot_be_said_is_told(self) -> None:
        assert self.ready(found("InexactSelector", "spec.network.isolation.exceptPods[0]"))[1] == "IsolationFailed"

    def test_an_isolation_that_could_not_be_written_is_told(self) -> None:
        failed = (Failed(ObjectID.of(obj()), "create", 403, "no"),)
        assert self.ready(failed=failed) == (
            "False",
            "IsolationFailed",
            "create of NetworkPolicy ci/shop-build failed: 403 no",
        )

    def test_what_comes_later_is_told_apart_from_what_is_wrong(self) -> None:
        later = Refusal("spec.aws", "is not supported:", "x", "remove it", reason="NotYetSupported")
        assert self.ready(refusals=(later,))[1] == "NotYetSupported"
        assert self.ready(refusals=(later, REFUSAL))[1] == "Invalid"


def test_a_converged_segment_needs_no_write() -> None:
    assert converged(obj()).writes == ()
