"""Argo CD's health scripts, run in the Lua that Argo CD has: 5.1 with the base and table libraries only."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import lupa.lua51
import pytest

from lab import yaml
from pipesegment import names
from pipesegment.facts.meta import Key
from pipesegment.facts.moments import moment
from pipesegment.facts.parse import snapshot
from pipesegment.findings import Finding, Refusal
from pipesegment.reach.edges import Mode, StageKey
from pipesegment.reach.graph import Governance
from pipesegment.reach.resolve import resolve
from pipesegment.reach.standing import Verdict
from pipesegment.report.exceptions import approval_status, effect, exception_status
from pipesegment.report.findings import READY_FALSE
from pipesegment.report.outcome import Failed
from pipesegment.report.owners import Covered, class_status, grant_status
from pipesegment.report.status import segment_status
from pipesegment.spec.base import Model
from pipesegment.spec.segmentclass import SegmentClassSpec
from pipesegment.spec.status import (
    Phase,
    PipelineSegmentStatus,
    Reason,
    SegmentApprovalStatus,
    SegmentClassStatus,
    SegmentExceptionStatus,
    SegmentGrantStatus,
)
from tests.unit.emergencies import BEGIN, approval, exception, guards, seal
from tests.unit.report.outcomes import NOW, found, obj, outcome, planned, reach, stage

ROOT = Path(__file__).resolve().parents[2]
CONFIG_MAP = yaml.safe_load((ROOT / "manifests" / "argocd" / "argocd-cm.yaml").read_text())
PREFIX = "resource.customizations.health."
SCRIPTS = {kind: CONFIG_MAP["data"][f"{PREFIX}{names.GROUP}_{kind}"] for kind in names.KINDS}

#: Ready's reasons by condition status, and what Argo CD has to make of each (api.md § status).
TRUE_REASONS = {
    "Enforced": "Healthy",
    "Coarse": "Healthy",
    "Sealed": "Healthy",
    "Observing": "Healthy",
    "Suspended": "Suspended",
    "Ungranted": "Healthy",
}
FALSE_REASONS = {
    "Gap": "Degraded",
    "Unresolved": "Progressing",
    "HalfOpen": "Progressing",
    "Overlapping": "Degraded",
    "Conflict": "Degraded",
    "Invalid": "Degraded",
    "NotYetSupported": "Degraded",
    "ApplyFailed": "Degraded",
}


def health(obj: dict[str, Any], kind: str = names.SEGMENT) -> tuple[str, str]:
    """Run a kind's script as Argo CD does, and return (status, message)."""
    lua = lupa.lua51.LuaRuntime(register_eval=False, register_builtins=False)
    lua.execute(
        'getmetatable("").__index = nil; string, math, io, os, debug, coroutine, require = nil, nil, nil, nil, nil, nil, nil'
    )
    lua.globals().obj = lua.table_from(obj, recursive=True)
    result = lua.execute(SCRIPTS[kind])
    assert set(result) == {"status", "message"}
    return result["status"], result["message"]


def segment(*conditions: dict[str, str], generation: int = 3, observed: int = 3) -> dict[str, Any]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.SEGMENT,
        "metadata": {"name": "shop", "namespace": "ci-shop", "generation": generation},
        "status": {"observedGeneration": observed, "conditions": list(conditions)},
    }


def condition(kind: str, status: str, reason: str, message: str = "what there is to say") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


@pytest.mark.parametrize(("reason", "expected"), TRUE_REASONS.items())
def test_a_ready_segment_is_healthy_unless_it_is_suspended(reason, expected):
    ready = condition("Ready", "True", reason)

    assert health(segment(ready)) == (expected, f"{reason}: what there is to say")


@pytest.mark.parametrize(("reason", "expected"), FALSE_REASONS.items())
def test_a_segment_that_is_not_ready_says_whether_a_person_is_needed(reason, expected):
    ready = condition("Ready", "False", reason)

    assert health(segment(ready)) == (expected, f"{reason}: what there is to say")


