"""Argo CD's health script, run in the Lua that Argo CD has: 5.1 with the base and table libraries only."""

from pathlib import Path
from typing import Any

import lupa.lua51
import pytest
import yaml

from pipesegment import names

ROOT = Path(__file__).resolve().parents[2]
CONFIG_MAP = yaml.safe_load((ROOT / "manifests" / "argocd" / "argocd-cm.yaml").read_text())
PREFIX = "resource.customizations.health."
SCRIPT = CONFIG_MAP["data"][f"{PREFIX}{names.GROUP}_{names.SEGMENT}"]

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


def health(obj: dict[str, Any]) -> tuple[str, str]:
    """Run the script as Argo CD does, and return (status, message)."""
    lua = lupa.lua51.LuaRuntime(register_eval=False, register_builtins=False)
    lua.execute(
        'getmetatable("").__index = nil; string, math, io, os, debug, coroutine, require = nil, nil, nil, nil, nil, nil, nil'
    )
    lua.globals().obj = lua.table_from(obj, recursive=True)
    result = lua.execute(SCRIPT)
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


@pytest.mark.parametrize("kind", names.KINDS)
def test_every_kind_has_the_script(kind):
    assert CONFIG_MAP["data"][f"{PREFIX}{names.GROUP}_{kind}"] == SCRIPT


def test_the_config_map_brings_nothing_else():
    assert set(CONFIG_MAP["data"]) == {f"{PREFIX}{names.GROUP}_{kind}" for kind in names.KINDS}