def test_a_segment_without_status_is_progressing():
    obj = segment()
    del obj["status"]

    assert health(obj)[0] == "Progressing"


@pytest.mark.parametrize(("status", "reason"), [("True", "Enforced"), ("False", "Conflict")])
def test_what_was_said_about_an_older_generation_does_not_count(status, reason):
    obj = segment(condition("Ready", status, reason), generation=4, observed=3)

    assert health(obj) == ("Progressing", "the operator has not seen this generation yet")


def test_a_status_without_conditions_is_progressing():
    obj = segment()
    del obj["status"]["conditions"]

    assert health(obj)[0] == "Progressing"


def test_conditions_without_ready_are_progressing():
    assert health(segment(condition("Exact", "True", "Exact")))[0] == "Progressing"


def test_an_unknown_ready_is_progressing():
    assert health(segment(condition("Ready", "Unknown", "Pending")))[0] == "Progressing"


def test_a_stalled_segment_is_degraded_whatever_ready_says():
    stalled = condition("Stalled", "True", "AmbiguousClass", "two classes tie")
    ready = condition("Ready", "True", "Enforced")

    assert health(segment(ready, stalled)) == ("Degraded", "AmbiguousClass: two classes tie")


def test_a_segment_at_work_is_progressing_and_not_degraded():
    ready = condition("Ready", "False", "Gap")
    reconciling = condition("Reconciling", "True", "Progressing")

    assert health(segment(ready, reconciling))[0] == "Progressing"


def test_a_condition_without_a_message_is_told_by_its_reason():
    assert health(segment(condition("Ready", "True", "Enforced", ""))) == ("Healthy", "Enforced")


REFUSAL = Refusal("spec", "is wrong:", "x", "mend it")
FAILED = Failed(planned(obj()).changes[0].id, "apply", 500, "not now")
LOST = Governance("default", "class-uid", SegmentClassSpec(), stalled="ClassLost")


def of_segment(**fields: Any) -> PipelineSegmentStatus:
    return segment_status(outcome(**fields), PipelineSegmentStatus(), NOW)


def of_grant(
    refusals: tuple[Refusal, ...] = (), covered: tuple[Covered, ...] = (), bound: tuple[dict[str, str], ...] = ()
) -> SegmentGrantStatus:
    previous = SegmentGrantStatus(namespaces=bound)
    return grant_status(3, refusals, covered, {"ci": "uid-now"}, previous, NOW)


def of_class(
    governed: tuple[int, int] = (2, 5), findings: tuple[Finding, ...] = (), failed: tuple[Failed, ...] = ()
) -> SegmentClassStatus:
    names = [f"ci-{number}" for number in range(governed[0])]
    return class_status(3, (), findings, names, governed[1], failed, SegmentClassStatus(), NOW)


#: What the program itself writes, and what Argo CD makes of it.
REAL = {
    "enforced": (of_segment(), "Healthy", Reason.ENFORCED),
    "observed": (of_segment(reach=reach(stage(mode=Mode.OBSERVE))), "Healthy", Reason.OBSERVING),
    "coarse": (of_segment(coarse=(found("Coarse"),)), "Healthy", Reason.COARSE),
    "ungranted": (of_segment(reach=reach(findings=(found("Ungranted"),))), "Healthy", Reason.UNGRANTED),
    "suspended": (of_segment(reach=reach(suspended=True)), "Suspended", Reason.SUSPENDED),
    "unresolved": (of_segment(reach=reach(findings=(found("Unresolved"),))), "Progressing", Reason.UNRESOLVED),
    "half open": (of_segment(reach=reach(findings=(found("HalfOpen"),))), "Progressing", Reason.HALF_OPEN),
    "tried again": (of_segment(failed=(FAILED,)), "Progressing", Reason.APPLY_FAILED),
    "with a gap": (of_segment(gaps=(found("NoService"),)), "Degraded", Reason.GAP),
    "overlapping": (of_segment(reach=reach(findings=(found("Overlapping"),))), "Degraded", Reason.OVERLAPPING),
    "refused": (of_segment(reach=None, refusals=(REFUSAL,)), "Degraded", Reason.INVALID),
    "without its class": (of_segment(reach=reach(governance=LOST)), "Degraded", Reason.CLASS_LOST),
    "unused grant": (of_grant(), "Healthy", Reason.UNUSED),
    "used grant": (of_grant(covered=(Covered(StageKey("ci", "shop", "a"), "spec"),)), "Healthy", Reason.BOUND),
    "refused grant": (of_grant(refusals=(REFUSAL,)), "Degraded", Reason.INVALID),
    "grant to a namespace that is another now": (
        of_grant(bound=({"namespace": "ci", "uid": "uid-then"},)),
        "Degraded",
        Reason.NAMESPACE_CHANGED,
    ),
    "unused class": (of_class((0, 0)), "Healthy", Reason.UNUSED),
    "governing class": (of_class(), "Healthy", Reason.GOVERNING),
    "tie of classes": (of_class(findings=(found("AmbiguousClass"),)), "Degraded", Reason.AMBIGUOUS_CLASS),
    "class that cannot isolate": (of_class(failed=(FAILED,)), "Degraded", Reason.ISOLATION_FAILED),
}


@pytest.mark.parametrize(("status", "expected", "reason"), REAL.values(), ids=REAL.keys())
def test_what_the_program_writes_is_understood(status: Model, expected, reason):
    told, message = health({"metadata": {"generation": 3}, "status": status.wire()})

    assert told == expected
    assert message.startswith(f"{reason}: ")


def test_every_reason_of_a_segment_that_is_not_ready_has_its_health():
    assert set(FALSE_REASONS) == set(READY_FALSE)


VENDOR = {"cidr": {"block": "198.51.100.7/32"}, "ports": [{"port": 443}]}
GOVERNING = {
    "apiVersion": names.API_VERSION,
    "kind": names.CLASS,
    "metadata": {"name": "default", "uid": "u-default"},
    "spec": {"breakGlass": {"approverGroups": ["sre"], "maxDuration": "4h"}},
}
SHOP = {
    "apiVersion": names.API_VERSION,
    "kind": names.SEGMENT,
    "metadata": {"name": "shop", "namespace": "ci", "uid": "u-shop"},
    "spec": {"stages": [{"name": "a"}]},
}
HOTFIX = exception(VENDOR)
APPROVED = (HOTFIX, approval(HOTFIX))
OVER = "2030-01-01T11:00:00Z"


def of_exception(
    *documents: dict[str, Any], at: str = BEGIN, before: SegmentExceptionStatus | None = None, **fields: Any
) -> SegmentExceptionStatus:
    """What the program makes of the exception among some documents."""
    world = replace(snapshot([GOVERNING, SHOP, *guards(), *documents]), now=moment(at))
    mine = world.segment("ci", "shop")
    assert mine is not None
    found = resolve(mine, world)
    (standing,) = found.exceptions
    came_to = effect(standing, outcome(reach=found, **fields))
    previous = before or SegmentExceptionStatus()
    return exception_status(world.exceptions["ci"][standing.name], standing, came_to, previous, BEGIN)


EXCEPTIONS = {
    "asked for": (of_exception(HOTFIX), "Progressing", Reason.AWAITING_APPROVAL),
    "for a stage that is not there": (of_exception(exception(VENDOR, stage="b")), "Progressing", Reason.UNRESOLVED),
    "approved": (of_exception(*APPROVED), "Healthy", Reason.OPEN),
    "over": (of_exception(*APPROVED, at=OVER), "Healthy", Reason.EXPIRED),
    "over, and never approved": (of_exception(HOTFIX, at=OVER), "Healthy", Reason.EXPIRED),
    "too long": (of_exception(exception(VENDOR, duration="5h")), "Degraded", Reason.NOT_ALLOWED),
    "not brought about": (of_exception(*APPROVED, failed=(FAILED,)), "Degraded", Reason.APPLY_FAILED),
    "over, and not closed": (
        of_exception(*APPROVED, at=OVER, before=of_exception(*APPROVED), failed=(FAILED,)),
        "Degraded",
        Reason.APPLY_FAILED,
    ),
    "over before a write failed": (
        of_exception(*APPROVED, at=OVER, before=of_exception(*APPROVED, at=OVER), failed=(FAILED,)),
        "Healthy",
        Reason.APPLY_FAILED,
    ),
    "asked for, while a write fails": (of_exception(HOTFIX, failed=(FAILED,)), "Progressing", Reason.APPLY_FAILED),
    "seal": (of_exception(seal()), "Healthy", Reason.SEALED),
    "seal that is not brought about": (of_exception(seal(), failed=(FAILED,)), "Degraded", Reason.APPLY_FAILED),
}


@pytest.mark.parametrize(("status", "expected", "reason"), EXCEPTIONS.values(), ids=EXCEPTIONS.keys())
def test_an_exception_that_waits_or_is_over_is_no_fault(status: SegmentExceptionStatus, expected, reason):
    told, message = health({"metadata": {"generation": 1}, "status": status.wire()}, names.EXCEPTION)

    assert told == expected
    assert message.startswith(f"{reason}: ")


def test_every_phase_of_an_exception_is_among_the_cases():
    assert {status.phase for status, _, _ in EXCEPTIONS.values()} == set(get_args(Phase))


def of_approval(verdict: Verdict | None = None, refusals: tuple[Refusal, ...] = ()) -> SegmentApprovalStatus:
    return approval_status(1, refusals, verdict, "ci/hotfix", SegmentApprovalStatus(), NOW)


def judged(problem: str) -> Verdict:
    return Verdict(Key("ci", "hotfix-grace"), "u-approval", "grace", problem, BEGIN)


APPROVALS = {
    "counts": (of_approval(judged("")), "Healthy", Reason.COUNTED),
    "of who asked": (of_approval(judged("ada asked for the exception")), "Healthy", Reason.NOT_COUNTED),
    "of an exception that is gone": (of_approval(), "Healthy", Reason.NOT_COUNTED),
    "refused": (of_approval(refusals=(REFUSAL,)), "Degraded", Reason.INVALID),
}


@pytest.mark.parametrize(("status", "expected", "reason"), APPROVALS.values(), ids=APPROVALS.keys())
def test_an_approval_that_counts_for_nothing_is_no_fault(status: SegmentApprovalStatus, expected, reason):
    told, message = health({"metadata": {"generation": 1}, "status": status.wire()}, names.APPROVAL)

    assert told == expected
    assert message.startswith(f"{reason}: ")


@pytest.mark.parametrize("kind", [names.EXCEPTION, names.APPROVAL])
@pytest.mark.parametrize("status", [None, {}, {"observedGeneration": 1}])
def test_what_the_operator_has_not_looked_at_is_progressing(kind, status):
    obj = {"metadata": {"generation": 1}, **({} if status is None else {"status": status})}

    assert health(obj, kind)[0] == "Progressing"


def test_an_approval_that_nobody_judged_is_progressing():
    status = {"observedGeneration": 1, "conditions": [condition("Other", "True", "Else")]}

    assert health({"metadata": {"generation": 1}, "status": status}, names.APPROVAL)[0] == "Progressing"


def test_what_is_declared_to_last_is_judged_by_one_script():
    assert SCRIPTS[names.GRANT] == SCRIPTS[names.CLASS] == SCRIPTS[names.SEGMENT]


def test_the_config_map_brings_nothing_else():
    assert set(CONFIG_MAP["data"]) == {f"{PREFIX}{names.GROUP}_{kind}" for kind in names.KINDS}
